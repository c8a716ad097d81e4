//! Pushing to a registry that misbehaves: a whole image, or a clear error and no tag for a part.

use std::time::Duration;

use super::faults::End::{Either, Right, Wrong};
use super::faults::{Case, End, case, run_all};
use super::scene::{Scene, soon};
use crate::support::registry::Where::{Answer, Headers, Request};
use crate::support::registry::{Fault, Options, What};

/// One small layer, one that is too large for one request.
const LAYERS: &[usize] = &[3000, 1_500_000];

const HEAD: (&str, &str) = ("HEAD", "/v2/*/blobs/*");
const START: (&str, &str) = ("POST", "/v2/*/blobs/uploads/*");
const CHUNK: (&str, &str) = ("PATCH", "/v2/*/blobs/uploads/*");
const COMMIT: (&str, &str) = ("PUT", "/v2/*/blobs/uploads/*");
const TAG: (&str, &str) = ("HEAD", "/v2/*/manifests/*");
const MANIFEST: (&str, &str) = ("PUT", "/v2/*/manifests/*");

fn on((method, pattern): (&'static str, &str), what: What) -> Fault {
    Fault::on(method, pattern, what)
}

fn run(cases: Vec<Case>) {
    run_all(cases, LAYERS, Scene::push, Scene::check_registry);
}

/// What can happen to any answer.
fn general(to: (&'static str, &'static str)) -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [408, 429, 500, 502, 503, 504] {
        cases.push(case(on(to, What::Status(status)).first(1), Right));
    }
    for status in [401, 403, 418, 500] {
        cases.push(case(on(to, What::Status(status)).always(), Wrong(&[])));
    }
    cases.extend([
        case(on(to, What::Error(403, "DENIED", "not for you\x1b[31m")).always(), Wrong(&[])),
        case(on(to, What::Html(502)).first(1), Right),
        case(on(to, What::TooMany("1".into())), Right),
        case(on(to, What::TooMany("Wed, 21 Oct 2015 07:28:00 GMT".into())), Right),
        case(on(to, What::TooMany(soon())), Right),
        case(on(to, What::Redirect(307, "{path}".into())).always(), Wrong(&[])),
        case(on(to, What::Redirect(307, "http://[fe80::1]{path}".into())).always(), Wrong(&[])),
        case(on(to, What::Reset(Request(0))).first(1), Right),
        case(on(to, What::Reset(Request(0))).always(), Wrong(&[])),
        case(on(to, What::Reset(Answer)).first(1), Right),
        case(on(to, What::Reset(Headers)).first(1), Right),
        case(on(to, What::Late(Duration::from_millis(300))), Right),
    ]);
    cases
}

#[test]
fn asking_for_a_blob() {
    let mut cases = general(HEAD);
    cases.extend([
        case(on(HEAD, What::Html(404)).always(), Right),
        // It lies: the blobs are not there.
        case(on(HEAD, What::Status(200)).always(), Either),
    ]);
    run(cases);
}

#[test]
fn starting_an_upload() {
    let mut cases = general(START);
    let header = |value: Option<&str>| on(START, What::Header("Location", value.map(str::to_owned))).always();
    cases.extend([
        case(header(None), Wrong(&["sha256:"])),
        case(header(Some("file:///etc/passwd")), Wrong(&["sha256:"])),
        case(header(Some("http://[fe80::1]{old}")), Wrong(&["sha256:", "fe80::1"])),
        case(header(Some("/nowhere")), Wrong(&["sha256:"])),
        case(on(START, What::Html(200)).always(), Wrong(&["sha256:"])),
        case(on(START, What::Error(404, "NAME_UNKNOWN", "no such repository")).always(), Wrong(&["no such"])),
    ]);
    run(cases);
}

#[test]
fn sending_a_chunk() {
    let mut cases = general(CHUNK);
    cases.extend([
        case(on(CHUNK, What::Reset(Request(500_000))).first(2), Right),
        case(on(CHUNK, What::Reset(Request(500_000))).always(), Either),
        case(on(CHUNK, What::LostUpload).first(1), Right),
        case(on(CHUNK, What::LostUpload).always(), Wrong(&["sha256:"])),
        case(on(CHUNK, What::Status(416)).first(1), Right),
        case(on(CHUNK, What::Html(413)).first(1), Right),
        case(on(CHUNK, What::Html(413)).always(), Wrong(&["sha256:"])),
        case(on(CHUNK, What::Header("Range", None)).always(), Either),
        case(on(CHUNK, What::Header("Range", Some("0-99999999999".into()))).always(), Either),
        case(on(CHUNK, What::Header("Range", Some("nonsense".into()))).always(), Either),
        case(on(CHUNK, What::Header("Location", None)).always(), Either),
    ]);
    run(cases);
}

