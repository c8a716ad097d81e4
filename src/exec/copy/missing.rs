//! A source that is not in its tree, and what may have been meant instead.

use super::{Origin, select};
use crate::exec::resolve_path::{Names as _, resolve};
use crate::text::nearest;
use crate::tree::{ImagePath, Kind, Tree};

/// A source that isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not in {from}{}", .pattern.escape_debug(), left_out(.ignored.as_deref()))]
pub struct Missing {
    /// As written, expanded.
    pub pattern: String,
    pub from: Origin,
    /// The ignore file's pattern that takes it away, and where that stands.
    pub ignored: Option<String>,
    /// What is there and has nearly that name.
    pub near: Option<String>,
    /// A link on the way that leads to nothing.
    pub link: Option<DeadLink>,
}

/// A link that leads to nothing in its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLink {
    pub path: ImagePath,
    pub target: String,
    /// Whether it would lead to something else where the tree is not the whole world.
    pub leads_out: bool,
}

fn left_out(ignored: Option<&str>) -> String {
    ignored.map_or_else(String::new, |pattern| format!(", as {pattern} leaves it out"))
}

impl Missing {
    /// What is to be said of the link.
    pub fn link_note(&self) -> Option<String> {
        let DeadLink { path, target, leads_out } = self.link.as_ref()?;
        let target = target.escape_debug();
        Some(if *leads_out {
            format!("the link `{path}` leads out of {}, to `{target}`", self.from)
        } else {
            format!("the link `{path}` leads to `{target}`, which is not there")
        })
    }

    /// Of `pattern`, which asks for a path where nothing is.
    pub(super) fn new(
        pattern: &str,
        from: Origin,
        tree: &Tree,
        asked: &ImagePath,
        ignored: Option<String>,
    ) -> Self {
        let (near, link) = match ignored {
            Some(_) => (None, None),
            None => (near(tree, asked), dead_link(tree, asked)),
        };
        Self { pattern: pattern.to_owned(), from, ignored, near: near.filter(|_| link.is_none()), link }
    }
}

/// The path with its first name that isn't there replaced by the most similar one of that folder; what follows it
/// is left away unless it is there too.
fn near(tree: &Tree, asked: &ImagePath) -> Option<String> {
    let root = ImagePath::root();
    let mut folder = ImagePath::root();
    let mut rest = asked.parts();
    while let Some(part) = rest.next() {
        let next = folder.join_bytes(part).ok()?;
        if tree.kind(&next).is_some() {
            folder = next;
            continue;
        }
        let typed = std::str::from_utf8(part).ok()?;
        let found =
            folder.join_bytes(similar(tree, &resolve(tree, &root, &folder).ok()?, typed)?.as_bytes()).ok()?;
        let whole = rest.try_fold(found.clone(), |path, part| path.join_bytes(part)).ok()?;
        let real = resolve(tree, &root, &whole).ok();
        let whole = Some(whole).filter(|_| real.is_some_and(|real| tree.kind(&real).is_some()));
        return Some(relative(&whole.unwrap_or(found)));
    }
    None
}

/// A name in a folder: the same one in other letters, or one with a typing error less.
fn similar(tree: &Tree, folder: &ImagePath, typed: &str) -> Option<String> {
    let names: Vec<&str> =
        tree.children(folder).filter_map(|(path, _)| std::str::from_utf8(path.name()).ok()).collect();
    let lower = typed.to_lowercase();
    let found = names.iter().copied().find(|name| name.to_lowercase() == lower);
    found.or_else(|| nearest(typed, names).filter(|name| is_similar(typed, name))).map(str::to_owned)
}

/// Two edits make anything of a name of three letters, and one of a single letter.
fn is_similar(typed: &str, name: &str) -> bool {
    let shorter = typed.chars().count().min(name.chars().count());
    shorter > 4 || shorter > 1 && (one_edit(typed, name) || sorted(typed) == sorted(name))
}

