//! `lith lock`, and what `lith build` does with a lock file.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::judge::Layout;
use crate::support::programs::Files;
use crate::support::registry::Registry;
use crate::support::{Run, World};

/// A registry that has `base:1`, and a world with a Buildfile that stands on it.
struct Scene {
    registry: Registry,
    world: World,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { registry: Registry::start(), world: World::new() };
        scene.push("base:1", "ENV WHO=first\n");
        scene.world.write("app/f", "content\n");
        scene.buildfile(&format!("FROM {}\nCOPY f /$WHO\n", scene.base()));
        scene
    }

    fn base(&self) -> String {
        self.registry.name("base:1")
    }

    /// Pushes an image with those instructions; gives its digest.
    fn push(&self, name: &str, instructions: &str) -> String {
        let other = World::new();
        other
            .write("base/Buildfile", format!("FROM scratch\nCOPY x /x\n{instructions}"))
            .write("base/x", instructions);
        let name = self.registry.name(name);
        other.ok(["build", "-q", "-t", &name, "--push", "--move-tag", "base"])
    }

    fn buildfile(&self, text: &str) {
        self.world.write("app/Buildfile", text);
    }

    fn lock_text(&self) -> String {
        std::fs::read_to_string(self.world.path("app/Buildfile.lock")).unwrap()
    }

    fn lock(&self) -> Value {
        serde_json::from_str(&self.lock_text()).unwrap()
    }
}

/// A clean world with the same folder.
fn copied(world: &World) -> World {
    let clean = World::new();
    for name in ["Buildfile", "Buildfile.lock", "f"] {
        clean.write(
            &format!("elsewhere/app/{name}"),
            std::fs::read(world.path(&format!("app/{name}"))).unwrap(),
        );
    }
    clean
}

#[test]
fn a_locked_build_keeps_its_base_when_the_tag_moves() {
    let scene = Scene::new();
    let Scene { world, registry, .. } = &scene;
    let base = scene.base();
    let printed = world.ok(["lock", "app"]);
    let old = registry.state().tag("base", "1").unwrap();
    assert_eq!(printed, format!("added    image {base}: {old}"));
    let entry = &scene.lock()["images"][&base];
    assert_eq!(entry["digest"], old.as_str());
    assert_eq!(entry["platforms"]["linux/amd64"]["config"]["runtime"]["Env"][1], "WHO=first");
    let digest = world.ok(["build", "-q", "--locked", "app"]);
    assert_eq!(world.ok(["lock", "--check", "app"]), "");

    let new = scene.push("base:1", "ENV WHO=second\n");
    assert_ne!(new, old);
    // Another user's folder and store.
    let clean = copied(world);
    assert_eq!(clean.ok(["build", "-q", "--locked", "elsewhere/app"]), digest);
    assert_eq!(clean.ok(["build", "-q", "elsewhere/app"]), digest, "a lock is used without being asked for");
    assert_eq!(clean.ok(["build", "-q", "--pull", "elsewhere/app"]), digest);

    let run = world.run(["lock", "--check", "app"]);
    let moved = format!("moved    image {base}: {old} -> {new}\n");
    assert_eq!((run.code, run.stdout.as_str()), (Some(4), moved.as_str()), "{}", run.stderr);
    assert_eq!(world.run(["lock", "--check", "--offline", "app"]).code, Some(0));
    let before = scene.lock_text();
    assert_eq!(world.ok(["lock", "app"]), "", "what is locked stays");
    assert_eq!(scene.lock_text(), before);

    for name in ["base", "base:1"] {
        let error = world.run(["lock", "app", "--update", name]);
        assert_eq!(error.code, Some(if name == "base" { 0 } else { 2 }), "{name}: {}", error.stderr);
        if name == "base" {
            assert_eq!(error.stdout, moved);
        }
    }
    assert_eq!(scene.lock()["images"][&base]["digest"], new.as_str());
    assert_ne!(world.ok(["build", "-q", "--locked", "app"]), digest);
}