#[test]
fn committing_a_blob() {
    let mut cases = general(COMMIT);
    cases.extend([
        case(on(COMMIT, What::LostUpload).first(1), Right),
        case(on(COMMIT, What::LostUpload).always(), Wrong(&["sha256:"])),
        case(on(COMMIT, What::Error(400, "DIGEST_INVALID", "other bytes")).first(1), Either),
        case(on(COMMIT, What::Error(400, "DIGEST_INVALID", "other bytes")).always(), Wrong(&["sha256:"])),
        // It says that it has it, and has it not.
        case(on(COMMIT, What::Status(201)).always(), Wrong(&[])),
        case(on(COMMIT, What::Html(200)).always(), Wrong(&[])),
        case(on(COMMIT, What::Header("Docker-Content-Digest", Some("sha256:0".into()))).always(), Either),
        case(on(COMMIT, What::Header("Location", None)).always(), Right),
        // Longer than the patience between two pieces, as a large blob is copied.
        case(on(COMMIT, What::Late(Duration::from_secs(2))), Right),
    ]);
    run(cases);
}

#[test]
fn asking_for_a_tag() {
    let mut cases = general(TAG);
    cases.extend([
        case(on(TAG, What::Html(404)).always(), Right),
        case(on(TAG, What::Html(200)).always(), Either),
        case(on(TAG, What::Status(200)).always(), Either),
    ]);
    run(cases);
}

#[test]
fn putting_a_manifest() {
    let mut cases = general(MANIFEST);
    let other = crate::support::registry::sha256(b"another");
    cases.extend([
        case(
            on(MANIFEST, What::Error(400, "MANIFEST_INVALID", "no such media type")).always(),
            Wrong(&["no such media type"]),
        ),
        case(on(MANIFEST, What::Error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown")).first(1), Either),
        case(on(MANIFEST, What::Error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown")).always(), Wrong(&[])),
        case(on(MANIFEST, What::Header("Docker-Content-Digest", Some(other))).always(), Wrong(&["sha256:"])),
        case(on(MANIFEST, What::Header("Docker-Content-Digest", None)).always(), Right),
        case(on(MANIFEST, What::Header("Location", None)).always(), Right),
        case(on(MANIFEST, What::Late(Duration::from_secs(2))), Right),
    ]);
    run(cases);
}

#[test]
fn registries_with_limits_of_their_own() {
    let late = || Fault::on("PUT", "/v2/*/manifests/*", What::Late(Duration::ZERO));
    let with = |options, end: End| Case { faults: vec![late()], end, options };
    run(vec![
        with(Options { chunk_min: Some(400_000), ..Options::default() }, Right),
        with(Options { chunk_min: Some(1 << 50), ..Options::default() }, Right),
        with(Options { body_limit: Some(400_000), ..Options::default() }, Right),
        with(Options { body_limit: Some(400_000), chunk_min: Some(300_000), ..Options::default() }, Right),
        with(Options { no_single_post: true, no_referrers: true, ..Options::default() }, Right),
    ]);
    // Nothing fits between.
    let options = Options { body_limit: Some(400_000), chunk_min: Some(600_000), ..Options::default() };
    let refused = Fault::on("POST", "/v2/*", What::Late(Duration::ZERO));
    run(vec![Case { faults: vec![refused], end: Wrong(&["sha256:"]), options }]);
}

#[test]
fn a_broken_upload_goes_on_where_it_was() {
    let scene = Scene::new(Options::default(), &[3_000_000]);
    scene.registry.fault(on(CHUNK, What::Reset(Request(1_000_000))).first(2));
    scene.push().unwrap();
    scene.check_registry(true);
    let requests = scene.registry.requests().matching("PATCH", "/v2/*");
    assert!(requests.len() >= 3, "{}", requests.lines());
    assert!(requests.received() < 3_300_000, "{}", requests.lines());
}