fn sorted(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}

fn one_edit(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[start..], &right[start..]);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    left.len() - end <= 1 && right.len() - end <= 1
}

/// The first link in a path that leads to nothing.
fn dead_link(tree: &Tree, asked: &ImagePath) -> Option<DeadLink> {
    let above = asked.ancestors().chain([asked.clone()]);
    above.filter(|path| !path.is_root()).find_map(|path| {
        let Some(Kind::Symlink(target)) = tree.get(&path).map(|node| &node.kind) else { return None };
        let real = resolve(tree, &ImagePath::root(), &path).ok()?;
        if tree.kind(&real).is_some() {
            return None;
        }
        let leads_out = leads_out(&path, target);
        Some(DeadLink { target: String::from_utf8_lossy(target).into_owned(), leads_out, path })
    })
}

/// Whether a target, as text, is above the root.
fn leads_out(link: &ImagePath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = link.parts().count().saturating_sub(1);
    for part in target.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn relative(path: &ImagePath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

/// The sources of a copy from `tree` that are not there. Malformed ones are left to the copy itself.
pub fn missing_sources(
    copy: &crate::plan::Copy,
    tree: &Tree,
    ignored: &dyn Fn(&ImagePath) -> Option<String>,
) -> Vec<Missing> {
    let mut found = Vec::new();
    for source in &copy.sources {
        let crate::plan::CopySource::Pattern(pattern) = source else { continue };
        let missing = |path: &ImagePath| {
            let origin = Origin::new(copy.from.clone(), None);
            super::CopyError::from(Missing::new(pattern, origin, tree, path, ignored(path)))
        };
        let source = select::Source::new(pattern, copy.parents);
        let selected = source.select(tree, &missing).and_then(|named| {
            named.iter().try_for_each(|named| source.follow(tree, &named.path, &missing).map(drop))
        });
        if let Err(super::CopyError::NotFound(missing)) = selected {
            found.push(*missing);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{path, tree};
    use super::*;
    use crate::plan::{ContextName, TreeRef};

    const TREE: &str = "a.txt\nsrc/\nsrc/main.c\nREADME.md\nlib/x\nout -> /etc/passwd\nup -> ../x\ndead -> src/nope\nto -> src\nde";

    #[test]
    fn what_was_meant() {
        for (asked, expected) in [
            ("a.tx", Some("a.txt")),
            ("A.TXT", Some("a.txt")),
            ("readme.md", Some("README.md")),
            ("src/mian.c", Some("src/main.c")),
            ("scr/main.c", Some("src/main.c")),
            ("srcs/main.c", Some("src/main.c")),
            ("srcs/nope", Some("src")),
            ("to/main.cc", Some("to/main.c")),
            ("ab", None),
            ("nothing-like-it", None),
        ] {
            assert_eq!(near(&tree(TREE), &path(asked)).as_deref(), expected, "{asked}");
        }
    }

    #[test]
    fn links_to_nothing_are_told() {
        let told = |asked: &str| {
            let origin = Origin::new(TreeRef::Context(ContextName::Main), None);
            Missing::new(asked, origin, &tree(TREE), &path(asked), None).link_note()
        };
        assert_eq!(told("out").unwrap(), "the link `out` leads out of the build context, to `/etc/passwd`");
        assert_eq!(told("up").unwrap(), "the link `up` leads out of the build context, to `../x`");
        assert_eq!(told("dead/x").unwrap(), "the link `dead` leads to `src/nope`, which is not there");
        assert_eq!(told("to/nope"), None);
    }

    #[test]
    fn a_target_leads_out_where_it_climbs_above_the_root() {
        for (link, target, expected) in
            [("a", "b", false), ("a", "..", true), ("d/a", "../b", false), ("d/a", "../../b", true)]
        {
            assert_eq!(leads_out(&path(link), target.as_bytes()), expected, "{link} -> {target}");
        }
    }
}
