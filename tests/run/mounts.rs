//! `RUN --mount`: what is seen, what stays, and that nothing of it is in a layer.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use super::{build, changes, fails, text, world};

#[test]
fn binds_show_trees() {
    let Some(world) = world("bind mounts") else { return };
    world
        .write("ctx/d/e", "e")
        .write("ctx/f", "f")
        .write("ctx/ignored", "i")
        .write("ctx/.dockerignore", "ignored")
        .write("named/n", "n");
    std::os::unix::fs::symlink("../../d", world.path("ctx/link")).unwrap();
    let image = build(
        &world,
        "FROM bb\nRUN mkdir /old; echo old > /old/f\nRUN --mount=target=/m --mount=target=/old,source=link \
         --mount=target=/file,source=f --mount=from=named,target=/n,rw \
         cat /m/d/e /old/e /file /n/n > /seen; ls /m > /ls; echo new > /n/new; echo x > /m/f || echo ro >> /seen\n\
         RUN ls / /old > /after\n",
        &["--build-context", "named=named"],
    );
    assert_eq!(text(&image, "seen"), "eefnro\n");
    assert_eq!(text(&image, "ls"), "d\nf\nlink\n");
    assert!(text(&image, "after").ends_with("/old:\nf\n"));
    let left: Vec<_> = changes(&image).into_keys().collect();
    assert_eq!(left, ["after", "ls", "old/", "old/f", "seen"]);
    assert!(!world.path("named/new").exists());
    let error = fails(&world, "FROM bb\nRUN --mount=target=/m,source=gone true\n", &[]);
    assert!(error.contains("no such file or folder in the build context"), "{error}");
    let error = fails(&world, "FROM bb\nRUN --mount=target=/m,source=../../etc/passwd cat /m\n", &[]);
    assert!(error.contains("no such file or folder"), "{error}");
}

#[test]
fn caches_stay() {
    let Some(world) = world("cache mounts") else { return };
    let once = |buildfile: &str| build(&world, buildfile, &["--no-cache"]);
    once("FROM bb\nRUN --mount=type=cache,target=/c echo 1 > /c/f\n");
    let image =
        once("FROM bb\nRUN --mount=type=cache,target=/c,ro cat /c/f > /a; echo x > /c/x || echo ro >> /a\n");
    assert_eq!(text(&image, "a"), "1\nro\n");
    let image = once("FROM bb\nRUN --mount=type=cache,target=/d,id=/c cat /d/f > /a\nRUN ls / > /l\n");
    assert_eq!(text(&image, "a"), "1\n");
    assert!(!text(&image, "l").lines().any(|name| name == "c" || name == "d"));
    // What an id says is no path.
    once("FROM bb\nRUN --mount=type=cache,target=/d,id=../../../../escape echo 1 > /d/f\n");
    assert!(!world.path("escape").exists() && !world.path("store/escape").exists());
    let image =
        once("FROM bb\nRUN --mount=type=cache,target=/c,mode=0700,uid=5,gid=6 stat -c %a:%u:%g /c > /s\n");
    assert_eq!(text(&image, "s"), "700:5:6\n");
    let from = "FROM bb AS s\nCOPY f /in/f\nFROM bb\nRUN --mount=type=cache,id=k,from=s,source=/in,target=/c \
                cat /c/f > /a; echo more >> /c/f\n";
    assert_eq!(text(&once(from), "a"), "f\n");
    assert_eq!(text(&once(from), "a"), "f\nmore\n");
    // A collection leaves them, unless it is told not to.
    world.ok(["gc"]);
    assert_eq!(text(&once("FROM bb\nRUN --mount=type=cache,target=/c cat /c/f > /a\n"), "a"), "1\n");
    world.ok(["gc", "--cache-mounts"]);
    fails(&world, "FROM bb\nRUN --mount=type=cache,target=/c cat /c/f > /a\n", &["--no-cache"]);
}

#[test]
fn locked_caches_are_one_builds() {
    let Some(world) = world("locked cache mounts") else { return };
    world.write("ctx/f", "");
    let count = "n=$(cat /c/n 2>/dev/null || echo 0); sleep 0.2; echo $((n+1)) > /c/n";
    let build = |number: usize, sharing: &str| {
        let name = format!("Buildfile.{sharing}{number}");
        world.write(
            &name,
            format!("FROM bb\nENV N={number}\nRUN --mount=type=cache,target=/c,id={sharing},sharing={sharing} {count}\n"),
        );
        world.ok(["build", "-q", "-f", &name, "--build-context", "bb=bb", "ctx"]);
    };
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || build(number, "locked"));
        }
    });
    let image =
        super::build(&world, "FROM bb\nRUN --mount=type=cache,target=/c,id=locked cat /c/n > /a\n", &[]);
    assert_eq!(text(&image, "a"), "4\n");
    std::thread::scope(|scope| {
        for number in 0..3 {
            scope.spawn(move || build(number, "private"));
        }
    });
}

