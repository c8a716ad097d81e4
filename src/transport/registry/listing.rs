//! Lists that come in pages.

use ureq::http::Method;

use super::answer::Answer;
use super::call::Call;
use super::{Registries, RegistryError, Repository, ranges};
use crate::http::Url;

/// What a page may take in memory.
const MAX_PAGE: u64 = 8 << 20;
/// And all of them together.
const MAX_LIST: u64 = 64 << 20;
const MAX_PAGES: u32 = 1000;

/// A page, as it came.
pub(super) struct Page {
    pub(super) bytes: Vec<u8>,
    /// Whether the registry has picked what was asked for by itself (distribution-spec, "Listing Referrers").
    pub(super) filtered: bool,
}

impl Registries {
    /// Gives every page of the list at `path` to `take`, or `false` if there is no such list.
    pub(super) fn pages(
        &self,
        repository: &Repository,
        path: &str,
        doing: &str,
        accept: &'static str,
        mut take: impl FnMut(Page) -> Result<(), RegistryError>,
    ) -> Result<bool, RegistryError> {
        let first = Call::at(Method::GET, repository, path, doing).header("accept", accept);
        let mut answer = self.call(first.expecting(&[404]))?;
        if answer.status == 404 {
            answer.drain();
            return Ok(false);
        }
        let mut total = 0;
        for _ in 0..MAX_PAGES {
            let next = next(&answer);
            let filtered = answer.header("oci-filters-applied").is_some_and(|f| f.contains("artifactType"));
            let bytes = answer.bytes(doing, repository, MAX_PAGE)?;
            total += bytes.len() as u64;
            if total > MAX_LIST {
                let (doing, host) = (doing.to_owned(), repository.registry.clone());
                return Err(RegistryError::TooLarge { doing, host, limit: MAX_LIST });
            }
            take(Page { bytes, filtered })?;
            let Some(next) = next else { return Ok(true) };
            answer =
                self.call(Call::following(Method::GET, repository, &next, doing).header("accept", accept))?;
        }
        Err(RegistryError::Endless { doing: doing.to_owned(), host: repository.registry.clone() })
    }
}

fn next(answer: &Answer) -> Option<Url> {
    answer.url.join(ranges::link(answer.header("link")?, "next")?)
}
