//! Limits on all processes of a step together, by control groups: where the system lets lith have one.
//!
//! Both versions are known, and machines that have them side by side. A group is made beside or below lith's own,
//! under a name that tells which process made it; what a killed one left is removed at the next start.

#![expect(clippy::disallowed_methods, reason = "which groups were left can be seen in any order")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::{Fault, Limit, Limits};

const PREFIX: &str = "lith-";

/// The groups of one step, which are removed with it.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    groups: Vec<Group>,
    unapplied: BTreeSet<Limit>,
}

#[derive(Debug)]
struct Group {
    path: PathBuf,
    version: Version,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A hierarchy that this process is in.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    /// Of version 1.
    controllers: Vec<String>,
    mounted: PathBuf,
    /// This process's group, below `mounted`.
    own: PathBuf,
}

impl Cgroup {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut new = Self::default();
        let wanted = [(Limit::Memory, limits.memory), (Limit::Pids, limits.pids)];
        let wanted: Vec<(Limit, u64)> = wanted.into_iter().filter_map(|(l, v)| Some((l, v?))).collect();
        if wanted.is_empty() {
            return new;
        }
        let hierarchies = hierarchies();
        for (limit, value) in wanted {
            if !new.limit(&hierarchies, limit, value) {
                new.unapplied.insert(limit);
            }
        }
        new
    }

    fn limit(&mut self, hierarchies: &[Hierarchy], limit: Limit, value: u64) -> bool {
        let made = self.groups.iter().position(|group| group.version == Version::Two && group.has(limit));
        let index = made.or_else(|| {
            let group = hierarchies.iter().find_map(|hierarchy| hierarchy.make(limit))?;
            self.groups.push(group);
            Some(self.groups.len() - 1)
        });
        let Some(group) = index.and_then(|index| self.groups.get_mut(index)) else { return false };
        let set = group.set(limit, value).is_ok();
        if set {
            group.limits.push(limit);
        }
        set
    }

    /// Puts a process into the groups.
    pub(super) fn add(&mut self, pid: Pid) -> Result<(), Fault> {
        for group in &self.groups {
            let pid = pid.as_raw_pid().to_string();
            let added = fs::write(group.path.join("cgroup.procs"), pid);
            added.map_err(Fault::doing("putting the step into its control group"))?;
        }
        Ok(())
    }

    /// What each process may be limited to alone, for want of a group. The number of processes is counted for a user,
    /// which tells nothing where the user is the machine's.
    pub(super) fn own_limits(&self, limits: &Limits, user_namespace: bool) -> Vec<(Limit, u64)> {
        let of = |limit: &Limit| match limit {
            Limit::Memory => limits.memory,
            Limit::Pids => limits.pids.filter(|_| user_namespace),
        };
        self.unapplied.iter().filter_map(|limit| Some((*limit, of(limit)?))).collect()
    }

    pub(super) fn unapplied(&self) -> Vec<Limit> {
        self.unapplied.iter().copied().collect()
    }

    pub(super) fn kill(&self) {
        self.groups.iter().for_each(|group| kill(&group.path));
    }

    /// Removes the groups, whose processes are gone. Whether the kernel ended one of them for want of memory.
    pub(super) fn remove(&mut self) -> bool {
        let mut out_of_memory = false;
        for group in self.groups.drain(..) {
            out_of_memory |= group.limits.contains(&Limit::Memory) && group.was_out_of_memory();
            remove(&group.path);
        }
        out_of_memory
    }
}

impl Group {
    fn has(&self, limit: Limit) -> bool {
        let file = match limit {
            Limit::Memory => "memory.max",
            Limit::Pids => "pids.max",
        };
        self.path.join(file).exists()
    }

    fn set(&self, limit: Limit, value: u64) -> io::Result<()> {
        let write = |file: &str, value: &str| fs::write(self.path.join(file), value);
        let text = value.to_string();
        match (limit, self.version) {
            (Limit::Pids, _) => write("pids.max", &text),
            (Limit::Memory, Version::Two) => {
                write("memory.max", &text)?;
                // A machine without swap has no such file.
                drop(write("memory.swap.max", "0"));
                Ok(())
            }
            (Limit::Memory, Version::One) => {
                write("memory.limit_in_bytes", &text)?;
                drop(write("memory.memsw.limit_in_bytes", &text));
                Ok(())
            }
        }
    }

    fn was_out_of_memory(&self) -> bool {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    }
}

