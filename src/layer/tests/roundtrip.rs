//! Random changes, written and read.

use proptest::prelude::*;

use super::*;
use crate::tree::{Backing, Tree};

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-c]{1,2}".prop_map(String::into_bytes),
        1 => Just(b"-".to_vec()),
        1 => Just(b"new\nline".to_vec()),
        1 => Just("größe".into()),
        1 => Just(b"\xff\xfe not utf-8".to_vec()),
        1 => Just(b" 12 path=x".to_vec()),
        1 => (90..120_usize).prop_map(|n| vec![b'n'; n]),
        1 => (240..260_usize).prop_map(|n| vec![b'l'; n]),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    let id = || prop_oneof![Just(0), Just(1000), Just(0o777_7777), Just(0o1000_0000), any::<u32>()];
    let xattr = (
        prop_oneof![Just("security.capability"), Just("user.a"), Just("user.two\nlines"), Just("user. x")],
        prop::collection::vec(any::<u8>(), 0..40),
    );
    let xattrs = prop::collection::btree_map(xattr.0.prop_map(|n| n.as_bytes().to_vec()), xattr.1, 0..3);
    (0..0o10000_u16, id(), id(), xattrs).prop_map(|(mode, uid, gid, xattrs)| Meta { mode, uid, gid, xattrs })
}

/// A node; files get one of four inodes, or none.
fn any_node() -> impl Strategy<Value = (Node, Option<usize>)> {
    let device = || (0..0o777_7777_u32, 0..0o777_7777_u32);
    let size = prop_oneof![8 => 0..2000_usize, 1 => (1_usize << 20)..(3 << 20)];
    let content = (size, any::<u8>()).prop_map(|(n, b)| Content::from_bytes(vec![b; n]));
    let kind = prop_oneof![
        4 => Just(Kind::Dir),
        4 => content.prop_map(|content| Kind::File { content, inode: None }),
        1 => prop::collection::vec(1..=255_u8, 1..200).prop_map(|t| Kind::Symlink(t.into())),
        1 => device().prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => device().prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
        1 => Just(Kind::Fifo),
    ];
    (meta(), kind, prop::option::of(0..4_usize)).prop_map(|(meta, kind, inode)| {
        let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { meta.mode };
        (Node::new(Meta { mode, ..meta }, kind), inode)
    })
}

/// A whole tree, as changes: names of one inode are alike in all.
fn any_changes() -> impl Strategy<Value = Changes> {
    let place = || prop::collection::vec(name(), 1..6).prop_map(|parts| parts.join(&b'/'));
    let hidden = || prop::collection::btree_set(place().prop_map(path), 0..4);
    let puts = prop::collection::vec((place(), any_node()), 0..24);
    (puts, hidden(), hidden()).prop_map(|(puts, whiteouts, opaques)| {
        let mut tree = Tree::default();
        let mut inodes: BTreeMap<usize, (Node, Inode)> = BTreeMap::new();
        for (place, (node, inode)) in puts {
            let place = path(place);
            if place.ancestors().any(|above| tree.get(&above).is_some_and(|node| !node.is_dir())) {
                continue;
            }
            let node = match (&node.kind, inode) {
                (Kind::File { .. }, Some(n)) => {
                    let (node, inode) = inodes.entry(n).or_insert_with(|| (node, Inode::fresh()));
                    let content = node.content().unwrap().clone();
                    Node { kind: Kind::File { content, inode: Some(*inode) }, ..node.clone() }
                }
                _ => node,
            };
            tree.put(place, node);
        }
        let puts = tree.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
        Changes { puts, whiteouts, opaques }
    })
}

/// The changes as a tar can say them: an inode that has one name isn't known to be one.
fn without_single_inodes(mut changes: Changes) -> Changes {
    let mut names: BTreeMap<Inode, usize> = BTreeMap::new();
    let inode_of = |node: &Node| match node.kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    };
    changes.puts.values().filter_map(inode_of).for_each(|inode| *names.entry(inode).or_default() += 1);
    for node in changes.puts.values_mut() {
        if let Kind::File { inode, .. } = &mut node.kind
            && inode.is_some_and(|inode| names[&inode] == 1)
        {
            *inode = None;
        }
    }
    changes
}

