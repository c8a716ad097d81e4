//! Registries: the test registry that misbehaves on demand, and the real one.

mod conformance;
mod docker_registry;
mod images;
