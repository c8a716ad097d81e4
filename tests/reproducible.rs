//! One digest, whatever the builder: the promise that lith is about.
//!
//! Each fixture is built again under another umask, locale, time zone, clock, user, file system, order of
//! creation, number of threads, temporary folder and checkout path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Run, World, fixtures, programs};

/// The digest of every fixture, built in `world` from a copy of the fixtures by a command that `adapt` changed.
fn digests(world: &World, copy: &Path, adapt: impl Fn(&mut Command)) -> BTreeMap<String, String> {
    let digest = |case: &PathBuf| {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let here = copy.join(&name);
        let base = here.join("base");
        if base.is_dir() {
            let to = format!("type=oci,dest={name}-base");
            let mut command = world.command(["build", "-q", "-o", &to, &text(&base)]);
            adapt(&mut command);
            let run = Run::of(&mut command);
            assert_eq!(run.code, Some(0), "the base of {name}: {}", run.stderr);
        }
        let mut args = vec!["build".to_owned(), "-q".into(), "-f".into(), text(&here.join("Buildfile"))];
        let options = std::fs::read_to_string(case.join("options")).unwrap_or_default();
        args.extend(options.lines().map(Into::into));
        if base.is_dir() {
            args.push(format!("--build-context=base=oci-layout://{name}-base"));
        }
        args.push(text(&here.join("context")));
        let mut command = world.command(&args);
        adapt(&mut command);
        let run = Run::of(&mut command);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        (name, run.stdout)
    };
    fixtures("build").iter().map(digest).collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Copies the fixtures file by file, forwards or backwards, so that the file system's own order differs.
fn copy_fixtures(to: &Path, backwards: bool) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/build"), to, backwards);
}

fn copy(from: &Path, to: &Path, backwards: bool) {
    std::fs::create_dir_all(to).expect("a folder");
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    if backwards {
        entries.reverse();
    }
    for path in entries {
        let there = to.join(path.file_name().expect("a name"));
        let kind = path.symlink_metadata().expect("its kind").file_type();
        if kind.is_dir() {
            copy(&path, &there, backwards);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).expect("a target"), &there).expect("a link");
        } else {
            std::fs::copy(&path, &there).expect("a copy");
        }
    }
}

#[test]
fn the_surroundings_do_not_reach_the_digest() {
    let plain = World::new();
    let first = plain.path("a");
    copy_fixtures(&first, false);
    let expected = digests(&plain, &first, |_| {});

    let other = World::new();
    let second = other.path("a much/longer path/with spaces");
    copy_fixtures(&second, true);
    other.write("tmp/.keep", "");
    let found = digests(&other, &second, |command| {
        command
            .env("TZ", "Pacific/Kiritimati")
            .env("LANG", "tr_TR.UTF-8")
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("USER", "somebody")
            .env("TMPDIR", other.path("tmp"));
    });
    assert_eq!(expected, found, "locale, time zone, path or creation order reached a digest");
}

#[test]
fn the_number_of_threads_does_not_reach_the_digest() {
    let world = World::new();
    let fixtures = world.path("fixtures");
    copy_fixtures(&fixtures, false);
    let with = |threads: &str| {
        let fresh = World::new();
        let threads = threads.to_owned();
        digests(&fresh, &fixtures, move |command| _ = command.env("LITH_THREADS", &threads))
    };
    let expected = with("1");
    assert_eq!(expected, with("2"));
    assert_eq!(expected, with("7"));
}

#[test]
fn the_umask_does_not_reach_the_digest() {
    let with = |umask: &str| {
        let world = World::new();
        let copy = world.path("fixtures");
        let script = format!("umask {umask} && cp -r \"$0\" \"$1\"");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/build");
        programs::run(Command::new("sh").arg("-c").arg(script).arg(from).arg(&copy));
        digests(&world, &copy, |_| {})
    };
    assert_eq!(with("022"), with("077"));
}

#[test]
fn the_clock_does_not_reach_the_digest() {
    let Some(faketime) = programs::find("faketime", "a build at another time") else { return };
    let world = World::new();
    let fixtures = world.path("fixtures");
    copy_fixtures(&fixtures, false);
    let expected = digests(&world, &fixtures, |_| {});
    let fresh = World::new();
    let found = digests(&fresh, &fixtures, |command| {
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut faked = fresh.command(["-f", "2038-01-20 03:14:08"]);
        faked.args([command.get_program()]).args(args);
        let environment: Vec<_> =
            faked.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        let mut replaced = Command::new(&faketime);
        replaced
            .args(faked.get_args())
            .env_clear()
            .envs(environment.into_iter().filter_map(|(k, v)| Some((k, v?))));
        replaced.current_dir(fresh.path(""));
        *command = replaced;
    });
    assert_eq!(expected, found);
}

#[test]
fn the_user_does_not_reach_the_digest() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("warning: not root: a build by another user was NOT tested");
        return;
    }
    let Some(setpriv) = programs::find("setpriv", "a build by another user") else { return };
    let world = World::new();
    let fixtures = world.path("fixtures");
    copy_fixtures(&fixtures, false);
    let expected = digests(&world, &fixtures, |_| {});

    let theirs = World::new();
    let copy = theirs.path("fixtures");
    copy_fixtures(&copy, false);
    let program = theirs.path("lith");
    std::fs::copy(crate::support::lith(), &program).expect("a copy of the program");
    programs::run(Command::new("chown").args(["-R", "65534:65534"]).arg(theirs.path("")));
    let found = digests(&theirs, &copy, |command| {
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let environment: Vec<_> =
            command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        let mut replaced = Command::new(&setpriv);
        replaced.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(args);
        replaced.env_clear().envs(environment.into_iter().filter_map(|(k, v)| Some((k, v?))));
        replaced.current_dir(theirs.path(""));
        *command = replaced;
    });
    assert_eq!(expected, found);
}

#[test]
fn the_file_system_does_not_reach_the_digest() {
    let disk = World::new();
    copy_fixtures(&disk.path("fixtures"), false);
    let expected = digests(&disk, &disk.path("fixtures"), |_| {});
    for other in ["/dev/shm", "/var/tmp", env!("CARGO_TARGET_TMPDIR")] {
        if !Path::new(other).is_dir() {
            eprintln!("warning: there is no `{other}`: a build there was NOT tested");
            continue;
        }
        let world = World::new_in(Path::new(other));
        copy_fixtures(&world.path("fixtures"), true);
        assert_eq!(expected, digests(&world, &world.path("fixtures"), |_| {}), "{other}");
    }
}

#[test]
fn a_store_that_was_cleared_makes_the_same_again() {
    let world = World::new();
    let fixtures = world.path("fixtures");
    copy_fixtures(&fixtures, false);
    let cold = digests(&world, &fixtures, |_| {});
    let warm = digests(&world, &fixtures, |_| {});
    std::fs::remove_dir_all(world.path("store")).expect("removing the store");
    let cleared = digests(&world, &fixtures, |_| {});
    assert_eq!(cold, warm);
    assert_eq!(cold, cleared);
}