/// What a tree of many things becomes under the changes: the judge of whether two changes are the same.
fn applied(changes: &Changes) -> Vec<String> {
    let mut tree = Tree::default();
    for name in ["a", "a/b", "a/b/c", "a/b/c/a", "b", "b/a", "b/b", "c", "c/a", "ab/a", "-/a"] {
        let is_dir = ["a", "a/b", "a/b/c", "b", "c"].contains(&name);
        tree.put(path(name), if is_dir { node(0o700, Kind::Dir) } else { file(name) });
    }
    tree.apply(changes);
    // A folder that is there for what is in it alone is there in either way.
    let full = |path: &ImagePath, node: &Node| {
        !(node.is_dir() && node.meta == dir().meta && tree.below(path).next().is_some())
    };
    let puts = tree.iter().filter(|(path, node)| full(path, node));
    facts(&Changes { puts: puts.map(|(p, n)| (p.clone(), n.clone())).collect(), ..Changes::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn changes_come_back(changes in any_changes()) {
        let changes = without_single_inodes(changes);
        let (_dir, store) = store();
        let layer = create(&store, &changes, &options("gzip:1", 2)).unwrap();
        let back = open(&store, &layer).unwrap();
        prop_assert_eq!(facts(&back).iter().filter(|f| f.starts_with('`')).count(), back.puts.len());
        prop_assert_eq!(applied(&back), applied(&changes));
        if changes.whiteouts.is_empty() && changes.opaques.is_empty() {
            prop_assert_eq!(facts(&back), facts(&changes));
        }
        // What was remembered while writing is what reading finds.
        let tar = uncompressed(&blob(&store, &layer));
        prop_assert_eq!(read::list(&tar[..], None).unwrap(), listing(&store, &layer).unwrap());
        prop_assert_eq!(DiffId::from_uncompressed(Digest::of(&tar)), layer.diff_id);
        // Written again, it is the same tar.
        prop_assert!(tar_of(&back) == tar);
        prop_assert!(tar_of(&changes) == tar);
    }
}

#[test]
fn threads_do_not_matter() {
    let large: Vec<u8> = (0..5_000_000_u32).map(|i| (i ^ (i >> 7)).to_le_bytes()[0]).collect();
    let mut puts = vec![("large".to_string(), file(&large)), ("dir".to_string(), dir())];
    puts.extend((0..2000_usize).map(|i| (format!("dir/{i}"), file(vec![i.to_le_bytes()[0]; i * 3]))));
    let changes = changes(puts);
    for compression in ["none", "gzip", "gzip:9", "zstd", "zstd:12"] {
        let (_dir, store) = store();
        let layers: Vec<Layer> = [1, 2, 3, 7]
            .map(|threads| create(&store, &changes, &options(compression, threads)).unwrap())
            .into();
        assert!(layers.windows(2).all(|pair| pair[0] == pair[1]), "{compression}: {layers:?}");
        assert_eq!(uncompressed(&blob(&store, &layers[0])), tar_of(&changes));
    }
}

#[test]
fn contents_come_from_a_verified_spool() {
    let (_dir, store) = store();
    let changes = changes([("a", file("one")), ("b", file("two"))]);
    let layer = create(&store, &changes, &options("zstd", 1)).unwrap();
    let other = Layer { diff_id: DiffId::from_uncompressed(Digest::of(b"other")), ..layer.clone() };
    let error = open(&store, &other).unwrap_err();
    assert!(matches!(error, LayerError::DiffId { .. }), "{error}");
    let back = open(&store, &layer).unwrap();
    assert_eq!(facts(&back), facts(&changes));
}

#[test]
fn a_listing_makes_trees_where_markers_are_names() {
    let mut listed = changes([("d", dir()), ("d/f", file("x"))]);
    listed.whiteouts.insert(path("gone"));
    let tar = tar_of(&listed);
    let listing = read::list(&tar[..], None).unwrap();
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(tempfile::tempfile().unwrap()));
    let tree = listing.tree(&backing).unwrap();
    let names: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(names, [".wh.gone", "d", "d/f"]);
}

#[test]
fn keys_tell_layers_apart() {
    let base = || changes([("a", file("x")), ("b", dir())]);
    let key_of = |changes: &Changes, options: &Options| {
        changes.puts.values().filter_map(Node::content).for_each(|c| _ = c.fingerprint().unwrap());
        key(changes, options).unwrap()
    };
    let plain = options("gzip", 1);
    assert_eq!(key(&base(), &plain), None, "a content that nobody has read");
    let mut keys = vec![key_of(&base(), &plain)];
    assert_eq!(keys[0], key_of(&base(), &Options { threads: 9, ..plain }));
    keys.push(key_of(&base(), &options("gzip:7", 1)));
    keys.push(key_of(&base(), &Options { epoch: Epoch::from_seconds(1).unwrap(), ..plain }));
    type Make = fn() -> Node;
    let puts: [(&str, Make); 7] = [
        ("a", || file("y")),
        ("c", || file("x")),
        ("c", || node(0o644, Kind::Hardlink(path("a")))),
        ("b", || symlink("a")),
        ("b", || symlink("b")),
        ("b", || node(0o755, Kind::Fifo)),
        ("b", || node(0o755, Kind::CharDevice { major: 1, minor: 2 })),
    ];
    for (name, node) in puts {
        let mut changes = base();
        changes.puts.insert(path(name), node());
        keys.push(key_of(&changes, &plain));
    }
    for edit in [
        |c: &mut Changes| c.puts.get_mut(&path("a")).unwrap().meta.mode = 0o600,
        |c: &mut Changes| c.puts.get_mut(&path("a")).unwrap().meta.uid = 1,
        |c: &mut Changes| c.puts.get_mut(&path("a")).unwrap().meta.gid = 1,
        |c: &mut Changes| {
            c.puts.get_mut(&path("b")).unwrap().meta.xattrs = [(b"user.x".to_vec(), vec![])].into();
        },
        |c: &mut Changes| c.puts.get_mut(&path("b")).unwrap().kind = Kind::BlockDevice { major: 1, minor: 2 },
        |c: &mut Changes| c.whiteouts = [path("c")].into(),
        |c: &mut Changes| c.opaques = [path("b")].into(),
    ] {
        let mut changes = base();
        edit(&mut changes);
        keys.push(key_of(&changes, &plain));
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
