//! What ADD gets from the network: files and repositories. A file whose digest is known is a blob of the store.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use super::outside::{Outside, OutsideError, lock};
use crate::context::url::{self, Fetched};
use crate::context::{Options, git};
use crate::http::shown;
use crate::oci::{Algorithm, Digest};
use crate::plan::{Git, Pin, Url};
use crate::store::StoreError;

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
            && let Some(file) = self.blob_file(digest)?
        {
            let path = self.store.blob_path(digest);
            let damaged = |error: url::UrlError| StoreError::Damaged { path, why: error.to_string() };
            return Ok(url::stored(url, file, digest).map_err(damaged)?);
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

    fn blob_file(&self, digest: &Digest) -> Result<Option<File>, OutsideError> {
        let path = self.store.blob_path(digest);
        match crate::store::files::open_regular(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io { doing: "opening", path, error }.into()),
        }
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
        // As part of the cache, `gc` may be told to keep it.
        let needs = vec![fetched.digest.clone()];
        self.store.remember_with("url", &fetched.digest.to_string(), &(), needs)?;
        Ok(())
    }

    pub(super) fn fetch_git(&self, git: &Git, warn: &dyn Fn(String)) -> Result<(), OutsideError> {
        if lock(&self.repositories).contains_key(git) {
            return Ok(());
        }
        if self.contexts.offline {
            return Err(OutsideError::Offline(format!("the repository `{}`", shown(&git.remote))));
        }
        let checkout = git::checkout(git, &self.git_environment())?;
        if git.commit == Pin::Unpinned {
            let (remote, commit) = (shown(&git.remote), checkout.commit());
            warn(format!(
                "`{remote}` is not pinned: another build may get another commit; this one got {commit}"
            ));
        }
        let tree = checkout.read(Options { modes: self.modes(), ..Options::default() })?.tree;
        lock(&self.repositories).insert(git.clone(), (Arc::new(tree), checkout));
        Ok(())
    }
}
