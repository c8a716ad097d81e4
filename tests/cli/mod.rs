//! The subcommands, one file each as in `src/cli`.

mod build;
mod diff;
mod docker_registry;
mod load;
mod lock;
mod login;
mod registry;
mod store;
mod verify;
mod why;
