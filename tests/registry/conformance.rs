//! The test registry itself, with other people's clients: what it does when it behaves is right.

use std::path::Path;
use std::process::Command;

use lith::image::Memory;
use serde_json::{Value, json};

use super::images;
use crate::support::judge::Layout;
use crate::support::programs::{find, run};
use crate::support::registry::tls::Authority;
use crate::support::registry::token::Rules;
use crate::support::registry::{Auth, Bearer, Fault, Options, PASSWORD, Registry, USER, What, Where, sha256};

/// Copies an index to a registry and back with skopeo; gives the registry.
fn there_and_back(options: Options) -> Option<Registry> {
    let skopeo = find("skopeo", "the test registry")?;
    let dir = tempfile::tempdir().unwrap();
    let mut blobs = Memory::default();
    let artifact = images::index(&mut blobs);
    images::write(&artifact, &blobs, &dir.path().join("in"));
    let credentials = (!matches!(options.auth, Auth::None)).then(|| format!("{USER}:{PASSWORD}"));
    let registry = Registry::with(options);
    let place = format!("docker://{}", registry.name("team/app:1"));
    let layout = |name: &str| format!("oci:{}", dir.path().join(name).display());
    let copy = |side: &str, from: &str, to: &str| {
        let mut command = Command::new(&skopeo);
        command.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
        command.arg(format!("--{side}-tls-verify=false"));
        if let Some(credentials) = &credentials {
            command.arg(format!("--{side}-creds={credentials}"));
        }
        run(command.args([from, to]).env("HOME", dir.path()));
    };
    copy("dest", &layout("in"), &place);
    copy("src", &place, &layout("out"));
    assert_same(&dir.path().join("in"), &dir.path().join("out"));
    let state = registry.state();
    state.check();
    assert_eq!(state.blobs("team/app"), images::contents(&artifact));
    assert_eq!(state.tag("team/app", "1"), Some(artifact.digest().to_string()));
    drop(state);
    Some(registry)
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let digest = |root: &Path| Layout::open(root).index["manifests"][0]["digest"].clone();
    assert_eq!(digest(one), digest(other));
}

#[test]
fn skopeo_copies_there_and_back() {
    let Some(registry) = there_and_back(Options::default()) else { return };
    let requests = registry.requests();
    assert_eq!(requests.matching("PUT", "/v2/team/app/manifests/*").len(), 3, "{}", requests.lines());
    assert!(requests.iter().all(|request| request.authorization.is_none()));
}

#[test]
fn skopeo_logs_in_with_a_password() {
    there_and_back(Options { auth: Auth::Basic, ..Options::default() });
}

#[test]
fn skopeo_logs_in_with_tokens() {
    for access_token in [false, true] {
        let rules = Rules { access_token, expires_in: Some(120), ..Rules::default() };
        let bearer = Bearer { rules, realm_host: Some("localhost"), uses: None };
        let Some(registry) = there_and_back(Options { auth: Auth::Bearer(bearer), ..Options::default() })
        else {
            return;
        };
        let tokens = registry.requests().matching("GET", "/token");
        assert!(tokens.iter().all(|request| request.host.starts_with("localhost:")));
        assert!(!tokens.is_empty());
    }
}

#[test]
fn skopeo_speaks_tls() {
    let tls = Some(Authority::new().loopback());
    there_and_back(Options { tls, ..Options::default() });
}

/// Asks with a client that believes nothing; gives status, headers and body.
fn ask(
    registry: &Registry,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> ureq::http::Response<Vec<u8>> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    let agent: ureq::Agent = config.build().into();
    let mut request =
        ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", registry.host()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = agent.run(request.body(body).unwrap()).unwrap();
    let (parts, mut body) = answer.into_parts();
    ureq::http::Response::from_parts(parts, body.read_to_vec().unwrap())
}

fn header<'a>(answer: &'a ureq::http::Response<Vec<u8>>, name: &str) -> &'a str {
    answer.headers().get(name).unwrap_or_else(|| panic!("no `{name}`: {answer:?}")).to_str().unwrap()
}

#[test]
fn chunks_follow_each_other() {
    let registry = Registry::with(Options { chunk_min: Some(4), ..Options::default() });
    let start = ask(&registry, "POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!((start.status().as_u16(), header(&start, "OCI-Chunk-Min-Length")), (202, "4"));
    let location = header(&start, "Location");
    let first = ask(&registry, "PATCH", location, &[("Content-Range", "0-3")], b"0123");
    assert_eq!((first.status().as_u16(), header(&first, "Range")), (202, "0-3"));
    let wrong = ask(&registry, "PATCH", location, &[("Content-Range", "2-5")], b"2345");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "Range")), (416, "0-3"));
    let status = ask(&registry, "GET", location, &[], b"");
    assert_eq!((status.status().as_u16(), header(&status, "Range")), (204, "0-3"));
    let digest = sha256(b"012345");
    let end =
        ask(&registry, "PUT", &format!("{location}&digest={digest}"), &[("Content-Range", "4-5")], b"45");
    assert_eq!((end.status().as_u16(), header(&end, "Docker-Content-Digest")), (201, digest.as_str()));
    registry.state().check();

    let start = ask(&registry, "POST", "/v2/a/blobs/uploads/", &[], b"");
    let location = header(&start, "Location");
    ask(&registry, "PATCH", location, &[("Content-Range", "0-1")], b"01");
    let small = ask(&registry, "PATCH", location, &[("Content-Range", "2-5")], b"2345");
    assert_eq!(small.status(), 400);
}

