//! Builds by ordinary users: with subordinate ids they are root's builds, with one id it is said what they are not.

use super::{build, text, world};
use crate::support::users::{self, Ids};
use crate::support::{World, judge};

/// What needs many ids: owners, other users, groups, what package managers do for the user that fetches.
const MANY: &str = "FROM bb\nRUN chown 33:50 /bin/busybox; mkdir -p /srv/w; chown -R 1000:1001 /srv; chmod 2770 /srv/w; \
     echo s > /srv/s; chmod 4711 /srv/s; chown 65534:65534 /tmp\n\
     USER bob\nRUN id > /srv/id; echo mine > /srv/w/mine; mkdir /srv/closed; chmod 0 /srv/closed\n\
     USER root\nRUN setpriv --reuid 42 --regid 43 --groups 44,45 id > /ids; \
     setpriv --reuid 42 --regid 65534 --clear-groups id > /ids2; chown 42:43 /srv/w/mine; cat /srv/id >> /ids\n\
     RUN rm -r /srv/closed; stat -c '%u %g %a %n' /srv /srv/w /srv/w/mine /srv/id /tmp > /stat; mknod /dev-null c 1 3 || :\n";

fn digest_of(world: &World, buildfile: &str) -> String {
    world.write("Buildfile", buildfile).write("ctx/f", "f");
    world.ok(["build", "-q", "-f", "Buildfile", "--build-context", "bb=bb", "--no-cache", "ctx"])
}

/// The rest of the line that begins so.
fn said<'a>(printed: &'a str, word: &str) -> &'a str {
    let line = printed.lines().find_map(|line| line.split_once(word));
    line.unwrap_or_else(|| panic!("`{word}` is not in:\n{printed}")).1.trim()
}

#[test]
#[ignore = "started by the tests below, as another user"]
fn builds_as_another() {
    let world = world("builds by a user").expect("steps can be run");
    println!("digest {}", digest_of(&world, MANY));
}
