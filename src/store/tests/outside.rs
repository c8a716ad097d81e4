//! What comes from outside: other processes, kills, full disks, folders that may only be read.
//!
//! The other processes are this test program again, told by an environment variable to run one of the `worker`s.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::store::stat_cache::StatCache;

const STORE: &str = "LITH_TEST_STORE";
const NUMBER: &str = "LITH_TEST_NUMBER";

#[expect(clippy::disallowed_methods, reason = "a test's own process")]
fn command(program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn with_worker(mut command: Command, worker: &str, root: &Path, number: usize) -> Command {
    let name = format!("store::tests::outside::{worker}");
    command.args(["--exact", &name, "--ignored", "--test-threads=1"]);
    command.env(STORE, root).env(NUMBER, number.to_string());
    command
}

fn spawn(worker: &str, root: &Path, number: usize) -> Child {
    let program = std::env::current_exe().unwrap();
    with_worker(command(program.as_os_str()), worker, root, number).spawn().unwrap()
}

/// The store and the number that a worker was given; nothing if somebody runs all ignored tests.
#[expect(clippy::disallowed_methods, reason = "how a test's process is told what to do")]
fn given() -> Option<(PathBuf, usize)> {
    Some((std::env::var_os(STORE)?.into(), std::env::var(NUMBER).ok()?.parse().ok()?))
}

#[test]
#[ignore = "run by `many_processes_lose_nothing`"]
fn worker_tags() {
    let Some((root, number)) = given() else { return };
    for n in 0..10 {
        let store = Store::open(&root).unwrap();
        let bytes = format!("{{\"n\":{}}}", n + number % 2);
        store.put(bytes.as_bytes()).unwrap();
        store.tag(&name(&format!("app:{number}-{n}")), &descriptor(bytes.as_bytes())).unwrap();
        store.remember("kind", &n.to_string(), &number).unwrap();
    }
}

#[test]
fn many_processes_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let workers: Vec<Child> = (0..6).map(|number| spawn("worker_tags", &root, number)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let store = Store::open(&root).unwrap();
    assert_eq!(store.tags().unwrap().len(), 60);
    assert!((0..10).all(|n| store.memo::<usize>("kind", &n.to_string()).is_some()));
    assert!(fsck::check(&store, 2).unwrap().is_empty());
}

#[test]
#[ignore = "run by `a_kill_leaves_it_whole`"]
fn worker_never_ends() {
    let Some((root, number)) = given() else { return };
    for n in 0.. {
        let store = Store::open(&root).unwrap();
        let mut writer = store.writer().unwrap();
        let bytes = format!("{{\"{number}\":{n}}}").repeat(1 + n % 5000);
        writer.write_all(bytes.as_bytes()).unwrap();
        let (digest, _) = writer.finish().unwrap();
        store.tag(&name(&format!("app:{number}-{}", n % 7)), &descriptor(bytes.as_bytes())).unwrap();
        store.remember_with("layer", &n.to_string(), &bytes, vec![digest]).unwrap();
    }
}

#[test]
fn a_kill_leaves_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    for round in 0..20 {
        let mut workers = [0, 1].map(|n| spawn("worker_never_ends", &root, round * 2 + n));
        std::thread::sleep(Duration::from_millis(15 + (round as u64 * 37) % 90));
        for worker in &mut workers {
            worker.kill().unwrap();
            assert_eq!(worker.wait().unwrap().signal(), Some(9), "it was still at work");
        }
        let store = Store::open(&root).unwrap();
        let problems = fsck::check(&store, 2).unwrap();
        // Manifests of these tests are any text: it is their bytes and places that must be right.
        let problems: Vec<_> =
            problems.iter().filter(|p| !matches!(p.what, fsck::What::Malformed(_))).collect();
        assert!(problems.is_empty(), "round {round}: {problems:?}");
        store.tags().unwrap();
        assert!(sorted_entries(&store.private("tmp")).unwrap().is_empty(), "what was left is swept");
    }
    let rounds = Store::open(&root).unwrap().tags().unwrap().len();
    assert!(rounds > 20, "the workers did something: {rounds}");
}

