//! `--load`: an image into docker's or podman's own store, through their own command.

use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write as _};
use std::process::{Child, Command, Stdio};

use super::docker_archive::members;
use super::{Sink, TransportError};
use crate::image::{Artifact, Blobs};
use crate::oci::{Digest, Reference};
use crate::text::{escaped, shown};

/// What of a helper's complaints is kept.
const MAX_COMPLAINT: usize = 4096;

/// Pipes a docker archive into `PROGRAM load`.
#[derive(Debug)]
pub struct Daemon {
    program: OsString,
    arguments: Vec<OsString>,
    names: Vec<Reference>,
}

impl Daemon {
    /// `program` is `docker`, `podman` or a path of one of these.
    pub fn new(program: impl Into<OsString>, names: Vec<Reference>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), names }
    }

    /// Options for the program itself, before its `load`: `--context NAME`, say.
    #[must_use]
    pub fn with_arguments(mut self, arguments: Vec<OsString>) -> Self {
        self.arguments = arguments;
        self
    }

    fn program(&self) -> String {
        self.program.display().to_string()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "`docker load` and `podman load` are the named helpers here"
    )]
    fn start(&self) -> Result<Child, TransportError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("load");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|error| TransportError::NoProgram { program: self.program(), error })
    }
}

impl Sink for Daemon {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let members = members(artifact, blobs, &self.names)?;
        let mut child = self.start()?;
        let mut input = BufWriter::with_capacity(128 << 10, child.stdin.take().expect("it is piped"));
        let errors = child.stderr.take().expect("it is piped");
        let (written, complaint) = std::thread::scope(|scope| {
            let complaint = scope.spawn(|| listen(errors));
            let written = members.write(blobs, &mut input).and_then(|()| {
                input.flush().map_err(|error| TransportError::Io { what: "writing to a pipe".into(), error })
            });
            if written.is_err() {
                // A cut archive must not be taken for a whole one.
                let _killed = child.kill();
            }
            drop(input);
            (written, complaint.join().unwrap_or_default())
        });
        let waited = |error| TransportError::Daemon { program: self.program(), why: shown(&error) };
        let status = child.wait().map_err(waited)?;
        let failed = |why| Err(TransportError::Daemon { program: self.program(), why });
        match written {
            // It went away before it had all: what it said is why.
            Err(TransportError::Io { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => {
                failed(if complaint.is_empty() { status.to_string() } else { complaint })
            }
            Err(error) => Err(error),
            Ok(()) if !status.success() => {
                failed(if complaint.is_empty() { status.to_string() } else { complaint })
            }
            Ok(()) => Ok(artifact.digest()),
        }
    }
}

/// The end of what the program says, of which all is read so that it never waits for us.
fn listen(mut errors: impl Read) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = errors.read(&mut piece) {
        text.extend_from_slice(&piece[..n]);
        let excess = text.len().saturating_sub(MAX_COMPLAINT);
        text.drain(..excess);
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(escaped).collect();
    lines.join("; ")
}
