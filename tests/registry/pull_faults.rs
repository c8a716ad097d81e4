//! Pulling from a registry that misbehaves: a right store, or a clear error and nothing wrong in the store.

use std::time::Duration;

use super::faults::End::{Either, Right, Wrong};
use super::faults::{Case, case, run_all};
use super::scene::{Scene, soon};
use crate::support::registry::Where::{Answer, Body, Headers, Request};
use crate::support::registry::{Fault, Options, What};

const MANIFEST: &str = "/v2/*/manifests/*";
const BLOB: &str = "/v2/*/blobs/*";
/// One small layer, one that takes a while.
const LAYERS: &[usize] = &[3000, 300_000];

fn pull(scene: &Scene) -> super::scene::Outcome {
    scene.stock();
    scene.pull()
}

fn run(cases: Vec<Case>) {
    run_all(cases, LAYERS, pull, Scene::check_store);
}

/// What can happen to any answer.
fn general(pattern: &'static str, method: &'static str) -> Vec<Case> {
    let on = |what: What| Fault::on(method, pattern, what);
    let mut cases = Vec::new();
    for status in [408, 429, 500, 502, 503, 504] {
        cases.push(case(on(What::Status(status)).first(2), Right));
    }
    for status in [400, 401, 403, 418, 500, 503] {
        cases.push(case(on(What::Status(status)).always(), Wrong(&[])));
    }
    cases.extend([
        case(on(What::Error(403, "DENIED", "not for you\x1b[31m")).always(), Wrong(&[])),
        case(on(What::Html(503)).first(1), Right),
        case(on(What::Html(503)).always(), Wrong(&["503"])),
        case(on(What::TooMany("0".into())), Right),
        case(on(What::TooMany("1".into())), Right),
        case(on(What::TooMany("Wed, 21 Oct 2015 07:28:00 GMT".into())), Right),
        case(on(What::TooMany(soon())), Right),
        case(on(What::TooMany("soon".into())), Right),
        case(on(What::TooMany("86400".into())).always(), Wrong(&["429"])),
        case(on(What::Redirect(307, "{path}".into())).always(), Wrong(&[])),
        case(on(What::Redirect(302, "{path}".into())).first(2), Right),
        case(on(What::Redirect(307, "ftp://127.0.0.1/".into())).always(), Wrong(&[])),
        case(on(What::Redirect(307, "http://[fe80::1]{path}".into())).always(), Wrong(&["fe80::1"])),
        case(on(What::Redirect(307, String::new())).always(), Wrong(&[])),
        case(on(What::Reset(Request(0))).first(2), Right),
        case(on(What::Reset(Request(0))).always(), Wrong(&[])),
        case(on(What::Reset(Answer)).first(2), Right),
        case(on(What::Reset(Headers)).first(2), Right),
        case(on(What::Reset(Headers)).always(), Wrong(&[])),
        case(on(What::Late(Duration::from_millis(300))), Right),
        case(on(What::Late(Duration::from_secs(2))).always(), Wrong(&[])),
    ]);
    cases
}

/// What can happen to an answer with a body.
fn bodies(pattern: &'static str) -> Vec<Case> {
    let on = |what: What| Fault::on("GET", pattern, what);
    vec![
        case(on(What::Reset(Body(100))).first(2), Right),
        case(on(What::Reset(Body(0))).always(), Wrong(&[])),
        case(on(What::Truncate(100)).first(2), Right),
        case(on(What::Truncate(0)).always(), Wrong(&[])),
        case(on(What::Endless).always(), Either),
        case(on(What::WrongBytes).always(), Wrong(&["sha256:"])),
        case(on(What::Body("")).always(), Wrong(&["sha256:"])),
        case(on(What::Body("{}")).always(), Wrong(&["sha256:"])),
        case(on(What::Body("{\"schemaVersion\": 2, \"manifests\": [")).always(), Wrong(&["sha256:"])),
        case(on(What::Html(200)).always(), Wrong(&["sha256:"])),
        case(on(What::Length(1)).always(), Wrong(&["sha256:"])),
        case(on(What::Length(1 << 50)).always(), Either),
        case(on(What::Header("Content-Type", None)).always(), Either),
    ]
}

