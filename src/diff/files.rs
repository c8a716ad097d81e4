//! Two trees, or two change sets, path by path.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::node::{Entry, What, aspects, blame_clock};
use super::report::{Aspect, Change, FileDiff};
use super::{DiffError, Engine, cause, content, moved};
use crate::tree::{Changes, ImagePath, Inode, Kind, Node, Tree};

/// Every path of one side, in order.
pub(super) type View<'a> = Vec<(&'a ImagePath, Entry<'a>)>;

pub(super) fn changes(engine: &mut Engine<'_>, a: &Changes, b: &Changes) -> Result<Vec<FileDiff>, DiffError> {
    compare(engine, view_of_changes(a), view_of_changes(b), &Place::default())
}

pub(super) fn trees(
    engine: &mut Engine<'_>,
    a: &Tree,
    b: &Tree,
    place: &Place,
) -> Result<Vec<FileDiff>, DiffError> {
    compare(engine, view(a.iter()), view(b.iter()), place)
}

/// Where a tree stands: in the image, or in an archive in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// `/path/of/archive!`; empty for the image itself.
    pub(super) prefix: String,
    pub(super) depth: u32,
}

impl Place {
    pub(super) fn path(&self, path: &ImagePath) -> String {
        format!("{}{}", self.prefix, path.display())
    }
}

fn view<'a>(nodes: impl Iterator<Item = (&'a ImagePath, &'a Node)>) -> View<'a> {
    let nodes: Vec<(&ImagePath, &Node)> = nodes.collect();
    let first = first_names(&nodes);
    let entry = |node| Entry { what: What::Node(node), first: name_of(node, &first), opaque: false };
    nodes.into_iter().map(|(path, node)| (path, entry(node))).collect()
}

fn view_of_changes(changes: &Changes) -> View<'_> {
    let mut view: BTreeMap<&ImagePath, Entry<'_>> = view(changes.puts.iter()).into_iter().collect();
    let alone = |what| Entry { what, first: None, opaque: false };
    for path in &changes.whiteouts {
        view.entry(path).or_insert_with(|| alone(What::Whiteout));
    }
    for path in &changes.opaques {
        view.entry(path).or_insert_with(|| alone(What::Opaque)).opaque = true;
    }
    view.into_iter().collect()
}

/// The first name of each file that has several.
fn first_names<'a>(nodes: &[(&'a ImagePath, &'a Node)]) -> BTreeMap<Inode, &'a ImagePath> {
    let mut names: BTreeMap<Inode, (&ImagePath, usize)> = BTreeMap::new();
    for &(path, node) in nodes {
        if let Some(inode) = inode(node) {
            names.entry(inode).or_insert((path, 0)).1 += 1;
        }
    }
    names.into_iter().filter(|(_, (_, count))| *count > 1).map(|(inode, (path, _))| (inode, path)).collect()
}

fn name_of<'a>(node: &Node, first: &BTreeMap<Inode, &'a ImagePath>) -> Option<&'a ImagePath> {
    first.get(&inode(node)?).copied()
}

fn inode(node: &Node) -> Option<Inode> {
    match node.kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    }
}

