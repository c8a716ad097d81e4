//! `lith build --record` and `lith verify`

mod additions;
mod far;

use std::process::Command;

use crate::support::World;
use crate::support::programs::find;

const BUILDFILE: &str = "\
FROM base:1
ARG VERSION=1
LABEL version=$VERSION
COPY src /app/
WORKDIR /app
";

pub(super) fn git(world: &World, folder: &str, args: &[&str]) {
    let config = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"];
    let status = Command::new("git")
        .args(config)
        .args(args)
        .current_dir(world.path(folder))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", world.path("home"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success(), "git {args:?}");
}

/// A base, and a locked checkout that was built with a record.
fn world() -> Option<World> {
    find("git", "lith verify")?;
    let world = World::new();
    world
        .write("base/Buildfile", "FROM scratch\nCOPY f /base\n")
        .write("base/f", "base\n")
        .write("app/Buildfile", BUILDFILE)
        .write("app/src/main.c", "main\n")
        .write("app/src/lib/util.c", "util\n")
        .write("app/notes", "not read by any step\n");
    world.ok(["build", "-q", "-t", "base:1", "base"]);
    world.ok(["lock", "--offline", "app"]);
    git(&world, "app", &["init", "-q"]);
    git(&world, "app", &["add", "."]);
    git(&world, "app", &["commit", "-q", "-m", "all"]);
    world.ok(["build", "-q", "-t", "app:1", "--build-arg", "VERSION=2", "--record", "app.json", "app"]);
    git(&world, ".", &["clone", "-q", "app", "clone"]);
    Some(world)
}

fn record(world: &World) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(world.path("app.json")).unwrap()).unwrap()
}

fn write_record(world: &World, record: &serde_json::Value) {
    world.write("edited.json", record.to_string());
}

const VERIFY: [&str; 6] = ["verify", "app:1", "--record", "app.json", "--source", "clone"];

/// What the verdict against the image says.
#[track_caller]
fn refused(world: &World, args: &[&str]) -> String {
    let run = world.run(args);
    assert_eq!(run.code, Some(5), "stdout:\n{}\nstderr:\n{}", run.stdout, run.stderr);
    run.stdout
}

