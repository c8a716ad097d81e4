//! Images, indexes and sources that are elsewhere.

use serde_json::Value;

use super::{git, refused};
use crate::support::programs::{Files, find};
use crate::support::registry::Registry;
use crate::support::{Run, World};

const PLATFORMS: [&str; 2] = ["--platform", "linux/amd64,linux/arm64"];

/// An app on a base of two platforms, pushed from a git checkout whose repository is served.
struct Scene {
    registry: Registry,
    world: World,
    files: Files,
}

impl Scene {
    fn new() -> Option<Self> {
        find("git", "lith verify")?;
        let (registry, world) = (Registry::start(), World::new());
        let base = registry.name("base:1");
        world
            .write("base/Buildfile", "FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n")
            .write("base/f", "base\n");
        world.ok(["build", "-q", "-t", &base, "--push", "base"].into_iter().chain(PLATFORMS));
        let app = format!("FROM {base}\nARG TARGETARCH\nCOPY $TARGETARCH f /\n");
        world.write("app/sub/Buildfile", app).write("app/sub/f", "f\n");
        world.write("app/sub/amd64", "a\n").write("app/sub/arm64", "b\n");
        world.ok(["lock", "app/sub"].into_iter().chain(PLATFORMS));
        git(&world, "app", &["init", "-q"]);
        git(&world, "app", &["add", "."]);
        git(&world, "app", &["commit", "-q", "-m", "all"]);
        git(&world, "app", &["update-server-info"]);
        let files = Files::serve(&world.path("app/.git"));
        git(&world, "app", &["remote", "add", "origin", &format!("http://{}/app.git", files.host())]);
        let image = registry.name("app:1");
        let build = ["build", "-q", "-t", &image, "--push", "--record", "app.json", "app/sub"];
        world.ok(build.into_iter().chain(PLATFORMS));
        Some(Self { registry, world, files })
    }

    fn image(&self) -> String {
        format!("docker://{}", self.registry.name("app:1"))
    }

    fn origin(&self) -> String {
        format!("http://{}/app.git", self.files.host())
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.world.path("app.json")).unwrap()).unwrap()
    }

    /// Another machine, which has the record alone.
    fn elsewhere(&self, record: &Value) -> World {
        let clean = World::new();
        clean.write("app.json", record.to_string());
        std::fs::create_dir(clean.path("tmp")).unwrap();
        clean
    }
}

fn verify(clean: &World, image: &str, more: &[&str]) -> Run {
    let args = ["verify", image, "--record", "app.json"];
    let mut command = clean.command(args.iter().chain(more));
    Run::of(command.env("TMPDIR", clean.path("tmp")))
}

#[test]
fn an_image_in_a_registry_is_verified_from_the_recorded_revision() {
    let Some(scene) = Scene::new() else { return };
    let clean = scene.elsewhere(&scene.record());
    let run = verify(&clean, &scene.image(), &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("the same: sha256:"), "{}", run.stdout);
    assert_eq!(std::fs::read_dir(clean.path("tmp")).unwrap().count(), 0, "clones and stores are gone");
    // The revision is the record's, wherever the branch is by now, and whatever the checkout has.
    scene.world.write("app/sub/f", "later\n");
    git(&scene.world, "app", &["commit", "-q", "-a", "-m", "later"]);
    git(&scene.world, "app", &["update-server-info"]);
    let run = verify(&clean, &scene.image(), &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let source = scene.world.path("app/sub");
    let run = verify(&clean, &scene.image(), &["--source", &source.to_string_lossy()]);
    assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("the context: `f`: its content is another"), "{}", run.stdout);
    assert_eq!(std::fs::read_dir(clean.path("tmp")).unwrap().count(), 0, "clones and stores are gone");
}

