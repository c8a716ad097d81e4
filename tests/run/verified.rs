//! `lith verify` of images whose steps run programs.

use super::locked::{Site, arguments, get, write};
use super::world;
use crate::support::World;

/// Builds with a record; the image is in the store.
fn build(world: &World, steps: &str, more: &[&str]) {
    write(world, steps);
    let build = ["build", "-q", "-f", "Buildfile.run", "--build-context", "bb=bb", "-t", "app:1"];
    world.ok(build.into_iter().chain(["--record", "app.json", "ctx"]).chain(more.iter().copied()));
}

const VERIFY: [&str; 8] =
    ["verify", "app:1", "--record", "app.json", "--source", "ctx", "--file", "Buildfile.run"];

fn verify(more: &[&'static str]) -> Vec<&'static str> {
    VERIFY.into_iter().chain(["--build-context", "bb=bb"]).chain(more.iter().copied()).collect()
}

/// What the verdict against the image says.
#[track_caller]
fn refused(world: &World, args: &[&str]) -> String {
    let run = world.run(args);
    assert_eq!(run.code, Some(5), "stdout:\n{}\nstderr:\n{}", run.stdout, run.stderr);
    run.stdout
}

fn edit(world: &World, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = world.path("app.json");
    let mut record = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut record);
    std::fs::write(path, record.to_string()).unwrap();
}

#[test]
fn steps_are_run_again_and_one_that_makes_something_else_is_named() {
    let Some(world) = world("verifying steps") else { return };
    build(
        &world,
        "ARG V=1\nCOPY f /f\nRUN cat /f > /g; echo $V >> /g; chown 1000 /g\n",
        &["--build-arg", "V=7"],
    );
    let run = world.run(verify(&[]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with("the same: sha256:"), "{}", run.stdout);
    assert!(run.stderr.contains("RUN cat /f"), "nothing is from the step cache: {}", run.stderr);
    world.write("ctx/f", "g\n");
    let said = refused(&world, &verify(&[]));
    assert!(said.contains("`f`: its content is another"), "{said}");
    build(&world, "RUN echo a > /a\nRUN cat /proc/sys/kernel/random/uuid > /b\n", &[]);
    let said = refused(&world, &verify(&[]));
    assert!(
        said.contains("layer 3 (RUN /bin/sh -c cat /proc") && said.contains("its content differs"),
        "{said}"
    );
    assert!(said.contains("`/b`: its content from byte ") && said.contains("[likely: random id]"), "{said}");
    assert!(!said.contains("`/a`") && !said.contains("layer 2"), "{said}");
}

#[test]
fn what_a_step_was_answered_is_the_records_and_nothing_beside() {
    let Some(world) = world("verifying steps") else { return };
    let site = Site::new("one\n");
    let url = site.url("/a");
    write(&world, &get(&url));
    world.ok(arguments("lock", "store"));
    // A lock may know more than one build has use for.
    let path = world.path("Buildfile.run.lock");
    let mut lock: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let other = site.url("/other");
    lock["network"][&other] = lock["network"][&url].clone();
    std::fs::write(&path, format!("{lock:#}\n")).unwrap();
    let more = ["--locked", "--allow", "network.loopback"];
    build(&world, &get(&url), &more);
    assert!(
        !std::fs::read_to_string(world.path("app.json")).unwrap().contains(&other),
        "it had no use for it"
    );
    let verify = verify(&["--allow", "network.loopback"]);
    // A store that has nothing of it asks where it came from, and takes nothing else.
    world.ok(["copy", "app:1", "oci:out"]);
    let elsewhere: Vec<&str> = ["--store", "other"]
        .into_iter()
        .chain(verify.iter().map(|word| if *word == "app:1" { "oci:out" } else { word }))
        .collect();
    let run = world.run(&elsewhere);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    *site.text.lock().unwrap() = "two\n".into();
    let error = world.fails(1, &elsewhere);
    assert!(error.contains("gives other bytes than the lock has"), "{error}");
    site.shut();
    let run = world.run(&verify);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    edit(&world, |record| {
        let definition = &mut record["predicate"]["buildDefinition"];
        let dependencies = definition["resolvedDependencies"].as_array_mut().unwrap();
        let mut more = dependencies.iter().find(|one| one["uri"] == url).unwrap().clone();
        more["uri"] = other.clone().into();
        dependencies.push(more);
        let lock = &mut definition["internalParameters"]["lock"]["network"];
        lock[&other] = lock[&url].clone();
    });
    let said = refused(&world, &verify);
    assert!(
        said.contains(&format!("the record has the answer to `{other}`, which nothing asks for")),
        "{said}"
    );
    edit(&world, |record| {
        let definition = &mut record["predicate"]["buildDefinition"];
        for at in [&other, &url] {
            definition["resolvedDependencies"].as_array_mut().unwrap().retain(|one| one["uri"] != **at);
            definition["internalParameters"]["lock"]["network"].as_object_mut().unwrap().remove(at);
        }
    });
    let error = world.fails(1, &verify);
    assert!(error.contains(&format!("`GET {url}` is not in the lock")), "{error}");
}

#[test]
fn a_secret_has_to_be_given_again() {
    let Some(world) = world("verifying steps") else { return };
    world.write("token", "hunter2\n");
    let secret = ["--secret", "id=token,src=token"];
    build(&world, "RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /n\n", &secret);
    let error = world.fails(1, verify(&[]));
    assert!(error.contains("the value of the secret `token`") && error.contains("--secret id=ID"), "{error}");
    let run = world.run(verify(&secret));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    world.write("token", "another\n");
    world.ok(verify(&secret));
    world.write("token", "a longer one\n");
    assert!(refused(&world, &verify(&secret)).contains("`/n`: its content from byte 0 on"));
}

#[test]
fn no_step_has_the_network_because_a_record_says_so() {
    let Some(world) = world("verifying steps") else { return };
    for (steps, more) in [
        ("RUN true\nRUN --network=default echo x > /x\n", &[][..]),
        ("RUN --network=none true\nRUN echo x > /x\n", &["--network", "default"]),
        ("RUN true\nRUN --network=host echo x > /x\n", &["--allow", "network.host"]),
    ] {
        build(&world, steps, more);
        let error = world.fails(1, verify(&[]));
        assert!(error.contains("--allow"), "{error}");
        if !steps.contains("host") {
            assert!(error.contains("line 3: the step has the machine's network"), "{error}");
        }
        let run = world.run(verify(&["--allow", "network.host"]));
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("was not hermetic"), "{}", run.stderr);
    }
    edit(&world, |record| {
        record["predicate"]["buildDefinition"]["internalParameters"]["hermetic"] = true.into();
    });
    let said = refused(&world, &verify(&["--allow", "network.host"]));
    assert!(said.contains("the record says that no step had a network, and one has"), "{said}");
    build(&world, "RUN echo x > /x\n", &[]);
    edit(&world, |record| {
        record["predicate"]["buildDefinition"]["internalParameters"]["hermetic"] = false.into();
    });
    let said = refused(&world, &verify(&[]));
    assert!(said.contains("the record says that a step had a network, and none has"), "{said}");
}
