//! `lith build --load`, with stand-ins for docker and podman.

use crate::support::World;

/// A world with programs of its own.
fn world(docker: &str, podman: Option<&str>) -> World {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", vec![b'x'; 1 << 20]);
    for (name, script) in [("docker", Some(docker)), ("podman", podman)] {
        if let Some(script) = script {
            let file = format!("bin/{name}");
            world.write(&file, format!("#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")).chmod(&file, 0o755);
        }
    }
    world
}

fn load(world: &World) -> crate::support::Run {
    let args = ["build", "--compression", "none", "--load", "-t", "app", "app"];
    crate::support::Run::of(world.command(args).env("PATH", world.path("bin")))
}

const NO_DAEMON: &str = "echo 'Cannot connect to the Docker daemon' >&2; exit 1";

#[test]
fn the_program_that_works_is_taken() {
    let world = world(NO_DAEMON, Some("test $1 = version || cat >loaded.tar"));
    let run = load(&world);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("loaded into podman"), "{}", run.stderr);
    assert!(world.path("loaded.tar").metadata().unwrap().len() > 1 << 20);
}

#[test]
fn without_one_that_works_it_is_said_before_the_build_what_to_do() {
    let world = world(NO_DAEMON, None);
    let run = load(&world);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    for part in ["Cannot connect to the Docker daemon", "hint: ", "-o type=docker,dest=FILE"] {
        assert!(run.stderr.contains(part), "`{part}` is not in:\n{}", run.stderr);
    }
}

#[test]
fn a_program_that_stops_reading_has_the_time_to_say_why() {
    let world = world("test $1 = version || { exec <&-; sleep 0.3; echo 'disk full' >&2; exit 1; }", None);
    let run = load(&world);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("disk full") && !run.stderr.contains("signal"), "{}", run.stderr);
    assert!(run.stderr.contains("-o type=docker,dest=FILE"), "{}", run.stderr);
}
