//! What makes a step another step, and what doesn't.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{arguments, build, text, told, world};

/// Whether the last step of a Buildfile, built again with other arguments, came from the cache.
fn cached(told: &str) -> bool {
    let last = told.lines().rfind(|line| line.contains("] RUN ")).unwrap_or_else(|| panic!("{told}"));
    last.contains("(cached)")
}

#[test]
fn what_counts_and_what_does_not() {
    let Some(world) = world("the cache of RUN") else { return };
    let base = "FROM bb\nARG A=1\nENV E=1\nRUN --mount=target=/m,source=sub cat /m/f > /out\n";
    world.write("ctx/sub/f", "one").write("ctx/other", "x");
    assert!(!cached(&told(&world, base, &[])));
    assert!(cached(&told(&world, base, &[])));
    for args in [
        &["--build-arg", "UNDECLARED=2"][..],
        &["--build-arg", "HTTP_PROXY=http://p"],
        &["--label", "a=b"],
        &["-m", "1g"],
    ] {
        assert!(cached(&told(&world, base, args)), "{args:?}");
    }
    world.write("ctx/other", "y");
    assert!(cached(&told(&world, base, &[])), "what is not mounted does not count");
    for args in [
        &["--build-arg", "A=2"][..],
        &["--no-cache"],
        &["--network", "default"],
        &["--source-date-epoch", "5"],
        &["--cleaners", "none"],
        &["--clock", "epoch"],
    ] {
        assert!(!cached(&told(&world, base, args)), "{args:?}");
    }
    for (from, to) in [
        ("cat /m/f", "cat  /m/f"),
        ("ENV E=1", "ENV E=2"),
        ("ARG A=1", "USER 0:5"),
        ("ARG A=1", "WORKDIR /tmp"),
        ("source=sub", "source=sub,rw"),
        ("target=/m", "target=/m2"),
        ("ARG A=1", "COPY other /"),
        ("RUN --mount", "RUN --mount=type=tmpfs,target=/t --mount"),
        ("RUN --mount", "RUN --mount=type=secret,id=s --mount"),
    ] {
        let changed = base.replace(from, to).replace("cat /m/f > /out", "ls / > /out");
        let changed = if from.starts_with("cat") { base.replace(from, to) } else { changed };
        assert!(!cached(&told(&world, &changed, &[])), "{to}");
    }
    world.write("ctx/sub/f", "two");
    let told = told(&world, base, &[]);
    assert!(!cached(&told), "the content of what is mounted counts");
}

#[test]
fn a_cached_step_is_not_run() {
    let Some(world) = world("cached steps") else { return };
    let buildfile = "FROM bb\nRUN cat /proc/sys/kernel/random/uuid > /u\nRUN echo after > /a\n";
    let first = build(&world, buildfile, &[]);
    let second = build(&world, buildfile, &[]);
    assert_eq!(first.digest, second.digest);
    let other = build(&world, buildfile, &["--no-cache"]);
    assert_ne!(text(&first, "u"), text(&other, "u"));
    // Another compression is another blob of the same files.
    let zstd = build(&world, buildfile, &["--compression", "zstd"]);
    assert_eq!(text(&zstd, "u"), text(&other, "u"));
    assert!(zstd.layers[1].media_type.ends_with("zstd"));
    // What is known of a run that is known no more counts for nothing, in whatever compression.
    let third = build(&world, buildfile, &["--no-cache"]);
    let zstd = build(&world, buildfile, &["--compression", "zstd"]);
    assert_eq!(text(&zstd, "u"), text(&third, "u"));
}

/// Every file of a folder, with what a write would change of it.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let of = |entry: walkdir::DirEntry| {
        let metadata = entry.metadata().unwrap();
        (entry.into_path(), (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    entries.map(of).collect()
}

#[test]
fn a_build_that_is_cached_reads_no_layer_and_writes_nothing() {
    let Some(world) = world("cached builds") else { return };
    let buildfile = "FROM bb\nUSER bob\nRUN echo one > /tmp/one\nRUN true\nRUN echo two > /tmp/two\n";
    let args = arguments(&world, buildfile, &["-q", "-t", "app"]);
    let built = || world.ok(&args);
    let first = built();
    // The second one is noted as one in which nothing was new.
    assert_eq!(built(), first);
    let store = world.path("store");
    std::fs::remove_dir_all(store.join("lith/memo/listing-1")).unwrap();
    for (path, (_, size, ..)) in snapshot(&store.join("blobs/sha256")) {
        if path.is_file() && !std::fs::read(&path).unwrap().starts_with(b"{") {
            std::fs::write(&path, vec![0; usize::try_from(size).unwrap()]).unwrap();
        }
    }
    let before = snapshot(&store);
    assert_eq!(built(), first);
    assert_eq!(snapshot(&store), before);
}

#[test]
fn builds_at_once_have_one_result() {
    let Some(world) = world("builds at the same time") else { return };
    let buildfile = "FROM bb\nRUN sleep 1; cat /proc/sys/kernel/random/uuid > /u\n";
    world.write("Buildfile", buildfile).write("ctx/f", "");
    let digests: Vec<String> = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| world.ok("build -q -f Buildfile --build-context bb=bb ctx".split(' '))))
            .collect();
        builds.into_iter().map(|build| build.join().unwrap()).collect()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}