#[test]
fn a_blob_is_what_its_digest_says() {
    let registry = Registry::start();
    let digest = sha256(b"content");
    let post = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(ask(&registry, "POST", &post, &[], b"CONTENT").status(), 400);
    assert_eq!(ask(&registry, "POST", &post, &[], b"content").status(), 201);
    let mount = ask(&registry, "POST", &format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), &[], b"");
    assert_eq!(mount.status(), 201);
    let blob = format!("/v2/b/blobs/{digest}");
    let part = ask(&registry, "GET", &blob, &[("Range", "bytes=3-")], b"");
    assert_eq!((part.status().as_u16(), header(&part, "Content-Range")), (206, "bytes 3-6/7"));
    assert_eq!(part.body(), b"tent");
    assert_eq!(ask(&registry, "GET", &blob, &[("Range", "bytes=7-")], b"").status(), 416);
    assert_eq!(ask(&registry, "GET", &format!("/cdn{blob}"), &[], b"").body(), b"content");
    assert_eq!(header(&ask(&registry, "HEAD", &blob, &[], b""), "Content-Length"), "7");
    assert_eq!(ask(&registry, "DELETE", &blob, &[], b"").status(), 202);
    assert_eq!(ask(&registry, "HEAD", &blob, &[], b"").status(), 404);
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(config: &str, subject: Option<&str>) -> Vec<u8> {
    let config = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 });
    let mut value = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
    if let Some(digest) = subject {
        value["subject"] = json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
        value["artifactType"] = json!("application/x.note+json");
    }
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn a_manifest_needs_its_blobs() {
    let registry = Registry::start();
    let (config, other) = (sha256(b"{}"), sha256(b"other"));
    let put = |reference: &str, bytes: &[u8]| {
        ask(&registry, "PUT", &format!("/v2/a/manifests/{reference}"), &[("Content-Type", MANIFEST)], bytes)
    };
    let plain = manifest(&config, None);
    let refused = put("1", &plain);
    assert_eq!(refused.status(), 404);
    assert!(String::from_utf8_lossy(refused.body()).contains("MANIFEST_BLOB_UNKNOWN"));
    registry.state().put_blob("a", b"{}");
    assert_eq!(put("1", &plain).status(), 201);
    assert_eq!(put(&other, &plain).status(), 400);
    let referrer = manifest(&config, Some(&sha256(&plain)));
    assert_eq!(header(&put(&sha256(&referrer), &referrer), "OCI-Subject"), sha256(&plain));
    let list = |query: &str| -> Value {
        let path = format!("/v2/a/referrers/{}{query}", sha256(&plain));
        serde_json::from_slice(ask(&registry, "GET", &path, &[], b"").body()).unwrap()
    };
    assert_eq!(list("")["manifests"][0]["digest"], sha256(&referrer));
    assert_eq!(list("?artifactType=application/x.note%2Bjson")["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(list("?artifactType=none")["manifests"], json!([]));
    assert_eq!(
        ask(&registry, "DELETE", &format!("/v2/a/manifests/{}", sha256(&plain)), &[], b"").status(),
        202
    );
    assert_eq!(ask(&registry, "HEAD", "/v2/a/manifests/1", &[], b"").status(), 404);
}

#[test]
fn tags_come_page_by_page() {
    let registry = Registry::with(Options { page: Some(2), ..Options::default() });
    for tag in ["a", "b", "c"] {
        registry.state().put_manifest("r", tag, MANIFEST, b"{}");
    }
    let first = ask(&registry, "GET", "/v2/r/tags/list", &[], b"");
    assert_eq!(header(&first, "Link"), "</v2/r/tags/list?n=2&last=b>; rel=\"next\"");
    let second = ask(&registry, "GET", "/v2/r/tags/list?n=2&last=b", &[], b"");
    assert!(second.headers().get("Link").is_none());
    assert_eq!(second.body(), br#"{"name":"r","tags":["c"]}"#);
}

#[test]
fn faults_happen_when_they_are_due_and_are_counted() {
    let registry = Registry::start();
    let blob = format!("/v2/a/blobs/{}", registry.state().put_blob("a", b"content"));
    registry.fault(Fault::on("GET", "/v2/*/blobs/*", What::Status(503)).nth(2));
    let status = || ask(&registry, "GET", &blob, &[], b"").status().as_u16();
    assert_eq!([status(), status(), status()], [200, 503, 200]);
    assert_eq!(registry.faults_happened(), 1);
    let requests = registry.requests().matching("GET", "/v2/*/blobs/*");
    assert_eq!((requests.len(), requests.sent()), (3, 14), "{}", requests.lines());
    registry.forget_requests();
    assert!(registry.requests().is_empty());

    registry.fault(Fault::on("HEAD", "/v2/*", What::Redirect(307, "http://other.invalid{path}".into())));
    let answer = ask(&registry, "HEAD", &format!("{blob}?x=y"), &[], b"");
    assert_eq!(header(&answer, "Location"), format!("http://other.invalid{blob}?x=y"));
    for (what, part) in
        [(What::Reset(Where::Answer), ""), (What::Truncate(3), "con"), (What::Reset(Where::Body(3)), "con")]
    {
        registry.fault(Fault::on("GET", &blob, what.clone()));
        assert_eq!(raw(&registry, &blob).as_deref().unwrap_or_default(), part, "{what:?}");
    }
}

/// What of a body comes on a connection of one request.
fn raw(registry: &Registry, path: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(registry.host()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let (mut text, mut byte) = (String::new(), [0]);
    while let Ok(1) = stream.read(&mut byte) {
        text.push(char::from(byte[0]));
    }
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
