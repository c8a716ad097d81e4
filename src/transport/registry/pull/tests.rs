//! What a registry may do while something is pulled.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::image::descriptor;
use crate::oci::{Digest, MediaType};
use crate::store::Store;
use crate::transport::copy::put_blob;
use crate::transport::registry::Settings;
use crate::transport::registry::fake::{Asked, Fake, Fault, reply};
use crate::transport::registry::testing::{self, Server};

fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

fn blob(bytes: &[u8]) -> Descriptor {
    descriptor(MediaType::ImageLayer, &Digest::of(bytes), bytes.len() as u64)
}

fn pull(fake: &Fake, blob: &Descriptor) -> io::Result<Vec<u8>> {
    let registries = Fake::registries();
    let source = RegistrySource::new(&registries, fake.repository("a"), blob.clone());
    let mut bytes = Vec::new();
    source.open(blob)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A registry with the blob, that does as `fault` says when asked for a blob the nth time.
fn faulty(fault: impl Fn(usize, &Asked) -> Option<Fault> + Send + Sync + 'static) -> Fake {
    let asked = AtomicUsize::new(0);
    let fake = Fake::with(move |request| {
        request.is("GET", "/blobs/").then(|| fault(asked.fetch_add(1, Ordering::Relaxed), request)).flatten()
    });
    fake.put_blob("a", &content());
    fake
}

#[test]
fn a_blob_comes_whole() {
    let fake = faulty(|_, _| None);
    assert_eq!(pull(&fake, &blob(&content())).unwrap(), content());
    assert_eq!(fake.asked().len(), 1);
    let error = pull(&fake, &blob(b"other")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains(&fake.host), "{error}");
}

#[test]
fn a_break_is_not_seen() {
    let fake = faulty(|n, _| (n < 7).then_some(Fault::CutAnswer(100_000)));
    assert_eq!(pull(&fake, &blob(&content())).unwrap(), content());
    let ranges: Vec<_> =
        fake.state().asked.iter().filter_map(|asked| asked.headers.get("range").cloned()).collect();
    assert_eq!(ranges.len(), 7);
    assert_eq!(ranges[6], "bytes=700000-");
}

#[test]
fn who_knows_no_ranges_is_skipped_along() {
    let fake = faulty(|n, _| match n {
        0..3 => Some(Fault::CutAnswer(400_000)),
        _ => Some(Fault::Answer(reply(200, &[], content()))),
    });
    assert_eq!(pull(&fake, &blob(&content())).unwrap(), content());
    let stuck = faulty(|_, _| Some(Fault::Header("content-range", String::new())));
    stuck.put_blob("a", b"x");
    assert_eq!(pull(&stuck, &blob(b"x")).unwrap(), b"x");
}

#[test]
fn tries_without_progress_come_to_an_end() {
    let fake = faulty(|n, _| Some(Fault::CutAnswer(if n == 0 { 1000 } else { 0 })));
    let error = pull(&fake, &blob(&content())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&fake.host) && text.contains(Digest::of(&content()).hex()), "{text}");
    assert!(fake.count("GET", "/blobs/") < 10);
}

#[test]
fn wrong_answers_are_told() {
    type Wrong = fn() -> Fault;
    let wrong: [(Wrong, &str); 4] = [
        (|| Fault::Answer(reply(416, &[], "")), "no bytes from 100000"),
        (|| Fault::Header("content-range", "bytes 0-9/10".into()), "bytes 0-9/10"),
        (|| Fault::Header("content-range", "bytes 100000-9/5".into()), "bytes 100000-9/5"),
        (|| Fault::Answer(reply(200, &[("content-type", "text/html")], "<html>")), "has 6 bytes"),
    ];
    for (fault, expected) in wrong {
        let fake = faulty(move |n, _| Some(if n == 0 { Fault::CutAnswer(100_000) } else { fault() }));
        let text = pull(&fake, &blob(&content())).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(&fake.host), "{text}");
    }
}

#[test]
fn a_wrong_byte_does_not_pass() {
    let mut wrong = content();
    wrong[500_000] ^= 1;
    let longer = [content(), vec![0]].concat();
    let shorter = content()[..1000].to_vec();
    for bytes in [wrong, longer, shorter] {
        let served = bytes.clone();
        let fake = faulty(move |_, _| Some(Fault::Answer(reply(200, &[], served.clone()))));
        let error = pull(&fake, &blob(&content())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(&fake.host), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let registries = Fake::registries();
        let source = RegistrySource::new(&registries, fake.repository("a"), blob(&content()));
        let error = put_blob(&store, &source, &blob(&content())).unwrap_err();
        assert!(error.to_string().contains(&fake.host), "{error}");
        assert!(!store.has(&Digest::of(&content())) && !store.has(&Digest::of(&bytes)));
    }
}

#[test]
fn the_store_notes_where_a_blob_came_from() {
    let fake = faulty(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let registries = Fake::registries();
    let source = RegistrySource::new(&registries, fake.repository("a"), blob(&content()));
    put_blob(&store, &source, &blob(&content())).unwrap();
    assert_eq!(Blobs::origins(&store, &blob(&content())), [fake.repository("a")]);
}

#[test]
fn manifests_have_a_place_of_their_own() {
    let fake = Fake::new();
    let bytes = b"{}";
    let index = MediaType::ImageIndex;
    let digest = fake.put_manifest("a", "latest", index.as_ref(), bytes);
    assert_eq!(pull(&fake, &descriptor(index.clone(), &digest, 2)).unwrap(), bytes);
    assert_eq!(fake.state().asked[0].headers["accept"], index.to_string());
}

#[test]
fn an_empty_blob_is_one() {
    let fake = Fake::new();
    fake.put_blob("a", b"");
    assert_eq!(pull(&fake, &blob(b"")).unwrap(), b"");
}

/// A server with a certificate, whose authority is in the file; it has `content` everywhere.
fn secure(folder: &std::path::Path, content: &'static str) -> (Server, PathBuf) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = || rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertifiedIssuer::self_signed(params, key()).unwrap();
    let own = key();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = own.serialize_der().try_into().unwrap();
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    (Server::secure(config, move |_, _| testing::reply(200, &[], content)), file)
}

#[test]
fn a_foreign_layer_is_fetched_from_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ca) = secure(folder.path(), "foreign");
    let fake = Fake::new();
    let settings = Settings { ca: vec![ca], ..testing::hasty() };
    let registries = Registries::new(settings, std::sync::Arc::new(crate::transport::registry::NoKeychain));
    let pull = |urls: &[String], bytes: &[u8]| {
        let mut layer = blob(bytes);
        layer.set_urls(Some(urls.to_vec()));
        let source = RegistrySource::new(&registries, fake.repository("a"), layer.clone());
        let mut bytes = Vec::new();
        source.open(&layer)?.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let (secure, plain) = (format!("https://{}/x", server.host), format!("http://{}/x", fake.host));
    assert_eq!(pull(&[plain.clone(), secure.clone()], b"foreign").unwrap(), b"foreign");
    assert_eq!((server.asked(), fake.asked().len()), (vec!["GET /x".to_owned()], 1));
    assert_eq!(server.seen()[0].authorization(), "none");
    assert_eq!(pull(&[plain], b"foreign").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(pull(&[secure], b"FOREIGN").unwrap_err().kind(), io::ErrorKind::InvalidData);
}
