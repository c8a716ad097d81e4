//! `--chown`, `--chmod`, `--link`, `--parents` and `--exclude`.

use expect_test::expect;

use super::{CONTEXT, check};

#[test]
fn chown_takes_everything_that_is_made() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY --chown=app dir /n/d ON etc/passwd = app:x:7:8; etc/group = app:x:9
            /n/ 755 7:8
            /n/d/ 755 7:8
            /n/d/f 600 7:8 `F`
            /n/d/sub/ 711 7:8
            /n/d/sub/g 644 7:8 `G`
            /n/d/to 777 7:8 -> sub
        COPY --chown=5:6 a /n/x
            /n/ 755 5:6
            /n/x 644 5:6 `A`
        COPY --chown=5 dir /n
            /n/ 755 5:5
            /n/f 600 5:5 `F`
            /n/sub/ 711 5:5
            /n/sub/g 644 5:5 `G`
            /n/to 777 5:5 -> sub
        COPY --chown=5 dir /n ON n/ 0711 2:2
            /n/f 600 5:5 `F`
            /n/sub/ 711 5:5
            /n/sub/g 644 5:5 `G`
            /n/to 777 5:5 -> sub
        COPY --chown=who:cares a /x ON etc/
            /x 644 `A`
            warning: the image has no user `who`, so root owns the files
            warning: the image has no group `cares`, so the user's group owns the files
        COPY --chown=who a /x
            error: looking up `who`: nothing is in the image yet
    "#]],
    );
}

#[test]
fn chmod_leaves_links_alone() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY --chmod=750 dir /n/d
            /n/ 750
            /n/d/ 750
            /n/d/f 750 1:2 `F`
            /n/d/sub/ 750 5:6
            /n/d/sub/g 750 `G`
            /n/d/to 777 -> sub
        COPY --chmod=4711 a /n/d/x
            /n/ 711
            /n/d/ 711
            /n/d/x 4711 `A`
        COPY --chmod=go-rwx,a+X dir /n/d
            /n/ 755
            /n/d/ 755
            /n/d/f 600 1:2 `F`
            /n/d/sub/ 711 5:6
            /n/d/sub/g 600 `G`
            /n/d/to 777 -> sub
        COPY --chmod=0 a /x
            /x 0 `A`
        COPY --chmod=u=rwx,go= dir /n ON n/ 0711 2:2; n/sub/ 0700 2:2
            /n/f 700 1:2 `F`
            /n/sub/ 700 5:6
            /n/sub/g 700 `G`
            /n/to 777 -> sub
    "#]],
    );
}

#[test]
fn link_does_not_look_at_the_base() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY --link a /d/x ON d -> /other; d2/ 0700 3:3
            /d/ 755
            /d/x 644 `A`
        COPY --link a /d2/ ON d2/ 0700 3:3
            /d2/ 755
            /d2/a 644 `A`
        COPY --link a /d2 ON d2/ 0700 3:3
            /d2 644 `A`
        COPY --link --chown=app a /x ON etc/passwd = app:x:7:8
            error: `--link` can't look up `app` in the image: give its number
        COPY --link --chown=7 a /x
            /x 644 7:7 `A`
        COPY --link --chmod=600 a /d2/ ON d2/ 0700 3:3
            /d2/a 600 `A`
    "#]],
    );
}

const PARENTS: &str = "x/ 0711\n\
    x/y/ 0700 1:1\n\
    x/y/a.txt = a\n\
    x/y/b.txt = b\n\
    x/z/c.txt = c\n\
    l -> x\n\
    top.txt = t";

