//! One digest: whoever builds, where and when; and a store that is whole whatever happens.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::{arguments, base, build, changes, world};
use crate::support::World;

const BUILDFILE: &str = "FROM bb\nCOPY f /d/f\n\
    RUN mkdir -p /x/y; echo 1 > /x/y/z; chmod 700 /x; ln /x/y/z /x/l; umask > /u; hostname > /h; cat /etc/hosts > /hosts; ls -l /d > /ls\n\
    RUN --mount=type=cache,target=/c echo c > /c/f; rm -r /x/y; echo 2 >> /d/f; chown 5:6 /d/f\n\
    USER bob\nRUN touch /tmp/mine; id > /tmp/id; env | sort > /tmp/env\n";

#[test]
fn the_digest_is_the_same_in_another_store() {
    let Some(world) = world("the digest of RUN") else { return };
    let first = build(&world, BUILDFILE, &[]);
    let other = World::new();
    if base(&other, "the digest of RUN").is_none() {
        return;
    }
    std::thread::sleep(Duration::from_millis(1100));
    let mut command = other.command(arguments(&other, BUILDFILE, &["-q"]));
    command
        .env("LITH_STORE", other.path("a/longer/path/to/a/store"))
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "tr_TR.UTF-8");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), first.digest);
    let layers: Vec<usize> = first.layers.iter().map(|layer| layer.entries.len()).collect();
    assert_eq!(layers.len(), 5, "{layers:?}");
}

#[test]
fn the_digest_is_the_same_for_an_ordinary_user() {
    let Some(world) = world("RUN as an ordinary user") else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("warning: not root: RUN as root was NOT compared with RUN as a user");
        return;
    }
    // Without chown, USER and groups, so that a user without subordinate ids can do it too.
    let buildfile =
        BUILDFILE.replace("; chown 5:6 /d/f", "").replace("USER bob\n", "").replace("; id >", "; id -u >");
    let first = build(&world, &buildfile, &[]);
    let Some(output) = as_user(&world) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), first.digest);
}

/// Builds what `world` has built last as a user of no name, who has one id; `None` after saying so where users
/// can't run steps.
fn as_user(world: &World) -> Option<Output> {
    let theirs = World::new();
    let copied = Command::new("cp")
        .arg("-a")
        .args([world.path("bb"), world.path("ctx"), world.path("Buildfile.run")])
        .arg(theirs.path(""))
        .status();
    assert!(copied.unwrap().success());
    std::fs::create_dir(theirs.path("home")).unwrap();
    let uid = 12345;
    let owned = Command::new("chown").args(["-R", &format!("{uid}:{uid}")]).arg(theirs.path("")).status();
    assert!(owned.unwrap().success());
    let fixed = ["-q", "-f", "Buildfile.run", "--build-context", "bb=bb", "--context-modes", "keep", "ctx"];
    let output = theirs.command(["build"].iter().chain(&fixed)).uid(uid).gid(uid).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("steps can't be run here")
        || said.contains("Permission denied (os error 13)") && output.stdout.is_empty()
    {
        eprintln!("warning: RUN as a user was NOT tested: {said}");
        return None;
    }
    Some(output)
}

#[test]
fn a_user_with_one_id_is_told_what_is_missing() {
    let Some(world) = world("RUN as a user with one id") else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("warning: not root: RUN as a user with one id was NOT tested");
        return;
    }
    build(&world, "FROM bb\nRUN touch /f; chown 5:6 /f\n", &[]);
    let Some(output) = as_user(&world) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Invalid argument") && said.contains("in `/etc/subuid`"), "{said}");
}

#[test]
fn leftovers_are_cleaned() {
    let Some(world) = world("cleaners") else { return };
    let buildfile = "FROM bb\nRUN mkdir -p /var/log /var/cache/ldconfig; cat /proc/uptime > /var/log/dpkg.log; \
                     cat /proc/uptime > /var/cache/ldconfig/aux-cache; echo 0123456789abcdef0123456789abcdef > /etc/machine-id\n\
                     RUN ls -R /var > /ls; wc -c < /etc/machine-id > /size\n";
    let image = build(&world, buildfile, &[]);
    let paths: Vec<_> = changes(&image).into_keys().collect();
    assert!(!paths.iter().any(|path| path.ends_with("dpkg.log") || path.ends_with("aux-cache")), "{paths:?}");
    // The next step sees what the layer has.
    assert!(!super::text(&image, "ls").contains("dpkg.log"));
    assert_eq!(super::text(&image, "size"), "0\n");
    let image = build(&world, buildfile, &["--cleaners", "none"]);
    assert!(super::text(&image, "ls").contains("dpkg.log"));
    assert!(world.fails(2, ["build", "--cleaners", "pycs", "ctx"]).contains("is no cleaner"));
}

#[test]
fn kills_leave_the_store_whole() {
    let Some(world) = world("kills during RUN") else { return };
    let buildfile = "FROM bb\nCOPY f /f\nRUN for i in 1 2 3 4 5 6 7 8 9; do mkdir -p /d$i; dd if=/dev/zero of=/d$i/f bs=64k count=8 2>/dev/null; done\n\
                     RUN rm -r /d1; sleep 0.05; echo done > /d2/g\n";
    let args = arguments(&world, buildfile, &["-q", "--no-cache"]);
    for number in 0..12_u64 {
        let mut child = world.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + 37 * number));
        let _ended = child.kill();
        child.wait().unwrap();
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*world.path("store").to_string_lossy()), "{mounts}");
    let after = build(&world, buildfile, &[]);
    world.ok(["fsck"]);
    let clean = super::world("kills during RUN").unwrap();
    assert_eq!(build(&clean, buildfile, &[]).digest, after.digest);
    world.ok(["gc"]);
    let work = world.path("store/lith/roots");
    let left: Vec<_> = std::fs::read_dir(work)
        .unwrap()
        .flat_map(|mode| ["work", "dead"].map(|part| mode.as_ref().unwrap().path().join(part)))
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
