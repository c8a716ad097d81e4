//! Whom to trust, and as whom to appear: certificates of the system, of the settings and of `certs.d`.

use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use walkdir::WalkDir;

use super::{RegistryError, Settings};
use crate::http::trust;
use crate::store::files::read_bounded;

/// No certificate file is larger.
const MAX_FILE: u64 = 4 << 20;

/// How to meet a host. `trusted` are the names of registries whose authorities count, `known_as` that of the one who
/// may see a client certificate. With `lenient`, a system without any certificates is no error yet: what is on
/// loopback may not speak TLS at all.
pub(super) fn config(
    settings: &Settings,
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
        trust::system().iter().cloned().chain(extra).into()
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
    let certificates = trust::certificates(&chain_pem).map_err(|why| self::bad(chain, &why))?;
    let bad = |why: String| bad(key, &why);
    let der = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| bad("no private key (PEM)".into()))?;
    let ders = certificates.iter().map(|c| CertificateDer::from(c.der().to_vec())).collect();
    CertifiedKey::from_der(ders, der, &ring::default_provider())
        .map_err(|error| bad(format!("it does not fit `{}`: {error}", chain.display())))?;
    let key = PrivateKey::from_pem(&key_pem).map_err(|_| bad("no private key (PEM)".into()))?;
    Ok(ClientCert::new_with_certs(&certificates, key))
}

fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, RegistryError> {
    trust::authorities(&read(file)?).map_err(|why| bad(file, &why))
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
