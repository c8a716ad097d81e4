//! RUN, with a static busybox as the base: what steps see, what they change, what they are known by.

mod bookworm;
mod caching;
mod check;
mod clock;
mod explained;
mod failing;
mod kills;
mod language;
mod locked;
mod mounts;
mod order;
mod users;
mod verified;

use std::collections::BTreeMap;

use crate::support::World;
use crate::support::judge::{Entry, Image, Layout};
use crate::support::programs::find;

const APPLETS: &str = "awk cat chmod chown cp cut date dd echo env false find grep head hostname id ln ls mkdir \
    mkfifo mknod mv nc ping printf pwd readlink rm rmdir sed sh sleep sort start-stop-daemon stat su sync tail test touch tr true umask wc wget";

/// A world with the folder `bb` as a root file system; `None` after saying so where steps can't be run.
pub(crate) fn world(what: &str) -> Option<World> {
    let world = World::new();
    base(&world, what)?;
    Some(world)
}

pub(crate) fn base(world: &World, what: &str) -> Option<()> {
    let program = find("busybox", what)?;
    world
        .write("bb/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001:Bob:/home/bob:/bin/sh\n")
        .write("bb/etc/group", "root:x:0:\nbob:x:1001:\nstaff:x:50:bob\n");
    std::fs::create_dir_all(world.path("bb/bin")).unwrap();
    std::fs::create_dir_all(world.path("bb/tmp")).unwrap();
    world.chmod("bb/tmp", 0o1777);
    std::fs::copy(program, world.path("bb/bin/busybox")).unwrap();
    world.chmod("bb/bin/busybox", 0o755);
    for applet in APPLETS.split_whitespace() {
        std::os::unix::fs::symlink("busybox", world.path("bb/bin").join(applet)).unwrap();
    }
    world.write("probe/Buildfile", "FROM bb\nRUN true\n");
    let run = world.run(["build", "-q", "--build-context", "bb=bb", "probe"]);
    if run.stderr.contains("steps can't be run here") {
        assert!(std::env::var_os("CI").is_none(), "{}", run.stderr);
        eprintln!("warning: {what} was NOT tested: {}", run.stderr);
        return None;
    }
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    Some(())
}

/// Builds a Buildfile on the base, with the context `ctx`; gives the image.
#[track_caller]
pub(crate) fn build(world: &World, buildfile: &str, args: &[&str]) -> Image {
    let args = arguments(world, buildfile, args);
    let _old = std::fs::remove_dir_all(world.path("out"));
    world.ok(args.iter().map(String::as_str).chain(["-q", "-o", "type=oci,dest=out"]));
    Layout::open(&world.path("out")).image()
}

/// Builds what must fail; gives what was said.
#[track_caller]
pub(crate) fn fails(world: &World, buildfile: &str, args: &[&str]) -> String {
    world.fails(1, arguments(world, buildfile, args))
}

/// What a build that shows all says on stderr.
#[track_caller]
pub(crate) fn told(world: &World, buildfile: &str, args: &[&str]) -> String {
    let run = world.run(arguments(world, buildfile, args));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stderr
}

fn arguments(world: &World, buildfile: &str, args: &[&str]) -> Vec<String> {
    world.write("Buildfile.run", buildfile);
    if !world.path("ctx").exists() {
        world.write("ctx/f", "f\n");
    }
    let fixed =
        ["build", "-f", "Buildfile.run", "--build-context", "bb=bb", "--context-modes", "keep", "ctx"];
    fixed.iter().chain(args).map(ToString::to_string).collect()
}

/// The entries of all layers but the base's, the last of each path.
pub(crate) fn changes(image: &Image) -> BTreeMap<String, Entry> {
    let layers = image.layers.iter().skip(1);
    layers.flat_map(|layer| layer.entries.iter()).map(|entry| (entry.path.clone(), entry.clone())).collect()
}

/// The text of a file that a step wrote.
#[track_caller]
pub(crate) fn text(image: &Image, path: &str) -> String {
    let changes = changes(image);
    let entry = changes.get(path).unwrap_or_else(|| panic!("no `{path}` in {:?}", changes.keys()));
    String::from_utf8(entry.content.clone()).unwrap()
}
