//! `RUN --network=locked`: recorded by `lith lock`, answered by `lith build`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{fails, told, world};
use crate::support::World;

/// A server on loopback that gives a text for any path, until it is shut.
pub(super) struct Site {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    pub(super) text: Arc<Mutex<String>>,
}

impl Site {
    pub(super) fn new(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (open, text) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(text.to_owned())));
        let (is_open, body) = (Arc::clone(&open), Arc::clone(&text));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let mut stream = stream.unwrap();
                let _head = stream.read(&mut [0; 8192]);
                let body = body.lock().unwrap().clone();
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _gone = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { address, open, text }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

/// With `no_proxy` away, for the server is on loopback, where programs go directly.
pub(super) fn get(url: &str) -> String {
    format!("RUN --network=locked unset no_proxy NO_PROXY; wget -q -O /got {url}\n")
}

pub(super) fn arguments<'a>(command: &'a str, store: &'a str) -> Vec<&'a str> {
    let buildfile = ["-f", "Buildfile.run", "--build-context", "bb=bb", "ctx", "--allow", "network.loopback"];
    ["--store", store, command].into_iter().chain(buildfile).collect()
}

pub(super) fn write(world: &World, steps: &str) {
    world.write("Buildfile.run", format!("FROM bb\n{steps}")).write("ctx/f", "f\n");
}

#[track_caller]
fn digest(world: &World, store: &str, more: &[&str]) -> String {
    world.ok(arguments("build", store).into_iter().chain(["-q"]).chain(more.iter().copied()))
}

#[test]
fn what_was_locked_is_built_without_the_world() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(&world, &get(&site.url("/a")));
    let refused = world.fails(1, arguments("build", "store"));
    assert!(refused.contains("`lith lock` runs the step"), "{refused}");
    world.ok(arguments("lock", "store").into_iter().chain(["--vendor", "Buildfile.run.vendor"]));
    let lock = std::fs::read_to_string(world.path("Buildfile.run.lock")).unwrap();
    assert!(lock.contains(&site.url("/a")) && lock.contains("\"size\": 4"), "{lock}");
    let first = digest(&world, "store", &[]);
    *site.text.lock().unwrap() = "two\n".into();
    assert_eq!(digest(&world, "store", &["--no-cache"]), first);
    site.shut();
    assert_eq!(digest(&world, "fresh", &["--locked", "--offline"]), first, "its bytes are vendored");
    world.ok(["--store", "fresh", "gc"]);
    std::fs::remove_dir_all(world.path("Buildfile.run.vendor")).unwrap();
    assert_eq!(digest(&world, "fresh", &["--no-cache", "--offline"]), first, "and then stay in the store");
    let missing = world.fails(1, arguments("build", "other").into_iter().chain(["--offline"]));
    assert!(missing.contains("are not in the store, and the network is not to be used"), "{missing}");
}

#[test]
fn what_moved_is_told_and_locked_anew_when_asked() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(&world, &get(&site.url("/a")));
    world.ok(arguments("lock", "store"));
    let first = digest(&world, "store", &[]);
    *site.text.lock().unwrap() = "two\n".into();
    world.ok(arguments("lock", "store"));
    assert_eq!(digest(&world, "store", &[]), first, "what is locked stays");
    let changed = world.fails(1, arguments("build", "fresh"));
    assert!(changed.contains("gives other bytes than the lock has"), "{changed}");
    let moved = world.ok(arguments("lock", "store").into_iter().chain(["--update"]));
    assert!(moved.contains("moved    network") && moved.contains(" -> sha256:"), "{moved}");
    assert_ne!(digest(&world, "fresh", &[]), first);
}

