//! `lith gc --remote`, and ledgers in the store.

use serde_json::{Value, json};

use super::docker_registry::world as account;
use super::releases::{json, push};
use crate::support::World;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::registry::{Fault, Options, Registry, What, sha256};

const APP: &str = "team/app";

fn digests(list: &Value) -> Vec<String> {
    let rows = list["manifests"].as_array().unwrap();
    rows.iter().map(|row| row["digest"].as_str().unwrap().to_owned()).collect()
}

/// Releases images `1` to `5` to `prod`, whose tags go afterwards; gives their digests.
fn five(world: &World, registry: &Registry) -> Vec<String> {
    let repo = registry.name(APP);
    let images: Vec<String> = (1..=5)
        .map(|tag| {
            let digest = push(world, &repo, &tag.to_string());
            world.ok(["release", "prod", &format!("{repo}:{tag}")]);
            digest
        })
        .collect();
    for tag in 1..=5 {
        registry.state().repository(APP).tags.remove(&tag.to_string());
    }
    images
}

/// A manifest about another, with a blob.
fn referrer(
    registry: &Registry,
    artifact_type: &str,
    blob: &str,
    subject: &Value,
    tag: Option<&str>,
) -> String {
    let mut state = registry.state();
    state.put_blob(APP, b"{}");
    state.put_blob(APP, blob.as_bytes());
    let (empty, digest) = (sha256(b"{}"), sha256(blob.as_bytes()));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "artifactType": artifact_type, "subject": subject,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [{"mediaType": "application/json", "digest": digest, "size": blob.len()}],
    })
    .to_string();
    let digest = sha256(manifest.as_bytes());
    state.put_manifest(APP, tag.unwrap_or(&digest), kind, manifest.as_bytes());
    state.repository(APP).tags.remove(&digest);
    digest
}

