//! `lith build`

use std::io::Write as _;
use std::process::Stdio;

use crate::support::World;
use crate::support::judge::Layout;

/// A world with a context that has one file, and a Buildfile that copies it.
fn world() -> World {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\nCMD [\"/f\"]\n").write("app/f", "content\n");
    world
}

#[test]
fn the_digest_alone_is_on_stdout() {
    let world = world();
    let run = world.run(["build", "-q", "app"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.starts_with("sha256:") && run.stdout.len() == "sha256:".len() + 64 + 1,
        "{}",
        run.stdout
    );
    assert_eq!(run.stderr, "");
    assert_eq!(world.run(["build", "--progress", "plain", "app"]).stdout, run.stdout);
}

#[test]
fn the_build_file_is_looked_up_in_order() {
    let world = World::new();
    for (name, label) in [("Containerfile", "c"), ("Dockerfile", "d"), ("Buildfile", "b")] {
        world.write(&format!("app/{name}"), format!("FROM scratch\nLABEL from={label}\n"));
        world.ok(["build", "-o", "type=oci,dest=out", "app"]);
        let image = Layout::open(&world.path("out")).image();
        assert_eq!(image.config["config"]["Labels"]["from"], label);
    }
    assert!(world.fails(1, ["build", "nowhere"]).contains("nowhere"));
    world.write("empty/x", "");
    let error = world.fails(1, ["build", "empty"]);
    assert!(error.contains("Buildfile") && error.contains("Dockerfile"), "{error}");
}

#[test]
fn a_build_file_outside_of_the_context_or_from_stdin_serves() {
    let world = world();
    world.write("other/File", "FROM scratch\nCOPY f /f\nCMD [\"/f\"]\n");
    let expected = world.ok(["build", "-q", "app"]);
    assert_eq!(world.ok(["build", "-q", "-f", "other/File", "app"]), expected);
    let mut child = world
        .command(["build", "-q", "-f", "-", "app"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting lith");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"FROM scratch\nCOPY f /f\nCMD [\"/f\"]\n")
        .expect("writing");
    let output = child.wait_with_output().expect("waiting");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected);
}

#[test]
fn every_output_names_the_same_digest() {
    let world = world();
    let digest = world.ok([
        "build",
        "-t",
        "app:1",
        "-o",
        "type=oci,dest=layout",
        "-o",
        "type=oci-archive,dest=image.tar",
        "-o",
        "type=docker,dest=docker.tar",
        "-o",
        "type=local,dest=root",
        "-o",
        "type=tar,dest=root.tar",
        "--iidfile",
        "iid",
        "--metadata-file",
        "meta.json",
        "app",
    ]);
    let layout = Layout::open(&world.path("layout"));
    assert_eq!(layout.image().digest, digest);
    assert_eq!(std::fs::read_to_string(world.path("iid")).unwrap().trim(), digest);
    let meta: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.path("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["containerimage.digest"], digest.as_str());
    assert_eq!(meta["containerimage.config.digest"], layout.image().manifest["config"]["digest"]);
    assert_eq!(std::fs::read_to_string(world.path("root/f")).unwrap(), "content\n");
    for archive in ["image.tar", "docker.tar", "root.tar"] {
        assert!(world.path(archive).metadata().unwrap().len() >= 1024, "{archive}");
    }
    let inspected = world.ok(["inspect", "--format", "json", "app:1"]);
    assert!(inspected.contains(&digest), "{inspected}");
}

#[test]
fn an_unchanged_build_makes_no_blob() {
    let world = world();
    let first = world.ok(["build", "-q", "app"]);
    let blobs = || {
        let entries = std::fs::read_dir(world.path("store/blobs/sha256")).unwrap();
        let mut found: Vec<_> = entries
            .map(|e| e.unwrap())
            .map(|e| (e.file_name(), e.metadata().unwrap().modified().unwrap()))
            .collect();
        found.sort();
        found
    };
    let before = blobs();
    assert_eq!(world.ok(["build", "-q", "app"]), first);
    assert_eq!(blobs(), before);
    let plain = world.run(["build", "--progress", "plain", "app"]);
    assert!(plain.stderr.contains("(cached)"), "{}", plain.stderr);
}

#[test]
fn a_change_is_seen_whatever_the_times_say() {
    let world = world();
    let first = world.ok(["build", "-q", "app"]);
    let path = world.path("app/f");
    let times = std::fs::metadata(&path).unwrap().modified().unwrap();
    world.write("app/f", "CONTENT\n");
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    let second = world.ok(["build", "-q", "app"]);
    assert_ne!(first, second, "the same size and mtime, another content");
    world.chmod("app/f", 0o755);
    let third = world.ok(["build", "-q", "app"]);
    assert_ne!(second, third, "another mode");
    world.write("app/f", "content\n").chmod("app/f", 0o644);
    assert_eq!(world.ok(["build", "-q", "app"]), first, "and back");
    assert_eq!(world.ok(["build", "-q", "--no-cache", "app"]), first);
}

#[test]
fn errors_of_the_build_file_are_shown_together_with_their_places() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPPY a b\nENV\nCOPY --chmd=1 a b\n");
    let error = world.fails(1, ["build", "app"]);
    for part in ["COPPY", "COPY", "ENV", "--chmod", "Buildfile:2"] {
        assert!(error.contains(part), "`{part}` is not in:\n{error}");
    }
}

#[test]
fn what_matches_nothing_says_what_took_it_away() {
    let world = world();
    world.write("app/.dockerignore", "f\n");
    let error = world.fails(1, ["build", "app"]);
    assert!(error.contains("`f`") && error.contains(".dockerignore"), "{error}");
}

#[test]
fn the_command_line_is_checked() {
    let world = world();
    for (args, said) in [
        (vec!["build", "--platform", "linux/nonsense/v1/x", "app"], "platform"),
        (vec!["build", "--compression", "lzma", "app"], "gzip"),
        (vec!["build", "--compression", "lzma", "app"], "`--compression lzma`"),
        (vec!["lock", "--compression", "lzma", "app"], "`--compression lzma`"),
        (vec!["build", "--secret", "tok", "app"], "`--secret id=tok,src=FILE`"),
        (vec!["build", "--secret", "id=a,tok", "app"], "`--secret id=ID,src=FILE`"),
        (vec!["build", "--load=maybe", "app"], "--load"),
        (vec!["build", "--source-date-epoch", "tomorrow", "app"], "seconds"),
        (vec!["build", "-o", "type=ocy,dest=x", "app"], "oci"),
        (vec!["build", "-t", "UPPER", "app"], "lower-case"),
        (vec!["build", "--build-context", "noequals", "app"], "NAME=VALUE"),
        (vec!["build", "--no-such-flag", "app"], "--no-such-flag"),
        (vec!["build", "--push", "app"], "needs a name"),
    ] {
        let error = world.fails(2, &args);
        assert!(error.contains(said), "{args:?}:\n{error}");
    }
    world.ok(["build", "-q", "--load=false", "--network", "bridge", "app"]);
}

#[test]
fn a_base_comes_from_a_layout_and_keeps_its_layers() {
    let world = world();
    world.ok(["build", "-q", "-o", "type=oci,dest=base", "app"]);
    world.ok(["build", "-q", "-o", "type=oci-archive,dest=base.tar", "app"]);
    world.write("child/Buildfile", "FROM base\nCOPY g /g\n").write("child/g", "g\n");
    let from = |context: &str| {
        world.ok(["build", "-q", "--build-context", context, "-o", "type=oci,dest=child-image", "child"])
    };
    let by_layout = from("base=oci-layout://base");
    assert_eq!(from("base=oci-archive://base.tar"), by_layout);
    assert_eq!(from("base=oci-archive:base.tar"), by_layout);
    assert_eq!(from("base=oci:base"), by_layout);
    let warning = "the build context `base` is a folder with an OCI layout";
    for (context, is_told) in [("base=base", true), ("base=app", false), ("base=oci:base", false)] {
        let run = world.run(["build", "--build-context", context, "child"]);
        assert_eq!(run.stderr.contains(warning), is_told, "{context}: {}", run.stderr);
    }
    let base = Layout::open(&world.path("base")).image();
    let child = Layout::open(&world.path("child-image")).image();
    assert_eq!(child.layers[0].digest, base.layers[0].digest);
    assert_eq!(child.config["config"]["Cmd"][0], "/f");
    world.ok(["build", "-q", "-t", "in-store", "app"]);
    world.write("child/Buildfile", "FROM in-store\nCOPY g /g\n");
    assert_eq!(world.ok(["build", "-q", "child"]), by_layout);
}

#[test]
fn nothing_is_half_written_when_a_build_fails() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\nCOPY missing /\n").write("app/f", "content\n");
    world.fails(1, ["build", "-t", "app", "-o", "type=oci,dest=out", "--iidfile", "iid", "app"]);
    assert!(!world.path("out").exists() && !world.path("iid").exists());
    assert_eq!(world.ok(["images", "--format", "json"]), "[]");
}

#[test]
fn a_tar_and_a_lone_build_file_on_stdin_are_contexts() {
    let world = world();
    let expected = world.ok(["build", "-q", "app"]);
    let feed = |bytes: &[u8]| {
        let mut command = world.command(["build", "-q", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starting lith");
        child.stdin.take().expect("piped").write_all(bytes).expect("writing");
        String::from_utf8(child.wait_with_output().expect("waiting").stdout).expect("UTF-8").trim().to_owned()
    };
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", world.path("app")).unwrap();
    assert_eq!(feed(&tar.into_inner().unwrap()), expected);
    assert!(feed(b"FROM scratch\nLABEL a=b\n").starts_with("sha256:"));
}

#[test]
fn nobody_needs_to_read_what_is_said() {
    let world = world();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = |args: &[&str]| world.command(args).stderr(full()).output().unwrap();
    let built = run(&["build", "--progress=plain", "app"]);
    assert!(built.status.success() && built.stdout.starts_with(b"sha256:"), "{built:?}");
    assert_eq!(run(&["build", "nowhere"]).status.code(), Some(1));
}

#[test]
fn a_long_chain_of_stages_keeps_its_layers_in_order() {
    let world = World::new();
    let mut text = "FROM scratch AS s0\n".to_owned();
    for n in 1..40 {
        text += &format!("FROM s{} AS s{n}\nLABEL n={n}\nCOPY <<E /f{n:02}\n{n}\nE\n", n - 1);
    }
    world.write("app/Buildfile", text);
    world.ok(["build", "-q", "-t", "app", "app"]);
    let listed = world.ok(["ls", "app"]);
    let files: Vec<&str> = listed.split_whitespace().filter(|word| word.starts_with("/f")).collect();
    assert_eq!(files, (1..40).map(|n| format!("/f{n:02}")).collect::<Vec<_>>(), "{listed}");
    let shown: serde_json::Value =
        serde_json::from_str(&world.ok(["inspect", "--format", "json", "app"])).unwrap();
    let history = shown["images"][0]["config"]["history"].as_array().unwrap();
    assert_eq!(history.len(), 2 * 39, "{history:?}");
}

#[test]
fn a_source_that_is_not_there_is_shown_in_its_line() {
    let world = World::new();
    world.write("app/a.txt", "a").write("app/.dockerignore", "secret\n").write("app/secret", "s");
    let fails = |text: &str| {
        world.write("app/Buildfile", text);
        world.fails(1, ["build", "app"])
    };
    let error = fails("FROM scratch\nCOPY a.txt a.tx /d/\n");
    for part in [
        "error[missing-source]: `a.tx` is not in the build context",
        "app/Buildfile:2:12",
        "COPY a.txt a.tx /d/",
        "did you mean `a.txt`?",
        "the build context is the folder `app`",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(
        fails("FROM scratch\nCOPY secret /\n")
            .contains("as `secret` in `.dockerignore`, line 1, leaves it out")
    );
    let error = fails("FROM scratch AS base\nCOPY a.txt /\nFROM scratch\nCOPY --from=0 /A.txt /\n");
    assert!(error.contains("`/A.txt` is not in the stage `base`") && error.contains("`a.txt`?"), "{error}");
}

#[test]
fn warnings_of_steps_have_their_line() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\n\nCOPY nothing* /d/\n");
    let run = world.run(["build", "-q", "app"]);
    assert!(
        run.stderr.contains("app/Buildfile:3: nothing in the build context matches `nothing*`"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_target_that_is_not_there_points_at_no_line() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch AS server\nFROM scratch AS client\nFROM scratch\n");
    let error = world.fails(1, ["build", "--target", "sever", "--build-arg", "X=1", "app"]);
    assert!(
        error.contains("did you mean `server`?") && error.contains("the stages `client`, `server`"),
        "{error}"
    );
    assert!(!error.contains("FROM") && !error.contains("-->"), "{error}");
}

#[test]
fn a_check_tells_what_a_build_would_stop_at() {
    let world = World::new();
    let text = "FROM scratch AS unused\nRUN a\nFROM scratch\nCOPY f g* /\nCOPY g /\nRUN b\n";
    world.write("app/Buildfile", text).write("app/f", "");
    let run = world.run(["check", "--format", "json", "app"]);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let told: Vec<String> = found["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| {
            format!(
                "{} {} {}",
                d["severity"].as_str().unwrap(),
                d["code"].as_str().unwrap(),
                d["start"]["line"]
            )
        })
        .filter(|d| d.contains('-'))
        .collect();
    assert_eq!(told, ["error missing-source 5"]);
    assert_eq!(run.code, Some(1));
}

#[test]
fn progress_as_json_is_json_to_the_end() {
    let world = world();
    world.write("odd/Buildfile", "from scratch as A\nCOPY missing /\n");
    world.write("wrong/Buildfile", "FROM scratch\nCOPPY a b\n");
    world.write("base/Buildfile", "FROM not/there\n");
    let last = |args: &str| {
        let run = world.run(format!("build --progress json {args}").split(' '));
        let events: Vec<serde_json::Value> =
            run.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(events.iter().all(|event| event["event"].is_string()), "{}", run.stderr);
        (run.code, events.last().expect("an event").clone())
    };
    let (code, built) = last("--network host app");
    assert_eq!((code, &built["event"]), (Some(0), &"built".into()));
    assert_eq!(built["digest"], world.ok(["build", "-q", "app"]));
    let (code, error) = last("odd");
    assert_eq!((code, &error["event"]), (Some(1), &"diagnostic".into()));
    assert!(error["message"].as_str().unwrap().contains("`missing`"), "{error}");
    let (code, diagnostic) = last("wrong");
    assert_eq!(
        (code, &diagnostic["event"], &diagnostic["start"]["line"]),
        (Some(1), &"diagnostic".into(), &2.into())
    );
    assert!(last("base").1["help"].is_string());
    assert_eq!(last("-o type=ocy,dest=x app").0, Some(2));
}

#[test]
fn options_that_wrappers_pass_to_docker_are_taken() {
    let world = world();
    let digest = world.ok(["build", "-q", "app"]);
    let silent = "build -q --cache-from type=gha --rm --force-rm=true --builder b -m 1g --cpu-quota 5 -c 2 -D \
                  --provenance=false --sbom false --pull=false --allow network.host --shm-size 1g --call build \
                  -o type=cacheonly -t unnamed app";
    let run = world.run(silent.split_whitespace());
    assert_eq!((run.stdout.trim(), run.stderr.as_str()), (digest.as_str(), ""));
    assert!(!world.run(["images"]).stdout.contains("unnamed"));
    let told = world.run("build -q --provenance=mode=max --cache-to type=gha --squash app".split(' ')).stderr;
    assert_eq!(told.matches("has no effect").count(), 3, "{told}");
    assert!(world.fails(2, ["build", "--call", "outline", "app"]).contains("lith check"));
    world.write("wrong/Buildfile", "FROM scratch\nCOPPY a b\n");
    let checked = world.run(["build", "--check", "wrong"]);
    assert!(checked.code == Some(1) && checked.stdout.contains("COPPY"), "{checked:?}");
    let called = world.run(["build", "--call=check", "wrong"]);
    assert_eq!((called.code, called.stdout), (checked.code, checked.stdout));
    assert!(world.fails(2, ["build", "--shm-size", "big", "app"]).contains("`--shm-size big`"));
}

#[test]
fn a_file_as_the_context_is_told_from_an_archive() {
    let world = world();
    let error = world.fails(2, ["build", "app/Buildfile"]);
    assert!(error.contains("-f app/Buildfile"), "{error}");
    assert!(world.fails(2, ["build", "--threads", "0", "app"]).contains("a number from 1"));
}