#[test]
fn only_what_is_in_the_lock_is_there() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(&world, &get(&site.url("/a")));
    world.ok(arguments("lock", "store"));
    write(&world, &get(&site.url("/b")));
    let refused = world.fails(1, arguments("build", "store"));
    assert!(refused.contains(&format!("`GET {}` is not in the lock", site.url("/b"))), "{refused}");
    assert!(refused.contains("`lith lock` records what a step asks for"), "{refused}");
    // What failed has written nothing, and so the lock is still that of another Buildfile.
    let check = || arguments("lock", "store").into_iter().chain(["--check", "--offline"]);
    let stale = world.fails(1, check());
    assert!(stale.contains("is stale"), "{stale}");
    let stale = world.fails(1, arguments("build", "store").into_iter().chain(["--locked"]));
    assert!(stale.contains("is stale") && stale.contains("`lith lock` brings it up to date"), "{stale}");
    // Nor is it its own when the step doesn't run, or does without.
    write(&world, &get(&site.url("/b")).replace(" wget", " true || wget"));
    digest(&world, "store", &[]);
    world.fails(1, check());
    world.ok(arguments("lock", "store"));
    world.ok(check());
    // Past the proxy there is nothing, and names lead nowhere.
    let address = site.address;
    let past = format!(
        "RUN --network=locked ! nc -w 2 {} {} </dev/null && ! env -u http_proxy -u HTTP_PROXY wget -q -O- {} && \
         ! env -u http_proxy -u HTTP_PROXY wget -q -O- http://example.com/ && [ \"$(ls /sys/class/net)\" = lo ]\n",
        address.ip(),
        address.port(),
        site.url("/a")
    );
    write(&world, &past);
    world.ok(arguments("lock", "store"));
    assert!(!std::fs::read_to_string(world.path("Buildfile.run.lock")).unwrap().contains("network"));
}

#[test]
fn a_locked_build_wants_all_that_its_steps_ask_for_in_the_lock() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    // What the step asks for is in a file, so that the lock is not stale.
    let step = "COPY f /f\nRUN --network=locked unset no_proxy NO_PROXY; . /f; echo done >/got\n";
    write(&world, step);
    world.write("ctx/f", "true\n");
    world.ok(arguments("lock", "store"));
    let ask = |option: &str| {
        world.write("ctx/f", format!("wget -q -O- {option} {} || true\n", site.url("/a")));
    };
    digest(&world, "store", &["--locked"]);
    ask("");
    let build = |more| world.fails(1, arguments("build", "store").into_iter().chain(more));
    let missing = format!("`GET {}` is not in the lock", site.url("/a"));
    let refused = build(["--locked", "--no-cache"]);
    assert!(refused.contains(&missing) && refused.contains("`lith lock` records"), "{refused}");
    // A warning without it; and what that leaves in the cache is none the better.
    digest(&world, "store", &[]);
    let refused = build(["--locked", "-q"]);
    assert!(refused.contains(&missing), "{refused}");
    ask("--post-data x");
    digest(&world, "store", &["--locked"]);
}

#[test]
fn damaged_bytes_fail_a_step_that_does_not_look() {
    let Some(world) = world("locked steps") else { return };
    let text = "0123456789abcdef".repeat(200_000);
    let site = Site::new(&text);
    let step = format!(
        "RUN --network=locked unset no_proxy NO_PROXY; wget -q -O- {} | head -c 20 >/out; true\n",
        site.url("/big")
    );
    write(&world, &step);
    world.ok(arguments("lock", "store"));
    let first = digest(&world, "store", &["--locked", "--no-cache"]);
    let blob = walkdir::WalkDir::new(world.path("store"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .find(|path| path.is_file() && std::fs::read(path).unwrap() == text.as_bytes())
        .unwrap();
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, text.replacen("01234567", "DAMAGED!", 1)).unwrap();
    let refused = world.fails(1, arguments("build", "store").into_iter().chain(["--locked", "--no-cache"]));
    assert!(refused.contains("are not those of the lock"), "{refused}");
    assert_eq!(digest(&world, "store", &["--locked"]), first, "nothing damaged is cached");
    let lock = world.path("Buildfile.run.lock");
    let lying = std::fs::read_to_string(&lock).unwrap().replace("\"size\": 3200000", "\"size\": 20");
    std::fs::write(&blob, &text).unwrap();
    std::fs::write(&lock, lying).unwrap();
    let refused = world.fails(1, arguments("build", "store").into_iter().chain(["--locked", "--no-cache"]));
    assert!(refused.contains("are not those of the lock"), "{refused}");
}

#[test]
fn the_machine_itself_is_not_reached_without_leave() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(&world, &get(&site.url("/a")));
    let arguments = arguments("lock", "store");
    let refused = world.fails(1, &arguments[..arguments.len() - 2]);
    let headline = refused.lines().find(|line| line.contains("failed: ")).unwrap_or_default();
    assert!(headline.contains("it leads to this machine or its link"), "{refused}");
    assert!(refused.contains("`--allow network.loopback`"), "{refused}");
    assert!(!world.path("Buildfile.run.lock").exists());
}

