//! Registries on the command line: `pull`, `push`, `tags`, `digest`, `referrers`, and what `build`, `copy`, `inspect`
//! and `rm` do with them.

use serde_json::Value;

use crate::support::World;
use crate::support::judge::Layout;
use crate::support::registry::{Registry, Requests};

/// A world with a context that has one file, and a Buildfile that copies it.
fn world() -> World {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\nCMD [\"/f\"]\n").write("app/f", "content\n");
    world
}

/// A registry that has the image under that tag; gives the registry, the name and the digest.
fn pushed(world: &World, tag: &str) -> (Registry, String, String) {
    let registry = Registry::start();
    let name = registry.name(&format!("app:{tag}"));
    let digest = world.ok(["build", "-q", "-t", &name, "--push", "app"]);
    registry.forget_requests();
    (registry, name, digest)
}

fn blobs(requests: &Requests) -> usize {
    requests.matching("GET", "/v2/*/blobs/*").len()
}

#[test]
fn what_a_build_pushes_is_there_and_pulled_again() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    registry.state().check();
    assert_eq!(registry.state().tag("app", "1").as_ref(), Some(&digest));
    assert_eq!(world.ok(["images", "--format", "json"]), "[]", "what is pushed is not kept under its name");
    let clean = World::new();
    assert_eq!(clean.ok(["digest", &name]), digest);
    assert_eq!(clean.ok(["tags", &registry.name("app")]), "1");
    let remote = format!("docker://{name}");
    let shown: Value = serde_json::from_str(&clean.ok(["inspect", "--format", "json", &remote])).unwrap();
    assert_eq!(shown["digest"], digest.as_str());
    assert_eq!(shown["images"][0]["config"]["config"]["Cmd"][0], "/f");
    let raw = clean.run(["inspect", "--raw", &remote]).stdout;
    assert_eq!(format!("sha256:{}", crate::support::judge::sha256(raw.as_bytes())), digest);
    assert!(clean.ok(["ls", &remote]).contains("/f"));
    assert!(!clean.path("store").exists(), "looking makes no store");
    assert_eq!(clean.ok(["pull", &name]), digest);
    assert!(clean.ok(["images"]).contains(&name));
    assert_eq!(clean.ok(["fsck"]), "the store is whole");
    clean.ok(["copy", &name, "oci:out"]);
    assert_eq!(Layout::open(&clean.path("out")).image().digest, digest);
}

#[test]
fn a_digest_costs_one_request() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    assert_eq!(world.ok(["digest", &format!("docker://{name}")]), digest);
    let requests = registry.requests();
    let asked = requests.matching("*", "/v2/app/manifests/*");
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "HEAD"), "{}", requests.lines());
}

#[test]
fn a_plain_name_is_the_stores_first() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    let run = world.run(["digest", &name]);
    assert!(
        run.stderr.contains("not in the store") && run.stderr.contains(&registry.host()),
        "{}",
        run.stderr
    );
    world.write("app/f", "another\n");
    let own = world.ok(["build", "-q", "-t", &name, "app"]);
    assert_ne!(own, digest);
    registry.forget_requests();
    assert_eq!(world.ok(["digest", &name]), own);
    assert_eq!(registry.requests().len(), 0);
    assert_eq!(world.ok(["digest", &format!("docker://{name}")]), digest);
    let error = world.fails(1, ["digest", &format!("store:{}", registry.name("app:2"))]);
    assert!(error.contains("the store has no image"), "{error}");
    let error = world.fails(1, ["inspect", &registry.name("app:2")]);
    assert!(error.contains("the store has no image") && error.contains("lith tags"), "{error}");
}

#[test]
fn a_base_comes_from_its_registry_by_tag_and_by_digest() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    let build = |from: &str, args: &[&str]| {
        let clean = World::new();
        clean.write("child/Buildfile", format!("FROM {from}\nCOPY g /g\n")).write("child/g", "g\n");
        let run = clean.run([&["build", "-o", "type=oci,dest=out", "child"], args].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        (clean, run)
    };
    let (by_tag, run) = build(&name, &[]);
    assert!(run.stderr.contains("is not pinned") && run.stderr.contains(&digest), "{}", run.stderr);
    let (by_digest, run) = build(&format!("{}@{digest}", registry.name("app")), &[]);
    assert!(!run.stderr.contains("is not pinned"), "{}", run.stderr);
    let image = Layout::open(&by_tag.path("out")).image();
    assert_eq!(Layout::open(&by_digest.path("out")).image().digest, image.digest);
    assert_eq!(image.config["config"]["Cmd"][0], "/f");
    assert_eq!(image.layers[0].entries[0].content, b"content\n");
    let context = format!("base=docker-image://{name}");
    let (named, _) = build("base", &["--build-context", &context]);
    assert_eq!(Layout::open(&named.path("out")).image().digest, image.digest);
    // And again without the registry, as all is at hand by digest.
    drop(registry);
    assert_eq!(by_digest.ok(["build", "-q", "child"]), image.digest);
}

