//! Names, lists and deletions, against a registry that is right and ones that are not.

use super::fake::{Asked, Fake, Fault, reply};
use super::{Registries, RegistryError};
use crate::oci::{Descriptor, Digest, MediaType, Reference};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCUMENT: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

fn name(fake: &Fake, rest: &str) -> Reference {
    format!("{}/a{rest}", fake.host).parse().unwrap()
}

fn resolve(fake: &Fake, rest: &str) -> Result<Option<Descriptor>, RegistryError> {
    Fake::registries().resolve(&name(fake, rest))
}

fn document(hook: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Fake {
    let fake = Fake::with(hook);
    fake.put_manifest("a", "1", MANIFEST, DOCUMENT);
    fake
}

fn is_the_document(found: &Descriptor) {
    assert_eq!(found.digest().to_string(), Digest::of(DOCUMENT).to_string());
    assert_eq!((found.size(), found.media_type()), (DOCUMENT.len() as u64, &MediaType::ImageManifest));
}

#[test]
fn a_name_costs_a_head() {
    let fake = document(|_| None);
    is_the_document(&resolve(&fake, ":1").unwrap().unwrap());
    is_the_document(&resolve(&fake, &format!(":2@{}", Digest::of(DOCUMENT))).unwrap().unwrap());
    assert_eq!(resolve(&fake, ":2").unwrap(), None);
    assert!(fake.state().asked.iter().all(|asked| asked.method == "HEAD"));
    assert!(fake.state().asked[0].headers["accept"].contains(INDEX));
}

#[test]
fn what_a_head_does_not_say_is_read() {
    for (header, value) in [
        ("docker-content-digest", ""),
        ("docker-content-digest", "sha256:short"),
        ("content-type", ""),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        let fake = document(move |_| Some(Fault::Header(header, value.into())));
        is_the_document(&resolve(&fake, ":1").unwrap().unwrap());
        assert_eq!(fake.count("GET", ""), 1, "{header}: {value}");
    }
    let no_head = document(|asked| (asked.method == "HEAD").then(|| Fault::Answer(reply(405, &[], ""))));
    is_the_document(&resolve(&no_head, ":1").unwrap().unwrap());
}

#[test]
fn another_digest_is_refused() {
    let other = Digest::of(b"other");
    let fake = document(|_| None);
    fake.put_manifest("a", &other.to_string(), MANIFEST, DOCUMENT);
    let error = resolve(&fake, &format!("@{other}")).unwrap_err();
    assert!(matches!(&error, RegistryError::OtherDigest { .. }), "{error}");
    let lying = other.to_string();
    let fake = document(move |asked| {
        let header = if asked.method == "HEAD" { String::new() } else { lying.clone() };
        Some(Fault::Header("docker-content-digest", header))
    });
    let error = resolve(&fake, ":1").unwrap_err();
    assert!(error.to_string().contains(other.hex()), "{error}");
}

#[test]
fn what_is_no_manifest_is_told() {
    type Document = (&'static str, &'static [u8], &'static str);
    let documents: [Document; 5] = [
        ("text/html; charset=utf-8", b"<html>", "text/html"),
        ("application/json", b"{\"schemaVersion\":1}", "schema version 1"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "schema version 1"),
        ("application/json", b"{\"schemaVersion\":2,\"mediaType\":\"a/b\"}", "application/json"),
        ("\u{202e}x", b"", "expected a manifest"),
    ];
    for (media_type, bytes, expected) in documents {
        let fake = Fake::new();
        fake.put_manifest("a", "1", media_type, bytes);
        let text = resolve(&fake, ":1").unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(&fake.host), "{text}");
        assert!(!text.contains('\u{202e}'));
    }
    let endless = document(|asked| {
        let long = vec![b' '; 5 << 20];
        Some(if asked.method == "HEAD" {
            Fault::Header("content-type", String::new())
        } else {
            Fault::Answer(reply(200, &[("content-type", MANIFEST)], long))
        })
    });
    assert!(matches!(resolve(&endless, ":1"), Err(RegistryError::TooLarge { .. })));
}

/// A registry whose tags come in pages.
fn paged(page: impl Fn(usize) -> (String, Option<String>) + Send + Sync + 'static) -> Fake {
    Fake::with(move |asked| {
        asked.target.contains("/tags/list").then(|| {
            let number = asked.target.split_once("p=").map_or(0, |(_, number)| number.parse().unwrap());
            let (body, link) = page(number);
            let link = link.unwrap_or_default();
            Fault::Answer(reply(200, &[("link", &link)], body))
        })
    })
}

fn tags(fake: &Fake) -> Result<Vec<String>, RegistryError> {
    Fake::registries().tags(&fake.repository("a"))
}

#[test]
fn tags_come_in_pages() {
    let fake = paged(|n| {
        let body =
            [r#"{"tags":["c","a"]}"#, r#"{"tags":null}"#, r#"{"name":"a","tags":["b","a","\u001b[2J"]}"#][n];
        let link = ["</v2/a/tags/list?p=1>; rel=\"next\"", "<?p=2>;rel=next"].get(n);
        (body.into(), link.map(|link| (*link).to_owned()))
    });
    assert_eq!(tags(&fake).unwrap(), ["a", "b", "c"]);
    assert_eq!(fake.count("GET", ""), 3);
    assert!(matches!(tags(&Fake::new()), Err(RegistryError::Absent { .. })));
}

#[test]
fn lists_end() {
    let endless =
        paged(|n| (r#"{"tags":["a"]}"#.into(), Some(format!("</v2/a/tags/list?p={}>; rel=\"next\"", n + 1))));
    assert!(matches!(tags(&endless), Err(RegistryError::Endless { .. })));
    let large = paged(|_| ("x".repeat(9 << 20), None));
    assert!(matches!(tags(&large), Err(RegistryError::TooLarge { .. })));
    for body in ["<html>", "", "{\"tags\":3}"] {
        let text = tags(&paged(|_| (body.into(), None))).unwrap_err().to_string();
        assert!(text.contains("listing the tags"), "{text}");
    }
}

fn entry(text: &str, artifact_type: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":1,"artifactType":"{artifact_type}"}}"#)
}

fn list(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","))
}

#[test]
fn referrers_are_filtered_by_somebody() {
    for filtered in ["", "artifactType"] {
        let fake = Fake::with(move |asked| {
            asked.target.contains("/referrers/").then(|| {
                let entries = [
                    entry("1", "x/y"),
                    entry("2", if filtered.is_empty() { "z" } else { "x/y" }),
                    entry("1", "x/y"),
                ];
                Fault::Answer(reply(200, &[("oci-filters-applied", filtered)], list(&entries)))
            })
        });
        let registries = Fake::registries();
        let subject = Digest::of(b"s");
        let find = |kind| registries.referrers(&fake.repository("a"), &subject, kind).unwrap().len();
        assert_eq!(find(Some("x/y")), if filtered.is_empty() { 1 } else { 2 });
        assert!(fake.asked()[0].ends_with(&format!("/referrers/{subject}?artifactType=x%2Fy")));
        assert_eq!(find(None), 2);
    }
}

#[test]
fn referrers_stand_in_a_tag_where_there_is_no_list() {
    let fake = Fake::new();
    let (registries, subject) = (Fake::registries(), Digest::of(b"s"));
    let find = |registries: &Registries, kind| registries.referrers(&fake.repository("a"), &subject, kind);
    assert_eq!(find(&registries, None).unwrap(), []);
    let tag = format!("sha256-{}", subject.hex());
    fake.put_manifest("a", &tag, INDEX, list(&[entry("1", "x"), entry("2", "y")]).as_bytes());
    assert_eq!(find(&registries, None).unwrap().len(), 2);
    assert_eq!(find(&registries, Some("y")).unwrap().len(), 1);
    fake.put_manifest(
        "a",
        &tag,
        INDEX,
        br#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"../../x","size":1}]}"#,
    );
    assert!(find(&registries, None).is_err());
}

#[test]
fn a_lost_entry_is_added_again() {
    // Somebody else writes the list at the same moment, twice.
    let written = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::with(move |asked| {
        let overwritten = asked.is("PUT", "/manifests/sha256-")
            && written.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        overwritten.then(|| Fault::Answer(reply(201, &[], "")))
    });
    let (registries, subject) = (Fake::registries(), Digest::of(b"s"));
    let referrer: Descriptor = serde_json::from_str(&entry("1", "x")).unwrap();
    registries.add_to_fallback(&fake.repository("a"), &subject, &referrer).unwrap();
    assert_eq!(fake.count("PUT", ""), 3);
    assert_eq!(registries.referrers(&fake.repository("a"), &subject, None).unwrap(), [referrer]);
}

#[test]
fn what_is_deleted_is_gone() {
    let fake = document(|_| None);
    let registries = Fake::registries();
    registries.delete(&name(&fake, ":1")).unwrap();
    assert_eq!(resolve(&fake, ":1").unwrap(), None);
    registries.delete(&name(&fake, &format!("@{}", Digest::of(DOCUMENT)))).unwrap();
    assert!(matches!(registries.delete(&name(&fake, ":1")), Err(RegistryError::Absent { .. })));
    for status in [400, 405] {
        let body = r#"{"errors":[{"code":"UNSUPPORTED","message":"no"}]}"#;
        let fake = document(move |_| Some(Fault::Answer(reply(status, &[], body))));
        let error = registries.delete(&name(&fake, ":1")).unwrap_err();
        assert!(matches!(&error, RegistryError::Undeletable { .. }), "{error}");
        assert!(error.to_string().contains("UNSUPPORTED"), "{error}");
    }
}
