//! The worker: what the hidden first argument starts.
//!
//! It has one thread and no environment, takes its job from the socket that is its standard input, and answers there.
//! When lith ends, the socket closes, and the worker ends with all that it started.

mod clock;
mod deadline;
mod exec;
mod layers;
mod mounts;
mod place;
mod privileges;
mod run;
mod seccomp;
mod sources;
mod sys;
mod system;
mod world;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use super::Fault;
use super::rootfs::{self, RootfsError, stream};
use super::wire::{self, ChunkReader, ChunkWriter, Event, Hello, Job};
use crate::oci::Epoch;

pub(super) use sys::take_terminal;

/// The first argument that makes a worker of the program.
pub(super) const ARGUMENT: &str = "sandbox-worker";

/// Does a worker's job, if that is what the program was started for. To be called before anything else.
pub fn worker_main() -> Option<ExitCode> {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    Some(if work().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn work() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let socket: OwnedFd = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let socket = UnixStream::from(socket);
    let hello: Hello = wire::receive(&mut &socket)?;
    let result = if hello.user_namespace { user_namespace(&hello, &socket)? } else { Ok(()) };
    let event = match result {
        Ok(()) => answer(&hello, &socket)?,
        Err(fault) => Event::Done(Err(fault)),
    };
    wire::send(&mut &socket, &event)
}

/// Enters a user namespace and becomes its root.
fn user_namespace(hello: &Hello, mut socket: &UnixStream) -> io::Result<Result<(), Fault>> {
    if let Err(error) = sys::unshare(UnshareFlags::NEWUSER) {
        return Ok(Err(Fault::doing("making a user namespace")(error)));
    }
    if let Some(ids) = hello.own_map
        && let Err(fault) = map_self(ids)
    {
        return Ok(Err(fault));
    }
    wire::send(&mut socket, &Event::Unmapped)?;
    let () = wire::receive(&mut socket)?;
    Ok(become_root(hello.own_map.is_none()))
}

fn map_self((uid, gid): (u32, u32)) -> Result<(), Fault> {
    let write = |file: &str, text: &str| {
        let path = format!("/proc/self/{file}");
        std::fs::write(&path, text).map_err(Fault::doing(format!("writing `{path}`")))
    };
    write("setgroups", "deny")?;
    write("uid_map", &format!("0 {uid} 1\n"))?;
    write("gid_map", &format!("0 {gid} 1\n"))
}

fn become_root(groups: bool) -> Result<(), Fault> {
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (user, group) = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
    let doing = || Fault::doing("becoming root of the user namespace");
    if groups {
        set_thread_groups(&[]).map_err(doing())?;
    }
    set_thread_res_gid(group, group, group).map_err(doing())?;
    set_thread_res_uid(user, user, user).map_err(doing())?;
    // A change of ids takes the signal back.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(doing())
}

/// Does the job; gives what to say last.
fn answer(hello: &Hello, mut socket: &UnixStream) -> io::Result<Event> {
    Ok(match wire::receive(&mut socket)? {
        Job::Probe(step) => Event::Done(run::probe(&step, hello).map(|()| None)),
        Job::Run(step) => Event::Done(run::run(&step, hello, socket)?.map(Some)),
        Job::Unpack { folder, disk } => {
            let input = BufReader::with_capacity(1 << 17, ChunkReader::new(socket));
            let unpacked = spool(&folder).map_err(|error| Fault::doing("making a temporary file")(error));
            let unpacked = unpacked.and_then(|spool| {
                stream::unpack_stream(input, spool, &folder, disk).map_err(|error| files(&error))
            });
            unpacked.map_or_else(|fault| Event::Done(Err(fault)), Event::Noted)
        }
        Job::Collect { upper, disk, epoch } => {
            let mut out = BufWriter::with_capacity(1 << 17, ChunkWriter(socket));
            let sent = at(epoch)
                .and_then(|epoch| rootfs::collect(&upper, disk, epoch).map_err(|error| files(&error)))
                .and_then(|changes| stream::write(&changes, &mut out).map_err(|error| files(&error)));
            out.flush()?;
            out.get_mut().end()?;
            Event::Done(sent.map(|()| None))
        }
        Job::Settle { upper, plan, epoch } => {
            let settled = at(epoch)
                .and_then(|epoch| rootfs::settle(&upper, &plan, epoch).map_err(|error| files(&error)));
            Event::Done(settled.map(|()| None))
        }
        Job::Flatten { lowers, folder, disk } => {
            let lowers: Vec<&Path> = lowers.iter().map(AsRef::as_ref).collect();
            let flattened = rootfs::flatten(&lowers, &folder, disk).map_err(|error| files(&error));
            flattened.map_or_else(|fault| Event::Done(Err(fault)), Event::Noted)
        }
        Job::Remove { path } => {
            let doing = format!("removing `{}`", path.display());
            Event::Done(rootfs::remove(&path).map(|()| None).map_err(Fault::doing(doing)))
        }
    })
}

fn at(epoch: u64) -> Result<Epoch, Fault> {
    Epoch::from_seconds(epoch).ok_or_else(|| Fault::Files("a time out of bounds".into()))
}

/// The error and its causes, as one text: it goes to another process.
fn files(error: &RootfsError) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    Fault::Files(text)
}

/// A file without a name beside a folder; in memory, where the file system has none.
fn spool(folder: &Path) -> io::Result<File> {
    let beside = folder.parent().unwrap_or(folder);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(beside, flags, Mode::RUSR | Mode::WUSR)
        .or_else(|_| rustix::fs::memfd_create("spool", MemfdFlags::CLOEXEC))?;
    Ok(file.into())
}