#[test]
fn files_are_copied_from_an_image_of_a_registry() {
    let world = world();
    let (_registry, name, _) = pushed(&world, "1");
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM scratch\nCOPY --from={name} /f /copied\n"));
    clean.ok(["build", "-q", "-o", "type=local,dest=root", "child"]);
    assert_eq!(std::fs::read(clean.path("root/copied")).unwrap(), b"content\n");
}

#[test]
fn pull_asks_the_registry_whatever_the_store_has() {
    let world = world();
    let (registry, name, old) = pushed(&world, "latest");
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM {name}\nLABEL a=b\n"));
    assert_eq!(clean.ok(["pull", &name]), old);
    registry.forget_requests();
    let with_old = clean.ok(["build", "-q", "child"]);
    assert_eq!(registry.requests().len(), 0, "the store knows the name");
    world.write("app/f", "newer\n");
    world.ok(["build", "-q", "-t", &name, "--push", "app"]);
    assert_eq!(clean.ok(["build", "-q", "child"]), with_old);
    assert_ne!(clean.ok(["build", "-q", "--pull", "child"]), with_old);
    drop(registry);
    let error = clean.fails(1, ["build", "-q", "--pull", "child"]);
    assert!(error.contains("Buildfile:1:6") && error.contains(&name), "{error}");
    assert_eq!(clean.ok(["build", "-q", "--pull=false", "child"]), with_old);
}

#[test]
fn a_base_that_nobody_has_is_an_error_in_its_line() {
    let registry = Registry::start();
    let world = World::new();
    let name = registry.name("nothing:1");
    world.write("app/Buildfile", format!("FROM {name}\n"));
    let error = world.fails(1, ["build", "app"]);
    for part in ["Buildfile:1:6", "is in the store", &registry.host(), "lith tags"] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let host = registry.host();
    drop(registry);
    let error = world.fails(1, ["build", "app"]);
    assert!(error.contains("is in the store, and none comes") && error.contains(&host), "{error}");
}

#[test]
fn a_tag_does_not_move_by_accident() {
    let world = world();
    let (registry, name, old) = pushed(&world, "1");
    world.write("app/f", "changed\n");
    let new = world.ok(["build", "-q", "app"]);
    let error = world.fails(1, ["build", "-t", &name, "--push", "app"]);
    for part in [&old, &new, &name, "--move-tag"] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert_eq!(registry.state().tag("app", "1"), Some(old.clone()));
    assert!(world.fails(1, ["push", &new, &name]).contains(&old));
    assert!(world.fails(1, ["copy", &new, &format!("docker://{name}")]).contains(&old));
    assert_eq!(world.ok(["push", "-q", "--move-tag", &new, &name]), format!("{name}@{new}"));
    assert_eq!(registry.state().tag("app", "1"), Some(new.clone()));
    // `latest` is there to be moved.
    let latest = registry.name("app");
    for image in [&old, &new] {
        world.ok(["push", "-q", image, &latest]);
        assert_eq!(registry.state().tag("app", "latest").as_ref(), Some(image));
    }
}

#[test]
fn what_is_there_costs_a_request_for_each_tag() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    let other = registry.name("app:2");
    world.ok(["build", "-q", "-t", &name, "-t", &other, "--push", "app"]);
    registry.forget_requests();
    let again = world.ok(["build", "-q", "-t", &name, "-t", &other, "--push", "app"]);
    assert_eq!(again, digest);
    let requests = registry.requests().filter(|request| request.path != "/v2/");
    assert_eq!(requests.len(), 2, "{}", requests.lines());
    assert_eq!(requests.received(), 0);
}

