//! Steps that fail: what is said, what is kept, what isn't.

use super::{build, fails, told, world};

#[test]
fn a_failure_says_where_and_how() {
    let Some(world) = world("failing steps") else { return };
    let error = fails(&world, "FROM bb\nRUN echo out; echo err >&2; printf '\\033[2Jend'; exit 3\n", &["-q"]);
    for part in ["Buildfile.run:2:1", "exit code 3", "out", "err", "end", "store/lith/logs/", "lith debug"] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(!error.contains("\u{1b}[2J"), "{error:?}");
    let log = error.split('`').find(|part| part.contains("lith/logs/")).unwrap();
    let log = std::fs::read_to_string(log.replace("WORLD", &world.path("").display().to_string())).unwrap();
    assert!(log.contains("out\n") && log.contains("end"), "{log:?}");
    // As in any shell: 128 and the number of the signal.
    assert!(fails(&world, "FROM bb\nRUN sh -c 'kill -9 $$'; exit $?\n", &[]).contains("exit code 137"));
    let error = fails(&world, "FROM bb\nRUN [\"/nope\"]\n", &[]);
    assert!(error.contains("`/nope` is not in the root file system"), "{error}");
    assert!(error.contains("the exec form starts a program") && !error.contains("/bin/sh"), "{error}");
    let error = fails(&world, "FROM scratch\nRUN true\n", &[]);
    assert!(error.contains("`/bin/sh`") && error.contains("JSON") | error.contains("needs none"), "{error}");
}

#[test]
fn a_failed_step_leaves_nothing() {
    let Some(world) = world("what failing steps leave") else { return };
    let once =
        "FROM bb\nRUN --mount=type=cache,target=/c test -e /c/f || { touch /c/f; echo x > /left; false; }\n";
    fails(&world, once, &[]);
    let image = build(&world, once, &[]);
    assert_eq!(image.layers.len(), 1);
}

#[test]
fn steps_have_no_network() {
    let Some(world) = world("the network of steps") else { return };
    let buildfile = "FROM bb\nRUN echo \"curl: (6) Could not resolve host: example.org\"; exit 6\n";
    let error = fails(&world, buildfile, &["--progress", "plain"]);
    assert!(error.contains("--network"), "{error}");
    let image = build(&world, "FROM bb\nRUN ls /sys/class/net > /n\n", &["--metadata-file", "m"]);
    assert_eq!(super::text(&image, "n"), "lo\n");
    let metadata = |world: &crate::support::World| std::fs::read_to_string(world.path("m")).unwrap();
    assert!(metadata(&world).contains("\"lith.hermetic\": true"));
    for (line, args) in [("RUN --network=default true", &[][..]), ("RUN true", &["--network", "default"])] {
        for _cached in 0..2 {
            let args: Vec<&str> = args.iter().copied().chain(["--metadata-file", "m"]).collect();
            build(&world, &format!("FROM bb\n{line}\n"), &args);
            assert!(metadata(&world).contains("\"lith.hermetic\": false"), "{line}");
        }
    }
    let error = fails(&world, "FROM bb\nRUN --network=host true\n", &[]);
    assert!(error.contains("`network.host`") && error.contains("--allow"), "{error}");
    build(&world, "FROM bb\nRUN --network=host true\n", &["--allow", "network.host"]);
    let error = fails(&world, "FROM bb\nRUN --security=insecure true\n", &[]);
    assert!(error.contains("`security.insecure`"), "{error}");
}

#[test]
fn steps_end_in_time() {
    let Some(world) = world("the time of steps") else { return };
    let error = fails(&world, "FROM bb\nRUN sleep 100\n", &["--timeout", "1s"]);
    assert!(error.contains("time was up"), "{error}");
}

#[test]
fn output_is_shown_under_its_step() {
    let Some(world) = world("the output of steps") else { return };
    let told = told(
        &world,
        "FROM bb AS b\nRUN echo one; printf '10%%\\r100%%\\n'; printf '\\033[31mred\\033[0m\\007'; echo; printf open\n",
        &["--progress", "plain"],
    );
    for line in ["[b 1/1] one", "[b 1/1] 100%", "[b 1/1] red\\u{7}", "[b 1/1] open"] {
        assert!(told.lines().any(|shown| shown == line), "{line}\n{told}");
    }
    let json = super::told(&world, "FROM bb AS b\nRUN echo two\n", &["--progress", "json"]);
    let printed = json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let printed: Vec<_> = printed.filter(|event| event["event"] == "printed").collect();
    assert_eq!((printed[0]["text"].as_str(), printed[0]["stream"].as_str()), (Some("two\n"), Some("stdout")));
}

#[test]
fn one_can_look_inside() {
    let Some(world) = world("lith debug") else { return };
    let nothing = world.fails(1, ["debug", "true"]);
    assert!(nothing.contains("no step has failed"), "{nothing}");
    world.write("secret", "hunter2");
    fails(
        &world,
        "FROM bb\nRUN echo base > /base\nENV A=b\nWORKDIR /w\nUSER bob\n\
         RUN --mount=type=secret,id=s,env=S --mount=target=/m echo left > /tmp/left; exit 4\n",
        &["--secret", "id=s,src=secret"],
    );
    let shell = "cat /base /tmp/left /m/f; echo $A $S $(id -un) $(pwd)";
    for _again in 0..2 {
        assert_eq!(world.ok(["debug", "/bin/sh", "-c", shell]), "base\nleft\nf\nb bob /w");
    }
    assert_eq!(world.run(["debug", "/bin/sh", "-c", "exit 7"]).code, Some(7));
    fails(&world, "FROM bb\nRUN echo new > /tmp/new; false\n", &[]);
    assert_eq!(world.ok(["debug", "--no-tty", "ls", "/tmp"]), "new");
}