impl Hierarchy {
    /// A new group in which `limit` can be set.
    fn make(&self, limit: Limit) -> Option<Group> {
        let controller = match limit {
            Limit::Memory => "memory",
            Limit::Pids => "pids",
        };
        let make = |parent: &Path| {
            let path = parent.join(format!("{PREFIX}{}-{controller}", name()?));
            fs::create_dir(&path).ok()?;
            Some(Group { path, version: self.version, limits: Vec::new() })
        };
        match self.version {
            Version::One => {
                self.controllers.iter().any(|c| c == controller).then(|| make(&self.group())).flatten()
            }
            // A group with processes can't hand controllers down, but one above may have done so.
            Version::Two => self.above().iter().find_map(|parent| {
                let handed = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
                let group =
                    handed.split_whitespace().any(|c| c == controller).then(|| make(parent)).flatten()?;
                // Processes can be moved where the common group above may be written to, too.
                let movable = rustix::fs::access(parent.join("cgroup.procs"), rustix::fs::Access::WRITE_OK);
                movable.is_ok().then_some(()).or_else(|| {
                    remove(&group.path);
                    None
                })?;
                Some(group)
            }),
        }
    }

    fn group(&self) -> PathBuf {
        self.mounted.join(&self.own)
    }

    /// This process's group and those above it.
    fn above(&self) -> Vec<PathBuf> {
        self.own.ancestors().map(|path| self.mounted.join(path)).collect()
    }
}

/// Which process it is: its number, and when it started, as numbers come again.
fn name() -> Option<String> {
    let pid = rustix::process::getpid().as_raw_pid();
    Some(format!("{pid}-{}", started(pid)?))
}

fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have anything in it, blanks and brackets too.
    stat[stat.rfind(')')? + 1..].split_whitespace().nth(19)?.parse().ok()
}

/// Removes what workers left that were killed.
pub(super) fn sweep() {
    for hierarchy in hierarchies() {
        for parent in hierarchy.above() {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                if entry
                    .file_name()
                    .to_str()
                    .and_then(maker)
                    .is_some_and(|(pid, start)| started(pid) != Some(start))
                {
                    kill(&entry.path());
                    remove(&entry.path());
                }
            }
        }
    }
}

fn maker(name: &str) -> Option<(i32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Ends all processes of a group.
fn kill(group: &Path) {
    if fs::write(group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// A group can be removed shortly after its last process is gone.
fn remove(group: &Path) {
    for _ in 0..50 {
        match fs::remove_dir(group) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            _ => return,
        }
    }
}

fn hierarchies() -> Vec<Hierarchy> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// The hierarchies of `/proc/self/cgroup` that are mounted.
fn parse(cgroup: &str, mountinfo: &str) -> Vec<Hierarchy> {
    let line = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let version = if controllers.is_empty() { Version::Two } else { Version::One };
        let controllers: Vec<String> = controllers.split(',').map(str::to_owned).collect();
        let (root, mounted) = mountinfo.lines().find_map(|line| mounted(line, version, &controllers))?;
        let own = Path::new(group).strip_prefix(root).ok()?.to_owned();
        Some(Hierarchy { version, controllers, mounted: mounted.into(), own })
    };
    cgroup.lines().filter_map(line).collect()
}

/// The root and the mount point of a line of mountinfo, if it is that hierarchy's.
fn mounted<'a>(line: &'a str, version: Version, controllers: &[String]) -> Option<(&'a str, &'a str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let is_it = match version {
        Version::Two => kind == "cgroup2",
        Version::One => kind == "cgroup" && controllers.iter().all(|c| options.split(',').any(|o| o == c)),
    };
    is_it.then_some((root, point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let cgroup = "4:memory:/some/where\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/user.slice/a\n";
        let mountinfo = "\
            30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
            31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            32 25 0:28 /user.slice /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = parse(cgroup, mountinfo);
        let groups: Vec<_> = found.iter().map(|h| (h.version, h.group())).collect();
        assert_eq!(
            groups,
            [
                (Version::One, "/sys/fs/cgroup/memory/some/where".into()),
                (Version::One, "/sys/fs/cgroup/cpu/".into()),
                (Version::Two, "/sys/fs/cgroup/unified/a".into()),
            ]
        );
        assert_eq!(
            found[2].above(),
            [Path::new("/sys/fs/cgroup/unified/a"), Path::new("/sys/fs/cgroup/unified")]
        );
    }

    #[test]
    fn names_tell_who_made_them() {
        let name = format!("{PREFIX}{}-memory", name().unwrap());
        let (pid, start) = maker(&name).unwrap();
        assert_eq!(started(pid), Some(start));
        assert_eq!(maker("lith-x-1-memory"), None);
        assert_eq!(maker("docker-1-2"), None);
    }
}