#[test]
fn a_base_that_only_passes_through_is_not_pulled() {
    let world = world();
    let (registry, name, _) = pushed(&world, "1");
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM {name}\nLABEL a=b\nCOPY --from={name} /f /g\n"));
    clean.write("label/Buildfile", format!("FROM {name}\nLABEL a=b\n"));
    let label = registry.name("label:1");
    let digest = clean.ok(["build", "-q", "-t", &label, "--push", "label"]);
    let requests = registry.requests();
    assert_eq!(blobs(&requests), 1, "the config alone\n{}", requests.lines());
    assert_eq!(
        requests.matching("POST", "/v2/label/blobs/uploads/?mount=*").len(),
        1,
        "{}",
        requests.lines()
    );
    registry.state().check();
    // Into the store it comes whole.
    assert_eq!(clean.ok(["build", "-q", "-t", "kept", "label"]), digest);
    assert_eq!(clean.ok(["fsck"]), "the store is whole");
    clean.ok(["copy", "kept", "oci:out"]);
    // What is read is pulled, once.
    let child = registry.name("child:1");
    clean.ok(["build", "-q", "-t", &child, "--push", "child"]);
    registry.forget_requests();
    clean.write("child/Buildfile", format!("FROM {name}\nLABEL a=c\nCOPY --from={name} /f /h\n"));
    clean.ok(["build", "-q", "-t", &registry.name("child:2"), "--push", "child"]);
    assert_eq!(blobs(&registry.requests()), 0, "{}", registry.requests().lines());
    registry.state().check();
}

#[test]
fn a_base_goes_from_one_registry_to_the_other_through_no_disk() {
    let world = world();
    let (from, name, _) = pushed(&world, "1");
    let to = Registry::start();
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM {name}\nLABEL a=b\n"));
    clean.ok(["build", "-q", "-t", &to.name("child:1"), "--push", "child"]);
    to.state().check();
    let layers =
        from.state().blobs("app").iter().filter(|blob| to.state().blobs("child").contains(blob)).count();
    assert_eq!(layers, 1);
    let blob = from.state().blobs("app").into_iter().find(|blob| to.state().blobs("child").contains(blob));
    let hex = blob.unwrap().replace("sha256:", "");
    assert!(!clean.path("store/blobs/sha256").join(hex).exists());
}

#[test]
fn images_are_copied_between_registries() {
    let world = world();
    let (from, name, digest) = pushed(&world, "1");
    let to = Registry::start();
    let clean = World::new();
    let (source, target) = (format!("docker://{name}"), format!("docker://{}", to.name("copied:1")));
    assert_eq!(clean.ok(["copy", "-q", &source, &target]), digest);
    to.state().check();
    assert_eq!(to.state().tag("copied", "1"), Some(digest.clone()));
    assert!(!clean.path("store").exists(), "nothing is kept");
    // In one registry it is mounted.
    from.forget_requests();
    let near = format!("docker://{}", from.name("copied:1"));
    assert_eq!(clean.ok(["copy", "-q", &source, &near]), digest);
    let requests = from.requests();
    assert_eq!(requests.matching("PATCH", "*").len(), 0, "{}", requests.lines());
    assert!(
        !requests.matching("POST", "/v2/copied/blobs/uploads/?mount=*").is_empty(),
        "{}",
        requests.lines()
    );
}

#[test]
fn an_index_is_pushed_and_pulled() {
    let world = world();
    let registry = Registry::start();
    let name = registry.name("multi:1");
    let args = ["build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", &name, "--push", "app"];
    let digest = world.ok(args);
    registry.state().check();
    let clean = World::new();
    assert_eq!(clean.ok(["digest", &name]), digest);
    let run = clean.run(["pull", &name]);
    let amd64 = run.stdout.trim().to_owned();
    assert_ne!(amd64, digest);
    assert!(run.stderr.contains(&digest) && run.stderr.contains("--all-platforms"), "{}", run.stderr);
    let platform = |platform: &str| clean.ok(["digest", "--platform", platform, &format!("docker://{name}")]);
    assert_eq!(platform("linux/amd64"), amd64);
    assert_eq!(clean.ok(["pull", "-q", "--platform", "linux/arm64", &name]), platform("linux/arm64"));
    assert_eq!(clean.ok(["pull", "-q", "--all-platforms", &name]), digest);
    assert_eq!(clean.ok(["fsck"]), "the store is whole");
    assert_eq!(clean.ok(["digest", &format!("store:{name}")]), digest);
    let pinned = format!("{}@{digest}", registry.name("multi"));
    clean.write("child/Buildfile", format!("FROM {pinned}\nLABEL a=b\n"));
    let none = clean.fails(1, ["build", "--platform", "linux/s390x", "child"]);
    assert!(none.contains("linux/s390x") && none.contains("linux/arm64"), "{none}");
    let arm = clean.ok(["build", "-q", "--platform", "linux/arm64", "-t", "child", "child"]);
    assert!(clean.ok(["inspect", &arm]).contains("linux/arm64"));
}

