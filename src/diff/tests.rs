//! Change sets against each other. Whole images are compared in `tests/cli/diff.rs`.

use super::archive::tests::{ar, member, zip};
use super::*;
use crate::tree::testing::{file, path};
use crate::tree::{Content, Inode, Kind, Meta, Node};

fn puts<const N: usize>(nodes: [(&str, Node); N]) -> Changes {
    Changes { puts: nodes.into_iter().map(|(p, node)| (path(p), node)).collect(), ..Changes::default() }
}

fn found(a: &Changes, b: &Changes) -> Vec<FileDiff> {
    changes(a, b, Options::default(), &tempfile::tempfile).unwrap()
}

fn one(a: Node, b: Node) -> FileDiff {
    let mut found = found(&puts([("f", a)]), &puts([("f", b)]));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn content(file: &FileDiff) -> &ContentDiff {
    let Some(Aspect::Content(content)) = file.aspects.first() else { panic!("{file:?}") };
    content
}

fn paths(files: &[FileDiff]) -> Vec<(&str, Change)> {
    files.iter().map(|file| (file.path.as_str(), file.change)).collect()
}

#[test]
fn each_aspect_is_told() {
    let with = |edit: fn(&mut Node)| {
        let mut node = file("x");
        edit(&mut node);
        one(file("x"), node)
    };
    let both = |a: &str, b: &str| Both::new(a.to_owned(), b.to_owned());
    assert_eq!(with(|n| n.meta.mode = 0o600).aspects, [Aspect::Mode(both("0644", "0600"))]);
    assert_eq!(with(|n| n.meta.mode = 0o600).causes, [Cause::Umask].into());
    assert_eq!(with(|n| n.meta.uid = 7).aspects, [Aspect::Owner(both("0:0", "7:0"))]);
    assert_eq!(with(|n| n.mtime = 9).aspects, [Aspect::Time(Both::new(0, 9))]);
    assert_eq!(with(|n| n.mtime = 9).causes, [Cause::Timestamp].into());
    let edited = |edit: fn(&mut Node)| {
        let mut node = file("y");
        edit(&mut node);
        one(file("x"), node).causes
    };
    assert_eq!(edited(|n| n.mtime = 9), [].into(), "a time explains no content");
    assert_eq!(edited(|n| (n.mtime, n.meta.mode) = (9, 0o600)), [Cause::Umask, Cause::Timestamp].into());
    let xattr = with(|n| drop(n.meta.xattrs.insert(b"user.a".to_vec(), b"\x01".to_vec())));
    assert_eq!(xattr.aspects, [Aspect::Xattr { name: "user.a".into(), a: None, b: Some("01".into()) }]);
    assert_eq!(with(|n| n.kind = Kind::Fifo).aspects, [Aspect::Type(Both::new("file", "fifo"))]);
    let link = |target: &str| Node::new(Meta::root_owned(0o777), Kind::Symlink(target.as_bytes().into()));
    let links = one(link("/a/\u{1b}b"), link("c"));
    assert_eq!(links.aspects, [Aspect::Target(both("/a/\\u{1b}b", "c"))]);
    let device = |minor| Node::new(Meta::root_owned(0o600), Kind::CharDevice { major: 1, minor });
    assert_eq!(one(device(3), device(5)).aspects, [Aspect::Device(both("1:3", "1:5"))]);
    assert!(found(&puts([("f", file("x"))]), &puts([("f", file("x"))])).is_empty());
}

#[test]
fn hard_links_are_told() {
    let content = Content::from_bytes(*b"x");
    let inode = Some(Inode::fresh());
    let linked = || Node::new(Meta::root_owned(0o644), Kind::File { content: content.clone(), inode });
    let a = puts([("a", linked()), ("b", linked())]);
    let b = puts([("a", file("x")), ("b", file("x"))]);
    let found = found(&a, &b);
    assert_eq!(paths(&found), [("/a", Change::Changed), ("/b", Change::Changed)]);
    assert_eq!(found[1].aspects, [Aspect::HardLink(Both::new(Some("/a".into()), None))]);
}

#[test]
fn what_moved_is_told_as_moved() {
    let a = puts([("a/x", file("one")), ("b", file("two")), ("e", file("")), ("same", file("one"))]);
    let b = puts([("c/x", file("one")), ("d", file("two")), ("g", file("")), ("same", file("one"))]);
    let found = found(&a, &b);
    assert_eq!(
        paths(&found),
        [("/c/x", Change::Moved), ("/d", Change::Moved), ("/e", Change::Removed), ("/g", Change::Added)]
    );
    assert_eq!(found[0].from.as_deref(), Some("/a/x"));
}

#[test]
fn names_with_something_of_the_run_in_them_have_a_cause() {
    let found = found(&puts([("t/f.12", file("a"))]), &puts([("t/f.4711", file("b"))]));
    assert!(found.iter().all(|file| file.causes == [Cause::Pid].into()), "{found:?}");
}

#[test]
fn whiteouts_and_opaque_folders_are_told() {
    let mut a = puts([("d", Node::implicit_dir())]);
    a.whiteouts.insert(path("gone"));
    let mut b = puts([("d", Node::implicit_dir())]);
    b.opaques.insert(path("d"));
    let found = found(&a, &b);
    assert_eq!(paths(&found), [("/d", Change::Changed), ("/gone", Change::Removed)]);
    assert_eq!(found[0].aspects, [Aspect::Opaque(Both::new(false, true))]);
    assert_eq!(found[1].facts.as_ref().unwrap().kind, "whiteout");
}

#[test]
fn a_difference_in_an_archive_is_told_inside_of_it() {
    let wheel = |text| zip(&[member("x/__init__.py", ""), member("x/y.py", text)]);
    let diff = one(file(wheel("a = 1\n")), file(wheel("a = 2\n")));
    let archive = content(&diff).archive.as_ref().unwrap();
    assert_eq!(
        (archive.format.as_str(), paths(&archive.files)),
        ("zip", vec![("/f!/x/y.py", Change::Changed)])
    );
    assert!(content(&archive.files[0]).lines.as_ref().unwrap().unified.contains("+a = 2"));
    // In an archive in an archive.
    let deb = |text| ar(&[("debian-binary", b"2.0\n"), ("data.zip", &wheel(text))]);
    let diff = one(file(deb("a = 1\n")), file(deb("a = 2\n")));
    let inner = &content(&diff).archive.as_ref().unwrap().files[0];
    let innermost = &content(inner).archive.as_ref().unwrap().files[0];
    assert_eq!(innermost.path, "/f!/data.zip!/x/y.py");
}

#[test]
fn archives_of_the_same_files() {
    use crate::compression::Compression;
    let gz = |level| {
        let mut out = Vec::new();
        Compression::gzip(level).unwrap().compress(&[b'x'; 5000], &mut out).unwrap();
        out
    };
    let same = |a: Vec<u8>, b: Vec<u8>| {
        let diff = one(file(a), file(b));
        (content(&diff).archive.as_ref().unwrap().same, diff.causes)
    };
    assert_eq!(same(gz(1), gz(0)), (Some(Same::Compression), [Cause::Compression].into()));
    let mut dated = gz(1);
    dated[4] = 9;
    assert_eq!(same(gz(1), dated), (Some(Same::Compression), [Cause::Timestamp].into()));
    let (x, y) = (|| member("x", "1"), || member("y", "2"));
    assert_eq!(same(zip(&[x(), y()]), zip(&[y(), x()])), (Some(Same::Order), [Cause::Order].into()));
    assert_eq!(same(ar(&[("a", b"")]), ar(&[("a/", b"")])).0, Some(Same::Headers));
}

#[test]
fn what_is_no_whole_archive_is_compared_as_bytes() {
    let whole = zip(&[member("x", "1")]);
    let diff = one(file(&whole), file(&whole[..whole.len() - 5]));
    let diff = content(&diff);
    assert!(diff.archive.as_ref().unwrap().unopened.as_ref().unwrap().contains("damaged"));
    assert_eq!(diff.first_difference, whole.len() as u64 - 5);
    assert!(diff.bytes.is_some());
}

#[test]
fn archives_without_end_are_opened_so_far() {
    let nested = |text: &str| {
        let mut inner = zip(&[member("x", text)]);
        for _ in 0..8 {
            inner = ar(&[("inner", &inner)]);
        }
        inner
    };
    let diff = one(file(nested("1")), file(nested("2")));
    let mut depth = 0;
    let mut file = &diff;
    while let Some(inner) = content(file).archive.as_ref().and_then(|archive| archive.files.first()) {
        (file, depth) = (inner, depth + 1);
    }
    assert_eq!(depth, archive::MAX_DEPTH);
    assert!(content(file).archive.as_ref().unwrap().unopened.as_ref().unwrap().contains("4 deep"));
}

#[test]
fn only_the_paths_that_count_are_compared() {
    let a = puts([("a", file("1")), ("b", file("1")), ("c", file("m"))]);
    let b = puts([("a", file("2")), ("b", file("2")), ("d", file("m"))]);
    let filter = |path: &ImagePath| path.as_bytes() != b"b" && path.as_bytes() != b"d";
    let options = Options { filter: Some(&filter), ..Options::default() };
    let found = changes(&a, &b, options, &tempfile::tempfile).unwrap();
    assert_eq!(paths(&found), [("/a", Change::Changed), ("/c", Change::Removed)]);
}

/// The shape that docs/diff.md documents.
#[test]
fn the_json_is_what_it_was() {
    let mut b = puts([("new", file("")), ("t", file("b\n"))]);
    b.puts.get_mut(&path("t")).unwrap().meta.mode = 0o755;
    let found = found(&puts([("t", file("a\n"))]), &b);
    expect_test::expect![[r#"[{"path":"/new","change":"added","facts":{"type":"file","mode":"0644","uid":0,"gid":0,"size":0}},{"path":"/t","change":"changed","aspects":[{"what":"content","size":null,"firstDifference":0,"lines":{"added":1,"removed":1,"unified":"@@ -1 +1 @@\n-a\n+b\n","truncated":false}},{"what":"mode","a":"0644","b":"0755"}]}]"#]]
    .assert_eq(&serde_json::to_string(&found).unwrap());
}

#[test]
fn summaries_are_sentences() {
    let file = |change| FileDiff {
        path: "/f".into(),
        change,
        from: None,
        facts: None,
        aspects: Vec::new(),
        causes: std::collections::BTreeSet::new(),
    };
    let files = [file(Change::Added), file(Change::Moved), file(Change::Added)];
    assert_eq!(counts(&files).unwrap(), "3 paths differ (2 added, 1 moved)");
    assert_eq!(counts(&files[..1]).unwrap(), "1 path differs (/f added)");
    let files = |known: usize| {
        let known = (0..3).map(|index| index < known);
        let causes = known.map(|known| known.then_some(Cause::Random).into_iter().collect());
        causes.map(|causes| FileDiff { causes, ..file(Change::Changed) }).collect::<Vec<_>>()
    };
    let diff = |known| sentence(&ImageDiff { files: files(known), ..ImageDiff::default() });
    assert_eq!(diff(0), "3 paths differ (3 changed)");
    assert_eq!(diff(2), "3 paths differ (3 changed) [likely, for 2 of 3: random id]");
    assert_eq!(diff(3), "3 paths differ (3 changed) [likely: random id]");
    let layer = |number, how| {
        let facts = LayerFacts {
            number,
            digest: String::new(),
            diff_id: String::new(),
            media_type: String::new(),
            size: 0,
        };
        LayerDiff { layers: Both::new(Some(facts.clone()), Some(facts)), how, files: Vec::new() }
    };
    let layers = vec![layer(2, How::Compression), layer(3, How::Compression), layer(4, How::Order)];
    let diff = ImageDiff { layers, ..ImageDiff::default() };
    assert_eq!(
        sentence(&diff),
        "the same files; layers 2 and 3 were compressed otherwise; layer 4 has the entries in another order"
    );
    assert_eq!(sentence(&ImageDiff::default()), "the same in all that is compared");
}
