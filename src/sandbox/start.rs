//! lith's side of a worker: starting it, giving it its ids, talking to it.

#![expect(clippy::disallowed_methods, reason = "this is where workers start")]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{MemfdFlags, SealFlags};

use super::ids::{Start, text};
use super::wire::{self, Event, Hello};
use super::{SandboxError, worker};

/// The program that workers are: a copy that nobody can write to.
///
/// A step could come to hold its worker's program (by `#!/proc/self/exe`), and as root write to it: then it would
/// be the machine's lith.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    copy: Option<OwnedFd>,
}

impl Program {
    pub(super) fn sealed(path: &Path) -> Result<Self, SandboxError> {
        let mut from = File::open(path).map_err(|source| start_error(path, source))?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let copy = rustix::fs::memfd_create("lith", flags | MemfdFlags::EXEC)
            // Before 6.3 there is no such flag.
            .or_else(|_| rustix::fs::memfd_create("lith", flags));
        // A system may forbid programs in memory.
        let Ok(copy) = copy else { return Ok(Self { path: path.to_owned(), copy: None }) };
        let mut copy = File::from(copy);
        io::copy(&mut from, &mut copy).map_err(|source| start_error(path, source))?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&copy, seals).map_err(|source| start_error(path, source.into()))?;
        Ok(Self { path: path.to_owned(), copy: Some(copy.into()) })
    }

    fn command(&self) -> Command {
        let mut command = match &self.copy {
            Some(copy) => Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd())),
            None => Command::new(&self.path),
        };
        command.arg0("lith").arg(worker::ARGUMENT).env_clear().current_dir("/");
        command
    }
}

fn start_error(program: &Path, source: io::Error) -> SandboxError {
    SandboxError::Start { program: crate::text::shown(&program.to_string_lossy()), source }
}

/// A worker that was started. It ends when this is dropped, with all that it started.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    socket: UnixStream,
}

impl Worker {
    pub(super) fn start(program: &Program, start: &Start, terminal: bool) -> Result<Self, SandboxError> {
        let (socket, theirs) = UnixStream::pair().map_err(SandboxError::Talk)?;
        let stream = || if terminal { Stdio::inherit() } else { Stdio::null() };
        let child = program
            .command()
            .stdin(OwnedFd::from(theirs))
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .map_err(|source| start_error(&program.path, source))?;
        let mut worker = Self { child, socket };
        let hello = Hello {
            user_namespace: start.has_user_namespace(),
            own_map: match start {
                Start::Single { uid, gid } => Some((*uid, *gid)),
                Start::Here { .. } | Start::Helped { .. } | Start::Mapped(_) => None,
            },
            user_marks: start.disk().marks == super::rootfs::Marks::User,
        };
        worker.send(&hello)?;
        if hello.user_namespace {
            match worker.event()? {
                Event::Unmapped => worker.map(start)?,
                Event::Done(Err(fault)) => return Err(fault.into()),
                Event::Done(Ok(_)) | Event::Noted(_) | Event::Output(..) | Event::Listening => {
                    return Err(SandboxError::Died("it spoke out of turn".into()));
                }
            }
            worker.send(&())?;
        }
        Ok(worker)
    }

    fn map(&self, start: &Start) -> Result<(), SandboxError> {
        let pid = self.child.id();
        match start {
            Start::Here { .. } | Start::Single { .. } => Ok(()),
            Start::Mapped(maps) => {
                let write = |file: &str, text: String| {
                    let path = format!("/proc/{pid}/{file}");
                    std::fs::write(&path, text).map_err(|source| start_error(Path::new(&path), source))
                };
                write("uid_map", text(&maps.uids))?;
                write("gid_map", text(&maps.gids))
            }
            Start::Helped { newuidmap, newgidmap, maps } => {
                help(newuidmap, pid, &maps.uids)?;
                help(newgidmap, pid, &maps.gids)
            }
        }
    }

    pub(super) fn send<T: serde::Serialize>(&mut self, value: &T) -> Result<(), SandboxError> {
        wire::send(&mut &self.socket, value).map_err(SandboxError::Talk)
    }

    /// Hands over lith's own standard input.
    pub(super) fn send_stdin(&mut self) -> Result<(), SandboxError> {
        let stdin = io::stdin();
        wire::send_descriptor(&self.socket, stdin.as_fd()).map_err(SandboxError::Talk)
    }

    /// Takes the socket that was announced.
    pub(super) fn listener(&mut self) -> Result<TcpListener, SandboxError> {
        let socket = wire::receive_descriptor(&self.socket).map_err(|error| self.died(error))?;
        Ok(socket.into())
    }

    pub(super) fn event(&mut self) -> Result<Event, SandboxError> {
        wire::receive(&mut &self.socket).map_err(|error| self.died(error))
    }

    /// Its answer, where there is none but success.
    pub(super) fn done(&mut self) -> Result<(), SandboxError> {
        loop {
            if let Event::Done(result) = self.event()? {
                return Ok(result.map(|_| ())?);
            }
        }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    fn died(&mut self, error: io::Error) -> SandboxError {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return SandboxError::Talk(error);
        }
        match self.child.wait() {
            Ok(status) => SandboxError::Died(status.to_string()),
            Err(error) => SandboxError::Talk(error),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It takes the end of the socket for the end of lith, and ends.
        drop(self.socket.shutdown(std::net::Shutdown::Both));
        drop(self.child.wait());
    }
}

fn help(program: &Path, pid: u32, lines: &[super::ids::Line]) -> Result<(), SandboxError> {
    let ran = Command::new(program)
        .arg(pid.to_string())
        .args(lines.iter().flatten().map(u32::to_string))
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|source| start_error(program, source))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = crate::text::shown(said.lines().next().unwrap_or("it said nothing"));
    Err(start_error(program, io::Error::other(said)))
}

/// The folders where a system keeps the programs that map ids.
pub(super) fn find_helper(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin"];
    folders.iter().map(|folder| Path::new(folder).join(OsStr::new(name))).find(|path| path.is_file())
}

/// The terminal is again that of lith's own process group: a step that had it made itself a group of its own.
pub(super) fn take_terminal_back() {
    worker::take_terminal(io::stdin().as_fd(), rustix::process::getpgrp());
}
