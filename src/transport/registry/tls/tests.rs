use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use ureq::http::Method;

use super::super::call::{Call, To};
use super::super::testing::{Server, hasty, known_with, reply};
use super::super::{HostSettings, Repository};
use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
fn issued(by: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A registry with a certificate for its address. `clients` have issued those of whom it lets in.
fn registry(by: &Authority, clients: Option<&Authority>) -> Server {
    let (certificate, key) = issued(by, "127.0.0.1");
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Server::secure(builder.with_single_cert(chain, key).unwrap(), |_, _| reply(200, &[], "in"))
}

fn ask(server: &Server, settings: Settings) -> Result<u16, RegistryError> {
    let registries = known_with(settings, &[]).0;
    let repository = Repository { registry: server.host.clone(), name: "a".into() };
    let call = Call::new(Method::GET, &repository, To::Path("manifests/x".into()), "pulling `x`");
    registries.call(call).map(|answer| answer.status)
}

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn authorities_are_trusted_where_they_are_named() {
    let (folder, ca) = (TempDir::new().unwrap(), authority());
    let server = registry(&ca, None);
    let error = ask(&server, hasty()).unwrap_err();
    assert!(matches!(error, RegistryError::Tls { certificate: true, .. }), "{error:?}");
    assert!(server.asked().is_empty(), "a wrong certificate is no reason to speak plainly");

    let file = written(&folder, "ca.pem", &ca.pem());
    let all = Settings { ca: vec![file.clone()], ..hasty() };
    assert_eq!(ask(&server, all).unwrap(), 200);
    for (name, fine) in [(server.host.as_str(), true), ("127.0.0.1:1", false)] {
        let mut settings = hasty();
        let host = HostSettings { ca: Some(file.clone()), ..HostSettings::default() };
        settings.hosts.insert(name.to_owned(), host);
        assert_eq!(ask(&server, settings).is_ok(), fine, "{name}");
    }
    written(&folder, &format!("certs.d/{}/own.crt", server.host), &ca.pem());
    written(&folder, "certs.d/other/broken.crt", "broken");
    let settings =
        Settings { certs_d: vec![folder.path().join("none"), folder.path().join("certs.d")], ..hasty() };
    assert_eq!(ask(&server, settings).unwrap(), 200);
}

#[test]
fn a_client_shows_its_certificate_to_its_registry() {
    let (folder, ca) = (TempDir::new().unwrap(), authority());
    let server = registry(&ca, Some(&ca));
    let file = written(&folder, "ca.pem", &ca.pem());
    let trusting = || Settings { ca: vec![file.clone()], ..hasty() };
    let error = ask(&server, trusting()).unwrap_err();
    assert!(matches!(error, RegistryError::Tls { certificate: false, .. }), "{error:?}");

    let (certificate, key) = issued(&ca, "client");
    let pair = (written(&folder, "c.pem", &certificate), written(&folder, "k.pem", &key));
    let mut settings = trusting();
    let host = HostSettings { client_certificate: Some(pair.clone()), ..HostSettings::default() };
    settings.hosts.insert(server.host.clone(), host);
    assert_eq!(ask(&server, settings).unwrap(), 200);

    written(&folder, &format!("{}/client.cert", server.host), &certificate);
    let from_folder = || Settings { certs_d: vec![folder.path().to_owned()], ..trusting() };
    let error = ask(&server, from_folder()).unwrap_err();
    assert!(error.to_string().contains("client.key"), "{error}");
    written(&folder, &format!("{}/client.key", server.host), &key);
    assert_eq!(ask(&server, from_folder()).unwrap(), 200);

    let (_, other) = issued(&ca, "client");
    written(&folder, &format!("{}/client.key", server.host), &other);
    let error = ask(&server, from_folder()).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let folder = TempDir::new().unwrap();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, why) in [
        (Some(""), "no certificate"),
        (Some("hello"), "no certificate"),
        (Some("-----BEGIN CERTIFICATE-----\n???"), "malformed PEM"),
        (Some(garbage), "invalid peer certificate"),
        (None, "No such file"),
    ] {
        let path = match text {
            Some(text) => written(&folder, "ca.pem", text),
            None => folder.path().join("missing"),
        };
        let error = authorities(&path).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn the_systems_authorities_stay_trusted() {
    let (folder, ca) = (TempDir::new().unwrap(), authority());
    let settings = Settings { ca: vec![written(&folder, "ca.pem", &ca.pem())], ..hasty() };
    let extra = config(&settings, &["r.example"], None, false).unwrap();
    let RootCerts::Specific(roots) = extra.root_certs() else { panic!("{extra:?}") };
    assert_eq!(roots.len(), trust::system().len() + 1);
    let plain = config(&hasty(), &["r.example"], None, false).unwrap();
    assert!(matches!(plain.root_certs(), RootCerts::PlatformVerifier));
}