#[test]
fn with_all_in_the_store_nothing_is_asked_of_anybody() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let digest = world.ok(["build", "-q", "--locked", "app"]);
    scene.registry.forget_requests();
    assert_eq!(world.ok(["build", "-q", "--locked", "--offline", "--no-cache", "app"]), digest);
    assert_eq!(world.ok(["lock", "--check", "--offline", "app"]), "");
    assert_eq!(scene.registry.requests().len(), 0);
    let clean = copied(world);
    let error = clean.fails(1, ["build", "--locked", "--offline", "elsewhere/app"]);
    assert!(error.contains("is not in the store, and the network is refused"), "{error}");
    assert!(error.contains(&scene.base()) && error.contains("without `--offline`"), "{error}");
    // A check of the lock needs nothing but the lock.
    assert_eq!(clean.ok(["lock", "--check", "--offline", "elsewhere/app"]), "");
    assert_eq!(scene.registry.requests().len(), 0);
    // The manifest without its layers.
    clean.ok(["lock", "elsewhere/app", "--update"]);
    let error =
        clean.fails(1, ["build", "--locked", "--offline", "-o", "type=oci,dest=out", "elsewhere/app"]);
    assert!(error.contains("a layer of `") && error.contains("the network is refused"), "{error}");
    let Scene { registry, world } = scene;
    drop(registry);
    assert_eq!(world.ok(["build", "-q", "--locked", "app"]), digest);
    for push in [&["--push", "-t", "r.example/a"][..], &["-o", "type=registry,name=r.example/a"]] {
        let error = world.fails(2, [&["build", "--offline", "app"], push].concat());
        assert!(error.contains("which a push needs"), "{error}");
    }
}

#[test]
fn a_digest_that_the_registry_lost_is_an_error_and_never_another_image() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let old = scene.registry.state().tag("base", "1").unwrap();
    scene.push("base:1", "ENV WHO=second\n");
    scene.registry.state().repository("base").manifests.remove(&old);
    let clean = copied(world);
    for flags in [&["--locked"][..], &[], &["--pull"]] {
        let error = clean.fails(1, [&["build", "elsewhere/app"], flags].concat());
        for part in [
            &scene.base(),
            &old,
            &scene.registry.host(),
            "is locked to",
            "lith lock --update",
            "Buildfile:1:6",
        ] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
    let before = scene.lock_text();
    assert_eq!(std::fs::read_to_string(clean.path("elsewhere/app/Buildfile.lock")).unwrap(), before);
}

