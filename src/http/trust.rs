//! Whom to trust beside the certificate authorities of the system.
//!
//! The system's stay trusted; what of a host's own authorities counts, counts for that host and where it leads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::{HttpError, Url};

/// No certificate file is larger.
const MAX_FILE: u64 = 4 << 20;

/// Files with certificate authorities (PEM).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Those that count for all hosts.
    pub all: Vec<PathBuf>,
    /// Those that count for one host, by `HOST[:PORT]`.
    pub hosts: BTreeMap<String, PathBuf>,
}

impl Trust {
    /// Whether a host has an authority of its own.
    pub(crate) fn knows(&self, url: &Url) -> bool {
        self.hosts.contains_key(&url.authority())
    }

    /// Who vouches for the host of a URL.
    pub(super) fn roots(&self, url: &str) -> Result<RootCerts, HttpError> {
        let own = Url::parse(url).and_then(|url| self.hosts.get(&url.authority()));
        let mut extra = Vec::new();
        for path in self.all.iter().chain(own) {
            let bad = |why| HttpError::Certificate { path: path.display().to_string(), why };
            let pem = read(path).map_err(|error| bad(error.to_string()))?;
            extra.extend(authorities(&pem).map_err(bad)?);
        }
        if extra.is_empty() {
            return Ok(RootCerts::PlatformVerifier);
        }
        Ok(system().iter().cloned().chain(extra).into())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_FILE} bytes"),
        ));
    }
    Ok(bytes)
}

/// The system's authorities, read once, and only if others have to be trusted beside them.
pub(crate) fn system() -> &'static [Certificate<'static>] {
    static SYSTEM: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            log::debug!("the system's certificates: {error}");
        }
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
    })
}

/// The authorities in a file: each one that can vouch for somebody.
pub(crate) fn authorities(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let found = certificates(pem)?;
    for certificate in &found {
        let der = CertificateDer::from(certificate.der().to_vec());
        RootCertStore::empty().add(der).map_err(|error| error.to_string())?;
    }
    Ok(found)
}

/// The certificates in a file, of which there is one at least.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err("malformed PEM".into()),
        }
    }
    if found.is_empty() { Err("no certificate (PEM)".into()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    fn authority() -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn count(roots: &RootCerts) -> Option<usize> {
        let RootCerts::Specific(roots) = roots else { return None };
        Some(roots.len() - system().len())
    }

    #[test]
    fn a_hosts_own_authority_counts_for_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            std::fs::write(folder.path().join(name), authority()).unwrap();
            folder.path().join(name)
        };
        let hosts = [("mirror.example:8443".to_owned(), file("mirror")), ("[::1]".to_owned(), file("six"))];
        let mut trust = Trust { all: Vec::new(), hosts: hosts.into() };
        for (url, expected) in [
            ("https://mirror.example:8443/a", Some(1)),
            ("https://Mirror.example:8443", Some(1)),
            ("https://[::1]:443/", Some(1)),
            ("https://mirror.example/", None),
            ("https://other.example:8443/", None),
        ] {
            assert_eq!(count(&trust.roots(url).unwrap()), expected, "{url}");
            assert_eq!(trust.knows(&Url::parse(url).unwrap()), expected.is_some(), "{url}");
        }
        trust.all = vec![file("all")];
        assert_eq!(count(&trust.roots("https://mirror.example:8443/").unwrap()), Some(2));
        assert_eq!(count(&trust.roots("https://other.example/").unwrap()), Some(1));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nx"), Some("no PEM")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let trust = Trust { all: vec![path.clone()], ..Trust::default() };
            let error = trust.roots("https://h.example/").unwrap_err().to_string();
            assert!(error.contains("ca.pem"), "{error}");
        }
    }
}
