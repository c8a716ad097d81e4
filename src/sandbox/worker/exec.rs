//! The last steps of the first process: from root in the step's world to the step's program.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::Signal;

use super::run::Given;
use super::world::lossy;
use super::{privileges, seccomp, sys};
use crate::sandbox::{Fault, Step};

/// Where programs are looked for if the environment does not say.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is ready to be run.
pub(super) struct Program {
    name: Vec<u8>,
    /// The files that it may be, in order.
    files: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    pub(super) fn new(step: &Step) -> Result<Self, Fault> {
        let string = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|error| Fault::System {
                doing: format!("reading the command: {error}"),
                errno: libc::EINVAL,
            })
        };
        let name = step.args.first().cloned().unwrap_or_default();
        let path = step.env.iter().rev().find(|(key, _)| key == b"PATH").map_or(PATH, |(_, value)| &value.0);
        let files = files(&name, path).into_iter().map(string).collect::<Result<_, _>>()?;
        let args = step.args.iter().cloned().map(string).collect::<Result<_, _>>()?;
        let variable = |(key, value): &(Vec<u8>, super::super::Hidden)| [key, &b"="[..], &value.0].concat();
        let env = step.env.iter().map(variable).map(string).collect::<Result<_, _>>()?;
        Ok(Self { name, files, args, env })
    }

    /// Becomes the program. Gives why it could not.
    pub(super) fn run(&self) -> Fault {
        let mut worst = Errno::NOENT;
        for file in &self.files {
            let error = sys::execve(file, &self.args, &self.env);
            match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                // There, but its interpreter is not.
                Errno::NOENT if is_there(file) => return self.not_run(Errno::NOENT),
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => worst = Errno::ACCESS,
                error => return self.not_run(error),
            }
        }
        if worst == Errno::NOENT {
            return Fault::ProgramNotFound { program: lossy(&self.name) };
        }
        self.not_run(worst)
    }

    fn not_run(&self, errno: Errno) -> Fault {
        Fault::ProgramNotRun { program: lossy(&self.name), errno: errno.raw_os_error() }
    }
}

fn files(name: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let folder = |folder: &[u8]| {
        let folder = if folder.is_empty() { &b"."[..] } else { folder };
        [folder, b"/", name].concat()
    };
    path.split(|byte| *byte == b':').map(folder).collect()
}

fn is_there(file: &CString) -> bool {
    rustix::fs::lstat(file.as_c_str()).is_ok()
}

/// Gives up everything that the step is not to have.
pub(super) fn become_step(step: &Step, given: &Given) -> Result<(), Fault> {
    streams(step, given).map_err(Fault::doing("opening the standard streams"))?;
    let workdir = |error: Errno| Fault::Workdir { path: lossy(&step.cwd), errno: error.raw_os_error() };
    rustix::process::chdir(&step.cwd[..]).map_err(workdir)?;
    sys::close_on_exec_from_3().map_err(Fault::doing("closing descriptors"))?;
    sys::default_personality();
    if let Some(filter) = &given.clock_filter {
        seccomp::add(filter)?;
    }
    privileges::limits(given)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    if !step.insecure {
        privileges::bound()?;
    }
    privileges::become_user(step, given)?;
    privileges::capabilities(step)?;
    // A change of ids takes the signal back.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Fault::doing("binding a process to its parent"))?;
    sys::default_signals();
    if !step.insecure {
        rustix::thread::set_no_new_privs(true).map_err(Fault::doing("forbidding new privileges"))?;
        seccomp::apply(&given.filters)?;
    }
    Ok(())
}

fn streams(step: &Step, given: &Given) -> io::Result<()> {
    match &given.stdin {
        Some(stdin) => sys::dup2(stdin, 0)?,
        None => {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            sys::dup2(rustix::fs::open("/dev/null", flags, Mode::empty())?, 0)?;
        }
    }
    for (stream, to) in [(&given.stdout, 1), (&given.stderr, 2)] {
        if let Some(stream) = stream {
            sys::dup2(stream, to)?;
        }
    }
    if step.terminal {
        // A session keeps its terminal: in it, a group that the terminal listens to.
        rustix::process::setpgid(None, None)?;
        sys::take_terminal(io::stdin().as_fd(), rustix::process::getpid());
    } else {
        rustix::process::setsid()?;
    }
    Ok(())
}
