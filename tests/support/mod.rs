//! What the tests stand on: a world of their own for each, and a judge of images that shares no code with lith.

pub(crate) mod container;
pub(crate) mod docker_registry;
pub(crate) mod judge;
pub(crate) mod programs;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod schema;
mod token_server;
pub(crate) mod users;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A temporary folder with a store and a context; lith run in it sees nothing of the machine's.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

/// What a run of lith gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A world in a folder on a file system of one's choice.
    pub(crate) fn new_in(parent: &Path) -> Self {
        Self { dir: tempfile::tempdir_in(parent).expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the world")).expect("making folders");
        std::fs::write(path, content).expect("writing a file");
        self
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) -> &Self {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).expect("chmod");
        self
    }

    /// lith, in this world: its folder, its store, a fixed environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(lith());
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path_variable())
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("LITH_STORE", self.path("store"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(&mut self.command(args))
    }

    /// Runs lith, which must succeed; gives what it printed on stdout, trimmed.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "lith failed:\n{}", run.stderr);
        run.stdout.trim().to_owned()
    }

    /// Runs lith, which must fail with that exit code; gives what it said on stderr.
    #[track_caller]
    pub(crate) fn fails<S: AsRef<OsStr>>(&self, code: i32, args: impl IntoIterator<Item = S>) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(code), "stdout:\n{}\nstderr:\n{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("error"), "no error was shown:\n{}", run.stderr);
        run.stderr.replace(&*self.dir.path().to_string_lossy(), "WORLD")
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("starting lith");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program under test: the one that cargo built, or the one that `LITH` names.
pub(crate) fn lith() -> PathBuf {
    std::env::var_os("LITH").map_or_else(|| env!("CARGO_BIN_EXE_lith").into(), PathBuf::from)
}

fn path_variable() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into())
}

/// Compares with a golden file, or writes it when `UPDATE_GOLDENS` is set.
#[track_caller]
pub(crate) fn assert_golden(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, found).expect("writing the golden");
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        golden == found,
        "`{}` differs (UPDATE_GOLDENS=1 writes it anew)\n--- golden\n{golden}\n--- found\n{found}",
        path.display()
    );
}

/// The folders of a fixture kind, in order.
pub(crate) fn fixtures(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(kind);
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(root).expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are no fixtures of `{kind}`");
    cases
}
