//! What the words of a source select, and the other kinds of sources.

use expect_test::expect;

use super::{CONTEXT, check};

#[test]
fn links_in_a_source_are_followed_inside() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY link /x
            /x 600 1:2 `F`
        COPY link /
            /link 600 1:2 `F`
        COPY linkdir/f /
            /f 600 1:2 `F`
        COPY linkdir /d
            /d/ 755
            /d/f 600 1:2 `F`
            /d/sub/ 711 5:6
            /d/sub/g 644 `G`
            /d/to 777 -> sub
        COPY out /
            error: `out` is not in the build context
    "#]],
    );
    check(
        &format!("{CONTEXT}\netc/shadow = inside"),
        &expect![[r#"
        COPY out /
            /out 644 `inside`
    "#]],
    );
    check(
        CONTEXT,
        &expect![[r#"
        COPY loop /
            error: copying `loop`: `/loop` leads through more than 255 links
        COPY dir/to /x
            /x/ 755
            /x/g 644 `G`
        COPY lin* /all/
            /all/ 755
            /all/f 600 1:2 `F`
            /all/link 600 1:2 `F`
            /all/sub/ 711 5:6
            /all/sub/g 644 `G`
            /all/to 777 -> sub
    "#]],
    );
}

#[test]
fn a_source_that_is_not_there_is_an_error() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY nope /
            error: `nope` is not in the build context
        COPY a/x /
            error: `a/x` is not in the build context
        COPY ignored /
            error: `ignored` is not in the build context, as `ignored` in the list leaves it out
        COPY dir/ignored /
            error: `dir/ignored` is not in the build context, as `ignored` in the list leaves it out
        COPY nope/*.txt /
            error: `nope/*.txt` is not in the build context
        COPY a[ /
            error: malformed pattern `a[`: a `[` is not closed
        COPY a nope /
            error: `nope` is not in the build context
    "#]],
    );
}

#[test]
fn a_glob_may_match_nothing() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY nope* /d/
            warning: nothing in the build context matches `nope*`
        COPY a nope* /
            /a 644 `A`
            warning: nothing in the build context matches `nope*`
        COPY a/* /d/
            warning: nothing in the build context matches `a/*`
    "#]],
    );
}

const GO: &str = "one.go = 1\n\
    two.go = 2\n\
    sub/one.go = sub1\n\
    sub/deep/x.go = x\n\
    sub-x/one.go = subx1\n\
    w[1] = bracket\n\
    b\\s = back";

#[test]
fn globs_are_those_of_filepath_match() {
    check(
        GO,
        &expect![[r#"
        COPY *.go /d/
            /d/ 755
            /d/one.go 644 `1`
            /d/two.go 644 `2`
        COPY o*.go /x
            /x 644 `1`
        COPY sub* /d/
            /d/ 755
            /d/deep/ 755
            /d/deep/x.go 644 `x`
            /d/one.go 644 `subx1`
        COPY */one.go /x
            /x 644 `subx1`
        COPY sub/*/x.go /
            /x.go 644 `x`
        COPY **/x.go /
            warning: nothing in the build context matches `**/x.go`
        COPY **/**/x.go /
            /x.go 644 `x`
        COPY ?ne.go t[v-x]o.go /d/
            /d/ 755
            /d/one.go 644 `1`
            /d/two.go 644 `2`
        COPY w[[]1] /
            /w[1] 644 `bracket`
        COPY b\s /
            /b\s 644 `back`
        COPY [^o]*.go /
            /two.go 644 `2`
    "#]],
    );
    check(
        "s/x/f = implicit",
        &expect![[r#"
        COPY * /d/
            /d/ 755
            /d/x/ 755
            /d/x/f 644 `implicit`
    "#]],
    );
}

#[test]
fn other_kinds_of_sources() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY <<EOF /x
            /x 644 `inline`
        COPY <<one <<two /d/ ON d/ 0700
            /d/one 644 `inline`
            /d/two 644 `inline`
        COPY --chmod=755 --chown=1 <<EOF /n/x
            /n/ 755 1:1
            /n/x 755 1:1 `inline`
    "#]],
    );
    check(
        "file.tgz 0600 = u",
        &expect![[r#"
        ADD --unpack=false URL /d/
            /d/ 755
            /d/file.tgz 600 `u`
        ADD URL /x
            /x 600 `u`
    "#]],
    );
    check(
        "file.tgz 0600 = archive:in",
        &expect![[r#"
        ADD URL /d/
            /d/ 755
            /d/file.tgz 600 `archive:in`
        ADD --unpack URL /d/
            /d/ 755
            /d/in 644
    "#]],
    );
    check(
        "README = r\nsrc/m = m",
        &expect![[r#"
            ADD GIT /repo
                /repo/ 755
                /repo/README 644 `r`
                /repo/src/ 755
                /repo/src/m 644 `m`
            ADD --chmod=u=rwx,go= GIT /n/repo
                /n/ 755
                /n/repo/ 700
                /n/repo/README 700 `r`
                /n/repo/src/ 700
                /n/repo/src/m 700 `m`
            ADD --exclude=src --chmod=700 GIT /repo
                /repo/ 700
                /repo/README 700 `r`
        "#]],
    );
    check(
        "README = r",
        &expect![[r#"
        ADD GIT /repo ON repo
            error: the folder `/` can't be copied to `/repo`: that is no folder
    "#]],
    );
}

#[test]
fn kinds_and_attributes_are_kept() {
    check(
        "d/p 0620 fifo\nd/n 0666 1:2 null\nd/suid 04755 +user.x = s\nd/sticky/ 01777\nd/l -> /abs/../x",
        &expect![[r#"
        COPY d /x
            /x/ 755
            /x/l 777 -> /abs/../x
            /x/n 666 1:2 char 1:3
            /x/p 620 fifo
            /x/sticky/ 1777
            /x/suid 4755 +user.x `s`
    "#]],
    );
    check(
        "d/a @1 = same\nd/b @1 = same\nd/c @2 = other",
        &expect![[r#"
        COPY d /x
            /x/ 755
            /x/a 644 @x/a `same`
            /x/b 644 @x/a `same`
            /x/c 644 `other`
    "#]],
    );
    check(
        "a @1 = same\nb @1 = same",
        &expect![[r#"
        COPY a b /x/
            /x/ 755
            /x/a 644 `same`
            /x/b 644 `same`
    "#]],
    );
}

#[test]
fn sources_that_nobody_fetched_are_an_error() {
    let empty = |line| super::shown("", "", line);
    assert_eq!(empty("ADD URL /x"), "error: source 1 has no files at hand\n");
    assert_eq!(empty("ADD GIT /x"), "/x/ 755\n");
}

/// What takes a second here would take hours if a walk looked at everything for each thing.
#[test]
fn large_trees_take_linear_time() {
    let files: String = (0..20_000).map(|i| format!("d{}/e/f{i}\n", i % 300)).collect();
    for line in ["COPY . /", "COPY d*/e /x/", "COPY --parents --exclude=**/f1* **/f* /x/", "COPY d*/e/f* /x/"]
    {
        let copied = super::run(&super::copy(line), &super::tree(&files), &super::tree(&files)).unwrap();
        assert!(copied.changes.puts.len() > 8_000, "{line}");
    }
}