fn compare(
    engine: &mut Engine<'_>,
    a: View<'_>,
    b: View<'_>,
    place: &Place,
) -> Result<Vec<FileDiff>, DiffError> {
    let counts =
        |path: &ImagePath| place.depth > 0 || engine.options.filter.is_none_or(|filter| filter(path));
    let mut joined = Joined::of(a, b);
    joined.keep(counts);
    let mut found = Vec::new();
    for (path, old, new) in &joined.both {
        found.extend(pair(engine, path, (*old, *new), place)?);
    }
    let moves = moved::find(&mut joined.removed, &mut joined.added)?;
    for (from, old, path, new) in moves {
        let (aspects, mut causes) = aspects(old, new, engine.options.times);
        causes.extend(cause::of_words(from.as_bytes(), path.as_bytes()));
        blame_clock(&aspects, true, &mut causes);
        found.push(FileDiff {
            path: place.path(path),
            change: Change::Moved,
            from: Some(place.path(from)),
            facts: Some(new.facts()),
            aspects,
            causes,
        });
    }
    let renamed = moved::renamed(&joined.removed, &joined.added);
    let alone = |change: Change| {
        let renamed = &renamed;
        move |(path, entry): &(&ImagePath, Entry<'_>)| FileDiff {
            path: place.path(path),
            change,
            from: None,
            facts: Some(entry.facts()),
            aspects: Vec::new(),
            causes: renamed.get(*path).cloned().unwrap_or_default(),
        }
    };
    found.extend(joined.removed.iter().map(alone(Change::Removed)));
    found.extend(joined.added.iter().map(alone(Change::Added)));
    found.sort_by(|a, b| (&a.path, a.change).cmp(&(&b.path, b.change)));
    Ok(found)
}

/// How near two change sets are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nearness {
    Same,
    /// But for their times.
    Times,
    Other,
}

pub(super) fn nearness(a: &Changes, b: &Changes) -> Result<Nearness, DiffError> {
    let joined = Joined::of(view_of_changes(a), view_of_changes(b));
    if !joined.added.is_empty() || !joined.removed.is_empty() {
        return Ok(Nearness::Other);
    }
    let mut nearness = Nearness::Same;
    for (_, old, new) in &joined.both {
        let content = |entry: &Entry<'_>| entry.node().and_then(|node| node.content().cloned());
        let same = content(old).zip(content(new)).map_or(Ok(true), |(a, b)| content::is_same(&a, &b))?;
        match &aspects(*old, *new, true).0[..] {
            [] if same => {}
            [Aspect::Time(_)] if same => nearness = Nearness::Times,
            _ => return Ok(Nearness::Other),
        }
    }
    Ok(nearness)
}

struct Joined<'a> {
    both: Vec<(&'a ImagePath, Entry<'a>, Entry<'a>)>,
    removed: View<'a>,
    added: View<'a>,
}

impl<'a> Joined<'a> {
    fn of(a: View<'a>, b: View<'a>) -> Self {
        let mut joined = Self { both: Vec::new(), removed: Vec::new(), added: Vec::new() };
        let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (Some((old, _)), Some((new, _))) => old.cmp(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return joined,
            };
            match order {
                Ordering::Less => joined.removed.extend(a.next()),
                Ordering::Greater => joined.added.extend(b.next()),
                Ordering::Equal => {
                    if let (Some((path, old)), Some((_, new))) = (a.next(), b.next()) {
                        joined.both.push((path, old, new));
                    }
                }
            }
        }
    }

    fn keep(&mut self, counts: impl Fn(&ImagePath) -> bool) {
        self.both.retain(|(path, ..)| counts(path));
        self.removed.retain(|(path, _)| counts(path));
        self.added.retain(|(path, _)| counts(path));
    }
}

/// What stands on both sides.
fn pair(
    engine: &mut Engine<'_>,
    path: &ImagePath,
    (a, b): (Entry<'_>, Entry<'_>),
    place: &Place,
) -> Result<Option<FileDiff>, DiffError> {
    let (mut aspects, mut causes) = aspects(a, b, engine.options.times || place.depth > 0);
    let content = |entry: Entry<'_>| entry.node().and_then(|node| node.content().cloned());
    if let (Some(old), Some(new)) = (content(a), content(b))
        && !content::is_same(&old, &new)?
    {
        let (diff, likely) = content::compare(engine, path, (&old, &new), place)?;
        aspects.insert(0, Aspect::Content(diff));
        causes.extend(likely);
    }
    blame_clock(&aspects, false, &mut causes);
    Ok((!aspects.is_empty()).then(|| FileDiff {
        path: place.path(path),
        change: Change::Changed,
        from: None,
        facts: None,
        aspects,
        causes: causes.into_iter().collect::<BTreeSet<_>>(),
    }))
}
