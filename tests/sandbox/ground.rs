//! A small root file system of busybox, and steps in it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lith::sandbox::{
    Exit, Hidden, Limits, Mode, Mount, Network, Options, Sandbox, SandboxError, Status, Step, Stream, User,
};

use crate::support::{lith, programs};

/// One for all, as a build has.
static SANDBOX: OnceLock<Sandbox> = OnceLock::new();

pub(super) struct Ground {
    dir: tempfile::TempDir,
    pub(super) sandbox: &'static Sandbox,
    runs: AtomicUsize,
}

/// What a step did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) upper: PathBuf,
}

impl Ground {
    /// Nothing, after saying so, where the machine has no busybox or lets no steps be run.
    pub(super) fn new(what: &str) -> Option<Self> {
        let busybox = programs::find("busybox", what)?;
        let dir = tempfile::tempdir().unwrap();
        let sandbox = SANDBOX.get_or_init(|| {
            let options = Options { program: lith(), temp: dir.path().to_owned() };
            Sandbox::new(&options).unwrap()
        });
        let ground = Self { dir, sandbox, runs: AtomicUsize::new(0) };
        let root = ground.root();
        for folder in ["bin", "etc", "tmp", "root", "work", "home/app"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::copy(&busybox, root.join("bin/busybox")).unwrap();
        let list = programs::run(std::process::Command::new(&busybox).arg("--list"));
        for applet in list.lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
            .unwrap();
        std::fs::write(root.join("work/below"), "below\n").unwrap();
        Some(ground)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub(super) fn is_single(&self) -> bool {
        matches!(self.sandbox.mode(), Mode::Single { .. })
    }

    /// A new folder.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A step with folders of its own.
    pub(super) fn step(&self, args: &[&str]) -> Step {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        Step {
            lowers: vec![self.root()],
            upper: self.folder(&format!("upper{run}")),
            scratch: self.folder(&format!("scratch{run}")),
            args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            env: vec![(b"PATH".to_vec(), Hidden(b"/bin".to_vec()))],
            cwd: b"/".to_vec(),
            user: User::default(),
            hostname: "lith".into(),
            network: Network::None,
            insecure: false,
            mounts: Vec::new(),
            limits: Limits { timeout: Some(Duration::from_secs(60)), ..Limits::default() },
            clock: None,
            terminal: false,
            flat: false,
        }
    }

    pub(super) fn script(&self, script: &str) -> Step {
        self.step(&["sh", "-c", script])
    }

    pub(super) fn try_run(&self, step: &Step) -> Result<Ran, SandboxError> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = self.sandbox.run(step, &mut |stream, bytes| match stream {
            Stream::Stdout => out.extend_from_slice(bytes),
            Stream::Stderr => err.extend_from_slice(bytes),
        })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { exit, out: text(out), err: text(err), upper: step.upper.clone() })
    }

    #[track_caller]
    pub(super) fn run(&self, step: &Step) -> Ran {
        self.try_run(step).unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// What a script writes, which must succeed.
    #[track_caller]
    pub(super) fn sh(&self, script: &str) -> String {
        self.ok(&self.script(script))
    }

    #[track_caller]
    pub(super) fn ok(&self, step: &Step) -> String {
        let ran = self.run(step);
        assert!(ran.exit.success(), "{ran:?}");
        ran.out
    }

    /// A script that must not succeed.
    #[track_caller]
    pub(super) fn fails(&self, script: &str) -> Ran {
        let ran = self.run(&self.script(script));
        assert!(matches!(ran.exit.status, Status::Code(code) if code != 0), "`{script}`: {ran:?}");
        ran
    }

    /// A script with mounts, which must succeed.
    #[track_caller]
    pub(super) fn with(&self, mounts: Vec<Mount>, script: &str) -> String {
        self.ok(&Step { mounts, ..self.script(script) })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Files may belong to others than who runs the tests.
        drop(self.sandbox.remove(self.dir.path()));
    }
}

/// An error with its causes.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The names of all that is in a folder, at any depth, in order.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}
