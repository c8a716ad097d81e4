//! `--load`: an image into docker's or podman's own store, through their own command.

use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::docker_archive::members;
use super::{Sink, TransportError};
use crate::image::{Artifact, Blobs};
use crate::oci::{Digest, Reference};
use crate::text::{escaped, shown};

/// What of a helper's complaints is kept.
const MAX_COMPLAINT: usize = 4096;

/// How long a program that takes no more may still need to say why, and one that is asked whether it works.
const PATIENCE: Duration = Duration::from_secs(10);

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

    /// Asks the program whether it reaches its store: `docker` may be there without its daemon.
    pub fn probe(&self) -> Result<(), TransportError> {
        let mut child = self.start("version", Stdio::null())?;
        let errors = child.stderr.take().expect("it is piped");
        let (ended, complaint) = std::thread::scope(|scope| {
            let complaint = scope.spawn(|| listen(errors));
            (wait_a_while(&mut child), complaint.join().unwrap_or_default())
        });
        let why = match ended {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => said(complaint, status),
            Err(error) => shown(&error),
        };
        Err(TransportError::NotReady { program: self.program(), why })
    }

    fn program(&self) -> String {
        self.program.display().to_string()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "`docker load` and `podman load` are the named helpers here"
    )]
    fn start(&self, subcommand: &str, input: Stdio) -> Result<Child, TransportError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(subcommand);
        command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|error| TransportError::NoProgram { program: self.program(), error })
    }
}

impl Sink for Daemon {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let members = members(artifact, blobs, &self.names)?;
        let mut child = self.start("load", Stdio::piped())?;
        let mut input = BufWriter::with_capacity(128 << 10, child.stdin.take().expect("it is piped"));
        let errors = child.stderr.take().expect("it is piped");
        let (written, ended, complaint) = std::thread::scope(|scope| {
            let complaint = scope.spawn(|| listen(errors));
            let written = members.write(blobs, &mut input).and_then(|()| {
                input.flush().map_err(|error| TransportError::Io { what: "writing to a pipe".into(), error })
            });
            let ended = match &written {
                Ok(()) => {
                    drop(input);
                    child.wait()
                }
                // It went away before it had all: it is about to say why.
                Err(error) if is_broken_pipe(error) => {
                    let (_closed, _unwritten) = input.into_parts();
                    wait_a_while(&mut child)
                }
                // A cut archive must not be taken for a whole one: it dies before its input ends.
                // What it has started itself may still wait for input, and hold on to its standard error.
                Err(_) => {
                    let _killed = child.kill();
                    let ended = child.wait();
                    let (_closed, _unwritten) = input.into_parts();
                    ended
                }
            };
            (written, ended, complaint.join().unwrap_or_default())
        });
        let failed = |why| Err(TransportError::Daemon { program: self.program(), why });
        match (written, ended) {
            (Err(error), _) if !is_broken_pipe(&error) => Err(error),
            (Ok(()), Ok(status)) if status.success() => Ok(artifact.digest()),
            (_, Ok(status)) => failed(said(complaint, status)),
            (_, Err(error)) => failed(shown(&error)),
        }
    }
}

fn is_broken_pipe(error: &TransportError) -> bool {
    matches!(error, TransportError::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
}

/// Waits for the program's end, and brings it about if that takes too long.
fn wait_a_while(child: &mut Child) -> io::Result<ExitStatus> {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
    let _killed = child.kill();
    child.wait()
}

fn said(complaint: String, status: ExitStatus) -> String {
    if complaint.is_empty() { status.to_string() } else { complaint }
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
