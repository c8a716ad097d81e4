//! Files that ADD gets from the network. One whose digest is known is a blob of the store.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use super::outside::{Outside, OutsideError, lock};
use crate::context::url::{self, Fetched, UrlError};
use crate::http::shown;
use crate::oci::{Algorithm, Digest};
use crate::plan::{Pin, Url};
use crate::store::StoreError;
use crate::store::files::open_regular;

impl Outside {
    pub(super) fn fetch_url(&self, url: &Url, warn: &dyn Fn(String)) -> Result<(), OutsideError> {
        if lock(&self.urls).contains_key(url) {
            return Ok(());
        }
        let fetched = match &url.digest {
            Pin::Pinned(digest) => self.pinned_url(&url.url, digest)?,
            Pin::Unpinned => {
                let fetched = self.fetch_body(&url.url, None)?;
                warn(format!(
                    "`{}` is not pinned: another build may get another file; add `--checksum={}`",
                    shown(&url.url),
                    fetched.digest
                ));
                fetched
            }
        };
        lock(&self.urls).insert(url.clone(), Arc::new(fetched.tree()));
        Ok(())
    }

    /// Fetches a file of which no more than its checksum is known, and keeps it. Gives its digest and size.
    pub(super) fn fetch_new(
        &self,
        url: &str,
        checksum: Option<&Digest>,
    ) -> Result<(Digest, u64), OutsideError> {
        let fetched = self.fetch_body(url, checksum)?;
        self.keep(&fetched)?;
        Ok((fetched.digest.clone(), fetched.content.size()))
    }

    /// From the store if it has it, or from its place, and then the store has it.
    fn pinned_url(&self, url: &str, digest: &Digest) -> Result<Fetched, OutsideError> {
        if digest.algorithm() == Algorithm::Sha256
            && let Some(kept) = self.kept(url, digest)?
        {
            return Ok(kept);
        }
        let fetched = self.fetch_body(url, Some(digest))?;
        self.keep(&fetched)?;
        Ok(fetched)
    }

    fn fetch_body(&self, url: &str, checksum: Option<&Digest>) -> Result<Fetched, OutsideError> {
        if self.contexts.offline {
            let digest = checksum.map_or_else(String::new, |digest| format!(" ({digest})"));
            return Err(OutsideError::Offline(format!("`{}`{digest}", shown(url))));
        }
        Ok(url::fetch(url, checksum, self.store.temp_file()?, url::LIMIT, &self.contexts.http)?)
    }

    /// What the store has of that digest, verified.
    pub(super) fn kept(&self, name: &str, digest: &Digest) -> Result<Option<Fetched>, OutsideError> {
        let path = self.store.blob_path(digest);
        let file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::Io { doing: "opening", path, error }.into()),
        };
        let damaged = |error: UrlError| {
            let why = match error {
                UrlError::Kept { found, .. } => format!("its bytes are {found}"),
                error => error.to_string(),
            };
            StoreError::Damaged { path, why }
        };
        Ok(Some(url::stored(name, file, digest).map_err(damaged)?))
    }

    fn keep(&self, fetched: &Fetched) -> Result<(), OutsideError> {
        if self.store.has(&fetched.digest) {
            return Ok(());
        }
        let path = self.store.blob_path(&fetched.digest);
        let failed = |error| StoreError::Io { doing: "writing", path: path.clone(), error };
        let mut writer = self.store.writer()?;
        let mut content = fetched.content.open().map_err(crate::context::ContextError::from)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match content.read(&mut buffer).map_err(failed)? {
                0 => break,
                n => writer.write_all(&buffer[..n]).map_err(failed)?,
            }
        }
        writer.finish()?;
        self.note_kept(&fetched.digest)
    }

    /// Makes a blob a part of the cache, which `gc` may be told to keep.
    pub(super) fn note_kept(&self, digest: &Digest) -> Result<(), OutsideError> {
        Ok(self.store.remember_with("outside", &digest.to_string(), &(), vec![digest.clone()])?)
    }
}
