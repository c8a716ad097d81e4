//! What a step sees.

use lith::sandbox::{Hidden, Network, Step, User};

use super::ground::{Ground, names};

super::cases! {
    it_is_the_same_everywhere no_environment_but_its_own no_descriptors_but_three its_own_processes
    privileges_are_bounded another_user_has_no_capabilities kernel_paths_are_masked the_network_is_its_own
    the_machines_network devices_are_there mount_points_leave_no_trace mount_points_in_odd_places
    insecure_lifts_the_bounds hundreds_of_layers mounts_tell_nothing_of_the_machine no_layers_at_all limits_are_fixed times_of_folders_stay
}

fn it_is_the_same_everywhere(ground: &Ground) {
    let script = "hostname; echo $$; umask; pwd; id -u; cat /etc/hosts; cat /etc/resolv.conf; \
                  cat /proc/sys/kernel/domainname; cat < /dev/stdin; awk '{print $5, $6}' /proc/$$/stat";
    let expected = "lith\n1\n0022\n/\n0\n127.0.0.1\tlocalhost lith\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                    (none)\n1 1\n";
    assert_eq!(ground.sh(script), expected);
}

fn no_environment_but_its_own(ground: &Ground) {
    let mut step = ground.step(&["/bin/env"]);
    step.env = vec![(b"B".to_vec(), Hidden(b"2 \xff".to_vec())), (b"A".to_vec(), Hidden(b"1".to_vec()))];
    assert_eq!(ground.ok(&step), "B=2 \u{fffd}\nA=1\n");
    assert!(!format!("{step:?}").contains("50, 32"), "a value may be a secret");
}