#[test]
#[ignore = "run by `a_full_disk_is_an_error_and_leaves_nothing`"]
fn worker_fills() {
    let Some((root, _)) = given() else { return };
    let store = Store::open(&root).unwrap();
    let small = store.put(b"{}").unwrap();
    let mut writer = store.writer().unwrap();
    let large = vec![7; 1 << 20];
    assert!(writer.write_all(&large).is_err());
    drop(writer);
    assert!(matches!(store.put(&large), Err(StoreError::Io { .. })));
    assert!(matches!(store.remember("kind", "key", &large), Err(StoreError::Io { .. })));
    assert!(!store.has(&Digest::of(&large)));
    assert!(store.has(&small));
    assert!(sorted_entries(&store.private("tmp")).unwrap().is_empty());
    assert!(fsck::check(&store, 1).unwrap().is_empty());
}

/// A worker under a shell that has done `first`.
fn succeeds_after(first: &str, worker: &str, root: &Path) {
    let mut shell = command("sh".as_ref());
    shell.args(["-c", &format!(r#"{first}; exec "$0" "$@""#)]).arg(std::env::current_exe().unwrap());
    let status = with_worker(shell, worker, root, 0).status().unwrap();
    assert!(status.success(), "{status}");
    assert!(root.join("oci-layout").exists(), "`{worker}` has run");
}

/// A limit on a file's size stands in for a disk that is full: with its signal ignored, writes fail as they do there.
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    succeeds_after("trap '' XFSZ; ulimit -f 64", "worker_fills", &dir.path().join("store"));
}

#[test]
#[ignore = "run by `the_umask_does_not_matter`"]
fn worker_makes_all() {
    let Some((root, _)) = given() else { return };
    let store = Store::open(&root).unwrap();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"{}").unwrap();
    writer.finish().unwrap();
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    store.remember("kind", "key", &1).unwrap();
    StatCache::open(&store, &root).save().unwrap();
}

#[test]
fn the_umask_does_not_matter() {
    for mask in ["077", "000"] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        succeeds_after(&format!("umask {mask}"), "worker_makes_all", &root);
        for entry in walkdir::WalkDir::new(&root) {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
            assert_eq!(metadata.mode() & 0o7777, mode, "umask {mask}: {}", entry.path().display());
        }
    }
}

/// Does `work` as a user who may not write what the test's user has made. Threads have users of their own, as far as
/// the kernel is concerned.
fn as_somebody_else(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            work();
        });
        other.join().unwrap();
    });
}

#[test]
fn what_may_only_be_read_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, store) = store();
    let digest = store.put(b"{}").unwrap();
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    store.remember("kind", "key", &7u32).unwrap();
    let root = store.root().to_owned();
    drop(store);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let folders: Vec<_> = walkdir::WalkDir::new(&root).into_iter().map(|e| e.unwrap().into_path()).collect();
    for path in &folders {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    as_somebody_else(|| {
        let store = Store::open(&root).unwrap();
        assert!(store._lock.is_some(), "no garbage is collected meanwhile");
        assert_eq!(store.read_blob(&store.resolve(&name("app")).unwrap().unwrap(), 9).unwrap(), b"{}");
        assert_eq!(store.memo::<u32>("kind", "key"), Some(7));
        assert_eq!(store.tags().unwrap().len(), 1);
        assert!(fsck::check(&store, 1).unwrap().is_empty());
        let refused = |result: Result<(), StoreError>| {
            let error = result.unwrap_err();
            assert!(matches!(&error, StoreError::Io { error, .. } if is_read_only(error)), "{error}");
        };
        refused(store.put(b"new").map(drop));
        refused(store.tag(&name("b"), &descriptor(b"{}")));
        refused(store.remember("kind", "other", &1u32));
        refused(store.temp_file().map(drop));
        drop(store);
        refused(gc::collect(&root, &gc::Options::default()).map(drop));
    });
    // A layout that no lith has ever opened has no lock either.
    let plain = tempfile::tempdir().unwrap();
    fs::set_permissions(plain.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(plain.path().join("blobs/sha256")).unwrap();
    fs::copy(root.join("oci-layout"), plain.path().join("oci-layout")).unwrap();
    fs::copy(root.join("index.json"), plain.path().join("index.json")).unwrap();
    fs::set_permissions(plain.path(), fs::Permissions::from_mode(0o555)).unwrap();
    as_somebody_else(|| {
        let store = Store::open(plain.path()).unwrap();
        assert_eq!(store.tags().unwrap().len(), 1);
        assert!(!store.has(&digest));
    });
    for path in folders.iter().filter(|path| path.is_dir()) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