#[test]
fn an_index_named_by_digest_is_built_upon_without_the_registry() {
    let world = world();
    let registry = Registry::start();
    let name = registry.name("multi:1");
    let digest =
        world.ok(["build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", &name, "--push", "app"]);
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM {}@{digest}\nLABEL a=b\n", registry.name("multi")));
    let first = clean.ok(["build", "-q", "child"]);
    drop(registry);
    assert_eq!(clean.ok(["build", "-q", "child"]), first);
}

#[test]
fn outputs_push_what_they_name() {
    let world = world();
    let registry = Registry::start();
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    let output = format!("type=registry,name={one}");
    let digest = world.ok(["build", "-q", "-t", "local", "-o", &output, "--metadata-file", "meta", "app"]);
    assert_eq!(registry.state().tag("one", "1").as_ref(), Some(&digest));
    assert!(world.ok(["images"]).contains("local:latest"));
    let meta: Value = serde_json::from_slice(&std::fs::read(world.path("meta")).unwrap()).unwrap();
    assert_eq!(meta["containerimage.digest"], digest.as_str());
    assert!(meta["image.name"].as_str().unwrap().contains(&one), "{meta}");
    let both = format!("type=image,name={two},push=true");
    world.ok(["build", "-q", "-o", &both, "app"]);
    assert_eq!(registry.state().tag("two", "1").as_ref(), Some(&digest));
    assert!(world.ok(["images"]).contains(&two));
    registry.state().check();
}

#[test]
fn a_name_to_push_to_says_its_registry() {
    let world = world();
    world.ok(["build", "-q", "-t", "app", "app"]);
    for args in [
        vec!["build", "-t", "app", "--push", "app"],
        vec!["build", "-o", "type=registry,name=app", "app"],
        vec!["push", "app"],
        vec!["push", "app", "other:1"],
        vec!["copy", "app", "docker://app"],
    ] {
        let error = world.fails(2, &args);
        assert!(error.contains("to which registry"), "{args:?}\n{error}");
    }
    assert!(world.fails(2, ["build", "--push", "app"]).contains("needs a name"));
    assert!(world.fails(2, ["push", "oci:somewhere"]).contains("lith push IMAGE"));
}

#[test]
fn a_push_says_what_became_of_each_blob() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    world.ok(["pull", "-q", &name]);
    let run = world.run(["push", "--progress", "plain", &name, &registry.name("other:1")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("mounted sha256:"), "{}", run.stderr);
    let run = world.run(["push", "--progress", "plain", &name, &registry.name("other:2")]);
    assert!(run.stderr.contains("already there sha256:"), "{}", run.stderr);
    assert_eq!(run.stdout.trim(), format!("{}@{digest}", registry.name("other:2")));
    let run = world.run(["push", "--progress", "json", "--format", "json", &name, &registry.name("other:3")]);
    let told: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.iter().any(|event| event["event"] == "blob" && event["how"] == "already there"), "{told:?}");
    let pushed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(pushed["digest"], digest.as_str());
}

#[test]
fn tags_and_manifests_are_removed_where_they_are() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    world.ok(["push", "-q", &digest, &registry.name("app:2")]);
    assert!(
        world.fails(2, ["rm", &format!("docker://{}", registry.name("app"))]).contains("whole repository")
    );
    assert!(world.fails(1, ["rm", &format!("docker://{}", registry.name("app:9"))]).contains("has no image"));
    let both = format!("docker://{name}@{digest}");
    assert!(world.fails(2, ["rm", &both]).contains("a tag and a digest"));
    world.ok(["rm", &format!("docker://{name}")]);
    assert_eq!(world.ok(["tags", &registry.name("app")]), "2");
    world.ok(["rm", &format!("docker://{}@{digest}", registry.name("app"))]);
    assert_eq!(
        world.fails(1, ["digest", &format!("docker://{}", registry.name("app:2"))]).lines().count(),
        2
    );
}

