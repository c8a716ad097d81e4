//! What is asked of a registry when something is pushed, and what it may do meanwhile.

mod blobs;
mod images;

use super::*;
use crate::image::Memory;
use crate::transport::registry::fake::{Asked, Fake, Fault, reply};

fn sink<'a>(registries: &'a Registries, fake: &Fake, tags: &[&str]) -> RegistrySink<'a> {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    RegistrySink::new(registries, fake.repository("a"), tags, PushOptions::default())
}