#[test]
fn what_could_not_be_had_when_locking_does_not_fail_builds() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry = format!("http://{closed}/t");
    let metadata = "http://169.254.169.254/latest/meta-data";
    let ask = |url: &str| format!("(wget -q -O- {url} || echo $?) 2>&1");
    let step = format!(
        "RUN --network=locked unset no_proxy NO_PROXY; ({}; {}; {}) >/told\n",
        ask(&telemetry),
        ask(metadata),
        ask(&site.url("/a"))
    );
    write(&world, &step);
    let vendor = ["--vendor", "Buildfile.run.vendor"];
    let out = world.run(arguments("lock", "store").into_iter().chain(vendor));
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let warned = out.stderr;
    for url in [telemetry.as_str(), metadata] {
        let named = warned.lines().any(|l| l.contains(url) && l.contains("builds are told the same"));
        assert!(named, "{warned}");
    }
    let lock = std::fs::read_to_string(world.path("Buildfile.run.lock")).unwrap();
    assert_eq!(lock.matches("\"status\": 502").count(), 2, "{lock}");
    site.shut();
    let first = digest(&world, "store", &["--locked"]);
    assert_eq!(digest(&world, "fresh", &["--locked", "--offline"]), first);
    assert_eq!(digest(&world, "store", &["--locked", "--no-cache"]), first);
    // What is new in the step is missing all the same.
    write(&world, &step.replace("/latest", "/other"));
    world.fails(1, arguments("build", "store").into_iter().chain(["--locked"]));
}

#[test]
fn what_moved_at_a_url_is_seen_and_can_be_locked_alone() {
    let Some(world) = world("locked steps") else { return };
    let (site, other) = (Site::new("one\n"), Site::new("other\n"));
    write(&world, &format!("{}{}", get(&site.url("/a")), get(&other.url("/b"))));
    world.ok(arguments("lock", "store"));
    let check = || world.run(arguments("lock", "store").into_iter().chain(["--check"]));
    let run = check();
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    *site.text.lock().unwrap() = "two\n".into();
    *other.text.lock().unwrap() = "another\n".into();
    let run = check();
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("moved    network http://")).count(), 2);
    let unknown = world.fails(2, arguments("lock", "store").into_iter().chain(["--update", "/a"]));
    assert!(unknown.contains(&site.url("/a")) && !unknown.contains(&other.url("/b")), "{unknown}");
    let url = site.url("/a");
    let moved = world.ok(arguments("lock", "store").into_iter().chain(["--update", &url]));
    assert!(moved.starts_with(&format!("moved    network {url}: sha256:")), "{moved}");
    assert_eq!(moved.lines().count(), 1, "{moved}");
    // Who can't be asked is told, and has not moved.
    other.shut();
    site.shut();
    let run = check();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stderr.matches("whether it has moved is not known").count(), 2, "{}", run.stderr);
}

