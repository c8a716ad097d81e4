//! `lith pin`: files, stdin, registries and builds. What is found in which language stands with the library.

use serde_json::Value;

use crate::support::registry::Registry;
use crate::support::{Run, World};

/// A world with a registry that has `app:1`, and its digest.
fn world() -> (World, Registry, String) {
    let (world, registry) = (World::new(), Registry::start());
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", "one\n");
    let digest = push(&world, &registry, "one\n");
    (world, registry, digest)
}

fn push(world: &World, registry: &Registry, content: &str) -> String {
    world.write("app/f", content);
    world.ok(["build", "-q", "-t", &registry.name("app:1"), "--push", "--move-tag", "app"])
}

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.path(name)).unwrap()
}

#[test]
fn files_are_pinned_in_place_once_and_moved_when_asked() {
    let (world, registry, first) = world();
    let name = registry.name("app:1");
    let text = format!("# kept\nkind: Pod\nspec:\n  containers:\n  - image: \"{name}\"  # why\r\n");
    world
        .write("k8s/pod.yaml", &text)
        .write("k8s/Dockerfile", format!("FROM {name}\n"))
        .write("k8s/x.txt", "image: a");
    world.chmod("k8s/pod.yaml", 0o640);
    let error = world.fails(1, ["pin", "--check", "k8s"]);
    assert!(error.contains("2 references not pinned"), "{error}");
    assert_eq!(read(&world, "k8s/pod.yaml"), text);
    let told = world.ok(["pin", "k8s"]);
    assert!(told.contains(&format!("k8s/pod.yaml:5: {name} -> {name}@{first}")), "{told}");
    assert_eq!(read(&world, "k8s/pod.yaml"), text.replace(&name, &format!("{name}@{first}")));
    assert_eq!(read(&world, "k8s/Dockerfile"), format!("FROM {name}@{first}\n"));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(world.path("k8s/pod.yaml").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    registry.forget_requests();
    assert_eq!(world.ok(["pin", "k8s"]), "");
    assert_eq!(world.ok(["pin", "--check", "k8s"]), "");
    assert_eq!(registry.requests().len(), 0, "what is pinned asks nobody");
    let second = push(&world, &registry, "two\n");
    world.ok(["pin", "--check", "k8s"]);
    let run = world.run(["pin", "--check", "--update", "k8s"]);
    assert!(run.code == Some(4) && run.stdout.contains(&format!("is now {name}@{second}")), "{run:?}");
    // What is not pinned at all counts more.
    world.write("new.yaml", format!("image: {name}\n"));
    let run = world.run(["pin", "--check", "--update", "k8s", "new.yaml"]);
    assert!(run.code == Some(1) && run.stderr.contains("1 reference not pinned"), "{run:?}");
    let json: Value =
        serde_json::from_str(&world.ok(["pin", "--update", "--format", "json", "k8s/pod.yaml"])).unwrap();
    assert_eq!(json["files"][0]["changes"][0]["digest"], second.as_str());
    assert_eq!(json["files"][0]["changes"][0]["field"], "spec.containers.0.image");
    assert_eq!(read(&world, "k8s/pod.yaml"), text.replace(&name, &format!("{name}@{second}")));
}

#[test]
fn nothing_is_written_where_something_is_wrong() {
    let (world, registry, _) = world();
    let good = format!("image: {}\n", registry.name("app:1"));
    world.write("a.yaml", &good).write("b.yaml", "a: 1\nimage: [\n").write("c.yaml", "x: 1\nx: 2\n");
    let error = world.fails(1, ["pin", "a.yaml", "b.yaml", "c.yaml"]);
    assert!(error.contains("b.yaml:2: ") && error.contains("c.yaml:2: it is not valid YAML"), "{error}");
    assert_eq!(read(&world, "a.yaml"), good);
    world.write("d.yaml", format!("image: {}\n", registry.name("app:none")));
    let error = world.fails(1, ["pin", "a.yaml", "d.yaml"]);
    assert!(error.contains("has no image") && error.contains("lith tags"), "{error}");
    assert!(error.contains("error: d.yaml:1: "), "{error}");
    world.write("e.yaml", "a: 1\nimage: 127.0.0.1:1/x:1\n");
    let error = world.fails(1, ["pin", "a.yaml", "e.yaml"]);
    assert!(error.contains("error: e.yaml:2: "), "{error}");
    assert_eq!(read(&world, "a.yaml"), good);
    world.write("t.yaml", "{{- if x }}\nimage: nginx\n{{ end }}\n").write("v.yaml", "image: a:${TAG}\n");
    let run = world.run(["pin", "t.yaml", "v.yaml"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("t.yaml:1: ") && run.stderr.contains("variables"),
        "{run:?}"
    );
    world.fails(1, ["pin", "--check", "v.yaml"]);
    world.ok(["pin", "--check", "--except", "a:*", "v.yaml", "t.yaml"]);
    world.ok(["pin", "--except", "a:*", "v.yaml", "t.yaml"]);
}

#[test]
fn a_file_that_is_missing_is_said_before_its_language() {
    let world = World::new();
    world.write("notes", "image: a\n");
    for command in [&["pin"][..], &["pin", "--check"], &["audit", "-f"]] {
        for missing in ["nope", "nope.yaml", "nodir/"] {
            let error = world.fails(1, command.iter().copied().chain([missing]));
            assert!(error.contains(&format!("`{missing}`: no such file or folder")), "{error}");
            assert!(!error.contains("--type"), "{error}");
        }
        let error = world.fails(2, command.iter().copied().chain(["notes"]));
        assert!(error.contains("does not say what it is written in"), "{error}");
        assert_eq!(error.contains("--type yaml"), command[0] == "pin", "{error}");
    }
}

#[test]
fn a_folder_that_is_not_built_is_told_with_its_place() {
    let world = World::new();
    world.write("fold.yaml", "a: 1\nimage: ./app\n");
    for command in [&["pin", "fold.yaml"][..], &["pin", "--check", "fold.yaml"]] {
        let error = world.fails(1, command);
        assert!(error.contains("fold.yaml:2: `./app` is left alone: it is a folder: `--build"), "{error}");
    }
    let run = world.run(["pin", "--format", "json", "fold.yaml"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["files"][0]["left"][0]["line"], 2);
    assert_eq!(document["files"][0]["left"][0]["floating"], true);
}

#[test]
fn stdin_goes_to_stdout() {
    let (world, registry, digest) = world();
    let name = registry.name("app:1");
    world.write("in", format!("a: 1\nsome: {{initImage: {name}}}"));
    let mut command = world.command(["pin", "--field", "initImage", "-"]);
    command.stdin(std::fs::File::open(world.path("in")).unwrap());
    let run = Run::of(&mut command);
    assert_eq!(run.stdout, format!("a: 1\nsome: {{initImage: {name}@{digest}}}"));
    assert!(run.stderr.contains("stdin:2: "), "{}", run.stderr);
}

#[test]
fn a_lock_and_an_override_are_written_beside() {
    let (world, registry, digest) = world();
    let name = registry.name("app:1");
    let text = format!("services:\n  web:\n    image: {name}\n");
    world.write("compose.yaml", &text);
    world.ok(["pin", "--compose-override", "pinned.yaml", "--images-lock", "lock.yaml", "compose.yaml"]);
    assert_eq!(read(&world, "compose.yaml"), text);
    assert_eq!(read(&world, "pinned.yaml"), format!("services:\n  web:\n    image: {name}@{digest}\n"));
    assert!(read(&world, "lock.yaml").contains(&format!("  image: {}@{digest}\n", registry.name("app"))));
}

#[test]
fn a_folder_is_built_pushed_and_pinned() {
    let (world, registry, digest) = world();
    world.write("deploy/k8s.yaml", "image: ../app # built\n");
    let run = world.run(["pin", "--check", "deploy/k8s.yaml"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let repo = registry.name("team");
    world.ok(["pin", "--build", "--push", "--repo", &repo, "deploy/k8s.yaml"]);
    assert_eq!(read(&world, "deploy/k8s.yaml"), format!("image: {repo}/app@{digest} # built\n"));
    assert_eq!(registry.state().tag("team/app", "latest").as_ref(), Some(&digest));
    world.fails(2, ["pin", "--build", "deploy/k8s.yaml"]);
}

#[test]
fn pin_and_check_agree_about_what_floats() {
    let (world, registry, digest) = world();
    let name = registry.name("app:1");
    let cases = [
        (format!("image: {name}\nother: {{image: 'a:${{TAG}}'}}\n"), false),
        (format!("image: '${{REGISTRY}}/app:1@{digest}'\n"), true),
        ("image: '${REGISTRY}/app@${DIGEST}'\n".to_owned(), false),
        ("image: {repository: a, tag: ''}\n".to_owned(), false),
        ("image: {repository: a, tag: 1.10}\n".to_owned(), false),
        ("image: '{{ x }}'\n".to_owned(), true),
        ("image: ../app\n".to_owned(), false),
        ("services: {a: {build: ., image: a}}\n".to_owned(), true),
        (format!("image: {name}@{digest}\n"), true),
    ];
    for (text, is_pinned) in cases {
        let code = Some(if is_pinned { 0 } else { 1 });
        world.write("k8s/a.yaml", &text);
        let run = world.run(["pin", "k8s/a.yaml"]);
        assert_eq!(run.code, code, "{text}\n{run:?}");
        assert_eq!(world.run(["pin", "--check", "k8s/a.yaml"]).code, code, "{text}");
        assert_eq!(world.run(["pin", "--check", "--update", "k8s/a.yaml"]).code, code, "{text}");
        assert_eq!(world.run(["audit", "-f", "k8s/a.yaml", "--check"]).code, code, "{text}");
        let pinned = read(&world, "k8s/a.yaml");
        assert!(
            !text.contains(&format!("{name}\n")) || pinned.contains(&digest),
            "what can be pinned is: {pinned}"
        );
    }
}

#[test]
fn what_is_built_for_a_file_is_what_lith_build_makes() {
    let (world, registry, _) = world();
    world.write("site/Buildfile", "FROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY f /f\n").write("site/f", "f\n");
    world.write("k8s.yaml", "image: ./site\n");
    let repo = registry.name("team");
    let mut command = world.command(["pin", "--build", "--repo", &repo, "k8s.yaml"]);
    let run =
        Run::of(command.env("SOURCE_DATE_EPOCH", "12345").env("DOCKER_DEFAULT_PLATFORM", "linux/arm64"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let args = ["build", "-q", "--source-date-epoch", "12345", "--platform", "linux/arm64", "site"];
    assert_eq!(read(&world, "k8s.yaml"), format!("image: {repo}/site@{}\n", world.ok(args)));
    assert!(registry.state().tag("team/site", "latest").is_none(), "nothing was to be pushed");
    assert!(world.ok(["images"]).contains("team/site"));
    world.write("site/Buildfile", "FROM nowhere.invalid:1/x\n").write("k8s.yaml", "image: ./site\n");
    world.fails(1, ["pin", "--build", "--repo", &repo, "k8s.yaml"]);
    assert_eq!(read(&world, "k8s.yaml"), "image: ./site\n");
}
