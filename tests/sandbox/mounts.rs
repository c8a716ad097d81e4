//! What is mounted into a step.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;

use lith::sandbox::{Hidden, Mount, Step, User};

use super::ground::{Ground, names};

super::cases! {
    trees_are_read_only_or_thrown_away sources_stay_inside_their_tree targets_stay_inside_the_root
    caches_keep_what_is_written a_tmpfs_has_a_size secrets_are_in_memory sockets_are_passed mounts_in_mounts
    bad_mounts_are_told
}

fn tree(lowers: &[&Path], source: &str, target: &str, read_only: bool) -> Mount {
    Mount::Tree {
        lowers: lowers.iter().map(|lower| lower.to_path_buf()).collect(),
        source: source.into(),
        target: target.into(),
        read_only,
    }
}

fn trees_are_read_only_or_thrown_away(ground: &Ground) {
    let (low, high) = (ground.folder("low"), ground.folder("high"));
    std::fs::create_dir(low.join("sub")).unwrap();
    std::fs::write(low.join("sub/a"), "low a\n").unwrap();
    std::fs::write(low.join("b"), "low b\n").unwrap();
    std::fs::write(high.join("b"), "high b\n").unwrap();
    let both = [&*low, &*high];
    assert_eq!(
        ground.with(vec![tree(&both, "/", "/src", true)], "cat /src/sub/a /src/b; touch /src/x || true"),
        "low a\nhigh b\n"
    );
    assert_eq!(ground.with(vec![tree(&[&low], "sub", "/src", true)], "ls /src"), "a\n");
    assert_eq!(
        ground
            .with(vec![tree(&both, "/b", "/new/file", true)], "cat /new/file; echo x > /new/file || echo no"),
        "high b\nno\n"
    );
    let step = Step {
        mounts: vec![tree(&both, "/", "/src", false)],
        ..ground.script("echo x > /src/sub/x; rm /src/b; ls /src /src/sub")
    };
    let ran = ground.run(&step);
    assert_eq!(ran.out, "/src:\nsub\n\n/src/sub:\na\nx\n", "{ran:?}");
    assert_eq!(names(&ran.upper), Vec::<String>::new());
    assert_eq!(
        (names(&low), names(&high)),
        (vec!["b".into(), "sub".into(), "sub/a".into()], vec!["b".into()])
    );
}

fn sources_stay_inside_their_tree(ground: &Ground) {
    let folder = ground.folder("tree");
    std::fs::write(folder.join("inside"), "inside\n").unwrap();
    std::fs::write(ground.path("outside"), "outside\n").unwrap();
    symlink("../outside", folder.join("up")).unwrap();
    symlink(ground.path("outside"), folder.join("absolute")).unwrap();
    symlink("/proc/self/root/etc/passwd", folder.join("magic")).unwrap();
    symlink("/../../inside", folder.join("good")).unwrap();
    assert_eq!(ground.with(vec![tree(&[&folder], "good", "/m", true)], "cat /m"), "inside\n");
    assert_eq!(ground.with(vec![tree(&[&folder], "/../../../inside", "/m", true)], "cat /m"), "inside\n");
    for source in ["up", "absolute", "magic", "../outside", "missing", "missing/../../outside"] {
        let step = Step { mounts: vec![tree(&[&folder], source, "/m", true)], ..ground.script("cat /m") };
        let error = ground.try_run(&step).unwrap_err().to_string();
        assert_eq!(error, format!("the mount's source `{source}` is not there"));
    }
}

fn targets_stay_inside_the_root(ground: &Ground) {
    let outside = ground.folder("outside");
    std::fs::write(outside.join("kept"), "").unwrap();
    symlink(&outside, ground.root().join("out")).unwrap();
    symlink("../../../../../../../../tmp", ground.root().join("up")).unwrap();
    let tmpfs = |target: &str| Mount::Tmpfs { target: target.into(), size: None };
    assert_eq!(ground.with(vec![tmpfs("/out")], "ls /out | wc -l; touch /out/x"), "0\n");
    assert_eq!(names(&outside), ["kept"]);
    assert_eq!(ground.with(vec![tmpfs("/up/deep")], "mount | grep -c 'on /tmp/deep '"), "1\n");
    for target in ["/", "/..", "/proc", "/proc/self/root", "/sys/kernel", "/work/../proc/1"] {
        let step = Step { mounts: vec![tmpfs(target)], ..ground.script("true") };
        let error = ground.try_run(&step).unwrap_err().to_string();
        assert!(error.starts_with("nothing can be mounted at "), "{target}: {error}");
    }
}

fn caches_keep_what_is_written(ground: &Ground) {
    let folder = ground.folder("cache");
    let owner = if ground.is_single() { (0, 0) } else { (1000, 1001) };
    let cache = |read_only| Mount::Cache {
        folder: folder.clone(),
        target: "/var/cache/x".into(),
        read_only,
        owner,
        mode: 0o751,
    };
    let (uid, gid) = owner;
    assert_eq!(
        ground.with(vec![cache(false)], "stat -c '%a %u %g' /var/cache/x; echo kept > /var/cache/x/f"),
        format!("751 {uid} {gid}\n")
    );
    // What is not empty stays as it is.
    ground.with(vec![cache(false)], "chmod 700 /var/cache/x");
    let step = Step {
        mounts: vec![cache(true)],
        ..ground.script("stat -c %a /var/cache/x; cat /var/cache/x/f; echo n > /var/cache/x/f || echo no")
    };
    let ran = ground.run(&step);
    assert_eq!(ran.out, "700\nkept\nno\n");
    assert_eq!(names(&ran.upper), Vec::<String>::new());
    // A link in its place is not followed.
    let link = ground.path("link");
    symlink("/etc", &link).unwrap();
    let mount =
        Mount::Cache { folder: link, target: "/c".into(), read_only: false, owner: (0, 0), mode: 0o700 };
    assert!(ground.try_run(&Step { mounts: vec![mount], ..ground.script("true") }).is_err());
}

