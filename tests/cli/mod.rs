//! The subcommands, one file each as in `src/cli`.

mod build;
mod docker_registry;
mod load;
mod login;
mod pin;
mod registry;
mod releases;
mod store;
