//! Builds by ordinary users: with subordinate ids they are root's builds, with one id it is said what they are not.

use std::path::Path;

use super::{fails, world};
use crate::support::World;
use crate::support::users::{self, Ids};

/// What needs many ids: owners, other users, groups, the change to a user that package managers make to fetch.
const MANY: &str = "FROM bb\nRUN chown 33:50 /bin/busybox; mkdir -p /srv/w; chown -R 1000:1001 /srv; chmod 2770 /srv/w; \
     echo s > /srv/s; chmod 4711 /srv/s; chown 65534:65534 /tmp\n\
     USER bob\nRUN id > /srv/id; echo mine > /srv/w/mine; mkdir /srv/closed; chmod 0 /srv/closed\n\
     USER root\nRUN su bob -c id > /ids; start-stop-daemon -S -c 42:65534 -x /bin/id -- -u >> /ids; \
     chown 42:43 /srv/w/mine; cat /srv/id >> /ids; rm -r /srv/closed\n\
     RUN stat -c '%u %g %a %n' /srv /srv/w /srv/w/mine /srv/id /srv/s /tmp /bin/busybox >> /ids; mkfifo -m 600 /p; chown 5:6 /p\n\
     RUN ln -s x /link; chown -h 7:8 /link\n";

/// What can be done with one id: the base's files keep their owners.
const ONE: &str = "FROM bb\nRUN echo x >> /home/theirs; mkdir /new; chmod 700 /new; ln -s x /new/l; rm /etc/group\n\
     RUN mv /home/theirs /new/; id -u > /new/id; stat -c %a /new >> /new/id\n";

fn digest_of(world: &World, buildfile: &str) -> String {
    world.write("Buildfile", buildfile).write("ctx/f", "f");
    world.ok(["build", "-q", "-f", "Buildfile", "--build-context", "bb=bb", "--no-cache", "ctx"])
}

/// A base with a folder that belongs to nobody of this machine.
fn ground() -> Option<World> {
    let world = world("builds by users")?;
    world.write("bb/home/theirs", "text\n");
    Some(world)
}

/// The end of the line that holds the word.
#[track_caller]
fn said<'a>(printed: &'a str, word: &str) -> &'a str {
    let line = printed.lines().find_map(|line| line.split_once(word));
    line.unwrap_or_else(|| panic!("`{word}` is not in:\n{printed}")).1.trim()
}

/// Whether there is any file at all in a folder that this process can see.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[test]
#[ignore = "started by the tests below, as another user"]
fn builds_as_another() {
    let world = ground().expect("steps can be run");
    for (name, buildfile) in [("many", MANY), ("one", ONE)] {
        world.write("Buildfile", buildfile).write("ctx/f", "f");
        let run = world.run(["build", "-q", "-f", "Buildfile", "--build-context", "bb=bb", "ctx"]);
        println!("{name} {:?} {}", run.code, run.stdout.trim());
        println!("{name} said {}", run.stderr.escape_debug());
    }
    // A step that fails leaves its state to be looked at.
    fails(
        &world,
        "FROM bb\nRUN mkdir /kept; echo x > /kept/f; chown 33:33 /kept || true; chmod 0 /kept; exit 4\n",
        &[],
    );
    world.ok(["debug", "ls", "/kept"]);
    fails(
        &world,
        "FROM bb\nRUN --mount=type=cache,target=/c mkdir /c/d; chown 33 /c/d; chmod 0 /c/d; exit 4\n",
        &[],
    );
    world.ok(["fsck"]);
    // And the user gets rid of all of it.
    let gc = world.ok(["gc", "--cache-mounts"]);
    assert!(!gc.contains("stay"), "{gc}");
    let store = world.path("store");
    assert!(is_empty(&store.join("lith/caches")), "cache mounts are left");
    std::fs::remove_dir_all(&store).unwrap_or_else(|error| panic!("the store can't be removed: {error}"));
}

#[test]
fn subordinate_ids_give_roots_digest() {
    let Some(printed) = users::run("run::users::builds_as_another", Ids::Subordinate, &[]) else { return };
    let world = ground().unwrap();
    for (name, buildfile) in [("many", MANY), ("one", ONE)] {
        assert_eq!(
            said(&printed, &format!("{name} Some(0)")),
            digest_of(&world, buildfile),
            "{name}:\n{printed}"
        );
    }
}

#[test]
fn one_id_gives_the_same_digest_or_an_account() {
    let Some(printed) = users::run("run::users::builds_as_another", Ids::Single, &[]) else { return };
    let world = ground().unwrap();
    assert_eq!(said(&printed, "one Some(0)"), digest_of(&world, ONE), "{printed}");
    assert!(printed.contains("many Some(1)"), "{printed}");
    let account = said(&printed, "many said");
    for word in ["root\\'s id alone", "`/etc/subuid` has no ids for", "chown"] {
        assert!(account.contains(word), "`{word}` is not in {account}");
    }
}