fn a_tmpfs_has_a_size(ground: &Ground) {
    let mounts = vec![Mount::Tmpfs { target: "/t".into(), size: Some(1 << 20) }];
    let out = ground.with(
        mounts,
        "head -c 2m /dev/zero > /t/f || echo full; stat -c '%s %a' /t/f | cut -d' ' -f1; stat -c %a /t",
    );
    assert_eq!(out, "full\n1048576\n1777\n");
}

fn secrets_are_in_memory(ground: &Ground) {
    let owner = if ground.is_single() { (0, 0) } else { (1000, 0) };
    let secret = |target: &str| Mount::File {
        target: target.into(),
        bytes: Hidden(b"hunter2-very-secret".to_vec()),
        owner,
        mode: 0o440,
    };
    let step = Step {
        mounts: vec![secret("/run/secrets/one"), secret("/root/.token")],
        user: User { uid: owner.0, ..User::default() },
        ..ground.script("cat /run/secrets/one; stat -c ' %a %u' /run/secrets/one; wc -c < /root/.token; echo > /root/.token || echo no; stat -f -c %T /run/secrets/one")
    };
    std::fs::set_permissions(ground.root().join("root"), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = ground.run(&step);
    assert_eq!(ran.out, format!("hunter2-very-secret 440 {}\n19\nno\ntmpfs\n", owner.0), "{ran:?}");
    assert!(!format!("{step:?}").contains("hunter2") && !format!("{step:?}").contains("104, 117"));
    let traces = format!("{:?}{:?}", names(&step.upper), names(&step.scratch));
    assert!(names(&step.upper).is_empty(), "{traces}");
    for name in names(&ground.path("")) {
        let path = ground.path(&name);
        if path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.size() < 1 << 20) {
            let text = std::fs::read(&path).unwrap_or_default();
            assert!(!text.windows(7).any(|window| window == b"hunter2"), "{}", path.display());
        }
    }
}

fn sockets_are_passed(ground: &Ground) {
    let path = ground.path("agent.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello from the agent\n").unwrap();
    });
    let owner = if ground.is_single() { (0, 0) } else { (1000, 1000) };
    let socket = |socket| Mount::Socket { socket, target: "/run/agent".into(), owner, mode: 0o600 };
    let step = Step {
        mounts: vec![socket(path)],
        user: User { uid: owner.0, gid: owner.1, groups: Vec::new() },
        ..ground.script("stat -c '%a %F' /run/agent; nc local:/run/agent < /dev/null")
    };
    let ran = ground.run(&step);
    // Some busyboxes' `nc` knows no such sockets; then nobody called.
    if ran.out.contains("hello") {
        answering.join().unwrap();
    }
    assert!(ran.out.starts_with("600 socket\n"), "{ran:?}");
    let plain = ground.path("plain");
    std::fs::write(&plain, "").unwrap();
    assert!(ground.try_run(&Step { mounts: vec![socket(plain)], ..ground.script("true") }).is_err());
}

fn mounts_in_mounts(ground: &Ground) {
    let (folder, cache) = (ground.folder("outer"), ground.folder("inner"));
    std::fs::write(folder.join("a"), "").unwrap();
    std::fs::write(cache.join("b"), "").unwrap();
    let inner = Mount::Cache {
        folder: cache.clone(),
        target: "/o/new/i".into(),
        read_only: false,
        owner: (0, 0),
        mode: 0o755,
    };
    // The inner one is named first.
    let mounts = vec![inner, tree(&[&folder], "/", "/o", true)];
    assert_eq!(
        ground.with(mounts, "ls /o /o/new/i; touch /o/new/i/c && touch /o/x || echo no"),
        "/o:\na\nnew\n\n/o/new/i:\nb\nno\n"
    );
    assert_eq!((names(&folder), names(&cache)), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
    // Over what the sandbox mounts itself.
    let mounts = vec![
        Mount::Tmpfs { target: "/dev/shm".into(), size: Some(4096) },
        tree(&[&folder], "/", "/etc", true),
    ];
    assert_eq!(ground.with(mounts, "df -k /dev/shm | tail -n 1 | awk '{print $2}'; ls /etc"), "4\na\n");
}

fn bad_mounts_are_told(ground: &Ground) {
    let error = |mount: Mount| {
        let step = Step { mounts: vec![mount], ..ground.script("true") };
        ground.try_run(&step).unwrap_err().to_string()
    };
    let folder = ground.folder("some");
    let told = error(tree(&[&folder], "/", "/work/below", true));
    assert_eq!(told, "nothing can be mounted at `/work/below`: it is no folder");
    let told =
        error(Mount::File { target: "/work".into(), bytes: Hidden(Vec::new()), owner: (0, 0), mode: 0 });
    assert_eq!(told, "nothing can be mounted at `/work`: it is a folder");
    let told = error(Mount::Tmpfs { target: "/work/below/x".into(), size: None });
    assert!(told.starts_with("nothing can be mounted at `/work/below/x`: Not a directory"), "{told}");
    let told = error(Mount::Cache {
        folder: ground.path("no"),
        target: "/c".into(),
        read_only: true,
        owner: (0, 0),
        mode: 0,
    });
    assert!(told.starts_with("making what `/c` shows: No such file"), "{told}");
}
