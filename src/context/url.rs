//! A file from the network: ADD of an http or https URL, and contexts that are given by one.
//!
//! The body goes straight to a spool, hashed on its way, and only counts when it is whole and, if a checksum was
//! asked for, the one that was asked for. Nothing of the response but its body reaches the image: the name is
//! the URL's, the mode 0600 and the time the epoch, whatever `Last-Modified` says.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

use super::credentials::{base64, decode, shown, split};
use crate::oci::{Algorithm, Digest, Digester};
use crate::text;
use crate::tree::{Backing, Content, Fingerprint, ImagePath, Kind, Meta, Node, Source, Tree};

/// How to ask.
#[derive(Debug, Clone)]
pub struct Http {
    /// For URLs of the scheme, as `http://[user:password@]host[:port]`.
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    /// Hosts to ask directly, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// The most bytes that a body may have.
    pub limit: u64,
    /// How long to wait for a connection, and then for each piece of the answer.
    pub patience: Duration,
}

impl Default for Http {
    fn default() -> Self {
        let (http_proxy, https_proxy, no_proxy) = (None, None, None);
        Self { http_proxy, https_proxy, no_proxy, limit: 64 << 30, patience: Duration::from_secs(60) }
    }
}

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
    #[error("`{url}`: expected an http or https URL")]
    Scheme { url: String },
    #[error("fetching `{url}`: the server answered {status}")]
    Status { url: String, status: u16 },
    #[error("fetching `{url}`: more than {MAX_REDIRECTS} redirects")]
    Redirects { url: String },
    #[error("fetching `{url}`: it has more than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error("fetching `{url}`: expected {expected}, found {found}")]
    Checksum { url: String, expected: Digest, found: Digest },
    #[error("fetching `{url}`: nothing came for {} seconds", .patience.as_secs_f32())]
    Slow { url: String, patience: Duration },
    #[error("the proxy `{proxy}` is not of the form `http://host:port`")]
    Proxy { proxy: String },
    #[error("fetching `{url}`: {why}")]
    Failed { url: String, why: String },
    #[error("writing what came from `{url}`: {error}")]
    Spool { url: String, error: io::Error },
}

const MAX_REDIRECTS: u32 = 10;

/// Fetches `url` into `spool`, an empty file that is open for reading and writing.
pub fn fetch(url: &str, checksum: Option<&Digest>, spool: File, http: &Http) -> Result<Fetched, UrlError> {
    let mut response = http.get(url)?;
    let mut body = response.body_mut().with_config().limit(http.limit.saturating_add(1)).reader();
    let algorithm = checksum.map_or(Algorithm::Sha256, Digest::algorithm);
    let (mut sum, mut sha256, mut blake3) =
        (Digester::new(algorithm), Digester::new(Algorithm::Sha256), blake3::Hasher::new());
    let (mut size, mut buffer, mut file) = (0, vec![0; 128 << 10], &spool);
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(http.failed(url, ureq::Error::from(error))),
        };
        size += n as u64;
        if size > http.limit {
            return Err(UrlError::TooLarge { url: shown(url), limit: http.limit });
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
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(spool));
    let fingerprint = Fingerprint(*blake3.finalize().as_bytes());
    let content = Content::with_fingerprint(size, Source::Slice { file: backing, offset: 0 }, fingerprint);
    Ok(Fetched { name: file_name(url), content, digest: sha256.finish() })
}

impl Fetched {
    /// The file alone, as ADD sees it.
    pub fn tree(&self) -> Tree {
        let path = ImagePath::new(self.name.as_bytes()).expect("`file_name` gives the name of a file");
        let kind = Kind::File { content: self.content.clone(), inode: None };
        Tree::from_iter([(path, Node::new(Meta::root_owned(0o600), kind))])
    }
}

impl Http {
    fn get(&self, url: &str) -> Result<ureq::http::Response<ureq::Body>, UrlError> {
        let (bare, credentials) = split(url);
        let scheme = bare.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let proxy = match scheme.as_deref() {
            Some("http") => &self.http_proxy,
            Some("https") => &self.https_proxy,
            _ => return Err(UrlError::Scheme { url: shown(url) }),
        };
        let agent = ureq::Agent::from(self.config(self.proxy(proxy.as_deref())?));
        // A fragment is for the one who reads the page.
        let mut request = agent.get(bare.split('#').next().unwrap_or_default());
        if let Some(who) = credentials {
            let pair = base64(format!("{}:{}", who.user, who.password).as_bytes());
            request = request.header("Authorization", format!("Basic {pair}"));
        }
        let response = request.call().map_err(|error| self.failed(url, error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(UrlError::Status { url: shown(url), status: status.as_u16() }),
        }
    }

    fn config(&self, proxy: Option<ureq::Proxy>) -> ureq::config::Config {
        ureq::Agent::config_builder()
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            // One that the server closes meanwhile would make a redirect fail.
            .max_idle_connections(0)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::Never)
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .timeout_per_write(Some(self.patience))
            .user_agent("lith")
            .build()
    }

    /// The library would take the environment's, had it none from us.
    fn proxy(&self, proxy: Option<&str>) -> Result<Option<ureq::Proxy>, UrlError> {
        let Some(text) = proxy.filter(|text| !text.is_empty()) else { return Ok(None) };
        let fail = |_| UrlError::Proxy { proxy: shown(text) };
        let parsed = ureq::Proxy::new(text).map_err(fail)?;
        let mut builder = ureq::Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
        if let Some(user) = parsed.username() {
            builder = builder.username(user).password(parsed.password().unwrap_or_default());
        }
        for host in self.no_proxy.iter().flat_map(|list| list.split(',')).map(str::trim) {
            if !host.is_empty() {
                builder = builder.no_proxy(host);
            }
        }
        builder.build().map(Some).map_err(fail)
    }

    fn failed(&self, url: &str, error: ureq::Error) -> UrlError {
        let url = shown(url);
        match error {
            ureq::Error::TooManyRedirects => UrlError::Redirects { url },
            ureq::Error::BodyExceedsLimit(_) => UrlError::TooLarge { url, limit: self.limit },
            ureq::Error::Timeout(_) => UrlError::Slow { url, patience: self.patience },
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                UrlError::Failed { url, why: "the connection was closed before the end".into() }
            }
            error => UrlError::Failed { url, why: text::shown(&error) },
        }
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
