//! A file from the network: ADD of an http or https URL, and contexts that are given by one.
//!
//! The body goes straight to a spool, hashed on its way, and only counts when it is whole and, if a checksum was
//! asked for, the one that was asked for. Nothing of the response but its body reaches the image: the name is
//! the URL's, the mode 0600 and the time the epoch, whatever `Last-Modified` says.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::http::{Http, HttpError, Origin, Url, decode, guarded, is_refused, shown, split};
use crate::oci::{Algorithm, Digest, Digester};
use crate::text;
use crate::tree::{Backing, Content, Fingerprint, ImagePath, Kind, Meta, Node, Source, Tree};

/// A file that has arrived whole.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The last part of the URL's path.
    pub name: String,
    pub content: Content,
    /// The SHA-256 of the content.
    pub digest: Digest,
}

/// Why a file did not arrive. URLs are shown without user, password and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("fetching `{url}`: the server answered {status}")]
    Status { url: String, status: u16 },
    #[error("fetching `{url}`: more than {MAX_REDIRECTS} redirects")]
    Redirects { url: String },
    /// It was redirected to where no server elsewhere may lead.
    #[error("fetching `{url}`: it leads to an address of this machine or its link, which is refused")]
    Address { url: String },
    #[error("fetching `{url}`: it has more than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error("fetching `{url}`: expected {expected}, found {found}")]
    Checksum { url: String, expected: Digest, found: Digest },
    #[error("what is in the store of `{url}` is damaged: expected {expected}, found {found}")]
    Kept { url: String, expected: Digest, found: Digest },
    #[error("fetching `{url}`: nothing came for {} seconds", .patience.as_secs_f32())]
    Slow { url: String, patience: Duration },
    #[error("fetching `{url}`: {why}")]
    Failed { url: String, why: String },
    #[error("writing what came from `{url}`: {error}")]
    Spool { url: String, error: io::Error },
}

/// The most bytes that a body may have, where nobody says less.
pub const LIMIT: u64 = 64 << 30;

const MAX_REDIRECTS: u32 = 10;

/// Fetches `url` into `spool`, an empty file that is open for reading and writing. A body of more than `limit`
/// bytes is an error.
pub fn fetch(
    url: &str,
    checksum: Option<&Digest>,
    spool: File,
    limit: u64,
    http: &Http,
) -> Result<Fetched, UrlError> {
    let mut response = get(url, http)?;
    let mut body = response.body_mut().with_config().limit(limit.saturating_add(1)).reader();
    let algorithm = checksum.map_or(Algorithm::Sha256, Digest::algorithm);
    let (mut sum, mut sha256, mut blake3) =
        (Digester::new(algorithm), Digester::new(Algorithm::Sha256), blake3::Hasher::new());
    let (mut size, mut buffer, mut file) = (0, vec![0; 128 << 10], &spool);
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(url, ureq::Error::from(error), http)),
        };
        size += n as u64;
        if size > limit {
            return Err(UrlError::TooLarge { url: shown(url), limit });
        }
        for hash in [&mut sum, &mut sha256] {
            hash.update(&buffer[..n]);
        }
        blake3.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(|error| UrlError::Spool { url: shown(url), error })?;
    }
    let found = sum.finish();
    if let Some(expected) = checksum.filter(|expected| **expected != found) {
        return Err(UrlError::Checksum { url: shown(url), expected: expected.clone(), found });
    }
    Ok(Fetched::new(url, spool, size, &blake3, sha256.finish()))
}

/// What was fetched from `url` before and kept in `file`, if it is still that.
pub fn stored(url: &str, file: File, expected: &Digest) -> Result<Fetched, UrlError> {
    let (mut sum, mut blake3) = (Digester::new(expected.algorithm()), blake3::Hasher::new());
    let (mut size, mut buffer, mut reader) = (0, vec![0; 128 << 10], &file);
    loop {
        let n = reader.read(&mut buffer).map_err(|error| UrlError::Spool { url: shown(url), error })?;
        if n == 0 {
            break;
        }
        size += n as u64;
        sum.update(&buffer[..n]);
        blake3.update(&buffer[..n]);
    }
    let found = sum.finish();
    if found != *expected {
        return Err(UrlError::Kept { url: shown(url), expected: expected.clone(), found });
    }
    Ok(Fetched::new(url, file, size, &blake3, found))
}

impl Fetched {
    fn new(url: &str, file: File, size: u64, blake3: &blake3::Hasher, digest: Digest) -> Self {
        let backing: Arc<dyn Backing> = Arc::new(Arc::new(file));
        let fingerprint = Fingerprint(*blake3.finalize().as_bytes());
        let content =
            Content::with_fingerprint(size, Source::Slice { file: backing, offset: 0 }, fingerprint);
        Self { name: file_name(url), content, digest }
    }

    /// The file alone, as ADD sees it.
    pub fn tree(&self) -> Tree {
        let path = ImagePath::new(self.name.as_bytes()).expect("`file_name` gives the name of a file");
        let kind = Kind::File { content: self.content.clone(), inode: None };
        Tree::from_iter([(path, Node::new(Meta::root_owned(0o600), kind))])
    }
}

fn get(url: &str, http: &Http) -> Result<ureq::http::Response<ureq::Body>, UrlError> {
    let (bare, credentials) = split(url);
    let config = http.config(&bare)?.max_redirects(MAX_REDIRECTS);
    // A connection that the server closes meanwhile would make a redirect fail.
    let config = config.max_idle_connections(0).build();
    let home = Url::parse(&bare)
        .ok_or_else(|| UrlError::Failed { url: shown(url), why: "it is no valid URL".into() })?;
    let origin = Origin::new(&home);
    let agent = guarded(config, move |host, addresses| origin.judge(host, addresses));
    // A fragment is for the one who reads the page.
    let mut request = agent.get(bare.split('#').next().unwrap_or_default());
    if let Some(who) = credentials {
        request = request.header("Authorization", who.basic());
    }
    let response = request.call().map_err(|error| failed(url, error, http))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(UrlError::Status { url: shown(url), status: status.as_u16() }),
    }
}

fn failed(url: &str, error: ureq::Error, http: &Http) -> UrlError {
    let url = shown(url);
    match error {
        error if is_refused(&error) => UrlError::Address { url },
        ureq::Error::TooManyRedirects => UrlError::Redirects { url },
        ureq::Error::BodyExceedsLimit(limit) => UrlError::TooLarge { url, limit },
        ureq::Error::Timeout(_) => UrlError::Slow { url, patience: http.patience },
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            UrlError::Failed { url, why: "the connection was closed before the end".into() }
        }
        error => UrlError::Failed { url, why: text::shown(&error) },
    }
}

/// The name that ADD gives the file in a folder.
fn file_name(url: &str) -> String {
    let (bare, _) = split(url);
    let place = bare.split(['?', '#']).next().unwrap_or_default();
    let path =
        place.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = decode(path);
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | "." | "..") => "__unnamed__".into(),
        Some(name) if name.contains('\0') || name.len() > 255 => "__unnamed__".into(),
        Some(name) => name.into(),
    }
}

#[cfg(test)]
mod tests;