#[test]
fn what_is_new_is_added_and_with_locked_refused() {
    let scene = Scene::new();
    let world = &scene.world;
    let run = world.run(["build", "app"]);
    assert!(run.stderr.contains("`lith lock`"), "{}", run.stderr);
    assert!(!world.path("app/Buildfile.lock").exists(), "a build writes no lock that nobody asked for");
    let error = world.fails(1, ["build", "--locked", "app"]);
    assert!(
        error.contains("there is no lock file `app/Buildfile.lock`") && error.contains("lith lock"),
        "{error}"
    );
    world.ok(["lock", "app"]);
    scene.push("tool:1", "");
    let tool = scene.registry.name("tool:1");
    scene.buildfile(&format!("FROM {}\nCOPY --from={tool} /x /tool\n", scene.base()));
    let before = scene.lock_text();
    let error = world.fails(1, ["build", "--locked", "app"]);
    assert!(error.contains(&format!("`{tool}` is not in the lock file")), "{error}");
    assert!(error.contains("Buildfile:2:") && error.contains("`lith lock` adds it"), "{error}");
    let error = world.fails(1, ["lock", "--check", "--offline", "app"]);
    assert!(error.contains(&format!("`{tool}` is not in the lock file")), "{error}");
    assert_eq!(scene.lock_text(), before);
    let run = world.run(["build", "app"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("the lock file `app/Buildfile.lock` was changed: 1 entry"), "{}", run.stderr);
    assert!(!run.stderr.contains("is not pinned"), "{}", run.stderr);
    let again = world.run(["build", "--locked", "app"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(!again.stderr.contains("was changed"), "{}", again.stderr);
    // What nothing asks for any more makes the lock stale, and goes.
    scene.buildfile(&format!("FROM {}\n", scene.base()));
    let error = world.fails(1, ["build", "--locked", "app"]);
    assert!(error.contains("is stale") && error.contains("`lith lock`"), "{error}");
    let error = world.fails(1, ["lock", "--check", "--offline", "app"]);
    assert!(error.contains("error"), "{error}");
    assert!(world.ok(["lock", "app"]).starts_with(&format!("removed  image {tool}: ")));
    assert_eq!(world.ok(["lock", "--check", "app"]), "");
}

#[test]
fn every_platform_that_was_asked_for_is_locked() {
    let registry = Registry::start();
    let world = World::new();
    let base = registry.name("multi:1");
    world
        .write("base/Buildfile", "FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\nCOPY x /x\n")
        .write("base/x", "x");
    let platforms = "linux/amd64,linux/arm64";
    world.ok(["build", "-q", "--platform", platforms, "-t", &base, "--push", "base"]);
    world.write("app/Buildfile", format!("FROM {base}\nLABEL a=$A\n"));
    world.ok(["lock", "app"]);
    let index = registry.state().tag("multi", "1").unwrap();
    let lock = || -> Value {
        serde_json::from_slice(&std::fs::read(world.path("app/Buildfile.lock")).unwrap()).unwrap()
    };
    assert_eq!(lock()["platforms"], serde_json::json!(["linux/amd64"]));
    let error = world.fails(1, ["build", "--locked", "--platform", platforms, "app"]);
    assert!(error.contains("is not in the lock file for linux/arm64"), "{error}");
    // Of the index that is locked, though the tag has moved.
    world.write("base/x", "y");
    world.ok(["build", "-q", "--platform", platforms, "-t", &base, "--push", "--move-tag", "base"]);
    world.ok(["build", "-q", "--platform", platforms, "-o", "type=oci,dest=out", "app"]);
    let entry = lock()["images"][&base].clone();
    assert_eq!(entry["digest"], index.as_str());
    assert_eq!(entry["platforms"]["linux/arm64"]["config"]["runtime"]["Env"][1], "A=arm64");
    assert_eq!(lock()["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    assert_eq!(world.ok(["lock", "app"]), "", "platforms that are locked stay");
    assert_eq!(world.ok(["lock", "--platform", "linux/arm64", "app"]).lines().count(), 1);
    assert_eq!(lock()["images"][&base]["platforms"].as_object().unwrap().len(), 1);
}

#[test]
fn a_lock_that_is_none_is_told_with_its_line() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let text = scene.lock_text();
    let merged = text.replacen("  \"images\"", "<<<<<<< ours\n  \"images\"", 1);
    for (text, what, hint) in [
        (merged, "line 3: a merge has left its marks", "settle the conflict"),
        (text.replace("\"version\": 1", "\"version\": 7"), "it is of version 7", "the lith that wrote it"),
        (text.replacen("\"images\"", "\"imagse\"", 1), "unknown field `imagse`", "version control"),
        (text[..text.len() / 2].to_owned(), "EOF while parsing", "version control"),
        (text.replacen("\"profile\": 1", "\"profile\": 2", 1), "format profile 2", "run `lith lock`"),
    ] {
        world.write("app/Buildfile.lock", &text);
        for args in [&["build", "app"][..], &["build", "--locked", "app"]] {
            let error = world.fails(1, args);
            assert!(error.contains("app/Buildfile.lock") && error.contains(what), "{what}: {error}");
            assert!(error.contains(hint), "{hint}: {error}");
        }
        assert_eq!(scene.lock_text(), text);
    }
    // A config that was edited would plan another image.
    world.write("app/Buildfile.lock", text.replace("WHO=first", "WHO=other"));
    let error = world.fails(1, ["build", "app"]);
    assert!(error.contains("the lock file's config of") && error.contains("--update"), "{error}");
}

#[test]
fn stages_that_a_build_does_not_need_are_locked_too() {
    let scene = Scene::new();
    scene.push("other:1", "");
    let other = scene.registry.name("other:1");
    scene.buildfile(&format!("FROM {other} AS test\nFROM {} AS last\n", scene.base()));
    assert_eq!(scene.world.ok(["lock", "app"]).lines().count(), 2);
    scene.world.ok(["build", "-q", "--locked", "--target", "test", "app"]);
    scene.world.ok(["build", "-q", "--locked", "app"]);
    let removed = scene.world.ok(["lock", "--target", "last", "app"]);
    assert!(removed.contains("removed") && removed.contains(&other), "{removed}");
}

#[test]
fn named_contexts_that_are_images_are_locked() {
    let scene = Scene::new();
    let world = &scene.world;
    scene.buildfile("FROM ground\nCOPY f /$WHO\n");
    let old = scene.registry.state().tag("base", "1").unwrap();
    let context = format!("ground=docker-image://{}", scene.base());
    world.ok(["lock", "--build-context", &context, "app"]);
    assert_eq!(scene.lock()["contexts"]["ground"]["image"]["digest"], old.as_str());
    let digest = world.ok(["build", "-q", "--locked", "--build-context", &context, "app"]);
    scene.push("base:1", "ENV WHO=second\n");
    assert_eq!(
        copied(world).ok(["build", "-q", "--locked", "--build-context", &context, "elsewhere/app"]),
        digest
    );
    let error = world.fails(1, ["build", "--locked", "app"]);
    assert!(error.contains("`ground` is locked as a named context, `docker-image://"), "{error}");
    assert!(error.contains("`--build-context ground=VALUE`"), "{error}");
    // Another image for the same name is another input.
    scene.push("base:2", "ENV WHO=third\n");
    let another = format!("ground=docker-image://{}", scene.registry.name("base:2"));
    let error = world.fails(1, ["build", "--locked", "--build-context", &another, "app"]);
    assert!(error.contains("`ground` is not in the lock file"), "{error}");
    // A layout is what it is: if it has changed, that is told.
    let layout = |text: &str| {
        world.write("base/Buildfile", format!("FROM scratch\nENV WHO={text}\n"));
        world.ok(["build", "-q", "-o", "type=oci,dest=layout", "base"])
    };
    let one = layout("one");
    world.ok(["lock", "--build-context", "ground=oci-layout://layout", "app"]);
    let two = layout("two");
    let error = world.fails(1, ["build", "--build-context", "ground=oci-layout://layout", "app"]);
    assert!(error.contains(&one) && error.contains(&two) && error.contains("--update"), "{error}");
    let moved =
        world.ok(["lock", "--build-context", "ground=oci-layout://layout", "app", "--update", "ground"]);
    assert_eq!(moved, format!("moved    context ground: {one} -> {two}"));
    world.ok(["build", "-q", "--locked", "--build-context", "ground=oci-layout://layout", "app"]);
}

#[test]
fn a_base_that_is_only_here_is_the_stores_even_when_registries_are_asked() {
    let scene = Scene::new();
    let world = &scene.world;
    world.write("own/Buildfile", "FROM scratch\nCOPY f /f\n").write("own/f", "mine\n");
    let own = world.ok(["build", "-q", "-t", "localhost:1/base:1", "own"]);
    scene.buildfile(&format!("FROM localhost:1/base:1 AS own\nFROM {}\nCOPY --from=own / /\n", scene.base()));
    world.ok(["lock", "app"]);
    world.write("own/f", "mine, too\n");
    let new = world.ok(["build", "-q", "-t", "localhost:1/base:1", "own"]);
    let run = world.run(["lock", "--check", "app"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let moved = format!("moved    image localhost:1/base:1: {own} -> {new}\n");
    assert_eq!(run.stdout, moved, "{}", run.stderr);
    let note = "note: `localhost:1/base:1` is the store's own image; no registry has it: ";
    assert_eq!(run.stderr.matches(note).count(), 1, "{}", run.stderr);
    let run = world.run(["lock", "app", "--update"]);
    assert_eq!((run.code, run.stdout), (Some(0), moved), "{}", run.stderr);
    // One that came from a registry is that registry's.
    world.ok(["pull", &scene.base()]);
    drop(scene.registry);
    let error = world.fails(1, ["lock", "--check", "app"]);
    assert!(!error.contains("1/base:1` is not"), "{error}");
}

#[test]
fn files_of_urls_are_locked_and_kept() {
    let scene = Scene::new();
    let Scene { registry, world } = &scene;
    let blob = registry.state().put_blob("files", b"from afar\n");
    let url = format!("http://{}/v2/files/blobs/{blob}", registry.host());
    scene.buildfile(&format!("# syntax=docker/dockerfile:1\nFROM scratch\nADD {url} /f\n"));
    assert_eq!(world.ok(["lock", "app"]), format!("added    url {url}: {blob}"));
    assert_eq!(scene.lock()["urls"][&url]["size"], 10);
    assert_eq!(scene.lock()["syntax"], "docker/dockerfile:1");
    registry.forget_requests();
    let run = world.run(["build", "--locked", "--offline", "-o", "type=oci,dest=out", "app"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("is not pinned"), "{}", run.stderr);
    assert_eq!(registry.requests().len(), 0, "its bytes are in the store");
    let image = Layout::open(&world.path("out")).image();
    assert_eq!(image.layers[0].entries[0].content, b"from afar\n");
    let clean = copied(world);
    let error = clean.fails(1, ["build", "--locked", "--offline", "elsewhere/app"]);
    assert!(error.contains("Buildfile:3:5") && error.contains("the network is refused"), "{error}");
    assert_eq!(clean.ok(["build", "-q", "--locked", "elsewhere/app"]), image.digest);
    // Other bytes under the same address are refused.
    registry.state().repository("files").blobs.insert(blob.clone(), b"something else\n".to_vec());
    let error = copied(world).fails(1, ["build", "--locked", "elsewhere/app"]);
    assert!(error.contains(&format!("expected {blob}")), "{error}");
    let run = world.run(["lock", "--check", "app"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stdout.starts_with(&format!("moved    url {url}: {blob} -> sha256:")), "{}", run.stdout);
    // Damage in the store is damage, not another file.
    let file = world.path("store/blobs").join(blob.replace(':', "/"));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "from afar?").unwrap();
    let error = world.fails(3, ["build", "--locked", "app"]);
    assert!(error.contains("lith fsck"), "{error}");
}

#[test]
fn git_references_are_locked_to_commits() {
    let world = World::new();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"])
            .arg(world.path("repo"))
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let commit = |text: &str| {
        world.write("repo/f", text);
        git(&["add", "f"]);
        git(&["commit", "-qm", text]);
        git(&["update-server-info"]);
        git(&["rev-parse", "HEAD"])
    };
    world.write("repo/f", "");
    git(&["init", "-q", "-b", "main", "."]);
    let first = commit("first");
    let files = Files::serve(&world.path("repo/.git"));
    let url = format!("http://{}/repo.git", files.host());
    world.write("app/Buildfile", format!("FROM scratch\nADD {url}#main /src/\n")).write("app/f", "");
    assert_eq!(world.ok(["lock", "app"]), format!("added    git {url}#main: {first}"));
    let digest = world.ok(["build", "-q", "--locked", "app"]);
    let second = commit("second");
    assert_eq!(copied(&world).ok(["build", "-q", "--locked", "elsewhere/app"]), digest);
    let run = world.run(["lock", "--check", "app"]);
    assert_eq!(run.stdout, format!("moved    git {url}#main: {first} -> {second}\n"), "{}", run.stderr);
    drop(files);
    assert_eq!(world.ok(["build", "-q", "--locked", "--offline", "--no-cache", "app"]), digest);
    let error = copied(&world).fails(1, ["build", "--locked", "--offline", "elsewhere/app"]);
    assert!(error.contains("the network is refused"), "{error}");
}

#[test]
fn source_policies_come_and_go() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let old = scene.registry.state().tag("base", "1").unwrap();
    let digest = world.ok(["build", "-q", "--locked", "app"]);
    let policy = world.ok(["lock", "--export", "source-policy", "app"]);
    assert!(policy.contains("CONVERT") && policy.contains(&format!("{}@{old}", scene.base())), "{policy}");
    world.write("policy.json", &policy);
    scene.push("base:1", "ENV WHO=second\n");
    std::fs::remove_file(world.path("app/Buildfile.lock")).unwrap();
    world.ok(["lock", "--import", "policy.json", "app"]);
    assert_eq!(scene.lock()["images"][scene.base()]["digest"], old.as_str());
    std::fs::remove_file(world.path("app/Buildfile.lock")).unwrap();
    assert_eq!(world.ok(["build", "-q", "--source-policy", "policy.json", "app"]), digest);
    assert_ne!(world.ok(["build", "-q", "app"]), digest);
    // A lock that says something else is no silent winner.
    world.ok(["lock", "app"]);
    let error = world.fails(1, ["build", "--source-policy", "policy.json", "app"]);
    assert!(error.contains("the source policy") && error.contains(&old), "{error}");
    let deny = "{\"rules\": [{\"action\": \"DENY\", \"selector\": {\"identifier\": \"docker-image://*\"}}]}";
    world.write("deny.json", deny);
    let error = world.fails(1, ["build", "--source-policy", "deny.json", "app"]);
    assert!(error.contains("the source policy denies"), "{error}");
    world.write("bad.json", "{\"rules\": [{\"action\": \"X\", \"selector\": {\"identifier\": \"a\"}}]}");
    let error = world.fails(1, ["build", "--source-policy", "bad.json", "app"]);
    assert!(error.contains("rule 1") && error.contains("bad.json"), "{error}");
}

#[test]
fn a_lock_file_can_be_anywhere() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "--lock-file", "locks/../pins.json", "app"]
        .map(|a| if a == "locks/../pins.json" { "pins.json" } else { a }));
    assert!(!world.path("app/Buildfile.lock").exists());
    let digest = world.ok(["build", "-q", "--locked", "--lock-file", "pins.json", "app"]);
    let piped = |args: &[&str]| {
        let buildfile = std::fs::File::open(world.path("app/Buildfile")).unwrap();
        Run::of(world.command(args).stdin(buildfile))
    };
    let run = piped(&["build", "-q", "--locked", "--lock-file", "pins.json", "-f", "-", "app"]);
    assert_eq!(run.stdout.trim(), digest, "{}", run.stderr);
    let run = piped(&["build", "-q", "--locked", "-f", "-", "app"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--lock-file"), "{}", run.stderr);
    let error = world.fails(1, ["build", "--lock-file", "none.json", "app"]);
    assert!(error.contains("there is no lock file `none.json`"), "{error}");
    // Beside another Buildfile.
    world.write("app/other.Dockerfile", "FROM scratch\n");
    world.ok(["lock", "-f", "app/other.Dockerfile", "app"]);
    assert!(world.path("app/other.Dockerfile.lock").exists());
}

#[test]
fn a_lock_is_replaced_whole() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let names = |folder: &Path| -> Vec<_> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let inode = || std::os::unix::fs::MetadataExt::ino(&world.path("app/Buildfile.lock").metadata().unwrap());
    let before = inode();
    scene.push("base:1", "ENV WHO=second\n");
    world.ok(["lock", "app", "--update"]);
    assert_ne!(inode(), before, "the old file is not written into");
    assert_eq!(names(&world.path("app")), ["Buildfile", "Buildfile.lock", "f"]);
    // Where it can't be replaced, the old one stays.
    let text = scene.lock_text();
    scene.push("base:1", "ENV WHO=third\n");
    if !rustix::process::geteuid().is_root() {
        world.chmod("app", 0o555);
        let error = world.fails(1, ["lock", "app", "--update"]);
        world.chmod("app", 0o755);
        assert!(error.contains("writing the lock file"), "{error}");
        assert_eq!(scene.lock_text(), text);
    }
}

#[test]
fn whoever_is_killed_leaves_a_whole_lock() {
    let scene = Scene::new();
    let world = &scene.world;
    world.ok(["lock", "app"]);
    let first = scene.lock_text();
    let mut moved = 0;
    for number in 0..24_u64 {
        scene.push("base:1", &format!("ENV WHO=number{number}\n"));
        let before = scene.lock_text();
        let mut child = world
            .command(["lock", "app", "--update"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(number * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = scene.lock_text();
        let lock: Value = serde_json::from_str(&after).expect("it is whole");
        assert_eq!(lock["version"], 1);
        moved += usize::from(after != before);
    }
    assert_eq!(world.run(["lock", "app", "--update"]).code, Some(0));
    assert_ne!(scene.lock_text(), first);
    eprintln!("the lock was replaced {moved} times");
}

#[test]
fn offline_runs_no_step_that_wants_a_network() {
    let world = World::new();
    world
        .write("app/Buildfile", "FROM scratch\nCOPY f /f\nRUN --network=default [\"/f\"]\n")
        .write("app/f", "");
    let error = world.fails(1, ["build", "--offline", "app"]);
    assert!(error.contains("Buildfile:3:1") && error.contains("wants a network"), "{error}");
}

#[test]
fn what_is_written_is_as_the_schema_says() {
    let scene = Scene::new();
    let blob = scene.registry.state().put_blob("files", b"x");
    let url = format!("http://{}/v2/files/blobs/{blob}", scene.registry.host());
    scene
        .buildfile(&format!("# syntax=a/b\nFROM {}\nADD {url} /f\nCOPY --from=ground /x /y\n", scene.base()));
    let context = format!("ground=docker-image://{}", scene.base());
    scene.world.ok(["lock", "--build-context", &context, "app"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/buildfile-lock.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    crate::support::schema::check(&schema, &schema, &scene.lock(), "lock");
    let mut other = scene.lock();
    other["urls"][&url]["more"] = 1.into();
    let error = std::panic::catch_unwind(|| crate::support::schema::check(&schema, &schema, &other, "lock"));
    assert!(error.is_err(), "the schema has no place for it");
}