#[test]
fn the_record_has_the_shape_of_its_specifications_and_is_the_same_each_time() {
    let Some(world) = world() else { return };
    let first = std::fs::read(world.path("app.json")).unwrap();
    let args = ["-t", "app:1", "--build-arg", "VERSION=2", "--record", "again.json", "app"];
    world.ok(["build", "-q"].iter().chain(&args));
    assert_eq!(std::fs::read(world.path("again.json")).unwrap(), first);
    let record = record(&world);
    assert_eq!(record["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(record["predicateType"], "https://slsa.dev/provenance/v1");
    let digest = world.ok(["inspect", "--format", "json", "app:1"]);
    let digest: serde_json::Value = serde_json::from_str(&digest).unwrap();
    let hex = digest["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    assert_eq!(record["subject"][0]["digest"]["sha256"], hex);
    let definition = &record["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["buildArgs"]["VERSION"], "2");
    assert_eq!(definition["externalParameters"]["source"]["dirty"], false);
    assert_eq!(definition["internalParameters"]["hermetic"], true);
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    for name in ["buildfile", "source", "context", "lock", "base:1"] {
        assert!(dependencies.iter().any(|found| found["name"] == name), "{name} is not in {dependencies:?}");
    }
    for resource in dependencies {
        assert!(resource["digest"].is_object(), "{resource}");
    }
    assert!(!String::from_utf8_lossy(&first).contains(&*world.path("").to_string_lossy()));
}

#[test]
fn a_fresh_clone_passes_for_each_place_of_the_image() {
    let Some(world) = world() else { return };
    assert!(world.ok(VERIFY).starts_with("the same: sha256:"));
    world.ok(["copy", "app:1", "oci:layout"]);
    world.ok(["copy", "app:1", "oci-archive:image.tar"]);
    for place in ["oci:layout", "oci-archive:image.tar"] {
        world.ok(["verify", place, "--record", "app.json", "--source", "clone"]);
    }
    let json = world.ok(VERIFY.iter().chain(&["--format", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["predicateType"], "https://slsa.dev/verification_summary/v1");
    assert_eq!(json["predicate"]["verificationResult"], "PASSED");
    assert_eq!(json["predicate"]["verifiedLevels"][0], "LITH_REBUILT");
    // A file that no step reads is no input.
    world.write("clone/notes", "other\n");
    world.ok(VERIFY);
}

#[test]
fn a_changed_input_is_named() {
    let Some(world) = world() else { return };
    world.write("clone/src/lib/util.c", "utiL\n");
    assert!(refused(&world, &VERIFY).contains("the context: `src/lib/util.c`: its content is another"));
    world.write("clone/src/lib/util.c", "util\n").chmod("clone/src/main.c", 0o755);
    assert!(refused(&world, &VERIFY).contains("`src/main.c`: its mode was 0644, and is 0755"));
    world.chmod("clone/src/main.c", 0o644);
    world.ok(VERIFY);
    let lock = std::fs::read_to_string(world.path("clone/Buildfile.lock")).unwrap();
    world.write("clone/Buildfile.lock", lock.replacen("\"size\": ", "\"size\":  ", 1));
    assert!(refused(&world, &VERIFY).contains("the lock file `Buildfile.lock` is not the recorded one"));
    std::fs::remove_file(world.path("clone/Buildfile.lock")).unwrap();
    assert!(refused(&world, &VERIFY).contains("the lock file `Buildfile.lock` is not in the source"));
    world.write("clone/Buildfile.lock", lock).write("clone/Buildfile", BUILDFILE.replace("/app", "/App"));
    let said = refused(&world, &VERIFY);
    assert!(said.contains("the Buildfile `clone/Buildfile` is not the recorded one"), "{said}");
    let json = refused(&world, &[&VERIFY[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["predicate"]["verificationResult"], "FAILED");
    assert!(json["predicate"]["verifiedLevels"].as_array().unwrap().is_empty());
}

#[test]
fn a_changed_base_layer_is_named() {
    let Some(world) = world() else { return };
    world.ok(["copy", "app:1", "oci:layout"]);
    let base: serde_json::Value =
        serde_json::from_str(&world.ok(["inspect", "--format", "json", "base:1"])).unwrap();
    let layer = base["images"][0]["manifest"]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let path = world.path("store/blobs").join(layer.replace(':', "/"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let said = refused(&world, &["verify", "oci:layout", "--record", "app.json", "--source", "clone"]);
    assert!(said.contains("the base `base:1`") && said.contains(&layer), "{said}");
}

#[test]
fn a_record_of_something_else_does_not_pass() {
    let Some(world) = world() else { return };
    let args = ["verify", "base:1", "--record", "app.json", "--source", "clone"];
    assert!(refused(&world, &args).contains("the record is of another image"));
    // The subject says the base: what is built is still the app.
    let mut record = record(&world);
    let base: serde_json::Value =
        serde_json::from_str(&world.ok(["inspect", "--format", "json", "base:1"])).unwrap();
    let hex = base["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    record["subject"][0]["digest"]["sha256"] = hex.into();
    write_record(&world, &record);
    let said = refused(&world, &["verify", "base:1", "--record", "edited.json", "--source", "clone"]);
    assert!(said.contains("layers"), "{said}");
}

#[test]
fn what_a_record_says_beside_has_to_be_true() {
    let Some(world) = world() else { return };
    let whole = record(&world);
    let verify = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut record = whole.clone();
        edit(&mut record["predicate"]["buildDefinition"]);
        write_record(&world, &record);
        refused(&world, &["verify", "app:1", "--record", "edited.json", "--source", "clone"])
    };
    let said = verify(&|definition| definition["internalParameters"]["epoch"] = 99.into());
    assert!(said.contains("the time in the image is 99, and it is "), "{said}");
    let said = verify(&|definition| definition["internalParameters"]["profile"] = 77.into());
    assert!(said.contains("of format profile 77"), "{said}");
    let dependencies = |definition: &mut serde_json::Value, more: serde_json::Value| {
        definition["resolvedDependencies"].as_array_mut().unwrap().push(more);
    };
    let digest = serde_json::json!({ "sha256": "0".repeat(64) });
    for name in ["invented", "buildfile", "context", "lock", "base:1"] {
        let more = serde_json::json!({ "name": name, "digest": digest });
        let said = verify(&|definition| dependencies(definition, more.clone()));
        assert!(said.contains(&format!("dependency `{name}` is not one of this build")), "{said}");
    }
    let said = verify(&|definition| {
        let all = definition["resolvedDependencies"].as_array_mut().unwrap();
        all.retain(|one| one["name"] != "source");
    });
    assert!(said.contains("does not have the dependency `source`"), "{said}");
}

#[test]
fn a_step_that_gives_another_layer_is_named() {
    let Some(world) = world() else { return };
    let mut record = record(&world);
    record["predicate"]["buildDefinition"]["externalParameters"]["compression"] = "gzip:9".into();
    write_record(&world, &record);
    let said = refused(&world, &["verify", "app:1", "--record", "edited.json", "--source", "clone"]);
    assert!(said.contains("layer 2 (COPY src /app/") && said.contains("compression differs"), "{said}");
    assert!(said.contains("the same files; layer 2 was compressed otherwise"), "{said}");
}

#[test]
fn what_differs_is_told_down_to_the_byte() {
    let Some(world) = world() else { return };
    // Another image in the recorded one's place.
    world.write("app/src/main.c", "mIin\n").write("app/src/more.c", "more\n");
    world.write("app/Buildfile", BUILDFILE.replace("version=$VERSION", "version=3"));
    world.ok(["build", "-q", "-t", "other:1", "app"]);
    let other: serde_json::Value =
        serde_json::from_str(&world.ok(["inspect", "--format", "json", "other:1"])).unwrap();
    let hex = other["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut record = record(&world);
    record["subject"][0]["digest"]["sha256"] = hex.into();
    write_record(&world, &record);
    for (place, copy) in [("other:1", None), ("oci:layout", Some("oci:layout"))] {
        copy.iter().for_each(|to| drop(world.ok(["copy", "other:1", to])));
        let said = refused(&world, &["verify", place, "--record", "edited.json", "--source", "clone"]);
        for part in [
            "layer 2 (COPY src /app/",
            "its content differs",
            "`/app/main.c`: its content from byte 1 on",
            "`/app/more.c`: is not in what was built",
            "the configuration: `config.Labels.version`",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }
    // The verdict stands without the layers.
    let layers = other["images"][0]["manifest"]["layers"].as_array().unwrap();
    let last = layers.last().unwrap()["digest"].as_str().unwrap().replace(':', "/");
    std::fs::remove_file(world.path("layout/blobs").join(last)).unwrap();
    let said = refused(&world, &["verify", "oci:layout", "--record", "edited.json", "--source", "clone"]);
    assert!(said.contains("NOT the same") && said.contains("can't be compared"), "{said}");
}

#[test]
fn a_record_that_misses_something_gives_no_verdict() {
    let Some(world) = world() else { return };
    let whole = record(&world);
    let definition = "/predicate/buildDefinition";
    for (pointer, key) in [
        ("", "predicateType"),
        ("", "subject"),
        (definition, "buildType"),
        (definition, "externalParameters"),
        (definition, "internalParameters"),
        (definition, "resolvedDependencies"),
        ("/predicate/buildDefinition/externalParameters", "buildfile"),
        ("/predicate/buildDefinition/externalParameters", "buildArgs"),
        ("/predicate/buildDefinition/externalParameters", "compression"),
        ("/predicate/buildDefinition/internalParameters", "lock"),
        ("/predicate/runDetails", "byproducts"),
    ] {
        let mut record = whole.clone();
        record.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        write_record(&world, &record);
        let error = world.fails(1, ["verify", "app:1", "--record", "edited.json", "--source", "clone"]);
        assert!(error.contains("record") || error.contains("missing field"), "{key}: {error}");
    }
    let mut record = whole.clone();
    record["predicate"]["buildDefinition"]["externalParameters"]["more"] = 1.into();
    write_record(&world, &record);
    assert!(world.fails(1, ["verify", "app:1", "--record", "edited.json"]).contains("unknown field `more`"));
    let mut record = whole;
    let lock = &mut record["predicate"]["buildDefinition"]["internalParameters"]["lock"];
    lock["images"]["base:1"]["digest"] = format!("sha256:{}", "0".repeat(64)).into();
    write_record(&world, &record);
    assert!(world.fails(1, ["verify", "app:1", "--record", "edited.json"]).contains("contradicts itself"));
}

#[test]
fn what_no_commit_has_is_not_taken_for_the_revision() {
    let Some(world) = world() else { return };
    world.write("app/src/new.c", "new\n");
    world.ok(["build", "-q", "-t", "app:2", "--record", "dirty.json", "app"]);
    let error = world.fails(1, ["verify", "app:2", "--record", "dirty.json"]);
    assert!(error.contains("changes that no commit has") && error.contains("--source"), "{error}");
    let said = refused(&world, &["verify", "app:2", "--record", "dirty.json", "--source", "clone"]);
    assert!(said.contains("`src/new.c` is missing"), "{said}");
    world.ok(["verify", "app:2", "--record", "dirty.json", "--source", "app"]);
}

#[test]
fn what_a_record_may_not_hold_has_to_be_given() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nARG API_TOKEN\nCOPY f /$API_TOKEN\n").write("app/f", "f\n");
    let token = "API_TOKEN=hunter2-hunter2";
    world.ok(["build", "-q", "-t", "app", "--build-arg", token, "--record", "app.json", "app"]);
    assert!(!std::fs::read_to_string(world.path("app.json")).unwrap().contains("hunter2"));
    let args = ["verify", "app", "--record", "app.json", "--source", "app"];
    let error = world.fails(1, args);
    assert!(error.contains("the build argument `API_TOKEN`") && error.contains("--build-arg"), "{error}");
    world.ok(args.iter().chain(&["--build-arg", token]));
    refused(&world, &[&args[..], &["--build-arg", "API_TOKEN=other"]].concat());
}

#[test]
fn garbage_is_no_record() {
    let Some(world) = world() else { return };
    for text in ["", "{}", "[]", "null", "\u{1b}[31m", "{\"_type\":1}"] {
        world.write("edited.json", text);
        world.fails(1, ["verify", "app:1", "--record", "edited.json"]);
    }
    world.fails(1, ["verify", "app:1", "--record", "nowhere.json"]);
}

#[test]
fn what_steps_may_do_is_not_for_the_record_to_say() {
    let Some(world) = world() else { return };
    let mut record = record(&world);
    record["predicate"]["buildDefinition"]["externalParameters"]["allow"] =
        serde_json::json!(["security.insecure"]);
    write_record(&world, &record);
    let args = ["verify", "app:1", "--record", "edited.json", "--source", "clone"];
    let run = world.run(args);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("`security.insecure`") && run.stderr.contains("--allow"), "{}", run.stderr);
    world.ok(args.iter().chain(&["--allow", "security.insecure"]));
}
