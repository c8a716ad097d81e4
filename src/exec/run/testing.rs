//! A plain step, for tests.

use crate::plan::{Command, Network, Run, Security};

pub(super) fn run(script: &str) -> Run {
    Run {
        command: Command::Shell { shell: vec!["/bin/sh".into(), "-c".into()], script: script.into() },
        mounts: Vec::new(),
        network: Network::Unsaid,
        security: Security::Sandbox,
        env: Vec::new(),
        proxies: Vec::new(),
        user: String::new(),
        workdir: "/".into(),
    }
}