#[test]
fn what_was_run_to_be_locked_is_not_run_again() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(&world, &format!("COPY f /f\n{}", get(&site.url("/a"))));
    let shape = ["--source-date-epoch", "1234", "--compression", "zstd:3", "--context-modes", "keep"];
    world.ok(arguments("lock", "store").into_iter().chain(shape));
    let run = world.run(arguments("build", "store").into_iter().chain(shape).chain(["--progress", "plain"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let step = run.stderr.lines().rfind(|line| line.contains("wget")).unwrap_or_default();
    assert!(step.contains("(cached)"), "{}", run.stderr);
    site.shut();
    world.fails(2, arguments("lock", "store").into_iter().chain(["--compression", "none:x"]));
}

#[test]
fn nothing_of_the_proxy_is_in_the_image() {
    let Some(world) = world("locked steps") else { return };
    let site = Site::new("one\n");
    write(
        &world,
        &format!(
            "{}RUN ! env | grep -qi proxy && [ ! -e /dev/li?h ] && ls -a / > /list\n",
            get(&site.url("/a"))
        ),
    );
    world.ok(arguments("lock", "store"));
    let layout = arguments("build", "store").into_iter().chain(["-q", "-o", "type=oci,dest=out"]);
    world.ok(layout);
    let image = crate::support::judge::Layout::open(&world.path("out")).image();
    let entries: Vec<_> = image.layers.iter().flat_map(|layer| &layer.entries).collect();
    assert!(entries.iter().any(|entry| entry.path == "got"));
    for word in ["61090", "/dev/lith", "ca.pem", "CERTIFICATE"] {
        assert!(!image.config.to_string().contains(word), "{word}");
        // Programs are the base's, and anybody's bytes.
        let ours = entries.iter().filter(|entry| entry.content.len() < 1 << 16);
        let has = |bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(ours.into_iter().all(|entry| !entry.path.contains(word) && !has(&entry.content)), "{word}");
    }
}

#[test]
fn a_step_without_a_lock_has_nobody_to_ask() {
    let Some(world) = world("locked steps") else { return };
    let refused = fails(&world, "FROM bb\nRUN --network=locked true\n", &[]);
    assert!(refused.contains("the step's network is what a lock file has of it"), "{refused}");
    write(&world, "RUN --network=locked true\n");
    world.ok(arguments("lock", "store"));
    let said = told(
        &world,
        "FROM bb\nRUN --network=locked true\n",
        &["--metadata-file", "meta", "--progress", "plain"],
    );
    assert!(said.contains("cached") || said.contains("no change"), "{said}");
    let meta = std::fs::read_to_string(world.path("meta")).unwrap();
    assert!(meta.contains("\"lith.hermetic\":true") || meta.contains("\"lith.hermetic\": true"), "{meta}");
}

#[test]
fn a_vendored_lock_needs_no_registry_and_no_network() {
    let Some(world) = world("locked steps") else { return };
    let registry = crate::support::registry::Registry::start();
    let base = registry.name("base:1");
    world.write("b/Buildfile", "FROM bb\n");
    let named = ["--build-context", "bb=bb", "--context-modes", "keep"];
    world.ok(["build", "-q", "-t", &base, "--push", "b"].into_iter().chain(named));
    let site = Site::new("one\n");
    let text = format!("FROM {base}\nADD {} /added\n{}COPY f /f\n", site.url("/file"), get(&site.url("/a")));
    world.write("app/Buildfile", text).write("app/f", "f\n");
    let vendor = ["--vendor", "app/Buildfile.vendor", "--allow", "network.loopback"];
    world.ok(["--store", "other", "lock", "app"].into_iter().chain(vendor));
    let first = world.ok(["--store", "other", "build", "-q", "app"]);
    drop(registry);
    site.shut();
    std::fs::rename(world.path("app"), world.path("elsewhere")).unwrap();
    let build = ["--store", "fresh", "build", "-q", "--locked", "elsewhere"];
    assert_eq!(world.ok(build.into_iter().chain(["--offline"])), first);
    let mut blobs: Vec<_> = walkdir::WalkDir::new(world.path("elsewhere/Buildfile.vendor"))
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_type().is_dir())
        .collect();
    blobs.sort_by_key(|entry| entry.metadata().unwrap().len());
    let smallest = blobs[0].path();
    std::fs::write(smallest, "two\n").unwrap();
    let error = world.fails(1, ["--store", "fresh2", "build", "-q", "--locked", "--offline", "elsewhere"]);
    assert!(error.contains("expected the blob") || error.contains("gives other bytes"), "{error}");
}
