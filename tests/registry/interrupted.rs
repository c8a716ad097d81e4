//! Pushes that are cut off at random moments, and repeated until they are done.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lith::image::{Artifact, Memory};
use lith::transport::registry::{NoKeychain, PushOptions, Registries};

use super::docker_registry::registries;
use super::images;
use super::scene::{Outcome, REPOSITORY, Scene, push, reference, settings, told, within};
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::proxy::Proxy;
use crate::support::registry::Options;

/// A way to a registry that is cut again and again.
struct Way {
    proxy: Proxy,
    random: fastrand::Rng,
    cuts: usize,
}

impl Way {
    fn new(target: &str, seed: u64) -> Self {
        let proxy = Proxy::to(target.parse().unwrap());
        Self { proxy, random: fastrand::Rng::with_seed(seed), cuts: 0 }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }

    /// The next try gets so far at most.
    fn cut_within(&mut self, bytes: u64) {
        self.proxy.cut_after(self.random.u64(1000..bytes));
        self.cuts += 1;
    }
}

/// A push as a new process makes it, which knows only what an earlier one has noted.
fn push_anew(lith: &Registries, host: &str, artifact: &Artifact, blobs: &Memory, uploads: &Path) -> Outcome {
    let options = PushOptions { uploads: Some(uploads.to_owned()), ..PushOptions::default() };
    push(lith, &reference(&format!("{host}/{REPOSITORY}")), artifact, blobs, options)
}

/// Whether it is done; what was in the way names the host.
#[track_caller]
fn done(outcome: &Outcome, artifact: &Artifact, host: &str) -> bool {
    match outcome {
        Ok(digest) => assert_eq!(*digest, artifact.digest()),
        Err(error) => assert!(told(error).contains(host), "{}", told(error)),
    }
    outcome.is_ok()
}

#[track_caller]
fn assert_nothing_noted(uploads: &Path) {
    let left = std::fs::read_dir(uploads).into_iter().flatten().count();
    assert_eq!(left, 0, "what is done is not noted any more");
}

/// A registry that keeps what it was sent of a broken upload is sent no byte of a large blob twice.
fn cut_at_random(seed: u64) {
    let scene = Scene::new(Options::default(), &[4000, 200_000, 6_000_000, 3_000_000]);
    let mut way = Way::new(&scene.registry.host(), seed);
    let (host, uploads) = (way.host(), scene.dir.path().join("uploads"));
    while {
        way.proxy.mend();
        if way.cuts < 50 {
            way.cut_within(700_000);
        }
        let lith = Registries::new(settings(), Arc::new(NoKeychain));
        let outcome = push_anew(&lith, &host, &scene.artifact, &scene.blobs, &uploads);
        !done(&outcome, &scene.artifact, &host)
    } {}
    scene.check_registry(true);
    assert!(way.cuts > 10, "{} interruptions of {} bytes", way.cuts, way.proxy.forwarded());
    let requests = scene.registry.requests();
    let large: u64 = scene.artifact.contents()[2..].iter().map(|blob| blob.size()).sum();
    assert_eq!(requests.matching("PATCH", "/v2/*").received(), large, "seed {seed}\n{}", requests.lines());
    let commits = requests.matching("PUT", "/v2/*/blobs/*").filter(|request| request.status == Some(201));
    assert_eq!(commits.len(), 5, "seed {seed}: each blob and the config once\n{}", requests.lines());
    assert_nothing_noted(&uploads);
}

#[test]
fn a_push_that_is_cut_goes_on_where_it_was() {
    for seed in 0..2 {
        within(60, "a push that is cut", move || cut_at_random(seed));
    }
}

/// docker-registry gives an upload up when a piece of it breaks off: what it says of where it is has the offset in
/// it, and that of the last whole piece no longer fits. So it is blobs that are not sent twice, and not bytes.
fn cut_and_restarted(seed: u64) -> Option<usize> {
    let mut registry = DockerRegistry::start(Access::Htpasswd, "interrupted pushes")?;
    let mut way = Way::new(&registry.host(), seed);
    let host = way.host();
    let dir = tempfile::tempdir().unwrap();
    let uploads = dir.path().join("uploads");
    let mut blobs = Memory::default();
    let artifact = images::artifact(&mut blobs, &[(1, 4000), (2, 300_000), (3, 2_500_000), (4, 1_500_000)]);
    for attempt in 0.. {
        way.proxy.mend();
        if attempt < 20 {
            way.cut_within(6_000_000);
        }
        let lith = registries(&registry, host.clone());
        let outcome = thread::scope(|scope| {
            let pushing = scope.spawn(|| push_anew(&lith, &host, &artifact, &blobs, &uploads));
            if way.random.bool() {
                thread::sleep(Duration::from_millis(way.random.u64(..40)));
                registry.restart(way.random.bool());
                way.cuts += 1;
            }
            pushing.join().unwrap()
        });
        if done(&outcome, &artifact, &host) {
            break;
        }
    }
    let mut expected = images::contents(&artifact);
    expected.push(artifact.digest().to_string());
    expected.sort();
    assert_eq!(registry.committed(REPOSITORY), expected, "seed {seed}");
    let commits = registry.commits();
    let once: BTreeSet<_> = commits.iter().collect();
    assert_eq!(once.len(), commits.len(), "seed {seed}: a blob was sent twice: {commits:?}");
    assert_nothing_noted(&uploads);
    Some(way.cuts)
}

#[test]
fn a_push_to_a_docker_registry_that_comes_and_goes() {
    let cuts: Option<usize> =
        (0..4).map(|seed| within(60, "an interrupted push", move || cut_and_restarted(seed))).sum();
    assert!(cuts.is_none_or(|cuts| cuts > 10), "{cuts:?} interruptions");
}
