//! Why a RUN was run again.

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
    assert!(said.contains("`f`: its content changed\nit stands on step 2 of stage 0"), "{said}");
    let said = why(&world, file, &["--build-arg", "V=2"]);
    assert!(said.contains("the build argument `V` was `1`, and is `2`"), "{said}");
    let said = why(&world, &file.replace("cat /f", "cat /f /f"), &["--build-arg", "V=2"]);
    assert!(said.starts_with("the command was `/bin/sh -c cat /f /ctx/t"), "{said}");
}
