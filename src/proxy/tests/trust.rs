//! Upstream over TLS: whose word is taken for who a mirror is.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::http::Trust;

/// A server on loopback that speaks TLS, with a certificate of an authority that nobody knows.
fn mirror() -> (SocketAddr, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let _distrusted = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(&ok("mirrored")));
            stream.conn.send_close_notify();
            let _gone = stream.flush();
        }
    });
    (address, authority.pem())
}

#[test]
fn a_mirror_is_believed_when_its_authority_is_configured() {
    let (address, pem) = mirror();
    let world = World::new();
    let file = world.folder.path().join("company.pem");
    std::fs::write(&file, pem).unwrap();
    let host = |name: String| Trust { hosts: [(name, file.clone())].into(), ..Trust::default() };
    for (trust, believed) in [
        (Trust::default(), false),
        (Trust { all: vec![file.clone()], ..Trust::default() }, true),
        (host(address.to_string()), true),
        (host("mirror.example".into()), false),
    ] {
        let http = Http { trust: trust.clone(), ..Http::default() };
        let options = Options { http, ..World::options(Unknown::Recorded) };
        let running = Running::start(Session::new(&world.store, Entries::new(), options));
        let answer = running.get(&format!("https://{address}/simple/"));
        assert_eq!(body(&answer) == "mirrored", believed, "{trust:?}: {answer}");
        let (entries, outcome) = running.finish();
        let is_recorded = entries.values().all(|entry| entry.status == 200);
        assert_eq!((is_recorded, outcome.refused.is_empty()), (believed, believed));
    }
}
