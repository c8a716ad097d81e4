//! Whom to trust, and as whom to appear: certificates of the system, of the settings and of `certs.d`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use walkdir::WalkDir;

use super::{RegistryError, Settings};
use crate::store::files::read_bounded;

/// No certificate file is larger.
const MAX_FILE: u64 = 4 << 20;

/// The system's authorities, read once, and only if others have to be trusted beside them.
#[derive(Debug, Default)]
pub(super) struct System(OnceLock<Vec<Certificate<'static>>>);

impl System {
    fn certificates(&self) -> &[Certificate<'static>] {
        self.0.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                log::debug!("the system's certificates: {error}");
            }
            found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        })
    }
}

/// How to meet a host. `trusted` are the names of registries whose authorities count, `known_as` that of the one who
/// may see a client certificate. With `lenient`, a system without any certificates is no error yet: what is on
/// loopback may not speak TLS at all.
pub(super) fn config(
    settings: &Settings,
    system: &System,
    trusted: &[&str],
    known_as: Option<&str>,
    lenient: bool,
) -> Result<TlsConfig, RegistryError> {
    let mut files = settings.ca.clone();
    for name in trusted {
        files.extend(settings.hosts.get(*name).and_then(|host| host.ca.clone()));
        files.extend(in_certs_d(settings, name, "crt")?);
    }
    let mut extra = Vec::new();
    for file in &files {
        extra.extend(authorities(file)?);
    }
    let roots = if extra.is_empty() && !lenient {
        RootCerts::PlatformVerifier
    } else {
        system.certificates().iter().cloned().chain(extra).into()
    };
    let client = known_as.map(|name| client(settings, name)).transpose()?.flatten();
    Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
}

fn client(settings: &Settings, name: &str) -> Result<Option<ClientCert>, RegistryError> {
    if let Some((chain, key)) = settings.hosts.get(name).and_then(|host| host.client_certificate.as_ref()) {
        return pair(chain, key).map(Some);
    }
    match in_certs_d(settings, name, "cert")?.first() {
        Some(chain) => pair(chain, &chain.with_extension("key")).map(Some),
        None => Ok(None),
    }
}

/// The library would panic on a key that does not fit, so that is found out here.
fn pair(chain: &Path, key: &Path) -> Result<ClientCert, RegistryError> {
    let (chain_pem, key_pem) = (read(chain)?, read(key)?);
    let certificates = certificates(chain, &chain_pem)?;
    let bad = |why: String| bad(key, &why);
    let der = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| bad("no private key (PEM)".into()))?;
    let ders = certificates.iter().map(|c| CertificateDer::from(c.der().to_vec())).collect();
    CertifiedKey::from_der(ders, der, &ring::default_provider())
        .map_err(|error| bad(format!("it does not fit `{}`: {error}", chain.display())))?;
    let key = PrivateKey::from_pem(&key_pem).map_err(|_| bad("no private key (PEM)".into()))?;
    Ok(ClientCert::new_with_certs(&certificates, key))
}

fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, RegistryError> {
    let found = certificates(file, &read(file)?)?;
    for certificate in &found {
        let der = CertificateDer::from(certificate.der().to_vec());
        RootCertStore::empty().add(der).map_err(|error| bad(file, &error.to_string()))?;
    }
    Ok(found)
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<Certificate<'static>>, RegistryError> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(bad(file, "malformed PEM")),
        }
    }
    if found.is_empty() { Err(bad(file, "no certificate (PEM)")) } else { Ok(found) }
}

/// The files of a registry's folders that end so, by name.
fn in_certs_d(settings: &Settings, name: &str, extension: &str) -> Result<Vec<PathBuf>, RegistryError> {
    let mut found = Vec::new();
    for folder in settings.certs_d.iter().map(|folder| folder.join(name)) {
        if !folder.is_dir() {
            continue;
        }
        for entry in WalkDir::new(&folder).min_depth(1).max_depth(1).sort_by_file_name() {
            let path = entry.map_err(|error| bad(&folder, &io::Error::from(error).to_string()))?.into_path();
            if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>, RegistryError> {
    read_bounded(file, MAX_FILE).map_err(|error| bad(file, &error.to_string()))
}

fn bad(path: &Path, why: &str) -> RegistryError {
    RegistryError::Certificate { path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests;
