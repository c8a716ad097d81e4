//! Blobs in a folder that goes with the source: into a repository, or to where there is no network.
//!
//! `FOLDER/sha256/HEX` is a blob, as in a layout's `blobs/`. Whoever reads one verifies it, for anybody may have written it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::open_regular;
use super::{Store, StoreError, doing};
use crate::oci::{Descriptor, Digest};

/// Such a folder, whether it is there or not.
#[derive(Debug, Clone)]
pub struct Vendor(PathBuf);

impl Vendor {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.algorithm().name()).join(digest.hex())
    }

    /// Copies a blob of the store into the folder; whether it was not there yet.
    pub fn put(&self, store: &Store, blob: &Descriptor) -> Result<bool, StoreError> {
        let mut reader = store.open_blob(blob)?;
        let path = self.path(reader.digest());
        if path.metadata().is_ok_and(|there| there.is_file() && there.len() == blob.size()) {
            return Ok(false);
        }
        let folder = path.parent().expect("a file in a folder");
        fs::create_dir_all(folder).map_err(doing("making", folder))?;
        let mut write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".tmp").tempfile_in(folder)?;
            io::copy(&mut reader, &mut file)?;
            // It goes into repositories: for all to read, as other files are.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            file.as_file().set_permissions(mode)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(doing("writing", &path))?;
        Ok(true)
    }

    /// Copies a blob of the folder into the store; whether the folder has it.
    pub fn bring(&self, store: &Store, blob: &Descriptor) -> Result<bool, StoreError> {
        let digest = super::digest_of(blob).map_err(doing("reading", &self.0))?;
        let path = self.path(&digest);
        let mut file = match open_regular(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(doing("opening", &path))?,
        };
        let mut writer = store.writer()?;
        io::copy(&mut file, &mut writer).map_err(doing("reading", &path))?;
        writer.finish_expecting(blob)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    #[test]
    fn blobs_go_there_and_back() {
        let world = tempfile::tempdir().unwrap();
        let open = |name: &str| Store::open(&world.path().join(name)).unwrap();
        let (one, other) = (open("one"), open("other"));
        let digest = one.put(b"bytes").unwrap();
        let blob = Descriptor::new(MediaType::ImageLayer, 5, oci_spec::image::Digest::from(&digest));
        let vendor = Vendor::new(world.path().join("v"));
        assert!(!vendor.bring(&other, &blob).unwrap());
        assert!(vendor.put(&one, &blob).unwrap());
        assert!(!vendor.put(&one, &blob).unwrap(), "it is there");
        assert!(vendor.bring(&other, &blob).unwrap());
        assert!(other.has(&digest));
        let third = open("third");
        fs::write(vendor.path(&digest), "other").unwrap();
        let error = vendor.bring(&third, &blob).unwrap_err();
        assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
        assert!(!third.has(&digest));
    }
}
