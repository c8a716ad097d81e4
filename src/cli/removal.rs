//! Removing what steps wrote: as an ordinary user's, it belongs to the ids of a user namespace.

use std::cell::OnceCell;
use std::io;
use std::path::Path;

use lith::sandbox::{Options, Sandbox, rootfs};

use super::World;

/// Removes folders, with a sandbox's help where there is need of it.
pub(super) struct Removal<'a> {
    world: &'a World,
    sandbox: OnceCell<Option<Sandbox>>,
}

impl<'a> Removal<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self { world, sandbox: OnceCell::new() }
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let refused = match rootfs::remove(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
            removed => return removed,
        };
        let temp = self.world.environment.temp();
        let new = || Sandbox::new(&Options { program: "/proc/self/exe".into(), temp }).ok();
        let sandbox = self.sandbox.get_or_init(new).as_ref().ok_or(refused)?;
        sandbox.remove(path).map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
    }
}
