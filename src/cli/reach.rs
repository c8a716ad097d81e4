//! What a subcommand can reach: the store and the registries, each opened when it is first needed.

use std::cell::OnceCell;
use std::sync::Arc;

use lith::oci::Reference;
use lith::store::Store;
use lith::transport::registry::{Registries, RegistrySource};

use super::error::Hinted;
use super::{Seen, World};

/// The store and the registries.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    pub(super) world: &'a World,
    store: OnceCell<Seen>,
    registries: OnceCell<Registries>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self { world, store: OnceCell::new(), registries: OnceCell::new() }
    }

    /// For those who put something into the store: it is made if need be.
    pub(super) fn writing(world: &'a World) -> anyhow::Result<Self> {
        let reach = Self::new(world);
        let seen = Seen { store: world.open_store()?, _folder: None };
        reach.store.get_or_init(|| seen);
        Ok(reach)
    }

    pub(super) fn store(&self) -> anyhow::Result<&Arc<Store>> {
        if let Some(seen) = self.store.get() {
            return Ok(&seen.store);
        }
        let seen = self.world.look_at_store()?;
        Ok(&self.store.get_or_init(|| seen).store)
    }

    pub(super) fn registries(&self) -> anyhow::Result<&Registries> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let registries = self.world.registries()?;
        Ok(self.registries.get_or_init(|| registries))
    }

    /// The image of a registry.
    pub(super) fn remote(&self, name: &Reference) -> anyhow::Result<RegistrySource<'_>> {
        let source = RegistrySource::open(self.registries()?, name)?;
        Ok(source.ok_or_else(|| not_there(name))?)
    }
}

/// That a registry has no image of that name.
pub(super) fn not_there(name: &Reference) -> Hinted {
    let error = Hinted::new(format!("`{}` has no image `{name}`", name.registry()));
    error.hint(format!("`lith tags {}` lists what it has", name.name()))
}
