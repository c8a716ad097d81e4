//! Why a RUN was run again.

use super::locked::{Site, arguments, get, write};
use super::{told, world};

/// The reasons that a build gives.
#[track_caller]
fn why(world: &crate::support::World, buildfile: &str, args: &[&str]) -> String {
    let said = told(world, buildfile, &[args, &["--explain", "--progress", "plain"]].concat());
    let lines = said.lines().filter_map(|line| line.trim().strip_prefix("why: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_step_below_a_mount_and_a_variable_are_named() {
    let Some(world) = world("why a step was run again") else { return };
    world.write("ctx/f", "f\n").write("ctx/tools/t", "t\n");
    let file = "FROM bb\nARG V=1\nCOPY f /f\nRUN --mount=target=/ctx,source=tools cat /f /ctx/t > /g\n";
    why(&world, file, &[]);
    assert_eq!(why(&world, file, &[]), "");
    world.write("ctx/tools/t", "u\n");
    assert_eq!(why(&world, file, &[]), "`tools/t`: its content changed");
    world.write("ctx/f", "g\n");
    let said = why(&world, file, &[]);
    assert!(said.contains("`f`: its content changed\nit stands on step 2 of stage-0"), "{said}");
    let said = why(&world, file, &["--build-arg", "V=2"]);
    assert!(said.contains("the build argument `V` was `1`, and is `2`"), "{said}");
    let said = why(&world, &file.replace("cat /f", "cat /f /f"), &["--build-arg", "V=2"]);
    assert!(said.starts_with("the command was `/bin/sh -c cat /f /ctx/t"), "{said}");
}

#[test]
fn an_answer_that_was_locked_anew_is_named() {
    let Some(world) = world("why a step was run again") else { return };
    let site = Site::new("one\n");
    let url = site.url("/a");
    write(&world, &get(&url));
    world.ok(arguments("lock", "store"));
    world.ok(arguments("build", "store"));
    let lock = || std::fs::read_to_string(world.path("Buildfile.run.lock")).unwrap();
    let digest = |text: &str| crate::support::registry::sha256(text.as_bytes());
    assert!(lock().contains(&digest("one\n")));
    *site.text.lock().unwrap() = "two\n".into();
    world.ok(arguments("lock", "store").into_iter().chain(["--update"]));
    world.ok(arguments("build", "store"));
    let told = world.ok(["--store", "store", "why"]);
    let (was, is) = (digest("one\n"), digest("two\n"));
    let wanted = format!("the recorded answer to `{url}` was `{was}`, and is `{is}`");
    assert!(told.contains(&wanted), "{wanted}\n{told}");
    assert!(told.contains("[stage-0 1/1] RUN --network=locked unset no_proxy"), "{told}");
}

#[test]
fn a_step_with_arguments_is_told_as_it_was_written() {
    let Some(world) = world("why a step was run again") else { return };
    let file = "FROM bb\nARG V=1\nRUN echo $V \\\n  > /g\n";
    why(&world, file, &[]);
    let said = told(&world, file, &["--explain", "--progress", "plain", "--build-arg", "V=2"]);
    assert!(said.contains("[stage-0 2/2] RUN echo $V   > /g (") && !said.contains("|1 V="), "{said}");
    assert!(world.ok(["why"]).contains("[stage-0 2/2] RUN echo $V   > /g\n"), "{}", world.ok(["why"]));
}
