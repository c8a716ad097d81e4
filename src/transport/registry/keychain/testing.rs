//! A place with files of credentials and helper programs for tests.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Helpers;

pub(super) struct World(tempfile::TempDir);

impl World {
    pub(super) fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::create_dir(world.path("bin")).unwrap();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes the program `docker-credential-NAME`, which finds this place as `$DIR`. Another process writes it: a
    /// program that a sibling of ours still holds open for writing can't be started.
    #[expect(clippy::disallowed_methods, reason = "a test's")]
    pub(super) fn helper(&self, name: &str, script: &str) {
        let path = self.path("bin").join(format!("docker-credential-{name}"));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat >\"$0.new\" && chmod 755 \"$0.new\" && mv \"$0.new\" \"$0\""]).arg(path);
        let mut child = shell.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n").unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    pub(super) fn helpers(&self) -> Helpers {
        Helpers::new(self.path("bin"), vec![("DIR".into(), self.0.path().into())])
    }
}
