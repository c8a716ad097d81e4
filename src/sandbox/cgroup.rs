//! Limits on all processes of a step together, by control groups: where the system lets lith have one.
//!
//! Both versions are known, and machines that have them side by side. A group is made beside or below lith's own,
//! under a name that tells which process made it; what a killed one left is removed at the next start.

#![expect(clippy::disallowed_methods, reason = "which groups were left can be seen in any order")]

use std::collections::{BTreeMap, BTreeSet};
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
        let wanted = [(Limit::Memory, limits.memory), (Limit::Pids, limits.pids)];
        let wanted: Wanted = wanted.into_iter().filter_map(|(limit, value)| Some((limit, value?))).collect();
        if wanted.is_empty() { Self::default() } else { Self::among(&hierarchies(), wanted) }
    }

    /// A process is in one group of each hierarchy: so one is made for all limits that can be had there.
    fn among(hierarchies: &[Hierarchy], mut wanted: Wanted) -> Self {
        let mut new = Self::default();
        for hierarchy in hierarchies {
            if let Some(group) = hierarchy.make(&wanted) {
                wanted.retain(|limit, _| !group.limits.contains(limit));
                new.groups.push(group);
            }
        }
        new.unapplied = wanted.into_keys().collect();
        new
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

/// Limits with their values.
type Wanted = BTreeMap<Limit, u64>;

impl Group {
    /// A new one below `parent`, with those of the limits that can be set in it; `None` if that is none.
    fn make(parent: &Path, version: Version, wanted: &Wanted, served: &[Limit]) -> Option<Self> {
        let path = parent.join(format!("{PREFIX}{}", name()?));
        fs::create_dir(&path).ok()?;
        let mut group = Self { path, version, limits: Vec::new() };
        let set = |limit: &&Limit| wanted.get(*limit).is_some_and(|value| group.set(**limit, *value).is_ok());
        let limits: Vec<Limit> = served.iter().filter(set).copied().collect();
        group.limits = limits;
        if group.limits.is_empty() {
            remove(&group.path);
            return None;
        }
        Some(group)
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
    /// A new group for those of the limits that this hierarchy serves.
    fn make(&self, wanted: &Wanted) -> Option<Group> {
        let served = |controllers: &[String]| -> Vec<Limit> {
            wanted
                .keys()
                .filter(|limit| controllers.iter().any(|c| c == controller(**limit)))
                .copied()
                .collect()
        };
        if self.version == Version::One {
            return Group::make(&self.group(), self.version, wanted, &served(&self.controllers));
        }
        // A group with processes can't hand controllers down, but those above may have done so: the nearest of those
        // with the most. Processes can be moved where the group that both stand below may be written to.
        let handed = |parent: PathBuf| {
            let text = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
            let controllers: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            (served(&controllers), parent)
        };
        let mut parents: Vec<(Vec<Limit>, PathBuf)> = self.above().into_iter().map(handed).collect();
        parents.retain(|(served, parent)| !served.is_empty() && may_move(parent));
        parents.sort_by_key(|(served, _)| std::cmp::Reverse(served.len()));
        parents.iter().find_map(|(served, parent)| Group::make(parent, self.version, wanted, served))
    }

    fn group(&self) -> PathBuf {
        self.mounted.join(&self.own)
    }

    /// This process's group and those above it.
    fn above(&self) -> Vec<PathBuf> {
        self.own.ancestors().map(|path| self.mounted.join(path)).collect()
    }
}

fn controller(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => "memory",
        Limit::Pids => "pids",
    }
}

fn may_move(group: &Path) -> bool {
    rustix::fs::access(group.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok()
}

/// Which process it is: its number, when it started, as numbers come again, and which namespaces count so: containers
/// may see each other's groups and not each other's processes, and have another time since boot.
fn name() -> Option<String> {
    let pid = rustix::process::getpid().as_raw_pid();
    let (pids, times) = namespaces()?;
    Some(format!("{pid}-{}-{pids}-{times}", started(pid)?))
}

/// Those of process numbers and of the time since boot; kernels before 5.6 have one of the latter.
fn namespaces() -> Option<(u64, u64)> {
    let inode = |file: &str| fs::metadata(file).map(|seen| std::os::unix::fs::MetadataExt::ino(&seen));
    Some((inode("/proc/self/ns/pid").ok()?, inode("/proc/self/ns/time").unwrap_or_default()))
}

fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have anything in it, blanks and brackets too.
    stat[stat.rfind(')')? + 1..].split_whitespace().nth(19)?.parse().ok()
}

/// Removes what workers left that were killed.
pub(super) fn sweep() {
    let Some(here) = namespaces() else { return };
    for hierarchy in hierarchies() {
        for parent in hierarchy.above() {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                if entry
                    .file_name()
                    .to_str()
                    .and_then(maker)
                    .is_some_and(|(pid, start, there)| there == here && started(pid) != Some(start))
                {
                    kill(&entry.path());
                    remove(&entry.path());
                }
            }
        }
    }
}

