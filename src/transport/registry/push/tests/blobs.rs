//! One blob, and all that may happen to it on its way.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::note::Note;
use super::*;
use crate::http::Url;
use crate::image::descriptor;
use crate::oci::MediaType;

const SIZE: usize = 3 << 20;

fn content() -> Vec<u8> {
    (0..u32::try_from(SIZE / 4).unwrap()).flat_map(u32::to_le_bytes).collect()
}

/// Blobs that are known to be in a repository, too.
struct Held(Memory, Vec<Repository>);

impl Blobs for Held {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        self.0.open(blob)
    }

    fn origins(&self, _: &Descriptor) -> Vec<Repository> {
        self.1.clone()
    }
}

fn layer(bytes: &[u8]) -> Descriptor {
    descriptor(MediaType::ImageLayer, &Digest::of(bytes), bytes.len() as u64)
}

fn push_bytes(fake: &Fake, bytes: Vec<u8>, origins: Vec<Repository>) -> Result<(), TransportError> {
    push_noted(fake, bytes, origins, None)
}

fn push_noted(
    fake: &Fake,
    bytes: Vec<u8>,
    origins: Vec<Repository>,
    uploads: Option<PathBuf>,
) -> Result<(), TransportError> {
    let (layer, mut memory) = (layer(&bytes), Memory::default());
    memory.put(bytes);
    let registries = Fake::registries();
    let sink = RegistrySink {
        options: PushOptions { uploads, ..PushOptions::default() },
        ..sink(&registries, fake, &[])
    };
    sink.push_blob(&Sent::Blob(&layer), &Held(memory, origins))
}

fn has(fake: &Fake, bytes: &[u8]) -> bool {
    fake.state().blobs.get(&("a".into(), Digest::of(bytes).to_string())).is_some_and(|blob| blob == bytes)
}

/// A registry that does as `fault` says at the nth request of a kind.
fn faulty(
    method: &'static str,
    part: &'static str,
    fault: impl Fn(usize, &Asked) -> Option<Fault> + Send + Sync + 'static,
) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::with(move |request| {
        request.is(method, part).then(|| fault(asked.fetch_add(1, Ordering::Relaxed), request)).flatten()
    })
}

#[test]
fn small_blobs_go_in_one_and_large_ones_in_a_stream() {
    let fake = Fake::new();
    for (bytes, requests) in [(vec![7; 1 << 20], 3), (Vec::new(), 3), (content(), 4)] {
        push_bytes(&fake, bytes.clone(), Vec::new()).unwrap();
        assert!(has(&fake, &bytes));
        assert_eq!(fake.asked().len(), requests);
        push_bytes(&fake, bytes, Vec::new()).unwrap();
        assert_eq!(fake.asked().len(), 1, "one that is there is not sent");
    }
}

#[test]
fn a_broken_stream_goes_on() {
    let fake = faulty("PATCH", "", |n, _| (n < 5).then_some(Fault::CutRequest(600_000)));
    push_bytes(&fake, content(), Vec::new()).unwrap();
    assert!(has(&fake, &content()));
    assert_eq!(fake.state().received, SIZE, "no byte is kept twice");
    let last = fake.state().asked.iter().rfind(|asked| asked.method == "PATCH").unwrap().clone();
    assert_eq!(last.headers["content-range"], format!("3000000-{}", SIZE - 1));
}

#[test]
fn less_may_be_kept_than_was_sent() {
    let fake = faulty("PATCH", "", |n, _| (n == 0).then(|| Fault::Header("range", "0-999".into())));
    // The registry has more than it says: the piece that is sent again does not fit, and what it has is asked for.
    push_bytes(&fake, content(), Vec::new()).unwrap();
    assert!(has(&fake, &content()));
}

