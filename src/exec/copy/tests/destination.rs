//! Where things go, and what they may replace.

use expect_test::expect;

use super::{CONTEXT, check};

#[test]
fn a_file_to_a_path() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY a /x
            /x 644 `A`
        COPY /a /d/x
            /d/ 755
            /d/x 644 `A`
        COPY ./dir/../a d/
            /d/ 755
            /d/a 644 `A`
        COPY ../../a x
            /x 644 `A`
        COPY a /d ON d/
            /d/a 644 `A`
        COPY a /
            /a 644 `A`
        COPY b /x ON x 0600 = old
            /x 755 `B`
        COPY a b /d
            /d/ 755
            /d/a 644 `A`
            /d/b 755 `B`
    "#]],
    );
}

#[test]
fn a_folder_gives_what_is_in_it() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY dir /d
            /d/ 755
            /d/f 600 1:2 `F`
            /d/sub/ 711 5:6
            /d/sub/g 644 `G`
            /d/to 777 -> sub
        COPY dir/ /d/
            /d/ 755
            /d/f 600 1:2 `F`
            /d/sub/ 711 5:6
            /d/sub/g 644 `G`
            /d/to 777 -> sub
        COPY dir/. /
            /f 600 1:2 `F`
            /sub/ 711 5:6
            /sub/g 644 `G`
            /to 777 -> sub
        COPY dir d ON d/ 0755; d/f = old; d/sub/ 0700 9:9 +there
            /d/f 600 1:2 `F`
            /d/sub/ 711 5:6 +there
            /d/sub/g 644 `G`
            /d/to 777 -> sub
        COPY dir /d ON d
            error: the folder `/dir` can't be copied to `/d`: that is no folder
    "#]],
    );
    check(
        "a = 1",
        &expect![[r#"
        COPY . /
            /a 644 `1`
        COPY / /all
            /all/ 755
            /all/a 644 `1`
    "#]],
    );
}

#[test]
fn existing_folders_keep_their_attributes_at_the_destination_only() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY dir /d ON d/ 0700 500:600; d/sub/ 0700 7:7
            /d/f 600 1:2 `F`
            /d/sub/ 711 5:6
            /d/sub/g 644 `G`
            /d/to 777 -> sub
        COPY dir/sub /d/sub ON d/ 0700 500:600; d/sub/ 0711 5:6
            /d/sub/g 644 `G`
    "#]],
    );
}

#[test]
fn links_in_the_destination_are_followed_inside() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY a /l ON d/; l -> d
            /d/a 644 `A`
        COPY a /l/x/ ON d/; l -> /d
            /d/x/ 755
            /d/x/a 644 `A`
        COPY a /l ON l -> ../../../gone/x
            /gone/ 755
            /gone/x 644 `A`
        COPY a /l/ ON l -> gone
            /gone/ 755
            /gone/a 644 `A`
        COPY dir /l ON l -> gone
            /gone/ 755
            /gone/f 600 1:2 `F`
            /gone/sub/ 711 5:6
            /gone/sub/g 644 `G`
            /gone/to 777 -> sub
        COPY b /l ON f = old; l -> f
            /f 755 `B`
        COPY a /l ON l -> l
            error: copying to `/l`: `/l` leads through more than 255 links
        COPY a /d/ ON d/; d/a -> /elsewhere
            /d/a 644 `A`
        COPY a b /usr/bin/ ON opt/real/; usr -> opt/real
            /opt/ 755
            /opt/real/bin/ 755
            /opt/real/bin/a 644 `A`
            /opt/real/bin/b 755 `B`
    "#]],
    );
}

#[test]
fn what_can_not_replace_what() {
    check(
        CONTEXT,
        &expect![[r#"
        COPY a /x ON x/a/f
            error: `/a` can't be copied to `/x/a`: that is a folder
        COPY dir /x ON x/f/g
            error: `/dir/f` can't be copied to `/x/f`: that is a folder
        COPY dir /x ON x/sub
            error: the folder `/dir/sub` can't be copied to `/x/sub`: that is no folder
        COPY dir /x ON x/sub -> /other; other/
            error: the folder `/dir/sub` can't be copied to `/x/sub`: that is no folder
        COPY a /f/ ON f
            error: copying to `/f`: `/f` is not a folder
        COPY a /f/x ON f
            error: copying to `/f/x`: `/f` is not a folder
        COPY a /x ON x fifo
            /x 644 `A`
        COPY dir /x ON x/f -> /a
            /x/ 755
            /x/f 600 1:2 `F`
            /x/sub/ 711 5:6
            /x/sub/g 644 `G`
            /x/to 777 -> sub
    "#]],
    );
}
