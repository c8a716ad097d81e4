//! Registries: one that misbehaves on demand, and the real one.

mod accounts;
mod conformance;
mod counting;
mod docker_registry;
mod faults;
mod images;
mod interrupted;
mod listings;
mod pull_faults;
mod push_faults;
mod scene;