fn no_descriptors_but_three(ground: &Ground) {
    // `ls` has one of its own for the folder.
    assert_eq!(ground.sh("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    let links = ground.sh("for n in 0 1 2; do readlink /proc/1/fd/$n; done");
    assert!(links.starts_with("/dev/null\npipe:") && !links.contains("socket"), "{links}");
}

fn its_own_processes(ground: &Ground) {
    assert_eq!(ground.sh("echo /proc/[0-9]*"), "/proc/1\n");
    assert_eq!(ground.sh("cat /proc/1/oom_score_adj").trim(), own("/proc/self/oom_score_adj"));
    assert_eq!(ground.sh("grep -c . /proc/1/cgroup >/dev/null; cut -d: -f3 /proc/1/cgroup | sort -u"), "/\n");
}

fn own(file: &str) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn status(ground: &Ground, step: &Step) -> Vec<String> {
    let fields = ["NoNewPrivs", "Seccomp:", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let status = ground.ok(step);
    let wanted = status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    wanted.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

fn privileges_are_bounded(ground: &Ground) {
    let set = "00000000a00425fb";
    let none = "0000000000000000";
    let expected = [none, set, set, set, none, "1", "2"];
    assert_eq!(status(ground, &ground.step(&["cat", "/proc/self/status"])), expected);
}

fn another_user_has_no_capabilities(ground: &Ground) {
    let mut step = ground.step(&["cat", "/proc/self/status"]);
    step.user = User { uid: 1000, gid: 1000, groups: vec![1000, 27] };
    if ground.is_single() {
        let error = ground.try_run(&step).unwrap_err().to_string();
        assert!(error.contains("becoming 1000:1000"), "{error}");
        return;
    }
    let none = "0000000000000000";
    assert_eq!(status(ground, &step), [none, none, none, "00000000a00425fb", none, "1", "2"]);
    step = Step { user: step.user, ..ground.step(&["id"]) };
    assert_eq!(ground.ok(&step).trim(), "uid=1000(app) gid=1000 groups=27,1000");
}

fn kernel_paths_are_masked(ground: &Ground) {
    for file in ["kcore", "keys", "timer_list", "interrupts", "kallsyms"] {
        assert_eq!(ground.sh(&format!("[ ! -e /proc/{file} ] || cat /proc/{file}")), "", "{file}");
    }
    for folder in ["/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"] {
        assert_eq!(ground.sh(&format!("[ ! -e {folder} ] || ls {folder}")), "", "{folder}");
    }
    for place in ["/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/irq/default_smp_affinity"] {
        let ran = ground.fails(&format!("echo h > {place}"));
        assert!(ran.err.contains("Read-only") || ran.err.contains("nonexistent"), "{place}: {ran:?}");
    }
    let ran = ground.fails("echo 0 > /sys/kernel/profiling; mkdir /sys/x");
    assert!(ran.err.contains("Read-only file system"), "{ran:?}");
}

fn the_network_is_its_own(ground: &Ground) {
    assert_eq!(ground.sh("ls /sys/class/net"), "lo\n");
    assert!(ground.sh("ip -o addr").contains("127.0.0.1/8"));
    assert_eq!(ground.sh("ping -c 1 -W 2 127.0.0.1 | grep -c '0% packet loss'"), "1\n");
    assert_eq!(
        ground.sh("(echo hello | nc -l -p 7000 & sleep 0.2; nc -w 1 127.0.0.1 7000 < /dev/null)"),
        "hello\n"
    );
    assert_eq!(ground.sh("wc -l < /proc/net/route"), "1\n");
}

fn the_machines_network(ground: &Ground) {
    let mut step = ground.script("cat /etc/resolv.conf; readlink /proc/self/ns/net");
    step.network = Network::Host;
    let link = std::fs::read_link("/proc/self/ns/net").unwrap();
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    assert_eq!(ground.ok(&step), format!("{resolvers}{}\n", link.display()));
}

fn devices_are_there(ground: &Ground) {
    assert_eq!(
        ground.sh("ls /dev | tr '\\n' ' '"),
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
    );
    assert_eq!(
        ground.sh("head -c 4 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c"),
        " 00 00 00 00\n8\n"
    );
    assert_eq!(
        ground.sh("stat -c '%a %n' /dev/null /dev/shm /dev/pts/ptmx"),
        "666 /dev/null\n1777 /dev/shm\n666 /dev/pts/ptmx\n"
    );
    assert_eq!(ground.sh("echo x > /dev/null; echo y > /dev/shm/f; cat /dev/shm/f"), "y\n");
    ground.fails("echo > /dev/full");
    ground.fails("cat < /dev/tty");
}

fn mount_points_leave_no_trace(ground: &Ground) {
    let ran = ground.run(&ground.script("true"));
    assert!(ran.exit.success());
    assert_eq!(names(&ran.upper), Vec::<String>::new());
    let made: Vec<_> =
        ran.exit.mount_points.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
    assert_eq!(made, ["/dev", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"]);
    // Work beside mount points is the step's.
    let ran = ground.run(&ground.script("echo a > /etc/mine; echo b >> /etc/hosts; rm /work/below"));
    assert!(ran.exit.success(), "{ran:?}");
    assert_eq!(names(&ran.upper), ["etc", "etc/mine", "work", "work/below"]);
    assert!(!ground.root().join("etc/hosts").exists());
}

fn mount_points_in_odd_places(ground: &Ground) {
    let root = ground.root();
    std::os::unix::fs::symlink("/run/resolver/resolv.conf", root.join("etc/resolv.conf")).unwrap();
    std::os::unix::fs::symlink("../../../../../../tmp/hosts", root.join("etc/hosts")).unwrap();
    assert_eq!(
        ground.sh("ls -l /etc/hosts | wc -l; head -n 1 /etc/hosts; ls /run/resolver; ls /tmp"),
        "1\n127.0.0.1\tlocalhost lith\nresolv.conf\nhosts\n"
    );
    // A whiteout above hides what is below, but no mount point.
    let top = ground.folder("top");
    if rustix::process::geteuid().is_root() {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.join("etc"),
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
        let mut step = ground.script("ls /etc; cat /etc/hosts | wc -l");
        step.lowers.push(top);
        assert_eq!(ground.ok(&step), "hosts\nresolv.conf\n2\n");
    }
    // Where a file stands in for a folder, files of `/etc` have no place, and a step runs without.
    let file = ground.folder("file");
    std::fs::write(file.join("etc"), "no folder").unwrap();
    let mut step = ground.script("cat /etc");
    step.lowers.push(file);
    assert_eq!(ground.ok(&step), "no folder");
}

fn insecure_lifts_the_bounds(ground: &Ground) {
    let mut step = ground.script("mount -t tmpfs none /tmp && echo mounted; hostname other && hostname");
    step.insecure = true;
    assert_eq!(ground.ok(&step), "mounted\nother\n");
    assert_eq!(ground.sh("hostname"), "lith\n");
}

fn hundreds_of_layers(ground: &Ground) {
    let mut step = ground.script("ls /many | wc -l; cat /same");
    for n in 0..300 {
        let layer = ground.folder(&format!("layers/of-a-long-name-that-fills-a-page-soon-{n}"));
        std::fs::create_dir(layer.join("many")).unwrap();
        std::fs::write(layer.join("many").join(n.to_string()), "").unwrap();
        std::fs::write(layer.join("same"), format!("{n}\n")).unwrap();
        step.lowers.push(layer);
    }
    assert_eq!(ground.ok(&step), "300\n299\n");
}

fn no_layers_at_all(ground: &Ground) {
    let mut step = ground.step(&["/nothing"]);
    step.lowers.clear();
    let error = ground.try_run(&step).unwrap_err().to_string();
    assert_eq!(error, "`/nothing` is not in the root file system");
}

fn mounts_tell_nothing_of_the_machine(ground: &Ground) {
    let mounts = ground.sh("cat /proc/self/mountinfo /proc/mounts");
    let place = ground.path("");
    assert!(!mounts.contains(place.to_str().unwrap()), "{mounts}");
    assert!(mounts.contains("upperdir=upper,workdir=work") && !mounts.contains("shared:"), "{mounts}");
}

fn limits_are_fixed(ground: &Ground) {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = most.unwrap_or(u64::MAX).min(16384);
    assert_eq!(ground.sh("ulimit -Sc; ulimit -Hc; ulimit -Sn; ulimit -Hn"), format!("0\n0\n1024\n{most}\n"));
    let size = "df -k /dev/shm | tail -n 1 | awk '{ print $2 }'";
    assert_eq!(ground.sh(size), "65536\n");
    let mut step = ground.script(size);
    step.limits.shm = Some(1 << 20);
    assert_eq!(ground.ok(&step), "1024\n");
}

fn times_of_folders_stay(ground: &Ground) {
    let etc = ground.root().join("etc");
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 5, tv_nsec: 0 },
        last_modification: rustix::fs::Timespec { tv_sec: 7, tv_nsec: 0 },
    };
    std::fs::set_permissions(&etc, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    rustix::fs::utimensat(rustix::fs::CWD, &etc, &times, rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!(ground.sh("stat -c '%Y %a' /etc; stat -c %Y /proc/1/.. >/dev/null"), "7 711\n");
}
