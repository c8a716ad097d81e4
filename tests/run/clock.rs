//! Steps whose wall clock stands still at the epoch.

use super::{build, fails, text, told, world};

#[test]
fn what_a_step_makes_of_the_clock_is_the_same_each_time() {
    let Some(world) = world("a clock that stands still") else { return };
    let buildfile = "FROM bb\nRUN date > /now; sleep 1; date +%s >> /now; touch /f; exit 0\n";
    let digest = |args: &[&str]| build(&world, buildfile, &[args, &["--no-cache"]].concat()).digest;
    let first = build(&world, buildfile, &["--clock", "epoch"]);
    assert_eq!(text(&first, "now"), "Thu Jan  1 00:00:00 UTC 1970\n0\n");
    assert_eq!(digest(&["--clock", "epoch"]), first.digest);
    let other = build(&world, buildfile, &["--clock", "epoch", "--source-date-epoch", "1234567890"]);
    assert_eq!(text(&other, "now"), "Fri Feb 13 23:31:30 UTC 2009\n1234567890\n");
    assert_ne!(digest(&["--clock", "real"]), digest(&[]), "it takes a second");
}

#[test]
fn the_clock_is_of_the_steps_key_and_the_record() {
    let Some(world) = world("the clock of a key") else { return };
    let buildfile = "FROM bb\nRUN date > /now\n";
    let build = |text: &str, args: &[&str]| {
        let told = told(&world, text, &[args, &["--metadata-file", "m"]].concat());
        let record = std::fs::read_to_string(world.path("m")).unwrap();
        let clock = if record.contains("\"lith.clock\": \"epoch\"") { "epoch" } else { "real" };
        assert!(record.contains(&format!("\"lith.clock\": \"{clock}\"")), "{record}");
        (clock, told.contains("(cached)"))
    };
    assert_eq!(build(buildfile, &[]), ("real", false));
    assert_eq!(build(buildfile, &["--clock", "real"]), ("real", true));
    assert_eq!(build(buildfile, &["--clock", "epoch"]), ("epoch", false));
    assert_eq!(build(buildfile, &["--clock", "epoch"]), ("epoch", true));
    let said = format!("# clock=epoch\n{buildfile}");
    assert_eq!(build(&said, &[]), ("epoch", true));
    assert_eq!(build(&said, &["--clock", "real"]), ("real", true), "the command line beats the Buildfile");
    let wrong = world.fails(2, ["build", "--clock", "Epoch", "ctx"]);
    assert!(wrong.contains("`--clock Epoch`") && wrong.contains("`epoch` or `real`"), "{wrong}");
    assert!(fails(&world, "# clock=utc\nFROM bb\n", &[]).contains("invalid clock `utc`"));
}

#[test]
fn one_looks_inside_at_the_same_time() {
    let Some(world) = world("lith debug under a clock that stands still") else { return };
    let error = fails(&world, "FROM bb\nRUN date +%s > /tmp/now; exit 4\n", &["--clock", "epoch"]);
    assert!(error.contains("exit code 4"), "{error}");
    assert_eq!(world.ok(["debug", "/bin/sh", "-c", "cat /tmp/now; date +%s"]), "0\n0");
    let error = fails(&world, "FROM bb\nRUN sleep 100\n", &["--timeout", "1s", "--clock", "epoch"]);
    assert!(error.contains("time was up"), "{error}");
}
