//! The certificate authority of one step, which vouches for every host there.
//!
//! Its keys are random and never leave this process; nothing of it is kept. Certificates hold for all times: a step's
//! clock may stand anywhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ProxyError;

/// More hosts than a step talks to; a step that invents names is not to fill the memory.
const HOSTS: usize = 4096;

/// Who signs, and what was signed.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Of all hosts: making one takes time.
    key: KeyPair,
    hosts: Mutex<BTreeMap<String, Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl From<rcgen::Error> for ProxyError {
    fn from(error: rcgen::Error) -> Self {
        Self::Authority(error.to_string())
    }
}

impl From<rustls::Error> for ProxyError {
    fn from(error: rustls::Error) -> Self {
        Self::Authority(error.to_string())
    }
}

impl Authority {
    pub(super) fn new() -> Result<Self, ProxyError> {
        let mut params = params(Vec::new(), "lith: the network of a locked step")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer, key: KeyPair::generate()?, hosts: Mutex::default() })
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// How to be this host, a name or an address without brackets.
    pub(super) fn host(&self, name: &str) -> Result<Arc<ServerConfig>, ProxyError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = hosts.get(name) {
            return Ok(Arc::clone(config));
        }
        if hosts.len() >= HOSTS {
            hosts.clear();
        }
        let config = Arc::new(self.make(name)?);
        hosts.insert(name.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, name: &str) -> Result<ServerConfig, ProxyError> {
        // A common name has room for 64 characters; who checks looks at the alternative names.
        let mut params = params(vec![name.to_owned()], "lith: a host of a locked step")?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Python refuses a certificate without it.
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, ProxyError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(4096, 1, 1));
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_vouched_for_and_remembered() {
        let authority = Authority::new().unwrap();
        let first = authority.host("h.example").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.host("h.example").unwrap()));
        for name in ["127.0.0.1", "::1", &format!("{}.example", "a".repeat(63)), "xn--n3h.example"] {
            authority.host(name).unwrap();
        }
        assert!(authority.host("caf\u{e9}.example").is_err());
        assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(authority.der(), Authority::new().unwrap().der(), "nothing of it is the same");
    }
}
