//! Root file systems on real disks, and under real overlayfs where the tests are run by root.

mod hostile;
mod interop;
mod overlay;
mod properties;
mod removal;
mod units;
mod user;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::collect::look;
use super::*;
use crate::layer;
use crate::oci::Epoch;
use crate::store::Store;
use crate::tree::testing::{file, linked, node, path, symlink};
use crate::tree::{Changes, Content, Inode, Kind, Meta, Node, Tree};

fn dir(mode: u16) -> Node {
    node(mode, Kind::Dir)
}

fn puts<P: AsRef<[u8]>>(puts: impl IntoIterator<Item = (P, Node)>) -> Changes {
    Changes { puts: puts.into_iter().map(|(p, node)| (path(p), node)).collect(), ..Changes::default() }
}

fn tree(changes: &Changes) -> Tree {
    let mut tree = Tree::default();
    tree.apply(changes);
    tree
}

fn store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, Arc::new(store))
}

fn options() -> layer::Options {
    layer::Options { compression: "none".parse().unwrap(), epoch: Epoch::ZERO, threads: 1 }
}

#[expect(clippy::print_stderr, reason = "a test that doesn't test has to say so")]
fn say(message: &str) {
    eprintln!("warning: {message}");
}

#[expect(clippy::disallowed_methods, reason = "a test that must not be left out there")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the tests may give files to others and mount; says so if not.
fn as_root() -> bool {
    if is_root() {
        return true;
    }
    assert!(!in_ci(), "root file systems were NOT tested: the tests have to be run by root");
    say("not root: root file systems were NOT tested");
    false
}

#[expect(clippy::disallowed_methods, reason = "mounting, and other programs to compare with")]
fn command(program: &str) -> Command {
    Command::new(program)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An overlay mount, gone when it is dropped.
struct Mount(PathBuf);

impl Mount {
    /// The lowest lower comes first.
    #[track_caller]
    fn new(lowers: &[PathBuf], upper: Option<(&Path, &Path)>, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let mut lowers: Vec<String> = lowers.iter().rev().map(|p| p.display().to_string()).collect();
        if lowers.len() + usize::from(upper.is_some()) < 2 {
            // overlayfs wants two of them.
            let empty = at.with_extension("empty");
            fs::create_dir_all(&empty).unwrap();
            lowers.push(empty.display().to_string());
        }
        let mut options = format!("lowerdir={},index=off,redirect_dir=off,metacopy=off", lowers.join(":"));
        if let Some((upper, work)) = upper {
            fs::create_dir_all(work).unwrap();
            options += &format!(",upperdir={},workdir={}", upper.display(), work.display());
        }
        run(command("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !command("umount").arg(&self.0).status().is_ok_and(|status| status.success()) {
            let _gone_later = command("umount").arg("-l").arg(&self.0).status();
        }
    }
}

/// What two root file systems have to agree in. `links`: which names are of one file, too.
fn words(nodes: &Tree, links: bool) -> Vec<String> {
    let mut first: BTreeMap<Inode, String> = BTreeMap::new();
    let mut all: BTreeMap<ImagePath, String> = BTreeMap::from([(path(""), "dir 755 0:0 {}".into())]);
    for (at, _) in nodes.iter() {
        all.extend(at.ancestors().map(|folder| (folder, "dir 755 0:0 {}".to_owned())));
    }
    for (at, node) in nodes.iter() {
        let kind = match &node.kind {
            Kind::File { content, inode } => {
                let text = content.read_bounded(1 << 20).unwrap().unwrap();
                let name = inode.map(|inode| first.entry(inode).or_insert_with(|| at.to_string()).clone());
                let name = name.filter(|_| links).unwrap_or_default();
                format!("file {:?} {name}", text.escape_ascii().to_string())
            }
            Kind::Dir => "dir".into(),
            kind => format!("{kind:?}"),
        };
        let Meta { mode, uid, gid, xattrs } = &node.meta;
        // A link has no mode of its own on Linux.
        let mode = if matches!(node.kind, Kind::Symlink(_)) { &0o777 } else { mode };
        all.insert(at.clone(), format!("{kind} {mode:o} {uid}:{gid} {xattrs:?}"));
    }
    all.into_iter().map(|(path, word)| format!("{path} {word}")).collect()
}

/// A folder as it is, with whiteouts, opaque folders and times.
fn all(folder: &Path, disk: Disk) -> Vec<String> {
    let changes = look(folder, disk).unwrap();
    let mut words = words(&tree(&Changes { puts: changes.puts.clone(), ..Changes::default() }), true);
    words.extend(changes.puts.iter().map(|(path, node)| format!("{path} {}", node.mtime)));
    words.extend(changes.whiteouts.iter().map(|path| format!("{path} whiteout")));
    words.extend(changes.opaques.iter().map(|path| format!("{path} opaque")));
    words
}

fn walk(folder: &Path) -> Tree {
    tree(&look(folder, Disk::ROOT).unwrap())
}

/// Layers unpacked over each other.
struct World {
    dir: tempfile::TempDir,
    below: Tree,
    lowers: Vec<PathBuf>,
}

impl World {
    fn new(layers: &[Changes]) -> Self {
        let mut world =
            Self { dir: tempfile::tempdir().unwrap(), below: Tree::default(), lowers: Vec::new() };
        layers.iter().for_each(|layer| world.push(layer));
        world
    }

    fn push(&mut self, layer: &Changes) {
        let folder = self.dir.path().join(format!("l{}", self.lowers.len()));
        fs::create_dir(&folder).unwrap();
        let completed = complete(layer, &self.below, Epoch::ZERO).unwrap();
        let notes = unpack(&completed.changes, &folder, Disk::ROOT).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        self.lowers.push(folder);
        self.below.apply(layer);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a step under overlayfs and gives what it changed, with its upper folder settled.
    fn step(&self, step: impl FnOnce(&Path)) -> (Changes, PathBuf) {
        let upper = self.path("upper");
        let raw = self.raw(&upper, step);
        let reduced = reduce(raw, &self.below, Ids::Real, &[].into()).unwrap();
        settle(&upper, &reduced.settle, Epoch::ZERO).unwrap();
        (reduced.changes, upper)
    }

    fn raw(&self, upper: &Path, step: impl FnOnce(&Path)) -> Changes {
        fs::create_dir(upper).unwrap();
        prepare(upper, &self.below, Disk::ROOT, Epoch::ZERO).unwrap();
        let mount = Mount::new(&self.lowers, Some((upper, &self.path("work"))), &self.path("merged"));
        assert_eq!(words(&walk(&mount.0), false), words(&self.below, false), "what the step saw");
        step(&mount.0);
        drop(mount);
        collect(upper, Disk::ROOT, Epoch::ZERO).unwrap()
    }

    /// What is seen with one more layer on top.
    fn seen_with(&self, top: &Path) -> Tree {
        let mut lowers = self.lowers.clone();
        lowers.push(top.to_owned());
        let mount = Mount::new(&lowers, None, &self.path("again"));
        // Read while it is mounted: contents are opened when they are wanted.
        let found = walk(&mount.0);
        found.iter().filter_map(|(_, node)| node.content()).for_each(|c| _ = c.fingerprint().unwrap());
        let in_memory = found.iter().map(|(path, node)| {
            let mut node = node.clone();
            if let Kind::File { content, .. } = &mut node.kind {
                *content = Content::from_bytes(content.read_bounded(1 << 20).unwrap().unwrap());
            }
            (path.clone(), node)
        });
        in_memory.collect()
    }
}