#[test]
fn parents_keep_the_path_from_the_pivot_on() {
    check(
        PARENTS,
        &expect![[r#"
        COPY --parents x/y/a.txt /out/
            /out/ 755
            /out/x/ 711
            /out/x/y/ 700 1:1
            /out/x/y/a.txt 644 `a`
        COPY --parents /x/./y/a.txt /out
            /out/ 755
            /out/y/ 700 1:1
            /out/y/a.txt 644 `a`
        COPY --parents ./x/y /out/
            /out/ 755
            /out/x/ 711
            /out/x/y/ 700 1:1
            /out/x/y/a.txt 644 `a`
            /out/x/y/b.txt 644 `b`
        COPY --parents x/*/b.txt top.txt /out/
            /out/ 755
            /out/top.txt 644 `t`
            /out/x/ 711
            /out/x/y/ 700 1:1
            /out/x/y/b.txt 644 `b`
        COPY --parents x/./**/*.txt /out/
            /out/ 755
            /out/y/ 700 1:1
            /out/y/a.txt 644 `a`
            /out/y/b.txt 644 `b`
            /out/z/ 755
            /out/z/c.txt 644 `c`
        COPY --parents **/*.txt /out/
            /out/ 755
            /out/top.txt 644 `t`
            /out/x/ 711
            /out/x/y/ 700 1:1
            /out/x/y/a.txt 644 `a`
            /out/x/y/b.txt 644 `b`
            /out/x/z/ 755
            /out/x/z/c.txt 644 `c`
        COPY --parents x/./y/./a.txt /out/
            /out/ 755
            /out/y/ 700 1:1
            /out/y/a.txt 644 `a`
        COPY --parents x/*/./?.txt /out/
            /out/ 755
            /out/a.txt 644 `a`
            /out/b.txt 644 `b`
            /out/c.txt 644 `c`
        COPY --parents x*/./y/a.txt top*/./x /out/
            /out/ 755
            /out/y/ 700 1:1
            /out/y/a.txt 644 `a`
            warning: nothing in the build context matches `top*/./x`
        COPY --parents x/y/a.txt /out/ ON out/; out/x/ 0777 8:8; out/x/y/ 0777 8:8
            /out/x/ 711 8:8
            /out/x/y/ 700 8:8
            /out/x/y/a.txt 644 `a`
        COPY --parents . /out/
            /out/ 755
            /out/l 777 -> x
            /out/top.txt 644 `t`
            /out/x/ 711
            /out/x/y/ 700 1:1
            /out/x/y/a.txt 644 `a`
            /out/x/y/b.txt 644 `b`
            /out/x/z/ 755
            /out/x/z/c.txt 644 `c`
        COPY --parents l /out/
            /out/ 755
            /out/l 777 -> x
        COPY --parents l/./y/a.txt /out/
            /out/ 755
            /out/y/ 700 1:1
            /out/y/a.txt 644 `a`
        COPY --parents --chown=4 --chmod=700 x/y/a.txt /out/
            /out/ 700 4:4
            /out/x/ 700 4:4
            /out/x/y/ 700 4:4
            /out/x/y/a.txt 700 4:4 `a`
        COPY --parents x/y/a.txt /out/ ON out/x
            error: the folder `/x` can't be copied to `/out/x`: that is no folder
    "#]],
    );
}

#[test]
fn parents_of_nothing() {
    check(
        PARENTS,
        &expect![[r#"
        COPY --parents x/nope /out/
            error: `x/nope` is not in the build context
        COPY --parents l/y /out/
            error: `l/y` is not in the build context
        COPY --parents x/nope* /out/
            /out/ 755
            warning: nothing in the build context matches `x/nope*`
        COPY --parents nope/./y* /out/
            error: `nope/./y*` is not in the build context
        COPY --parents x/./y/ignored /out/
            error: `x/./y/ignored` is not in the build context, as `ignored` in the list leaves it out
    "#]],
    );
}

const TEXTS: &str = "a.txt = a\n\
    b.md = b\n\
    d/a.txt = da\n\
    d/keep/a.txt = dka\n\
    d/keep/x = dkx\n\
    e.txt/f = ef";

#[test]
fn exclude_is_relative_to_each_source() {
    check(
        TEXTS,
        &expect![[r#"
        COPY --exclude=*.txt . /o/
            /o/ 755
            /o/b.md 644 `b`
            /o/d/ 755
            /o/d/a.txt 644 `da`
            /o/d/keep/ 755
            /o/d/keep/a.txt 644 `dka`
            /o/d/keep/x 644 `dkx`
        COPY --exclude=**/*.txt . /o/
            /o/ 755
            /o/b.md 644 `b`
            /o/d/ 755
            /o/d/keep/ 755
            /o/d/keep/x 644 `dkx`
        COPY --exclude=a.txt d /o/
            /o/ 755
            /o/keep/ 755
            /o/keep/a.txt 644 `dka`
            /o/keep/x 644 `dkx`
        COPY --exclude=d/a.txt d /o/
            /o/ 755
            /o/a.txt 644 `da`
            /o/keep/ 755
            /o/keep/a.txt 644 `dka`
            /o/keep/x 644 `dkx`
        COPY --exclude=d --exclude=!d/keep . /o/
            /o/ 755
            /o/a.txt 644 `a`
            /o/b.md 644 `b`
            /o/d/ 755
            /o/d/keep/ 755
            /o/d/keep/a.txt 644 `dka`
            /o/d/keep/x 644 `dkx`
            /o/e.txt/ 755
            /o/e.txt/f 644 `ef`
        COPY --exclude=* d /o/
            /o/ 755
        COPY --exclude=*.txt *.* /o/
            /o/ 755
            /o/b.md 644 `b`
            /o/f 644 `ef`
        COPY --exclude=a.txt a.txt /o/
            /o/ 755
            /o/a.txt 644 `a`
        COPY --parents --exclude=d/keep d /o/
            /o/ 755
            /o/d/ 755
            /o/d/a.txt 644 `da`
        COPY --exclude=[ d /o/
            error: `--exclude` or `--parents`: malformed pattern `[`: a `[` is not closed
    "#]],
    );
}
