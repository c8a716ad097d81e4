//! Whose ids a step has: the maps of its user namespace.

use std::path::{Path, PathBuf};

use super::rootfs::Disk;
use crate::store::roots;

/// Inside, outside, count: a line of `/proc/self/uid_map`.
pub(super) type Line = [u32; 3];

/// The maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) uids: Vec<Line>,
    pub(super) gids: Vec<Line>,
}

/// How a worker comes to its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// It keeps those of lith, which is root. `real` where that is the machine's root.
    Here { real: bool },
    /// A new user namespace, mapped by programs that may do so.
    Helped { newuidmap: PathBuf, newgidmap: PathBuf, maps: Maps },
    /// A new user namespace, mapped by lith, which may give itself any id that it has.
    Mapped(Maps),
    /// A new user namespace with lith's user as its root, and nobody else.
    Single { uid: u32, gid: u32 },
}

impl Start {
    pub(super) fn has_user_namespace(&self) -> bool {
        !matches!(self, Self::Here { .. })
    }

    pub(super) fn disk(&self) -> Disk {
        match self {
            Self::Here { real: true } => Disk::ROOT,
            Self::Here { real: false } | Self::Helped { .. } | Self::Mapped(_) => Disk::USER,
            Self::Single { .. } => Disk::SINGLE,
        }
    }

    pub(super) fn roots(&self) -> roots::Mode {
        match self {
            Self::Here { .. } => roots::Mode::real(),
            Self::Helped { maps, .. } | Self::Mapped(maps) => roots::Mode::mapped(&maps.uids, &maps.gids),
            Self::Single { .. } => roots::Mode::single(),
        }
    }
}

impl Maps {
    /// How many users there are.
    pub(super) fn ids(&self) -> u64 {
        self.uids.iter().map(|[_, _, count]| u64::from(*count)).sum()
    }
}

/// The user as root, then the ids that were given to the user.
pub(super) fn subordinate(uid: u32, gid: u32) -> Result<Maps, String> {
    let names = names(uid, &read(Path::new("/etc/passwd")));
    let map = |file: &str, own: u32| {
        let ranges = ranges(&read(Path::new(file)), &names);
        if ranges.is_empty() {
            return Err(format!("`{file}` has no ids for `{}`", names.join("`, `")));
        }
        Ok(with_root(own, &ranges))
    };
    Ok(Maps { uids: map("/etc/subuid", uid)?, gids: map("/etc/subgid", gid)? })
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// What a user is called in those files: by name, or by number.
fn names(uid: u32, passwd: &str) -> Vec<String> {
    let uid = uid.to_string();
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields[0].to_owned())
    };
    passwd.lines().filter_map(of_line).chain([uid.clone()]).collect()
}

/// The ranges of `name:start:count` lines.
fn ranges(text: &str, names: &[String]) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (names.iter().any(|n| n == name) && count > 0).then_some((start, count))
    };
    text.lines().filter_map(range).collect()
}

fn with_root(own: u32, ranges: &[(u32, u32)]) -> Vec<Line> {
    let mut lines = vec![[0, own, 1]];
    let mut next: u32 = 1;
    for &(start, count) in ranges {
        let count = count.min(u32::MAX - next).min(u32::MAX - start);
        lines.push([next, start, count]);
        next += count;
    }
    lines
}

/// The ids that this process has: each mapped to itself in a namespace below.
pub(super) fn own() -> Maps {
    let lines = |file: &str| {
        let line = |line: &str| {
            let mut fields = line.split_whitespace().map(str::parse);
            let inside: u32 = fields.next()?.ok()?;
            let count: u32 = fields.nth(1)?.ok()?;
            Some([inside, inside, count])
        };
        read(Path::new(file)).lines().filter_map(line).collect()
    };
    Maps { uids: lines("/proc/self/uid_map"), gids: lines("/proc/self/gid_map") }
}

/// As it is written to `/proc/PID/uid_map`.
pub(super) fn text(lines: &[Line]) -> String {
    lines.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_after_root() {
        let text = "# none\nother:1:1\nme:100000:65536\nbroken\nme:x:1\n1000:300000:10\nme:5:0\n";
        let names = names(1000, "root:x:0:0\nme:x:1000:1000::/:/bin/sh\n");
        assert_eq!(names, ["me", "1000"]);
        let ranges = ranges(text, &names);
        assert_eq!(ranges, [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(with_root(1000, &ranges), [[0, 1000, 1], [1, 100_000, 65_536], [65_537, 300_000, 10]]);
    }

    #[test]
    fn nonsense_is_no_overflow() {
        let lines = with_root(0, &[(4_294_967_290, 4_294_967_295), (1, 4_294_967_295), (7, 9)]);
        let end = lines.iter().map(|[inside, _, count]| u64::from(*inside) + u64::from(*count)).max();
        assert!(end.unwrap() <= u64::from(u32::MAX), "{lines:?}");
    }

    #[test]
    fn the_maps_are_lines() {
        assert_eq!(text(&[[0, 1000, 1], [1, 100_000, 65_536]]), "0 1000 1\n1 100000 65536\n");
        assert!(own().ids() >= 1);
    }
}