#[test]
fn a_lost_session_begins_anew() {
    for status in [404, 400] {
        let fake = faulty("PATCH", "", move |n, _| (n == 0).then(|| Fault::Answer(reply(status, &[], ""))));
        push_bytes(&fake, content(), Vec::new()).unwrap();
        assert!(has(&fake, &content()));
        assert_eq!(fake.count("POST", "/uploads/"), 2);
    }
    let fake = faulty("PUT", "", |n, _| (n == 0).then(|| Fault::Answer(reply(404, &[], ""))));
    push_bytes(&fake, content(), Vec::new()).unwrap();
    assert!(has(&fake, &content()));
    let never = faulty("PUT", "", |_, _| Some(Fault::Answer(reply(404, &[], ""))));
    let error = push_bytes(&never, content(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains(&never.host) && error.contains(Digest::of(&content()).hex()), "{error}");
    assert_eq!(never.count("PUT", ""), 3);
}

#[test]
fn a_commit_whose_answer_is_lost_is_one() {
    for bytes in [content(), b"small".to_vec()] {
        let fake = faulty("PUT", "", |n, _| (n == 0).then_some(Fault::CutRequest(usize::MAX)));
        push_bytes(&fake, bytes.clone(), Vec::new()).unwrap();
        assert!(has(&fake, &bytes));
        assert_eq!(fake.state().received, bytes.len());
    }
}

#[test]
fn other_bytes_at_the_other_end_are_noticed() {
    let wrong = Digest::of(b"wrong").to_string();
    let fake = faulty("PUT", "", move |_, _| Some(Fault::Header("docker-content-digest", wrong.clone())));
    let error = push_bytes(&fake, b"small".to_vec(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains(Digest::of(b"wrong").hex()), "{error}");
    let refusing = faulty("PUT", "", |_, _| {
        Some(Fault::Answer(reply(400, &[], r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#)))
    });
    let error = push_bytes(&refusing, content(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("DIGEST_INVALID"), "{error}");
}

#[test]
fn what_is_committed_in_other_words_is_looked_for() {
    let fake = faulty("PUT", "", |_, _| Some(Fault::Status(204)));
    push_bytes(&fake, b"small".to_vec(), Vec::new()).unwrap();
    let lying = faulty("PUT", "", |_, _| Some(Fault::Answer(reply(200, &[], "<html>"))));
    assert!(push_bytes(&lying, b"small".to_vec(), Vec::new()).is_err());
}

#[test]
fn what_is_too_large_goes_in_pieces() {
    let limit = |asked: &Asked| asked.headers["content-length"].parse::<usize>().unwrap() > 500_000;
    let fake = Fake::with(move |asked| {
        (asked.method == "PATCH" && limit(asked)).then(|| Fault::Answer(reply(413, &[], "<html>")))
    });
    push_bytes(&fake, content(), Vec::new()).unwrap();
    assert!(has(&fake, &content()));
    assert_eq!(fake.state().received, SIZE);
    let never = faulty("PATCH", "", |_, _| Some(Fault::Answer(reply(413, &[], ""))));
    let error = push_bytes(&never, content(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn pieces_are_as_large_as_the_registry_wants() {
    let fake = faulty("POST", "", |_, _| Some(Fault::Header("oci-chunk-min-length", "40000000".into())));
    let bytes = vec![1; 100_000_000];
    push_bytes(&fake, bytes.clone(), Vec::new()).unwrap();
    assert!(has(&fake, &bytes));
    let lengths: Vec<_> = fake
        .state()
        .asked
        .iter()
        .filter(|asked| asked.method == "PATCH")
        .map(|asked| asked.headers["content-length"].clone())
        .collect();
    assert_eq!(lengths, ["40000000", "40000000", "20000000"]);
}

#[test]
fn no_progress_comes_to_an_end() {
    let fake = faulty("PATCH", "", |_, _| Some(Fault::CutRequest(0)));
    let error = push_bytes(&fake, content(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains(&fake.host) || error.contains("pushing"), "{error}");
    assert!(fake.count("PATCH", "") < 10);
    let expecting = fake.state().asked.iter().filter(|asked| asked.headers.contains_key("expect")).count();
    assert!(expecting > 0, "the later tries let the registry speak first");
}

#[test]
fn damage_is_the_sources() {
    for size in [1000, SIZE] {
        let fake = Fake::new();
        let bytes = content()[..size].to_vec();
        let layer = layer(&bytes);
        struct Damaged(Vec<u8>);
        impl Blobs for Damaged {
            fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
                Ok(Box::new(crate::store::Verified::new(&self.0[..], blob)?))
            }
        }
        let mut damaged = bytes.clone();
        damaged[size / 2] ^= 1;
        let registries = Fake::registries();
        let error =
            sink(&registries, &fake, &[]).push_blob(&Sent::Blob(&layer), &Damaged(damaged)).unwrap_err();
        assert!(
            matches!(&error, TransportError::Io { what, .. } if what.starts_with("reading blob")),
            "{error}"
        );
        assert!(fake.state().blobs.is_empty());
        assert!(fake.count("PATCH", "") < 2);
    }
}

#[test]
fn a_blob_is_mounted_from_where_it_is() {
    let fake = Fake::new();
    fake.put_blob("base", &content());
    let elsewhere = Repository { registry: "other.test".into(), name: "base".into() };
    push_bytes(&fake, content(), vec![elsewhere.clone(), fake.repository("base")]).unwrap();
    assert!(has(&fake, &content()));
    assert_eq!(fake.state().received, 0);
    let digest = Digest::of(&content());
    assert_eq!(fake.asked()[1], format!("POST /v2/a/blobs/uploads/?mount={digest}&from=base"));
    // One that hasn't got it gives a session in place of it, which is used.
    push_bytes(&fake, b"new".to_vec(), vec![fake.repository("base")]).unwrap();
    assert_eq!(fake.asked().len(), 3);
    push_bytes(&fake, b"newer".to_vec(), vec![elsewhere, fake.repository("a")]).unwrap();
    assert!(!fake.asked().iter().any(|asked| asked.contains("mount")));
}

#[test]
fn a_refused_mount_is_an_upload() {
    for status in [400, 401, 403, 404, 405] {
        let fake = faulty("POST", "?mount=", move |_, _| Some(Fault::Answer(reply(status, &[], ""))));
        push_bytes(&fake, content(), vec![fake.repository("base")]).unwrap();
        assert!(has(&fake, &content()), "{status}");
    }
}

#[test]
fn another_process_goes_on() {
    let (fake, folder) = (Fake::new(), tempfile::tempdir().unwrap());
    let uploads = folder.path().join("uploads");
    // What one that was killed leaves behind.
    let leave = || {
        let url = format!("http://{}/v2/a/blobs/uploads/77?s=0", fake.host);
        let mut note = Note::open(Some(&uploads), &fake.repository("a"), &Digest::of(&content()));
        note.write(&Url::parse(&url).unwrap());
    };
    leave();
    fake.state().uploads.insert("77".into(), content()[..SIZE / 2].to_vec());
    push_noted(&fake, content(), Vec::new(), Some(uploads.clone())).unwrap();
    assert!(has(&fake, &content()));
    assert_eq!(fake.state().received, SIZE - SIZE / 2);
    let left = crate::store::files::sorted_entries(&uploads).unwrap();
    assert!(left.is_empty(), "the note is gone");
    // What the registry has forgotten begins anew.
    fake.state().blobs.clear();
    leave();
    push_noted(&fake, content(), Vec::new(), Some(uploads.clone())).unwrap();
    assert!(has(&fake, &content()));
}

#[test]
fn what_can_not_be_finished_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = || Some(folder.path().to_owned());
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let fake = Fake::with(move |asked| match is_ill.load(Ordering::Relaxed) {
        true if asked.is("PATCH", "?s=0") => Some(Fault::CutRequest(SIZE / 2)),
        true if asked.method == "PATCH" => Some(Fault::Answer(reply(403, &[], ""))),
        _ => None,
    });
    push_noted(&fake, content(), Vec::new(), uploads()).unwrap_err();
    ill.store(false, Ordering::Relaxed);
    push_noted(&fake, content(), Vec::new(), uploads()).unwrap();
    assert!(has(&fake, &content()));
    assert_eq!(fake.state().received, SIZE, "no byte is sent twice");
    assert_eq!(fake.count("POST", "/uploads/"), 1);
}

#[test]
fn a_foreign_layer_stays_where_it_is() {
    let fake = Fake::new();
    let mut foreign = layer(b"x");
    foreign.set_media_type(MediaType::ImageLayerNonDistributable);
    foreign.set_urls(Some(vec!["https://elsewhere.test/x".into()]));
    let registries = Fake::registries();
    sink(&registries, &fake, &[]).push_blob(&Sent::Blob(&foreign), &Memory::default()).unwrap();
    assert!(fake.asked().is_empty());
}
