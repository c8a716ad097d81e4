//! An image as a container: unpacked by umoci, run by runc.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::{find, run};

/// What runs images.
pub(crate) struct Runtime {
    umoci: PathBuf,
    runc: PathBuf,
}

impl Runtime {
    /// None if something is missing, or this is no root, after saying so.
    pub(crate) fn find(what: &str) -> Option<Self> {
        let (umoci, runc) = (find("umoci", what)?, find("runc", what)?);
        if !rustix::process::geteuid().is_root() {
            eprintln!("warning: not root: {what} was NOT tested");
            return None;
        }
        Some(Self { umoci, runc })
    }

    /// Starts a container of an image of a layout (`DIR:TAG`), in a folder that is not there yet; gives what it prints.
    #[track_caller]
    pub(crate) fn run(&self, image: &str, folder: &Path) -> String {
        std::fs::create_dir(folder).unwrap();
        let bundle = folder.join("bundle");
        run(Command::new(&self.umoci).args(["unpack", "--image", image]).arg(&bundle));
        // A container's cgroup can't be made on every machine that runs the tests; the image is what counts here.
        let config = bundle.join("config.json");
        let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        value["process"]["terminal"] = false.into();
        std::fs::write(&config, value.to_string()).unwrap();
        let id = format!("lith-test-{}-{}", std::process::id(), fastrand::u32(..));
        let mut command = Command::new(&self.runc);
        run(command.arg("--root").arg(folder.join("runc")).args(["run", "--bundle"]).arg(&bundle).arg(&id))
    }
}
