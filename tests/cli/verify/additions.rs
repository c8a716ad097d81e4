//! Records that claim more than the build has used.

use serde_json::{Value, json};

use super::{git, record, refused, world, write_record};
use crate::support::World;
use crate::support::programs::{Files, find};

#[test]
fn an_entry_that_nothing_asks_for_is_named() {
    let Some(world) = world() else { return };
    let whole = record(&world);
    let digest = "0".repeat(64);
    let image =
        whole.pointer("/predicate/buildDefinition/internalParameters/lock/images/base:1").unwrap().clone();
    let of_image = |name: &str| {
        let all = whole["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap().iter();
        let own = all.filter(|one| one["name"] == "base:1");
        own.map(|one| Value::from_iter(one.as_object().unwrap().clone()))
            .map(|mut one| {
                one["name"] = name.into();
                one
            })
            .collect::<Vec<_>>()
    };
    let url = json!({ "digest": format!("sha256:{digest}"), "size": 3 });
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (part, name, entry, dependencies, said) in [
        ("images", "ghost:1", image.clone(), of_image("ghost:1"), "the image `ghost:1`"),
        (
            "contexts",
            "ghost",
            json!({ "source": "docker-image://ghost:1", "image": image }),
            of_image("ghost"),
            "the context `ghost`",
        ),
        (
            "urls",
            "https://h.example/x",
            url.clone(),
            vec![json!({ "uri": "https://h.example/x", "digest": { "sha256": digest } })],
            "the URL `https://h.example/x`",
        ),
        (
            "network",
            "https://h.example/y",
            url,
            vec![json!({ "uri": "https://h.example/y", "digest": { "sha256": digest } })],
            "the answer to `https://h.example/y`",
        ),
        (
            "git",
            "https://h.example/z.git#main",
            json!({ "commit": commit }),
            vec![json!({ "uri": "git+https://h.example/z.git#main", "digest": { "gitCommit": commit } })],
            "the repository `https://h.example/z.git#main`",
        ),
    ] {
        let mut record = whole.clone();
        let definition = &mut record["predicate"]["buildDefinition"];
        definition["internalParameters"]["lock"][part][name] = entry;
        definition["resolvedDependencies"].as_array_mut().unwrap().extend(dependencies);
        write_record(&world, &record);
        let told = refused(&world, &["verify", "app:1", "--record", "edited.json", "--source", "clone"]);
        assert!(told.contains(&format!("the record has {said}, which nothing asks for")), "{told}");
    }
}

#[test]
fn nothing_beside_the_dependencies_is_taken_on_trust() {
    let Some(world) = world() else { return };
    let whole = record(&world);
    let verify = |edit: &dyn Fn(&mut Value)| {
        let mut record = whole.clone();
        edit(&mut record["predicate"]);
        write_record(&world, &record);
        world.run(["verify", "app:1", "--record", "edited.json", "--source", "clone"])
    };
    let lock = "/buildDefinition/internalParameters/lock";
    let run = verify(&|predicate| {
        predicate.pointer_mut(lock).unwrap()["platforms"].as_array_mut().unwrap().push("linux/s390x".into());
    });
    assert!(run.code == Some(5) && run.stdout.contains("of its platforms"), "{run:?}");
    let run =
        verify(&|predicate| predicate.pointer_mut(lock).unwrap()["syntax"] = "docker/dockerfile:1".into());
    assert!(run.code == Some(5) && run.stdout.contains("`# syntax=`"), "{run:?}");
    let run = verify(&|predicate| {
        let byproducts = predicate["runDetails"]["byproducts"].as_array_mut().unwrap();
        let mut more = byproducts[0].clone();
        more["name"] = "sbom".into();
        byproducts.push(more);
    });
    assert!(run.code == Some(5) && run.stdout.contains("the record's byproduct `sbom`"), "{run:?}");
    let run = verify(&|predicate| {
        let byproducts = predicate["runDetails"]["byproducts"].as_array_mut().unwrap();
        byproducts.push(byproducts[0].clone());
    });
    assert!(run.code == Some(5) && run.stdout.contains("the record's byproduct `context`"), "{run:?}");
    for path in ["/etc/hostname", "../app/Buildfile.lock", "a/../../x"] {
        let run = verify(&|predicate| {
            let dependencies = predicate["buildDefinition"]["resolvedDependencies"].as_array_mut().unwrap();
            let lock = dependencies.iter_mut().find(|one| one["name"] == "lock").unwrap();
            lock["annotations"]["path"] = path.into();
        });
        assert!(run.code == Some(5) && run.stdout.contains("is not in the context"), "{run:?}");
    }
    let run = verify(&|predicate| predicate["buildDefinition"]["internalParameters"]["more"] = 1.into());
    assert!(run.code == Some(1) && run.stderr.contains("unknown field `more`"), "{run:?}");
}

#[test]
fn of_the_lock_file_nothing_is_taken_on_trust() {
    let Some(world) = world() else { return };
    let whole = record(&world);
    let verify = |edit: &dyn Fn(&mut Vec<Value>, usize)| {
        let mut record = whole.clone();
        let all = &mut record["predicate"]["buildDefinition"]["resolvedDependencies"];
        let all = all.as_array_mut().unwrap();
        let lock = all.iter().position(|one| one["name"] == "lock").unwrap();
        edit(all, lock);
        write_record(&world, &record);
        refused(&world, &["verify", "app:1", "--record", "edited.json", "--source", "clone"])
    };
    let odd = "the record's dependency `lock` is not one of this build";
    for (key, value) in [
        ("uri", json!("https://h.example/lock")),
        ("mediaType", json!("text/plain")),
        ("content", json!("YQ==")),
        ("digest", json!({})),
        ("digest", json!({ "sha256": "short" })),
        ("annotations", json!({ "path": "Buildfile.lock", "more": "x" })),
        ("annotations", json!({ "path": 7 })),
        ("annotations", json!({ "path": null })),
    ] {
        let said = verify(&|all, lock| all[lock][key] = value.clone());
        assert!(said.contains(odd), "{key} {value}: {said}");
    }
    let said = verify(&|all, lock| all[lock]["digest"]["gitCommit"] = "0".repeat(40).into());
    assert!(said.contains(odd), "{said}");
    // Another lock file that was elsewhere, or none.
    let beside = "the source has the lock file `Buildfile.lock`, which the record does not have";
    let said = verify(&|all, lock| {
        all[lock] = json!({ "name": "lock", "digest": { "sha256": "0".repeat(64) } });
    });
    assert!(said.contains(beside), "{said}");
    let said = verify(&|all, lock| drop(all.remove(lock)));
    assert!(said.contains(beside), "{said}");
    // The same one, from elsewhere.
    let mut record = whole.clone();
    let all = record["predicate"]["buildDefinition"]["resolvedDependencies"].as_array_mut().unwrap();
    let lock = all.iter_mut().find(|one| one["name"] == "lock").unwrap();
    lock.as_object_mut().unwrap().remove("annotations").unwrap();
    write_record(&world, &record);
    world.ok(["verify", "app:1", "--record", "edited.json", "--source", "clone"]);
    // An image may be called so.
    world.ok(["tag", "base:1", "lock"]);
    world.write("named/Buildfile", "FROM lock\nCOPY f /\n").write("named/f", "f\n");
    world.ok(["build", "-q", "-t", "named", "--record", "named.json", "named"]);
    world.ok(["verify", "named", "--record", "named.json", "--source", "named"]);
}

#[test]
fn the_files_of_a_commit_are_not_those_of_a_url() {
    if find("git", "lith verify").is_none() {
        return;
    }
    let world = World::new();
    git_of(&world, "honest\n");
    let honest = head(&world);
    world.write("far/f", "forged\n");
    git(&world, "far", &["commit", "-q", "-a", "-m", "two"]);
    git(&world, "far", &["update-server-info"]);
    let forged = head(&world);
    let files = Files::serve(&world.path("far/.git"));
    let far = format!("http://{}/far.git#main", files.host());
    world.write("app/Buildfile", format!("FROM scratch\nADD {far} /src/\n"));
    world.ok(["build", "-q", "--record", "app.json", "app"]);
    let archive = |record: &Value| {
        let lock = &record["predicate"]["buildDefinition"]["internalParameters"]["lock"];
        lock["git"][&far]["archive"].clone()
    };
    let known = archive(&record(&world));
    let digest = known["digest"].as_str().unwrap();
    let blob = world.path("store/blobs").join(digest.replace(':', "/"));
    std::fs::copy(blob, world.path("far/.git/t.tar")).unwrap();
    let url = format!("http://{}/far/t.tar", files.host());
    world.write("app/Buildfile", format!("FROM scratch\nADD {url} /t/\nADD {far} /src/\n"));
    world.ok(["build", "-q", "-t", "app:1", "--record", "app.json", "app"]);
    let mut record = record(&world);
    assert_eq!(archive(&record), known);
    let args = ["verify", "app:1", "--record", "edited.json", "--source", "app"];
    write_record(&world, &record);
    world.ok(args);
    // The commit is another one, with these files.
    let definition = &mut record["predicate"]["buildDefinition"];
    definition["internalParameters"]["lock"]["git"][&far]["commit"] = honest.clone().into();
    let all = definition["resolvedDependencies"].as_array_mut().unwrap();
    let own = all.iter_mut().find(|one| one["digest"]["gitCommit"] == forged).unwrap();
    own["digest"]["gitCommit"] = honest.clone().into();
    write_record(&world, &record);
    let error = world.fails(1, args);
    assert!(error.contains(&format!("at {honest}: expected an archive of {digest}")), "{error}");
}

/// The repository `far`, with one file.
fn git_of(world: &World, text: &str) {
    world.write("far/f", text);
    git(world, "far", &["init", "-q"]);
    git(world, "far", &["add", "."]);
    git(world, "far", &["commit", "-q", "-m", "one"]);
}

fn head(world: &World) -> String {
    std::fs::read_to_string(world.path("far/.git/refs/heads/main")).unwrap().trim().to_owned()
}