#[test]
fn referrers_are_listed_by_type() {
    let world = world();
    let (registry, name, digest) = pushed(&world, "1");
    let config = registry.state().put_blob("app", b"{}");
    let size = registry.state().repositories["app"].manifests[&digest].bytes.len();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/spdx+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size},
    });
    let bytes = manifest.to_string();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let referrer = registry.state().put_manifest("app", "sbom", media_type, bytes.as_bytes());
    let listed = world.ok(["referrers", &name]);
    assert!(listed.contains(&referrer) && listed.contains("application/spdx+json"), "{listed}");
    let none = world.ok(["referrers", "--artifact-type", "x/y", "--format", "json", &name]);
    let none: Value = serde_json::from_str(&none).unwrap();
    assert_eq!((&none["subject"], none["referrers"].as_array().unwrap().len()), (&digest.into(), 0));
}

#[test]
fn the_tags_of_a_repository_alone_are_listed() {
    let world = world();
    let (registry, name, _) = pushed(&world, "1");
    assert!(world.fails(2, ["tags", &name]).contains("more than a repository"));
    let listed = world.ok(["tags", "--format", "json", &format!("docker://{}", registry.name("app"))]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["repository"], &listed["tags"][0]), (&registry.name("app").into(), &"1".into()));
    let none = world.fails(1, ["tags", &registry.name("none")]);
    assert!(none.contains(&registry.name("none")), "{none}");
}

#[test]
fn contexts_and_annotations_without_effect_are_told() {
    let world = world();
    let run = world.run(["build", "--build-context", "unused=app", "--annotation", "index:a=b", "app"]);
    assert!(run.stderr.contains("`unused` is not used"), "{}", run.stderr);
    assert!(run.stderr.contains("annotations of the index"), "{}", run.stderr);
    world.write("more/Buildfile", "FROM scratch\nCOPY --from=files f /f\n");
    let run = world.run(["build", "--build-context", "files=app", "more"]);
    assert!(!run.stderr.contains("is not used"), "{}", run.stderr);
}

#[test]
fn looking_makes_no_store() {
    let world = world();
    world.ok(["images"]);
    world.ok(["check", "app"]);
    world.ok(["fsck"]);
    world.fails(1, ["inspect", &format!("sha256:{}", "0".repeat(64))]);
    assert!(!world.path("store").exists());
}

#[test]
fn a_build_for_several_platforms_asks_once_what_a_tag_is() {
    let world = world();
    let registry = Registry::start();
    let name = registry.name("multi:1");
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    world.ok([&["build", "-q", "-t", &name, "--push", "app"], &platforms[..]].concat());
    let clean = World::new();
    clean.write("child/Buildfile", format!("FROM {name} AS one\nFROM {name}\nCOPY --from={name} /f /g\n"));
    registry.forget_requests();
    let run = clean.run([&["build", "child"], &platforms[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let requests = registry.requests();
    assert_eq!(requests.matching("*", "/v2/multi/manifests/1").len(), 1, "{}", requests.lines());
    assert_eq!(run.stderr.matches("is not pinned").count(), 1, "{}", run.stderr);
}

#[test]
fn an_image_can_be_pushed_without_a_tag() {
    let world = world();
    let registry = Registry::start();
    let output = format!("type=image,name={},push-by-digest=true,push=true", registry.name("app"));
    let digest = world.ok(["build", "-q", "-o", &output, "app"]);
    assert_eq!(registry.state().tag("app", "latest"), None);
    assert_eq!(world.ok(["digest", &format!("docker://{}@{digest}", registry.name("app"))]), digest);
}

#[test]
fn a_base_in_a_layout_is_pushed_from_there() {
    let world = world();
    let registry = Registry::start();
    world.ok(["build", "-q", "-o", "type=oci,dest=base", "app"]);
    let clean = World::new();
    let context = format!("base=oci-layout://{}", world.path("base").display());
    clean.write("child/Buildfile", "FROM base\nLABEL a=b\n");
    let name = registry.name("child:1");
    clean.ok(["build", "-q", "--build-context", &context, "-t", &name, "--push", "child"]);
    registry.state().check();
    assert_eq!(registry.state().blobs("child").len(), 2);
}

#[test]
fn the_configuration_says_which_tags_move() {
    let world = world();
    let registry = Registry::start();
    world.write("home/.config/lith/config.toml", "moving-tags = [\"edge-*\"]\n");
    let push =
        |tag: &str| world.run(["build", "-q", "-t", &registry.name(&format!("app:{tag}")), "--push", "app"]);
    for tag in ["edge-1", "latest"] {
        assert_eq!(push(tag).code, Some(0));
    }
    world.write("app/f", "changed\n");
    assert_eq!((push("edge-1").code, push("latest").code), (Some(0), Some(1)));
}
