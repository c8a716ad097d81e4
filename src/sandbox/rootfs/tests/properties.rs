//! Any step on any layers: what is collected, applied to the tree below, is what the step left.

use std::os::unix::fs::{PermissionsExt as _, symlink as make_symlink};

use proptest::prelude::*;

use super::overlay::check_settled;
use super::*;

const NAMES: [&str; 9] = ["a", "b", "d", "d/x", "d/e", "d/e/y", "d/e/z", "f/g", "f"];

fn any_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

#[derive(Debug, Clone)]
enum Act {
    Write(&'static str, u8),
    Mkdir(&'static str),
    Remove(&'static str),
    Chmod(&'static str, bool),
    Chown(&'static str, bool),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str),
    Fifo(&'static str),
    Xattr(&'static str, bool),
    Anew(&'static str),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (any_path(), 0..3_u8).prop_map(|(p, n)| Act::Write(p, n)),
        2 => any_path().prop_map(Act::Mkdir),
        3 => any_path().prop_map(Act::Remove),
        1 => (any_path(), any::<bool>()).prop_map(|(p, b)| Act::Chmod(p, b)),
        1 => (any_path(), any::<bool>()).prop_map(|(p, b)| Act::Chown(p, b)),
        1 => (any_path(), any_path()).prop_map(|(p, q)| Act::Rename(p, q)),
        1 => (any_path(), any_path()).prop_map(|(p, q)| Act::Link(p, q)),
        1 => any_path().prop_map(Act::Symlink),
        1 => any_path().prop_map(Act::Fifo),
        1 => (any_path(), any::<bool>()).prop_map(|(p, b)| Act::Xattr(p, b)),
        2 => any_path().prop_map(Act::Anew),
    ]
}

impl Act {
    /// Does it, or doesn't where it can't be done.
    fn run(&self, root: &Path) {
        let _may_not_work = self.attempt(root);
    }

    fn attempt(&self, root: &Path) -> std::io::Result<()> {
        let is_dir = |p: &&str| root.join(p).symlink_metadata().is_ok_and(|m| m.is_dir());
        let is_file = |p: &&str| root.join(p).symlink_metadata().is_ok_and(|m| m.is_file());
        let is_fine = |p: &&str| is_dir(p) || is_file(p);
        match self {
            // Not into a FIFO or through a link.
            Self::Write(p, n) if is_file(p) || root.join(p).symlink_metadata().is_err() => {
                fs::write(root.join(p), [b'0' + n])
            }
            Self::Mkdir(p) => fs::create_dir(root.join(p)),
            Self::Remove(p) if is_dir(p) => fs::remove_dir_all(root.join(p)),
            Self::Remove(p) => fs::remove_file(root.join(p)),
            Self::Chmod(p, b) if is_fine(p) => {
                fs::set_permissions(root.join(p), fs::Permissions::from_mode(if *b { 0o755 } else { 0o700 }))
            }
            Self::Chown(p, b) => std::os::unix::fs::lchown(root.join(p), Some(u32::from(*b)), None),
            Self::Rename(p, q) if !is_dir(p) => fs::rename(root.join(p), root.join(q)),
            Self::Link(p, q) => fs::hard_link(root.join(p), root.join(q)),
            Self::Symlink(p) => make_symlink("nowhere", root.join(p)),
            Self::Fifo(p) => {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let folder = rustix::fs::CWD;
                Ok(rustix::fs::mknodat(folder, root.join(p), rustix::fs::FileType::Fifo, mode, 0)?)
            }
            Self::Xattr(p, true) if is_fine(p) => {
                Ok(rustix::fs::setxattr(root.join(p), "user.a", b"1", rustix::fs::XattrFlags::empty())?)
            }
            Self::Xattr(p, false) if is_fine(p) => Ok(rustix::fs::removexattr(root.join(p), "user.a")?),
            Self::Anew(p) if is_dir(p) => {
                fs::remove_dir_all(root.join(p))?;
                fs::create_dir(root.join(p))
            }
            _ => Ok(()),
        }
    }
}

fn any_layer() -> impl Strategy<Value = Changes> {
    let kind = prop_oneof![
        3 => (0..3_u8).prop_map(|n| file([b'0' + n])),
        2 => prop::sample::select(vec![0o755, 0o700, 0o1777]).prop_map(dir),
        1 => Just(symlink("nowhere")),
        1 => Just(node(0o600, Kind::Fifo)),
        1 => any_path().prop_map(|p| node(0o644, Kind::Hardlink(path(p)))),
    ];
    let puts = prop::collection::btree_map(any_path(), (kind, 0..2_u32), 0..7);
    let paths = || prop::collection::btree_set(any_path().prop_map(path), 0..3);
    (puts, paths(), paths()).prop_map(|(all, whiteouts, opaques)| {
        let mut changes = Changes { whiteouts, opaques, ..Changes::default() };
        for (at, (mut node, uid)) in all {
            let at = path(at);
            let is_sound = |above: &ImagePath| changes.puts.get(above).is_none_or(Node::is_dir);
            if at.ancestors().all(|above| is_sound(&above)) {
                node.meta.uid = uid;
                changes.puts.insert(at, node);
            }
        }
        // Links to what the same layer puts as something else than a file are no layers.
        let files: Vec<ImagePath> = changes.puts.keys().cloned().collect();
        changes.puts.retain(|_, node| !matches!(&node.kind, Kind::Hardlink(to) if files.contains(to)));
        changes
    })
}

/// The layers with an entry for each folder that is new. A tree forgets one that was only implied when it becomes
/// empty, and a disk doesn't.
fn explicit(mut layers: Vec<Changes>) -> Vec<Changes> {
    let mut below = Tree::default();
    for layer in &mut layers {
        let mut after = below.clone();
        after.apply(layer);
        let folders: Vec<ImagePath> = layer.puts.keys().flat_map(|path| path.ancestors()).collect();
        for folder in folders.into_iter().filter(|folder| !after.contains(folder)) {
            layer.puts.insert(folder, Node::implicit_dir());
        }
        below.apply(layer);
    }
    layers
}

/// A fifth of the usual number, as each mounts; `PROPTEST_CASES` makes it more.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 5, max_shrink_iters: 200, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_collected_is_what_the_step_left(
        layers in prop::collection::vec(any_layer(), 1..4),
        acts in prop::collection::vec(any_act(), 0..14),
    ) {
        if !as_root() {
            return Ok(());
        }
        let world = World::new(&explicit(layers));
        let mut left = Vec::new();
        let (changes, upper) = world.step(|at| {
            acts.iter().for_each(|act| act.run(at));
            left = words(&walk(at), false);
        });
        let mut after = world.below.clone();
        after.apply(&changes);
        prop_assert_eq!(words(&after, false), left, "by {:?}", changes);
        check_settled(&world, &changes, &upper);
    }

    #[test]
    fn a_plain_copy_says_the_same(
        layers in prop::collection::vec(any_layer(), 1..4),
        acts in prop::collection::vec(any_act(), 0..14),
    ) {
        if !as_root() {
            return Ok(());
        }
        // Writing to one name of a file changes the others in a plain folder alone.
        let is_link = |node: &Node| matches!(node.kind, Kind::Hardlink(_));
        let mut layers = layers;
        layers.iter_mut().for_each(|layer| layer.puts.retain(|_, node| !is_link(node)));
        let world = World::new(&explicit(layers));
        let (changes, _) = world.step(|at| acts.iter().for_each(|act| act.run(at)));
        let flat = world.path("flat");
        fs::create_dir(&flat).unwrap();
        let lowers: Vec<&Path> = world.lowers.iter().map(PathBuf::as_path).collect();
        flatten(&lowers, &flat, Disk::ROOT).unwrap();
        prop_assert_eq!(words(&walk(&flat), false), words(&world.below, false));
        acts.iter().for_each(|act| act.run(&flat));
        let raw = as_upper(look(&flat, Disk::ROOT).unwrap(), &world.below, true);
        let found = reduce(raw, &world.below, Ids::Real, &[].into()).unwrap().changes;
        let said = |changes: &Changes| {
            let puts = Changes { puts: changes.puts.clone(), ..Changes::default() };
            (words(&tree(&puts), true), changes.whiteouts.clone(), changes.opaques.clone())
        };
        prop_assert_eq!(said(&found), said(&changes));
    }
}
