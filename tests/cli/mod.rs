//! The subcommands, one file each as in `src/cli`.

mod audit;
mod build;
mod deployed;
mod diff;
mod docker_registry;
mod load;
mod lock;
mod login;
mod pin;
mod registry;
mod releases;
mod retention;
mod store;
mod verify;
mod why;
