//! `lith why` and `lith build --explain`

use crate::support::World;

const BUILDFILE: &str = "\
FROM base:1
ARG VERSION=1
LABEL version=$VERSION
COPY src /app/src
COPY conf-$VERSION /app/conf
WORKDIR /app
";

/// A world with a base and a context that was built once.
fn world() -> World {
    let world = World::new();
    world
        .write("base/Buildfile", "FROM scratch\nCOPY f /base\n")
        .write("base/f", "base\n")
        .write("app/Buildfile", BUILDFILE)
        .write("app/src/main.c", "main\n")
        .write("app/src/lib/util.c", "util\n")
        .write("app/src/run.sh", "run\n")
        .write("app/conf-1", "conf\n")
        .write("app/conf-2", "conf 2\n");
    world.ok(["build", "-q", "-t", "base:1", "base"]);
    world.ok(["build", "-q", "-t", "app:1", "app"]);
    world
}

/// Builds again; what `--explain` says is what `why` says.
#[track_caller]
fn explained(world: &World, args: &[&str]) -> String {
    let all = ["build", "--explain", "--progress", "plain", "app"];
    let run = world.run(all.iter().chain(args));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said: Vec<&str> = run.stderr.lines().filter_map(|line| line.trim().strip_prefix("why: ")).collect();
    let told = world.ok(["why"]);
    for line in &said {
        assert!(told.contains(line), "`{line}` is not in:\n{told}");
    }
    said.join("\n")
}

#[test]
fn a_change_of_content_mode_and_name_names_the_file() {
    let world = world();
    assert_eq!(explained(&world, &[]), "");
    world.write("app/src/lib/util.c", "other\n");
    assert_eq!(explained(&world, &[]), "`src/lib/util.c`: its content changed");
    world.chmod("app/src/run.sh", 0o755);
    assert_eq!(explained(&world, &[]), "`src/run.sh`: its mode was 0644, and is 0755");
    std::fs::rename(world.path("app/src/main.c"), world.path("app/src/start.c")).unwrap();
    assert_eq!(explained(&world, &[]), "`src/main.c` was renamed to `src/start.c`");
    std::fs::remove_file(world.path("app/src/start.c")).unwrap();
    std::os::unix::fs::symlink("run.sh", world.path("app/src/link")).unwrap();
    assert_eq!(explained(&world, &[]), "`src/link` is new\n`src/start.c` is gone");
    assert!(world.ok(["why"]).contains("[stage-0 3/5] COPY src /app/src"), "{}", world.ok(["why"]));
}

#[test]
fn a_change_of_an_argument_names_it() {
    let world = world();
    let said = explained(&world, &["--build-arg", "VERSION=2"]);
    assert!(said.contains("the build argument `VERSION` is new: `2`"), "{said}");
    assert!(said.contains("`conf-2`"), "{said}");
    let said = explained(&world, &["--build-arg", "VERSION=1"]);
    assert!(said.contains("the build argument `VERSION` was `2`, and is `1`"), "{said}");
}

#[test]
fn an_option_and_the_lack_of_a_cache_are_told() {
    let world = world();
    let said = explained(&world, &["--source-date-epoch", "7"]);
    assert!(said.contains("`--source-date-epoch`) was `0`, and is `7`"), "{said}");
    let said = explained(&world, &["--source-date-epoch", "7", "--no-cache"]);
    assert!(said.contains("the step cache was not used"), "{said}");
}

#[test]
fn a_base_that_moved_is_named() {
    let world = world();
    world.write("base/f", "moved\n");
    world.ok(["build", "-q", "-t", "base:1", "base"]);
    let said = explained(&world, &[]);
    assert!(said.starts_with("the base of stage-0 was `base:1` (sha256:"), "{said}");
}

#[test]
fn a_changed_ignore_file_is_named_with_what_it_takes() {
    let world = world();
    world.write("app/.dockerignore", "# a list\nsrc/lib\n");
    let said = explained(&world, &[]);
    assert!(said.contains("the ignore file `.dockerignore` changed"), "{said}");
    assert!(said.contains("`src/lib/util.c` is left out by `src/lib` in `.dockerignore`, line 2"), "{said}");
    world.write("app/.dockerignore", "");
    assert_eq!(explained(&world, &[]), "", "the store has the layer of the first build");
    let said = world.ok(["why"]);
    assert!(said.contains("the ignore file") && said.contains("`src/lib/util.c` is new"), "{said}");
}

#[test]
fn two_images_are_compared_from_the_input_to_the_output() {
    let world = World::new();
    world
        .write(
            "app/Buildfile",
            "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/a /a\n",
        )
        .write("app/src/a", "1\n");
    world.ok(["build", "-q", "-t", "app:1", "app"]);
    world.write("app/src/a", "2\n");
    world.ok(["build", "-q", "-t", "app:2", "app"]);
    let told = world.ok(["why", "app:1", "app:2"]);
    assert!(told.contains("in the stage `one`: `src/a`: its content changed"), "{told}");
    assert!(world.ok(["why", "app:1", "app:1"]).contains("the same image"));
    let json: serde_json::Value =
        serde_json::from_str(&world.ok(["why", "--format", "json", "app:1", "app:2"])).unwrap();
    assert_eq!(json["steps"][0]["number"], 1);
    assert!(world.fails(1, ["why", "app:3"]).contains("no image `app:3`"));
}

#[test]
fn a_step_is_told_as_it_stands_in_the_buildfile_and_asked_for_by_its_name() {
    let world = world();
    world.write("app/conf-1", "other\n");
    let said = world.run(["build", "--explain", "--progress", "plain", "app"]).stderr;
    let step = "[stage-0 4/5] COPY conf-$VERSION /app/conf";
    assert!(said.contains(step), "{said}");
    for asked in [&["why", "4"][..], &["why", "app/Buildfile", "4"], &["why", "stage-0:4"], &["why", "0:4"]] {
        let told = world.ok(asked);
        assert!(told.contains(step) && told.contains("`conf-1`: its content changed"), "{asked:?}: {told}");
    }
    assert!(world.ok(["why", "1"]).contains("nothing was built anew"));
    for step in ["6", "99", "build:4", "stage-1:4"] {
        let error = world.fails(2, ["why", "app/Buildfile", step]);
        assert!(error.contains("had no step") && error.contains("`stage-0 5/5`"), "{error}");
    }
}

#[test]
fn secrets_are_not_in_the_record() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nARG API_TOKEN\nCOPY f /$API_TOKEN\n").write("app/f", "f\n");
    let token = "hunter2-hunter2";
    world.ok(["build", "-q", "--build-arg", &format!("API_TOKEN={token}"), "app"]);
    assert!(!world.ok(["why"]).contains(token));
    for entry in std::fs::read_dir(world.path("store/lith/builds")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}

#[test]
fn a_damaged_record_is_ignored_and_written_anew() {
    let world = world();
    let folder = world.path("store/lith/builds");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(world.fails(1, ["why"]).contains("no such build"));
    world.write("app/src/main.c", "new\n");
    assert!(explained(&world, &[]).contains("no earlier build"));
    world.write("app/src/main.c", "newer\n");
    assert_eq!(explained(&world, &[]), "`src/main.c`: its content changed");
    std::fs::remove_dir_all(world.path("app")).unwrap();
    world.ok(["gc"]);
    let left = std::fs::read_dir(world.path("store/lith/builds")).unwrap().count();
    assert_eq!(left, 0, "the base's record is still damaged, and the other's context is gone");
}
