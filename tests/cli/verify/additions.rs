//! Records that claim more than the build has used.

use serde_json::{Value, json};

use super::{record, refused, world, write_record};

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
