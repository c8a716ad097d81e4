//! The subcommands, one file each as in `src/cli`.

mod build;
mod load;
mod registry;
mod store;