#[test]
fn old_releases_go_and_ledgers_and_ways_back_stay() {
    for no_referrers in [false, true] {
        let registry = Registry::with(Options { no_referrers, ..Options::default() });
        let (world, repo) = (World::new(), registry.name(APP));
        let images = five(&world, &registry);
        let gc = ["gc", "--remote", &repo, "--keep", "2"];
        let shown = json(&world, &gc);
        assert_eq!(digests(&shown), [&*images[1], &*images[0]]);
        assert_eq!((&shown["dryRun"], &shown["manifests"][0]["why"]), (&json!(true), &json!("release")));
        assert_eq!(shown["manifests"][1]["number"], 1);
        let uses: Vec<(&str, Vec<&str>)> = shown["kept"]
            .as_array()
            .unwrap()
            .iter()
            .map(|kept| {
                let uses = kept["uses"].as_array().unwrap().iter();
                (kept["digest"].as_str().unwrap(), uses.map(|own| own["why"].as_str().unwrap()).collect())
            })
            .collect();
        let expected =
            [(&*images[4], vec!["tag", "current"]), (&*images[3], vec!["back"]), (&*images[2], vec!["back"])];
        assert_eq!((uses.as_slice(), &shown["entries"]["prod"]), (&expected[..], &json!(5)));
        let text = world.ok(gc);
        for line in [
            format!("goes   {}  `prod` had it, last by release 2", images[1]),
            format!("stays  {}  tagged `prod`; `prod` has it", images[4]),
            format!("stays  {}  `prod` can go back to it: release 4", images[3]),
            "stays  the ledger of `prod`: 5 entries".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert_eq!(digests(&json(&world, &gc)), digests(&shown), "a dry run removes nothing");
        assert!(digests(&json(&world, &["gc", "--remote", &repo])).is_empty(), "ten are kept");
        assert!(digests(&json(&world, &["gc", "--remote", &repo, "--keep-for", "1h"])).is_empty());
        // A tag keeps what it leads to; what is marked bad is nothing to go back to.
        world.ok(["releases", "mark", "prod", "3", "bad", "--repo", &repo]);
        assert_eq!(digests(&json(&world, &gc)), [&*images[2], &*images[0]]);
        world.ok(["releases", "mark", "prod", "3", "good", "--repo", &repo]);
        world.ok([&gc[..], &["--yes"]].concat());
        assert!(digests(&json(&world, &gc)).is_empty());
        world.ok(["releases", "prod", "--verify", "--repo", &repo]);
        world.fails(1, ["digest", &format!("docker://{repo}@{}", images[0])]);
        let error = world.fails(1, ["rollback", "prod", "--to", "1", "--repo", &repo]);
        assert!(error.contains("is not whole"), "{error}");
        world.ok(["rollback", "prod", "--repo", &repo]);
        assert_eq!(registry.state().tag(APP, "prod").as_ref(), Some(&images[3]));
        registry.state().check();
    }
}

#[test]
fn what_is_about_an_image_goes_with_it_and_lost_claims_after_a_day() {
    let registry = Registry::start();
    let (world, repo) = (World::new(), registry.name(APP));
    let images = five(&world, &registry);
    let list = json(&world, &["releases", "prod", "--repo", &repo]);
    let entry = |number: usize| list["entries"][5 - number].clone();
    let subject = |number: usize| entry(number)["image"].clone();
    let sbom = referrer(&registry, "application/spdx+json", "sbom 1", &subject(1), None);
    let kept = referrer(&registry, "application/spdx+json", "sbom 5", &subject(5), None);
    let signed = referrer(&registry, "application/x-signature", "tagged", &subject(2), Some("signature"));
    let mut lost = Vec::new();
    for (time, tag) in [(1, Some("lith-release-prod-000002.claim-0123456789abcdef")), (2, None)] {
        let mut blob = entry(5);
        (blob["time"], blob["number"]) = (json!(time), json!(2));
        lost.push(referrer(
            &registry,
            "application/vnd.lith.release.v1",
            &blob.to_string(),
            &subject(5),
            tag,
        ));
    }
    // One that somebody may be going on with, and one of an environment that has no ledger.
    for (number, environment) in [(9, "prod"), (1, "other")] {
        let mut blob = entry(5);
        (blob["time"], blob["number"], blob["environment"]) = (json!(1), json!(number), json!(environment));
        referrer(&registry, "application/vnd.lith.release.v1", &blob.to_string(), &subject(5), None);
    }
    let shown = json(&world, &["gc", "--remote", &repo, "--keep", "1", "--yes"]);
    let found = digests(&shown);
    // The tagged signature keeps image 2.
    let expected = [&lost[0], &images[2], &sbom, &images[0], &lost[1]];
    assert_eq!(found, expected.map(String::clone), "{shown:#}");
    for stays in [&kept, &signed, &images[1]] {
        world.ok(["digest", &format!("docker://{repo}@{stays}")]);
    }
    assert_eq!(shown["manifests"][2]["of"], images[0].as_str());
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
    assert!(!world.ok(["tags", &repo]).contains("claim"));
}

#[test]
fn a_release_that_is_being_made_keeps_its_image() {
    let registry = Registry::start();
    let (world, repo) = (World::new(), registry.name(APP));
    let image = push(&world, &repo, "1");
    world.ok(["release", "prod", &format!("{repo}:1")]);
    let list = json(&world, &["releases", "prod", "--repo", &repo]);
    let other = push(&world, &repo, "2");
    let mut subject = list["entries"][0]["image"].clone();
    subject["digest"] = json!(other);
    let mut blob = list["entries"][0].clone();
    (blob["number"], blob["image"]) = (json!(2), subject.clone());
    let claim = Some("lith-release-prod-000002.claim-0123456789abcdef");
    referrer(&registry, "application/vnd.lith.release.v1", &blob.to_string(), &subject, claim);
    registry.state().repository(APP).tags.retain(|tag, _| tag.starts_with("lith-"));
    assert!(digests(&json(&world, &["gc", "--remote", &repo])).is_empty());
    // A claim that can't be asked about may be of anything.
    for method in ["HEAD", "GET"] {
        let path = format!("/v2/{APP}/manifests/lith-release-prod-000002.claim-0123456789abcdef");
        registry.fault(Fault::on(method, &path, What::Status(500)).always());
    }
    let error = world.fails(1, ["gc", "--remote", &repo]);
    assert!(error.contains("claim"), "{error}");
    registry.behave();
    registry.state().repository(APP).tags.retain(|tag, _| !tag.contains("claim"));
    assert_eq!(digests(&json(&world, &["gc", "--remote", &repo])), [&*other]);
    assert_ne!(image, other);
}

#[test]
fn what_was_pushed_and_has_no_tag_any_more_is_found() {
    let registry = Registry::start();
    let (world, repo) = (World::new(), registry.name(APP));
    let images = ["a", "b", "c"].map(|tag| push(&world, &repo, tag));
    for tag in ["a", "b"] {
        registry.state().repository(APP).tags.remove(tag);
    }
    assert_eq!(digests(&json(&world, &["gc", "--remote", &repo])).len(), 2);
    // Who hasn't pushed it has to be told.
    let stranger = World::new();
    assert!(digests(&json(&stranger, &["gc", "--remote", &repo])).is_empty());
    stranger.write("list", format!("{}\n\n{}\nsha256:{}\n", images[1], images[2], "0".repeat(64)));
    let gc = ["gc", "--remote", &repo, "--also", "list", "--yes"];
    assert_eq!(digests(&json(&stranger, &gc)), [&*images[1]]);
    stranger.write("list", "sha256:0\n");
    let error = stranger.fails(2, gc);
    assert!(error.contains("list:1: "), "{error}");
    stranger.fails(2, ["gc", "--yes"]);
    stranger.fails(2, ["gc", "--remote", &repo, "--keep", "0"]);
    stranger.fails(2, ["gc", "--remote", &repo, "--keep-for", "soon"]);
    assert_eq!(digests(&json(&world, &["gc", "--remote", &repo])), [&*images[0]]);
}

#[test]
fn a_ledger_that_is_not_whole_lets_nothing_go() {
    let registry = Registry::start();
    let (world, repo) = (World::new(), registry.name(APP));
    five(&world, &registry);
    let list = json(&world, &["releases", "prod", "--repo", &repo]);
    let entry = list["entries"][2]["entry"].as_str().unwrap().to_owned();
    registry.state().repository(APP).manifests.remove(&entry);
    let error = world.fails(1, ["gc", "--remote", &repo, "--keep", "1", "--yes"]);
    assert!(error.contains(&entry) && error.contains("is missing"), "{error}");
}

#[test]
fn entries_that_a_registry_takes_along_are_put_back() {
    let registry = Registry::with(Options { cascade: true, ..Options::default() });
    let (world, repo) = (World::new(), registry.name(APP));
    five(&world, &registry);
    let error = world.fails(1, ["gc", "--remote", &repo, "--keep", "1", "--yes"]);
    assert!(error.contains("the entries 3 ") && error.contains("put back"), "{error}");
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
}

#[test]
fn docker_registry_is_cleaned_too() {
    let Some(registry) = DockerRegistry::start(Access::Htpasswd, "gc of docker-registry") else { return };
    let (world, repo) = (account(&registry), format!("{}/{APP}", registry.host()));
    let mut images = Vec::new();
    // One tag that moves on, as builds of a branch have it.
    for content in ["1", "2", "3", "4"] {
        world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", content);
        let name = format!("{repo}:main");
        images.push(world.ok(["build", "-q", "-t", &name, "--push", "--move-tag", "app"]));
        world.ok(["release", "prod", &name]);
    }
    world.ok(["gc", "--remote", &repo, "--keep", "1", "--yes"]);
    for (image, stays) in images.iter().zip([false, false, true, true]) {
        let run = world.run(["digest", &format!("docker://{repo}@{image}")]);
        assert_eq!(run.code == Some(0), stays, "{image} {run:?}");
    }
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
    world.ok(["rollback", "prod", "--repo", &repo]);
    assert_eq!(world.ok(["digest", &format!("docker://{repo}:prod")]), images[2]);
}

#[test]
fn the_stores_own_gc_keeps_ledgers_with_their_images() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n");
    for tag in ["1", "2"] {
        world.write("app/f", tag);
        world.ok(["build", "-q", "-o", &format!("type=oci,dest=store,name=app:{tag}"), "app"]);
        world.ok(["release", "test", &format!("oci:store:{tag}")]);
    }
    // All tags but the last entry's go.
    let path = world.path("store/index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    entries.retain(|entry| entry["annotations"].to_string().contains("lith-release-test-000002\""));
    assert_eq!(entries.len(), 1);
    let entry = entries[0].clone();
    std::fs::write(&path, index.to_string()).unwrap();
    world.ok(["gc"]);
    let read = |digest: &Value| {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let bytes = std::fs::read(world.path("store/blobs/sha256").join(hex)).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let second = read(&read(&entry["digest"])["layers"][0]["digest"]);
    let first = read(&read(&second["previous"]["digest"])["layers"][0]["digest"]);
    for entry in [&first, &second] {
        let image = read(&entry["image"]["digest"]);
        let layer = image["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
        assert!(world.path("store/blobs").join(layer).is_file(), "{image}");
    }
    // And what no ledger leads to goes.
    std::fs::write(&path, r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    world.ok(["gc"]);
    assert_eq!(std::fs::read_dir(world.path("store/blobs/sha256")).unwrap().count(), 0);
}