fn maker(name: &str) -> Option<(i32, u64, (u64, u64))> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let pid = parts.next()?.parse().ok()?;
    let mut number = || parts.next()?.parse().ok();
    Some((pid, number()?, (number()?, number()?)))
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
        // It may be mounted several times, not all of which show this process's group.
        let (own, mounted) = mountinfo.lines().find_map(|line| {
            let (root, mounted) = mounted(line, version, &controllers)?;
            Some((Path::new(group).strip_prefix(root).ok()?.to_owned(), mounted.into()))
        })?;
        Some(Hierarchy { version, controllers, mounted, own })
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
        let name = format!("{PREFIX}{}", name().unwrap());
        let (pid, start, there) = maker(&name).unwrap();
        assert_eq!((started(pid), namespaces()), (Some(start), Some(there)));
        assert_eq!(maker("lith-1-2-3-4"), Some((1, 2, (3, 4))));
        assert_eq!(maker("lith-x-1-2-3"), None);
        assert_eq!(maker("lith-1-2-3"), None);
        assert_eq!(maker("docker-1-2-3-4"), None);
    }

    /// Folders like those of a hierarchy of version 2: `a` hands down what is said first, `a/b` what is said next,
    /// and this process is in `a/b/c`.
    fn version_2(handed: [&str; 2]) -> (tempfile::TempDir, Hierarchy) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        for (group, controllers) in [("", ""), ("a", handed[0]), ("a/b", handed[1]), ("a/b/c", "")] {
            fs::write(dir.path().join(group).join("cgroup.subtree_control"), controllers).unwrap();
            fs::write(dir.path().join(group).join("cgroup.procs"), "").unwrap();
        }
        let (mounted, own) = (dir.path().to_owned(), "a/b/c".into());
        (dir, Hierarchy { version: Version::Two, controllers: Vec::new(), mounted, own })
    }

    #[test]
    fn version_2_has_one_group_where_most_is_handed_down() {
        let wanted: Wanted = [(Limit::Memory, 1 << 20), (Limit::Pids, 7)].into();
        for (handed, parent, unapplied) in [
            (["cpu memory pids", "memory pids"], Some("a/b"), &[][..]),
            (["memory pids", "memory"], Some("a"), &[]),
            (["memory", "pids"], Some("a/b"), &[Limit::Memory]),
            (["pids io", ""], Some("a"), &[Limit::Memory]),
            (["cpu", ""], None, &[Limit::Memory, Limit::Pids]),
        ] {
            let (dir, hierarchy) = version_2(handed);
            let cgroup = Cgroup::among(&[hierarchy], wanted.clone());
            let parents: Vec<_> = cgroup.groups.iter().map(|group| group.path.parent().unwrap()).collect();
            assert_eq!(parents, parent.map(|name| dir.path().join(name)).iter().collect::<Vec<_>>());
            assert_eq!(cgroup.unapplied(), unapplied, "{handed:?}");
            let Some(group) = cgroup.groups.first() else { continue };
            let text = |file: &str| fs::read_to_string(group.path.join(file)).unwrap_or_default();
            assert_eq!(text("pids.max"), if unapplied.contains(&Limit::Pids) { "" } else { "7" });
            assert_eq!(text("memory.max"), if unapplied.contains(&Limit::Memory) { "" } else { "1048576" });
        }
    }

    #[test]
    fn where_both_versions_are_each_limit_is_set_once() {
        let wanted: Wanted = [(Limit::Memory, 1 << 20), (Limit::Pids, 7)].into();
        let (dir, two) = version_2(["memory pids", "memory pids"]);
        fs::create_dir(dir.path().join("v1")).unwrap();
        let controllers = vec!["memory".to_owned()];
        let (mounted, own) = (dir.path().join("v1"), PathBuf::new());
        let cgroup =
            Cgroup::among(&[Hierarchy { version: Version::One, controllers, mounted, own }, two], wanted);
        let limits: Vec<_> = cgroup.groups.iter().map(|group| (group.version, &*group.limits)).collect();
        assert_eq!(limits, [(Version::One, &[Limit::Memory][..]), (Version::Two, &[Limit::Pids])]);
        assert!(cgroup.unapplied().is_empty());
    }

    #[test]
    fn the_mount_that_shows_the_group_counts() {
        let mountinfo = "30 25 0:26 /other /mnt rw - cgroup2 cgroup2 rw\n\
                         31 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = parse("0::/mine/a\n", mountinfo);
        assert_eq!(found[0].group(), Path::new("/sys/fs/cgroup/mine/a"));
    }
}
