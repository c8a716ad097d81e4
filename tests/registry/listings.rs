//! Tags, referrers and removals.

use lith::oci::{Digest, Repository};
use serde_json::json;

use super::scene::{REPOSITORY, Scene};
use crate::support::registry::Options;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn repository(scene: &Scene) -> Repository {
    Repository::from(&scene.name())
}

#[test]
fn tags_of_all_pages() {
    for page in [None, Some(1), Some(3)] {
        let scene = Scene::new(Options { page, ..Options::default() }, &[100]);
        scene.stock();
        for tag in ["b", "a", "z", "0"] {
            scene.registry.state().put_manifest(REPOSITORY, tag, MANIFEST, b"{}");
        }
        assert_eq!(scene.registries.tags(&repository(&scene)).unwrap(), ["0", "1", "a", "b", "z"]);
    }
    let scene = Scene::new(Options::default(), &[]);
    let error = scene.registries.tags(&repository(&scene)).unwrap_err().to_string();
    assert!(error.contains(&scene.registry.name(REPOSITORY)), "{error}");
}

/// Puts two referrers there; gives their digests, sorted.
fn annotate(scene: &Scene) -> Vec<String> {
    let subject = scene.artifact.digest().to_string();
    let mut state = scene.registry.state();
    let config = json!({ "mediaType": EMPTY, "digest": state.put_blob(REPOSITORY, b"{}"), "size": 2 });
    let mut found = Vec::new();
    for kind in ["application/x.one", "application/x.two+json"] {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [],
            "subject": { "mediaType": MANIFEST, "digest": subject, "size": 1 },
        });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = state.put_manifest(REPOSITORY, "x", MANIFEST, &bytes);
        found.push((digest, bytes.len(), kind));
    }
    state.repository(REPOSITORY).tags.remove("x");
    // The fallback of those who know no referrers API.
    let entry = |(digest, size, kind): &(String, usize, &str)| json!({ "mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": kind });
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": found.iter().map(entry).collect::<Vec<_>>(),
    });
    let bytes = serde_json::to_vec(&index).unwrap();
    let tag = subject.replace(':', "-");
    state.put_manifest(REPOSITORY, &tag, "application/vnd.oci.image.index.v1+json", &bytes);
    let mut digests: Vec<_> = found.into_iter().map(|(digest, _, _)| digest).collect();
    digests.sort();
    digests
}

#[test]
fn referrers_by_the_api_and_by_the_tag() {
    for no_referrers in [false, true] {
        for page in [None, Some(1)] {
            let scene = Scene::new(Options { no_referrers, page, ..Options::default() }, &[100]);
            scene.stock();
            let expected = annotate(&scene);
            let ask = |digest: &Digest, kind| {
                let found = scene.registries.referrers(&repository(&scene), digest, kind).unwrap();
                let mut found: Vec<_> = found.iter().map(|found| found.digest().to_string()).collect();
                found.sort();
                found
            };
            let digest = scene.artifact.digest();
            assert_eq!(ask(&digest, None), expected);
            assert_eq!(ask(&digest, Some("application/x.two+json")).len(), 1);
            assert_eq!(ask(&digest, Some("application/x.three")), Vec::<String>::new());
            assert_eq!(ask(&Digest::of(b"nobody's subject"), None), Vec::<String>::new());
        }
    }
}

#[test]
fn a_tag_or_a_manifest_is_removed() {
    let scene = Scene::new(Options::default(), &[100]);
    scene.stock();
    let digest = scene.artifact.digest().to_string();
    scene.registries.delete(&scene.name()).unwrap();
    assert_eq!(scene.registry.state().tag(REPOSITORY, "1"), None);
    let by_digest = format!("{}@{digest}", scene.registry.name(REPOSITORY)).parse().unwrap();
    assert!(scene.registries.resolve(&by_digest).unwrap().is_some(), "only the tag is gone");
    scene.registries.delete(&by_digest).unwrap();
    assert!(scene.registries.resolve(&by_digest).unwrap().is_none());
    let error = scene.registries.delete(&by_digest).unwrap_err().to_string();
    assert!(error.contains(&scene.registry.name(REPOSITORY)), "{error}");
}
