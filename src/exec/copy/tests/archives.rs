//! ADD of archives.

use expect_test::expect;

use super::check;

const PACKED: &str = "t.tar = archive:./ 0700 9:9\\n\
    bin/ 0711 1:1\\n\
    bin/sh 04755 2:2 = sh\\n\
    implied/f = f\\n\
    to -> bin\\n\
    h1 @1 = h\\n\
    h2 @1 = h\n\
    not.tar = plain\n\
    l -> t.tar";

#[test]
fn add_unpacks() {
    check(
        PACKED,
        &expect![[r#"
        ADD t.tar /
            /bin/ 711 1:1
            /bin/sh 4755 2:2 `sh`
            /h1 644 @h1 `h`
            /h2 644 @h1 `h`
            /implied/ 755
            /implied/f 644 `f`
            /to 777 -> bin
        COPY t.tar /
            /t.tar 644 `archive:./ 0700 9:9
            bin/ 0711 1:1
            bin/sh 04755 2:2 = sh
            implied/f = f
            to -> bin
            h1 @1 = h
            h2 @1 = h`
        ADD not.tar /x
            /x 644 `plain`
        ADD l /n/x
            /n/ 755
            /n/x/ 755
            /n/x/bin/ 711 1:1
            /n/x/bin/sh 4755 2:2 `sh`
            /n/x/h1 644 @n/x/h1 `h`
            /n/x/h2 644 @n/x/h1 `h`
            /n/x/implied/ 755
            /n/x/implied/f 644 `f`
            /n/x/to 777 -> bin
        ADD --chown=4 --chmod=600 t.tar /n
            /n/ 755 4:4
            /n/bin/ 711 4:4
            /n/bin/sh 4755 4:4 `sh`
            /n/h1 644 4:4 @n/h1 `h`
            /n/h2 644 4:4 @n/h1 `h`
            /n/implied/ 755
            /n/implied/f 644 4:4 `f`
            /n/to 777 4:4 -> bin
        ADD *.tar /n/
            /n/ 755
            /n/bin/ 711 1:1
            /n/bin/sh 4755 2:2 `sh`
            /n/h1 644 @n/h1 `h`
            /n/h2 644 @n/h1 `h`
            /n/implied/ 755
            /n/implied/f 644 `f`
            /n/not.tar 644 `plain`
            /n/to 777 -> bin
        ADD t.tar /n ON n
            error: copying to `/n`: `/n` is not a folder
    "#]],
    );
}

#[test]
fn an_archive_replaces_what_is_in_its_way() {
    check(
        PACKED,
        &expect![[r#"
        ADD t.tar / ON bin/ 0755 5:5 +there; bin/sh/x; implied/ 0700 6:6; to/y
            /bin/ 711 1:1 +there
            /bin/sh 4755 2:2 `sh`
            /h1 644 @h1 `h`
            /h2 644 @h1 `h`
            /implied/f 644 `f`
            /to 777 -> bin
        ADD t.tar / ON bin -> usr/bin; usr/bin/sh = old; implied -> opt; opt/
            /bin/ 711 1:1
            /bin/sh 4755 2:2 `sh`
            /h1 644 @h1 `h`
            /h2 644 @h1 `h`
            /opt/f 644 `f`
            /to 777 -> bin
        ADD t.tar /d ON d/implied -> /esc; d/opt/; esc/
            /d/ 755
            /d/bin/ 711 1:1
            /d/bin/sh 4755 2:2 `sh`
            /d/esc/ 755
            /d/esc/f 644 `f`
            /d/h1 644 @d/h1 `h`
            /d/h2 644 @d/h1 `h`
            /d/to 777 -> bin
        ADD t.tar / ON implied -> gone
            /bin/ 711 1:1
            /bin/sh 4755 2:2 `sh`
            /gone/ 755
            /gone/f 644 `f`
            /h1 644 @h1 `h`
            /h2 644 @h1 `h`
            /to 777 -> bin
        ADD t.tar / ON implied = a file
            error: copying to `/implied/f`: `/implied` is not a folder
        ADD t.tar / ON implied -> implied
            error: copying to `/implied/f`: `/implied` leads through more than 255 links
    "#]],
    );
}
