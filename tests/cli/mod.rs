//! The subcommands, one file each as in `src/cli`.

mod build;
mod docker_registry;
mod load;
mod lock;
mod login;
mod registry;
mod store;