#[test]
fn memory_is_gone() {
    let Some(world) = world("tmpfs mounts") else { return };
    let image = build(
        &world,
        "FROM bb\nRUN mkdir /t; echo old > /t/f\nRUN --mount=type=tmpfs,target=/t,size=1m --mount=type=tmpfs,target=/p/q \
         ls /t > /l; echo x > /t/x; dd if=/dev/zero of=/t/big bs=1M count=2 2>/dev/null || echo full >> /l\nRUN ls /t / > /m\n",
        &[],
    );
    assert_eq!(text(&image, "l"), "full\n");
    let names = text(&image, "m");
    assert!(names.lines().all(|name| !matches!(name, "x" | "big" | "p")), "{names}");
}

/// Every file below a folder that holds those bytes.
fn holding(folder: &std::path::Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holding(&entry.path(), bytes));
        } else if !kind.is_symlink()
            && std::fs::read(entry.path()).unwrap().windows(bytes.len()).any(|part| part == bytes)
        {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn secrets_leave_no_trace() {
    let Some(world) = world("secrets") else { return };
    let secret = "hunter2-7d1f0c";
    world.write("secret", format!("{secret}\n"));
    let buildfile = "FROM bb\nRUN --mount=type=secret,id=k --mount=type=secret,id=e,env=E \
                     --mount=type=secret,id=k,target=/other,mode=0444,uid=5 \
                     test \"$(cat /run/secrets/k)\" = \"$E\"; echo $? > /r; stat -c %a:%u /run/secrets/k /other >> /r; \
                     cat /run/secrets/k; cat /other >&2; echo secret=$E\n";
    // Not compressed, so that the search looks into layers.
    let args = [
        ["--secret", "id=k,src=secret"],
        ["--secret", "id=e,env=TOKEN"],
        ["--progress", "plain"],
        ["--compression", "none"],
        ["-t", "named"],
    ]
    .concat();
    let mut command = world.command(super::arguments(&world, buildfile, &args));
    let output = command.env("TOKEN", secret).args(["-o", "type=oci,dest=out"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("secret=***") && !said.contains(secret), "{said}");
    let image = crate::support::judge::Layout::open(&world.path("out")).image();
    assert_eq!(text(&image, "r"), "0\n400:0\n444:5\n");
    let left: Vec<_> = changes(&image).into_keys().collect();
    assert_eq!(left, ["r"]);
    // A failing step keeps its state: without them.
    let failing = buildfile.replace("echo secret=$E", "false");
    let mut command = world.command(super::arguments(&world, &failing, &args));
    let output = command.env("TOKEN", secret).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains(secret));
    // The search finds what is there: in a layer, in the log of either step, in the kept state's program.
    assert!(!holding(&world.path("out"), b"400:0\n444:5\n").is_empty());
    assert!(!holding(&world.path("store/lith/logs"), b"***").is_empty());
    assert!(!holding(&world.path("store/lith/debug"), b"/run/secrets").is_empty());
    for folder in ["store", "out"] {
        assert_eq!(holding(&world.path(folder), secret.as_bytes()), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn secrets_that_were_not_given() {
    let Some(world) = world("missing secrets") else { return };
    let error = fails(&world, "FROM bb\nRUN --mount=type=secret,id=k,required true\n", &[]);
    assert!(error.contains("needs the secret `k`") && error.contains("--secret id="), "{error}");
    build(&world, "FROM bb\nRUN --mount=type=secret,id=k test ! -e /run/secrets/k\n", &[]);
    let wrong = |secret: &str| world.fails(2, ["build", "--secret", secret, "ctx"]);
    assert!(wrong("src=x").contains("no id") && wrong("id=k,env=NOT_SET").contains("`NOT_SET`"));
    assert!(wrong("id=k,what=x").contains("keys") && wrong("id").contains("KEY=VALUE"));
}

#[test]
fn agents_answer() {
    let Some(world) = world("ssh agents") else { return };
    let listener = UnixListener::bind(world.path("agent")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&asked).unwrap();
        }
    });
    let agent = world.path("agent").display().to_string();
    let buildfile = "FROM bb\nRUN --mount=type=ssh,uid=5,mode=0640 stat -c %a:%u:%F $SSH_AUTH_SOCK > /a\n";
    let image = build(&world, buildfile, &["--ssh", &format!("default={agent}")]);
    assert_eq!(text(&image, "a"), "640:5:socket\n");
    let left: Vec<_> = changes(&image).into_keys().collect();
    assert_eq!(left, ["a"]);
    assert!(world.path("agent").exists());
    let error = fails(&world, "FROM bb\nRUN --mount=type=ssh,required true\n", &[]);
    assert!(error.contains("needs the ssh agent `default`"), "{error}");
    world.write("key", "-----BEGIN OPENSSH PRIVATE KEY-----");
    let error = world.fails(2, ["build", "--ssh", "default=key", "ctx"]);
    assert!(error.contains("ssh-add"), "{error}");
}
