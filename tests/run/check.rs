//! `--check-reproducible`: what differs from run to run is found, named, and keeps the image in.

use serde_json::Value;

use super::{arguments, fails, told, world};

fn check(what: &str, buildfile: &str, args: &[&str]) -> Option<(Option<i32>, String, String)> {
    let world = world(what)?;
    let all: Vec<&str> = args.iter().copied().chain(["--check-reproducible", "-t", "app"]).collect();
    let run = world.run(arguments(&world, buildfile, &all));
    if run.code == Some(4) {
        assert!(world.run(["inspect", "app"]).code != Some(0), "what differs was put out");
        assert!(run.stdout.is_empty(), "{}", run.stdout);
    }
    Some((run.code, run.stdout, run.stderr))
}

#[test]
fn a_clean_step_passes() {
    let buildfile = "FROM bb\nRUN mkdir /d; echo x > /d/y; ln /d/y /d/z; chown 5:6 /d/z; rm /etc/group\n\
                     RUN echo $$ > /pid; hostname > /h; env | sort > /env; ls / > /ls; rm /h\nRUN true\n";
    let Some((code, _, said)) = check("a clean step", buildfile, &[]) else { return };
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("is reproducible").count(), 3, "{said}");
}

#[test]
fn the_clock_is_found() {
    let buildfile = "FROM bb\nRUN echo clean > /f\nRUN date +%s > /t; date > /u\n";
    let Some((code, _, said)) = check("a clock in a step", buildfile, &[]) else { return };
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("date +%s > /t; date > /u is not reproducible"), "{said}");
    for path in ["~ /t", "~ /u"] {
        let line = said.lines().find(|line| line.trim_start().starts_with(path)).expect("the path");
        assert!(line.contains("[likely: timestamp]"), "{line}");
    }
    assert!(said.contains("1 step changed other things"), "{said}");
    assert!(!said.contains("/f\n") && !said.contains("~ /f "), "{said}");
}

#[test]
fn process_ids_orders_and_processors_are_found() {
    let buildfile = "FROM bb\nRUN sh -c 'echo $$ > /pid'; true\nRUN touch /tmp/f.$(sh -c 'echo $$'; true)\n\
                     RUN find /bin > /order\nRUN find /etc > /etc.order\nRUN tr '\\0' '\\n' < /proc/1/environ > /env; true\n";
    let Some((code, _, said)) = check("order in a step", buildfile, &["--progress", "json"]) else { return };
    assert_eq!(code, Some(4), "{said}");
    let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let checked: Vec<Value> = events.filter(|event| event["event"] == "checked").collect();
    assert_eq!(checked.len(), 5, "{said}");
    let causes = |index: usize| {
        let files = checked[index]["files"].as_array().expect("files");
        files.iter().map(|file| (file["path"].clone(), file["causes"][0].clone())).collect::<Vec<_>>()
    };
    let pair = |path: &str, cause: &str| (Value::from(path), Value::from(cause));
    assert!(checked.iter().all(|event| event["reproducible"] == false), "{said}");
    assert_eq!(causes(0), [pair("/pid", "pid")]);
    assert!(causes(1).iter().all(|(_, cause)| cause == "pid") && causes(1).len() == 2, "{said}");
    assert_eq!(causes(2), [pair("/order", "order")]);
    assert_eq!(causes(3), [pair("/etc.order", "order")]);
    assert_eq!(causes(4), [pair("/env", "order")]);
}

#[test]
fn a_cached_step_is_run_all_the_same() {
    let Some(world) = world("checks of cached steps") else { return };
    let buildfile = "FROM bb\nRUN date +%s > /t\n";
    let build = |args: &[&str]| world.run(arguments(&world, buildfile, args));
    assert_eq!(build(&["-t", "app"]).code, Some(0));
    let run = build(&["--check-reproducible"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains("cached") && run.stderr.contains("/t"), "{}", run.stderr);
    // What the check made is in nobody's way.
    let again = build(&[]);
    assert_eq!(again.stdout.trim(), world.ok(["digest", "app"]));
    world.ok(["fsck"]);
}

#[test]
fn a_second_run_sees_the_same_files() {
    let Some(world) = world("files in a second run") else { return };
    let buildfile = "FROM bb\nRUN mkdir -p /a/b /gone/x; echo 1 > /a/b/f; echo 2 > /gone/x/f; echo 3 > /was-file\n\
                     RUN rm -r /gone /was-file; mkdir -p /gone /was-file/d; echo 4 > /a/b/g\n\
                     RUN find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o ! -path /all -type f -print | sort > /all; \
                     mv /a/b /a/c; rm /a/c/g; ls -lR /a /gone /was-file > /list\n";
    let run = world.run(arguments(&world, buildfile, &["--check-reproducible", "-q"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_second_run_has_no_network_that_the_build_refuses() {
    let Some(world) = world("a second run offline") else { return };
    let step = "FROM bb\nRUN --network=default echo a > /a\n";
    told(&world, step, &[]);
    let error = fails(&world, step, &["--offline", "--check-reproducible"]);
    assert!(error.contains("wants a network, which this build refuses"), "{error}");
}