#[test]
fn a_build_right_from_a_repository_takes_the_lock_in_there() {
    let Some(scene) = Scene::new() else { return };
    let world = &scene.world;
    let here = world.ok(["build", "-q", "app/sub"].into_iter().chain(PLATFORMS));
    let base = scene.registry.name("base:1");
    world.write("base/f", "another\n");
    let moved = ["build", "-q", "-t", &base, "--push", "--move-tag", "base"];
    world.ok(moved.into_iter().chain(PLATFORMS));
    let clean = scene.elsewhere(&scene.record());
    let address = format!("{}#main:sub", scene.origin());
    let build = ["build", "-q", "--locked", "--record", "app.json", &address];
    assert_eq!(clean.ok(build.into_iter().chain(PLATFORMS)), here);
    let run = verify(&clean, &scene.image(), &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // What the lock in there has not is resolved, or refused; and that lock stays as it is.
    let more = ["--build-arg", "TARGETARCH=amd64", "--platform", "linux/riscv64"];
    let error = clean.fails(1, ["build", "-q", "--locked", &address].into_iter().chain(more));
    assert!(error.contains("is not in the lock file"), "{error}");
}

#[test]
fn a_revision_that_is_not_to_be_had_is_no_verdict() {
    let Some(scene) = Scene::new() else { return };
    let mut record = scene.record();
    let definition = &mut record["predicate"]["buildDefinition"];
    let commit = "0123456789abcdef0123456789abcdef01234567";
    definition["externalParameters"]["source"]["commit"] = commit.into();
    let dependencies = definition["resolvedDependencies"].as_array_mut().unwrap();
    let source = dependencies.iter_mut().find(|one| one["name"] == "source").unwrap();
    source["digest"]["gitCommit"] = commit.into();
    let run = verify(&scene.elsewhere(&record), &scene.image(), &[]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(commit), "{}", run.stderr);
}

#[test]
fn a_platform_of_an_index_that_differs_is_named() {
    let Some(scene) = Scene::new() else { return };
    let Scene { world, registry, .. } = &scene;
    world.write("app/sub/arm64", "B\n");
    let other = registry.name("app:2");
    let digest = world.ok(["build", "-q", "-t", &other, "--push", "app/sub"].into_iter().chain(PLATFORMS));
    let mut record = scene.record();
    record["subject"][0]["digest"]["sha256"] = digest.trim_start_matches("sha256:").into();
    let run = verify(&scene.elsewhere(&record), &format!("docker://{other}"), &[]);
    assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("linux/arm64: `/arm64`: its content from byte 0 on"), "{}", run.stdout);
    assert!(!run.stdout.contains("linux/amd64:"), "{}", run.stdout);
}

#[test]
fn an_index_that_does_not_lead_to_the_base_is_named() {
    let Some(scene) = Scene::new() else { return };
    let Scene { world, registry, .. } = &scene;
    world.write("base/f", "other\n");
    let base = registry.name("base:1");
    let two = registry.name("base:2");
    let index = world.ok(["build", "-q", "-t", &two, "--push", "base"].into_iter().chain(PLATFORMS));
    let record = |index: &str| {
        let mut record = scene.record();
        let definition = &mut record["predicate"]["buildDefinition"];
        let image = &mut definition["internalParameters"]["lock"]["images"][&base];
        let old = image["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        image["digest"] = index.into();
        let dependencies = definition["resolvedDependencies"].as_array_mut().unwrap();
        let own = dependencies.iter_mut().find(|one| one["digest"]["sha256"] == *old).unwrap();
        own["digest"]["sha256"] = index.trim_start_matches("sha256:").into();
        record
    };
    let run = verify(&scene.elsewhere(&record(&index)), &scene.image(), &[]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(&format!("and the index {index} has sha256:")), "{}", run.stderr);
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let run = verify(&scene.elsewhere(&record(&nowhere)), &scene.image(), &[]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(&format!("is locked to {nowhere}, which can't be had")), "{}", run.stderr);
}

#[test]
fn one_image_of_an_index_is_not_what_the_record_is_of() {
    let Some(scene) = Scene::new() else { return };
    let image = scene.image();
    let digest = scene.world.ok(["digest", "--platform", "linux/arm64", &image]);
    let place = format!("docker://{}@{digest}", scene.registry.name("app"));
    scene.world.write("edited.json", scene.record().to_string());
    let said = refused(&scene.world, &["verify", &place, "--record", "edited.json"]);
    assert!(said.contains("the record is of another image"), "{said}");
}
