//! `lith release`, `releases`, `current` and `rollback`: registries, a layout, and several writers at once.

use serde_json::Value;

use super::docker_registry::world as account;
use crate::support::World;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::registry::{Fault, Registry, What};

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// Builds and pushes an image that is different from all others; gives its digest.
pub(super) fn push(world: &World, repository: &str, tag: &str) -> String {
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", tag);
    let (name, label) =
        (format!("{repository}:{tag}"), format!("org.opencontainers.image.revision={REVISION}"));
    world.ok(["build", "-q", "-t", &name, "--push", "--label", &label, "app"])
}

pub(super) fn json(world: &World, args: &[&str]) -> Value {
    serde_json::from_str(&world.ok([args, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn an_environment_moves_on_and_back() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    let digests = ["1", "2", "3"].map(|tag| push(&world, &repo, tag));
    let image = |tag: &str| format!("{repo}:{tag}");
    let error = world.fails(1, ["current", "prod", "--repo", &repo]);
    assert!(error.contains("`prod` has no releases"), "{error}");
    let told = world.ok(["release", "prod", &image("1"), "-m", "the first", "--actor", "ann"]);
    assert_eq!(told, format!("{repo}:prod@{}", digests[0]));
    let error = world.fails(1, ["rollback", "prod", "--repo", &repo]);
    assert!(error.contains("no earlier release that is good"), "{error}");
    world.ok(["release", "prod", &image("2")]);
    let run = world.run(["release", "prod", &image("2")]);
    assert!(run.code == Some(0) && run.stderr.contains("already, since entry 2"), "{run:?}");
    world.ok(["release", "prod", &format!("{repo}@{}", digests[2])]);
    assert_eq!(world.ok(["current", "prod", "--repo", &repo]), format!("{repo}:prod@{}", digests[2]));
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    world.ok(["releases", "mark", "prod", "2", "bad", "-m", "loses sessions", "--repo", &repo]);
    let run = world.run(["rollback", "prod", "--dry-run", "--repo", &repo]);
    assert!(run.stderr.contains(&format!("digest    {} -> {}", digests[2], digests[0])), "{run:?}");
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    let mut command = world.command(["rollback", "prod", "-m", "3 is slow"]);
    let run = crate::support::Run::of(command.env("LITH_REPO", &repo).env("USER", "bob"));
    assert_eq!(run.stdout.trim(), format!("{repo}:prod@{}", digests[0]), "{run:?}");
    assert_eq!(world.ok(["digest", &format!("docker://{repo}:prod")]), digests[0]);
    let list = json(&world, &["releases", "prod", "--verify", "--repo", &repo]);
    let entries = list["entries"].as_array().unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rollback", "mark", "release", "release", "release"]);
    assert_eq!((entries[0]["to"].as_u64(), entries[0]["actor"].as_str()), (Some(1), Some("bob")));
    assert_eq!((&entries[3]["verdict"], &entries[3]["revision"]), (&"bad".into(), &REVISION.into()));
    assert_eq!(
        (&entries[4]["reason"], &entries[4]["actor"], &entries[4]["tags"][0]),
        (&"the first".into(), &"ann".into(), &"1".into())
    );
    let text = world.ok(["releases", "prod", "--repo", &repo]);
    assert!(
        text.contains("rollback to 1") && text.contains("mark 2 bad") && text.contains("bad  2"),
        "{text}"
    );
    // 2 is bad, 3 was gone back from.
    let error = world.fails(1, ["rollback", "prod", "--repo", &repo]);
    assert!(error.contains("no earlier release") && error.contains("--to N"), "{error}");
    let error = world.fails(1, ["rollback", "prod", "--to", "2", "--repo", &repo]);
    assert!(error.contains("marked bad"), "{error}");
    world.ok(["rollback", "prod", "--to", &digests[2][..20], "--repo", &repo]);
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    // Entries are what their subjects are referred to by.
    let referrers = json(&world, &["referrers", &format!("{repo}@{}", digests[0])]);
    assert_eq!(referrers["referrers"][0]["artifactType"], "application/vnd.lith.release.v1");
    registry.state().check();
    // Somebody moves the tag by hand.
    world.ok(["push", "--move-tag", &format!("docker://{}", image("2")), &image("prod")]);
    let error = world.fails(1, ["current", "prod", "--repo", &repo]);
    assert!(error.contains(&format!("the tag `prod` stands for `{}`", digests[1])), "{error}");
    let error = world.fails(1, ["releases", "prod", "--verify", "--repo", &repo]);
    assert!(error.contains("the tag `prod`") && error.contains(&digests[2]), "{error}");
    world.ok(["release", "prod", &image("3")]);
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
}

#[test]
fn an_entry_is_put_again_where_a_registry_is_unsettled() {
    let (world, registry) = (World::new(), Registry::start());
    let name = format!("{}:1", registry.name("team/app"));
    push(&world, &registry.name("team/app"), "1");
    let unknown = || What::Error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    registry.fault(Fault::on("PUT", "/v2/*/manifests/sha256:*", unknown()));
    world.ok(["release", "prod", &name]);
    assert_eq!(registry.faults_happened(), 1);
    registry.fault(Fault::on("PUT", "/v2/*/manifests/sha256:*", unknown()).always());
    let error = world.fails(1, ["release", "staging", &name]);
    assert!(error.contains("blob unknown to registry"), "{error}");
}

#[test]
fn gates_are_named_with_what_opens_them() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", "1");
    let name = format!("{repo}:1");
    world.ok(["build", "-q", "-t", &name, "--push", "--metadata-file", "record.json", "app"]);
    world.write(
        "policy.toml",
        "[environment.prod]\nhermetic = true\nclean = true\nafter = \"staging\"\nsoak = \"1h\"\n",
    );
    let policy = ["release", "prod", &name, "--policy", "policy.toml"];
    let error = world.fails(1, policy);
    for part in
        ["hermetic: nothing says so", "clean: the image names no revision", "after: `staging` has not had it"]
    {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(registry.state().tag("team/app", "prod").is_none());
    world.ok(["release", "staging", &name, "--policy", "policy.toml"]);
    let error = world.fails(1, [&policy[..], &["--record", "record.json"]].concat());
    assert!(error.contains("soak: ") && error.contains("wait ") && !error.contains("hermetic"), "{error}");
    world.write("policy.toml", "[environment.prod]\nhermetic = true\nafter = \"staging\"\n");
    let released = json(&world, &[&policy[..], &["--record", "record.json"]].concat());
    assert_eq!(released["gates"], serde_json::json!(["hermetic", "after"]));
    world.write("other.json", "{\"containerimage.digest\": \"sha256:00\"}");
    let error = world.fails(1, [&policy[..], &["--record", "other.json"]].concat());
    assert!(error.contains("the record of another image"), "{error}");
    world.write("policy.toml", "[environment.prod]\nhermetik = true\n");
    let error = world.fails(2, policy);
    assert!(error.contains("line 2"), "{error}");
    world.fails(2, ["release", "Prod", &name]);
    world.fails(2, ["releases", "prod"]);
}

#[test]
fn a_layout_keeps_its_own_ledger() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n");
    let mut digests = Vec::new();
    for tag in ["1", "2"] {
        world.write("app/f", tag);
        digests.push(world.ok(["build", "-q", "-o", &format!("type=oci,dest=out,name=app:{tag}"), "app"]));
        world.ok(["release", "test", &format!("oci:out:{tag}")]);
    }
    let repo = ["--repo", "oci:out"];
    assert_eq!(world.ok([&["current", "test"][..], &repo].concat()), format!("oci:out:test@{}", digests[1]));
    world.ok([&["rollback", "test"][..], &repo].concat());
    assert_eq!(world.ok(["digest", "oci:out:test"]), digests[0]);
    world.ok([&["releases", "test", "--verify"][..], &repo].concat());
    let layer = std::fs::read_to_string(world.path("out/index.json")).unwrap();
    assert!(layer.contains("lith-release-test-000003"), "{layer}");
}

#[test]
fn of_twenty_releases_at_once_none_is_lost_and_no_change_goes_unnoticed() {
    let Some(registry) = DockerRegistry::start(Access::Htpasswd, "releases in docker-registry") else {
        return;
    };
    let (world, repo) = (account(&registry), format!("{}/team/app", registry.host()));
    let digests: Vec<String> = (0..20).map(|tag| push(&world, &repo, &tag.to_string())).collect();
    let accepted: Vec<(u64, String)> = std::thread::scope(|scope| {
        let writers: Vec<_> = digests
            .chunks(5)
            .map(|own| {
                let (world, repo) = (&world, &repo);
                scope.spawn(move || {
                    let release = |digest: &String| {
                        let released = json(world, &["release", "prod", &format!("{repo}@{digest}")]);
                        (released["number"].as_u64().unwrap(), digest.clone())
                    };
                    own.iter().map(release).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(accepted.len(), 20);
    let list = json(&world, &["releases", "prod", "--verify", "--repo", &repo]);
    let entries = list["entries"].as_array().unwrap();
    let of =
        |entry: &Value| (entry["number"].as_u64().unwrap(), entry["digest"].as_str().unwrap().to_owned());
    let chain: Vec<(u64, String)> = entries.iter().map(of).collect();
    for release in &accepted {
        assert!(chain.contains(release), "{release:?} was accepted and is not in {chain:?}");
    }
    assert_eq!(world.ok(["digest", &format!("docker://{repo}:prod")]), chain[0].1, "the tag is at the head");
    // An image that has lost a blob is not released.
    let image = json(&world, &["inspect", &format!("docker://{repo}@{}", digests[0])]);
    let layer = image["images"][0]["manifest"]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let file = registry.blob(layer.strip_prefix("sha256:").unwrap());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let error = world.fails(1, ["release", "staging", &format!("{repo}@{}", digests[0])]);
    assert!(error.contains("is not whole") && error.contains(&layer), "{error}");
    std::fs::write(&file, bytes).unwrap();
    world.ok(["release", "staging", &format!("{repo}@{}", digests[0])]);
    // A manifest in the middle of the chain is altered, then deleted.
    let entry = entries[10]["entry"].as_str().unwrap().to_owned();
    let file = registry.blob(entry.strip_prefix("sha256:").unwrap());
    let bytes = std::fs::read(&file).unwrap();
    let verify = || world.fails(1, ["releases", "prod", "--verify", "--repo", &repo]);
    let altered = String::from_utf8(bytes.clone()).unwrap().replacen("lith.release", "lith.Release", 1);
    std::fs::write(&file, altered).unwrap();
    let error = verify();
    assert!(error.contains(&entry), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = verify();
    assert!(error.contains(&format!("entry `{entry}` of `prod` is missing")), "{error}");
    std::fs::write(&file, bytes).unwrap();
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
}
