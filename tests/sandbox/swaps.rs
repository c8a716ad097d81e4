//! Neighbours that change what a step's mounts stand on while they are made: a cache is shared by steps that run at
//! once, and holds whatever they like.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use lith::sandbox::{Mount, Network, Step};

use super::escapes::compile;
use super::ground::{Ground, names};

super::cases! {
    links_in_a_cache_lead_inside a_cache_swapped_under_a_mount descriptors_that_were_left_open
    sockets_of_the_machine_are_out_of_reach mounts_stay_in_the_step
}

fn cache(folder: &Path) -> Mount {
    Mount::Cache { folder: folder.into(), target: "/c".into(), read_only: false, owner: (0, 0), mode: 0o755 }
}

fn tmpfs(target: &str) -> Mount {
    Mount::Tmpfs { target: target.into(), size: None }
}

fn links_in_a_cache_lead_inside(ground: &Ground) {
    let (folder, outside) = (ground.folder("cache"), ground.folder("outside"));
    std::fs::write(outside.join("kept"), "outside\n").unwrap();
    for (name, target) in [("absolute", outside.clone()), ("up", Path::new(&"../".repeat(30)).join("work"))] {
        symlink(target, folder.join(name)).unwrap();
    }
    symlink("/proc/self/root", folder.join("magic")).unwrap();
    ground.fails_with(vec![cache(&folder)], "cat /c/absolute/kept");
    assert_eq!(ground.with(vec![cache(&folder)], "cat /c/up/below"), "below\n");
    // As mount points: what is missing is made inside, and nothing outside.
    for target in ["/c/absolute", "/c/absolute/new/deep", "/c/up/new", "/c/magic/c/new"] {
        let step = Step { mounts: vec![cache(&folder), tmpfs(target)], ..ground.script("true") };
        let _made_inside_or_refused = ground.try_run(&step);
    }
    assert_eq!(names(&outside), ["kept"]);
    // The last leads to the cache itself.
    assert_eq!(names(&folder), ["absolute", "magic", "new", "up"]);
}

fn a_cache_swapped_under_a_mount(ground: &Ground) {
    let (folder, outside) = (ground.folder("cache"), ground.folder("outside"));
    let (d, spare) = (folder.join("d"), folder.join("spare"));
    std::fs::create_dir(&d).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _lost = std::fs::rename(&d, &spare);
                let _lost = symlink(&outside, &d);
                let _lost = std::fs::remove_file(&d);
                let _lost = std::fs::rename(&spare, &d);
            }
        });
        for round in 0..8 {
            // The first that meets a link where there was a folder ends it.
            let mut mounts = vec![cache(&folder)];
            mounts.extend((0..20).map(|mount| tmpfs(&format!("/c/d/{round}/{mount}/new"))));
            let step = Step { mounts, ..ground.script("echo x > /c/d/file || true") };
            let _may_fail = ground.try_run(&step);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(names(&outside), Vec::<String>::new());
}

fn descriptors_that_were_left_open(ground: &Ground) {
    // As a shell's `lith build 7<secret` leaves it.
    let file = std::fs::File::open(ground.root().join("work/below")).unwrap();
    let left = rustix::io::dup(&file).unwrap();
    assert_eq!(ground.sh("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    let mut step = ground.script("ls /proc/self/fd | tr '\\n' ' '");
    step.insecure = true;
    assert_eq!(ground.ok(&step), "0 1 2 3 ");
    drop(left);
}

/// Connects to a socket: by path, or with `@` by a name of the network's. Says the error's number.
const CONNECT: &str = r#"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(argv[1]);
    memcpy(to.sun_path, argv[1], length);
    if (to.sun_path[0] == '@') to.sun_path[0] = 0;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    int r = connect(s, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + length);
    printf("%d\n", r < 0 ? errno : 0);
    return 0;
}
"#;

fn sockets_of_the_machine_are_out_of_reach(ground: &Ground) {
    use std::os::linux::net::SocketAddrExt as _;
    if !compile(ground, "connect", CONNECT, &["-static"]) {
        return;
    }
    let path = ground.path("daemon.sock");
    let _by_path = UnixListener::bind(&path).unwrap();
    let name = format!("lith-test-{}-{}", std::process::id(), path.display()).replace('/', "-");
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _by_name = UnixListener::bind_addr(&address).unwrap();
    let mut step = ground.script(&format!("/connect {}; /connect @{name}", path.display()));
    assert_eq!(ground.ok(&step), format!("{}\n{}\n", libc::ENOENT, libc::ECONNREFUSED));
    // The machine's network has the names of the machine's sockets, which lead to daemons of root.
    step = Step { network: Network::Host, ..ground.script(&format!("/connect @{name}")) };
    let reached = ground.ok(&step);
    if reached == "0\n" {
        eprintln!("warning: the kernel can't keep a step with the network from sockets that have names");
    } else {
        assert_eq!(reached, format!("{}\n", libc::EPERM));
    }
}

fn mounts_stay_in_the_step(ground: &Ground) {
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut step = ground.script(
        "mount -t tmpfs mine-alone /tmp && mount --make-rshared / && mount --bind /tmp /work && sleep 0.2",
    );
    step.insecure = true;
    step.mounts.push(cache(&ground.folder("cache")));
    assert!(ground.run(&step).exit.success());
    let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!after.contains("mine-alone"), "{before}\n{after}");
}