#[test]
fn a_manifest_comes_right_or_not_at_all() {
    let mut cases = general(MANIFEST, "*");
    cases.extend(bodies(MANIFEST));
    let on = |what: What| Fault::on("*", MANIFEST, what);
    let header = |name, value: Option<&str>| on(What::Header(name, value.map(str::to_owned))).always();
    cases.extend([
        case(on(What::Status(404)).always(), Wrong(&["absent"])),
        case(on(What::Error(404, "MANIFEST_UNKNOWN", "gone")).always(), Wrong(&["absent"])),
        case(header("Docker-Content-Digest", None), Right),
        case(header("Docker-Content-Digest", Some("sha256:../../../../etc/passwd")), Either),
        case(header("Docker-Content-Digest", Some("md5:0")), Either),
        case(
            header("Docker-Content-Digest", Some(&crate::support::registry::sha256(b"another"))),
            Wrong(&["sha256:"]),
        ),
        case(header("Content-Type", Some("text/html")), Either),
        case(on(What::Slow(50, Duration::from_millis(5))).always(), Right),
    ]);
    run(cases);
}

#[test]
fn a_blob_comes_right_or_not_at_all() {
    let mut cases = general(BLOB, "GET");
    cases.extend(bodies(BLOB));
    let on = |what: What| Fault::on("GET", BLOB, what);
    let after_break = |what| {
        let broken = on(What::Reset(Body(2000))).first(3);
        Case { faults: vec![broken, on(what).first(6)], end: Either, options: Options::default() }
    };
    let range = |value: &str| What::Header("Content-Range", Some(value.to_owned()));
    cases.extend([
        // Only an answer to GET has a body to say it in.
        case(on(What::Error(403, "DENIED", "not for you\x1b[31m")).always(), Wrong(&["not for you"])),
        case(on(What::Status(404)).always(), Wrong(&["sha256:"])),
        case(on(What::Reset(Body(70_000))).always(), Either),
        case(on(What::Header("Docker-Content-Digest", Some("sha256:0".into()))).always(), Either),
        case(on(What::Slow(20_000, Duration::from_millis(30))).always(), Right),
        after_break(What::IgnoreRange),
        after_break(range("bytes 5-9/10")),
        after_break(range("bytes 0-1999/2000")),
        after_break(range("nonsense")),
        after_break(What::Header("Content-Range", None)),
        after_break(What::Status(416)),
        after_break(What::Status(200)),
        after_break(What::WrongBytes),
    ]);
    run(cases);
}

#[test]
fn a_broken_blob_goes_on_where_it_was() {
    let scene = Scene::new(Options::default(), &[300_000]);
    scene.stock();
    let pattern = format!("/v2/*/blobs/{}", scene.layer(0).digest());
    scene.registry.fault(Fault::on("GET", &pattern, What::Reset(Body(100_000))).first(2));
    scene.pull().unwrap();
    scene.check_store(true);
    let requests = scene.registry.requests().matching("GET", &pattern);
    let size = scene.layer(0).size();
    assert_eq!(requests.len(), 3, "{}", requests.lines());
    // A reset throws away what was on its way, so a little may come twice.
    assert!(requests.sent() <= size + 200_000, "{}", requests.lines());
    assert!(requests[1..].iter().all(|request| request.range.is_some()), "{requests:?}");
}

#[test]
fn a_document_that_is_manifest_and_index_is_refused() {
    let scene = Scene::new(Options::default(), &[100]);
    scene.stock();
    let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],
        "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:00","size":2},"layers":[]}"#;
    for media_type in
        ["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json", "text/html"]
    {
        scene.registry.state().put_manifest(super::scene::REPOSITORY, "1", media_type, manifest);
        scene.pull().unwrap_err();
        scene.check_store(false);
    }
}

#[test]
fn tags_without_end_come_to_an_end() {
    let scene = Scene::new(Options::default(), &[]);
    scene.registry.fault(Fault::on("GET", "/v2/*/tags/list", What::EndlessTags).always());
    super::scene::within(30, "tags", move || {
        let repository = lith::oci::Repository::from(&scene.name());
        let result = scene.registries.tags(&repository);
        assert!(result.is_err(), "{result:?}");
        let requests = scene.registry.requests().len();
        assert!(requests < 20_000, "{requests} requests");
    });
}
