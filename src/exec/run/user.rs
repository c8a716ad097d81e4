//! Whom a step runs as: USER, looked up in the image's own passwd and group.
//!
//! The rules are the main implementation's: a name wins over a number; the first line that fits is taken; a number
//! that nobody has stands for itself, in group 0; a name that nobody has is an error. Only who named no group is
//! in the further groups that list the user. With numbers for both, nothing is looked up.

use serde::{Deserialize, Serialize};

use super::super::owner::read;
use super::RunError;
use crate::sandbox::User;
use crate::tree::Tree;

/// Who a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) user: User,
    /// From passwd, by the number; `/` where there is none.
    pub(super) home: String,
}

pub(super) fn who(text: &str, root: &Tree) -> Result<Who, RunError> {
    let passwd = || read_file(root, "etc/passwd");
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let mut found = User::default();
    match (number(user)?, group.is_empty(), number(group)?) {
        (Some(uid), false, Some(gid)) => (found.uid, found.gid) = (uid, gid),
        (uid, ..) => look_up(&mut found, uid, user, group, root)?,
    }
    if !found.groups.contains(&found.gid) {
        found.groups.insert(0, found.gid);
    }
    let home = passwd()?.iter().find(|line| line.id(1) == Some(found.uid)).map(|line| line.text(4));
    let home = home.filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into());
    Ok(Who { user: found, home })
}

fn look_up(found: &mut User, uid: Option<u32>, user: &str, group: &str, root: &Tree) -> Result<(), RunError> {
    let passwd = read_file(root, "etc/passwd")?;
    let wanted = if user.is_empty() { Some(0) } else { uid };
    let fits = |line: &&Line| {
        (!user.is_empty() && line.name() == user.as_bytes()) || (wanted.is_some() && line.id(1) == wanted)
    };
    let line = passwd.iter().find(fits);
    match (line, wanted) {
        (Some(line), _) => {
            (found.uid, found.gid) = (line.id(1).unwrap_or(0), line.id(2).unwrap_or(0));
        }
        (None, Some(uid)) => found.uid = uid,
        (None, None) => return Err(RunError::NoUser(user.into())),
    }
    if !group.is_empty() {
        let gid = number(group)?;
        let groups = read_file(root, "etc/group")?;
        let fits = |line: &&Line| line.name() == group.as_bytes() || (gid.is_some() && line.id(1) == gid);
        found.gid = match (groups.iter().find(fits), gid) {
            (Some(line), _) => line.id(1).unwrap_or(0),
            (None, Some(gid)) => gid,
            (None, None) => return Err(RunError::NoGroup(group.into())),
        };
    } else if let Some(line) = line {
        let groups = read_file(root, "etc/group")?;
        let member = |group: &&Line| group.0.get(3).is_some_and(|list| is_in(line.name(), list));
        found.groups = groups.iter().filter(member).map(|group| group.id(1).unwrap_or(0)).collect();
    }
    Ok(())
}

fn is_in(name: &[u8], list: &[u8]) -> bool {
    !name.is_empty() && list.split(|&b| b == b',').any(|member| member == name)
}

/// `None` if it is no number. `root` is one.
fn number(text: &str) -> Result<Option<u32>, RunError> {
    if text == "root" {
        return Ok(Some(0));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let id = text.parse().ok().filter(|id| *id <= i32::MAX as u32);
    id.map(Some).ok_or_else(|| RunError::NoSuchId(text.into()))
}

/// A line's fields.
struct Line(Vec<Vec<u8>>);

impl Line {
    fn name(&self) -> &[u8] {
        &self.0[0]
    }

    fn text(&self, after_name: usize) -> String {
        self.0
            .get(after_name + 1)
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .unwrap_or_default()
    }

    /// The number after so many fields but the name; what is none counts as 0, what isn't there as nothing.
    fn id(&self, after_name: usize) -> Option<u32> {
        // passwd is NAME:PASSWORD:UID:GID, group is NAME:PASSWORD:GID.
        let field = self.0.get(after_name + 1)?;
        Some(std::str::from_utf8(field).ok().and_then(|text| text.parse().ok()).unwrap_or_default())
    }
}

fn read_file(root: &Tree, file: &str) -> Result<Vec<Line>, RunError> {
    let text = read(root, file, file)?.unwrap_or_default();
    let lines = text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Ok(lines.map(|line| Line(line.split(|&b| b == b':').map(<[u8]>::to_vec).collect())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::copy::testing::tree;
    use super::*;

    const IMAGE: &str = "etc/passwd = root:x:0:0:root:/root:/bin/sh|bob:x:1000:1001:Bob:/home/bob:/bin/sh|twin:x:1000:7::/twin|\
        42:x:5:6::/five|bad|none:x:9:9::|\n\
        etc/group = root:x:0:|bob:x:1001:|staff:x:50:bob|more:x:60:ann,bob,root|77:x:78:";

    fn found(user: &str) -> String {
        match who(user, &tree(&IMAGE.replace('|', "\\n"))) {
            Ok(Who { user, home }) => format!("{}:{} {:?} {home}", user.uid, user.gid, user.groups),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_and_numbers() {
        for (user, expected) in [
            ("", "0:0 [0, 60] /root"),
            ("root", "0:0 [0, 60] /root"),
            ("bob", "1000:1001 [1001, 50, 60] /home/bob"),
            ("1000", "1000:1001 [1001, 50, 60] /home/bob"),
            ("1000:50", "1000:50 [50] /home/bob"),
            ("bob:staff", "1000:50 [50] /home/bob"),
            ("bob:77", "1000:78 [78] /home/bob"),
            ("bob:9", "1000:9 [9] /home/bob"),
            ("777", "777:0 [0] /"),
            ("777:staff", "777:50 [50] /"),
            ("42", "5:6 [6] /five"),
            ("none", "9:9 [9] /"),
            (":staff", "0:50 [50] /root"),
            ("alice", "the image has no user `alice`"),
            ("bob:nogroup", "the image has no group `nogroup`"),
            ("2147483648", "`2147483648` is beyond the numbers of users and groups"),
            ("-1", "the image has no user `-1`"),
        ] {
            assert_eq!(found(user), expected, "{user}");
        }
    }

    #[test]
    fn an_image_without_files_knows_numbers() {
        let root = Tree::default();
        assert_eq!(who("", &root).unwrap().home, "/");
        assert_eq!(who("5", &root).unwrap().user, User { uid: 5, gid: 0, groups: vec![0] });
        assert!(matches!(who("bob", &root), Err(RunError::NoUser(_))));
    }
}
