//! Pushes that are cut off, and repeated until they are done.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use lith::image::{Artifact, Memory};
use lith::transport::registry::PushOptions;

use super::docker_registry::registries;
use super::images;
use super::scene::{push, reference, told, within};
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::proxy::Proxy;

const SIZES: [(u64, usize); 4] = [(1, 4000), (2, 1_200_000), (3, 7_000_000), (4, 3_000_000)];

/// What may be on its way, and is lost, when a connection is cut.
const UNDER_WAY: u64 = 1 << 20;

struct Attempts {
    registry: DockerRegistry,
    proxy: Proxy,
    random: fastrand::Rng,
    cuts: u64,
}

impl Attempts {
    fn new(seed: u64) -> Option<Self> {
        let registry = DockerRegistry::start(Access::Htpasswd, "interrupted pushes")?;
        let proxy = Proxy::to(registry.address());
        Some(Self { registry, proxy, random: fastrand::Rng::with_seed(seed), cuts: 0 })
    }

    /// Pushes as a new process would, until it is done.
    fn push(&mut self, name: &str, artifact: &Artifact, blobs: &Memory, uploads: &Path) {
        let host = format!("127.0.0.1:{}", self.proxy.port());
        let name = reference(&format!("{host}/{name}"));
        for attempt in 0.. {
            assert!(attempt < 60, "it is never done");
            self.proxy.mend();
            if attempt < 40 {
                self.proxy.cut_after(self.random.u64(1000..3_000_000));
                self.cuts += 1;
            }
            let lith = registries(&self.registry, host.clone());
            let options = PushOptions { uploads: Some(uploads.to_owned()), ..PushOptions::default() };
            let outcome = thread::scope(|scope| {
                let pushing = scope.spawn(|| push(&lith, &name, artifact, blobs, options));
                if self.random.u8(..4) == 0 {
                    thread::sleep(Duration::from_millis(self.random.u64(..60)));
                    self.registry.restart(true);
                    self.cuts += 1;
                }
                pushing.join().unwrap()
            });
            match outcome {
                Ok(digest) => return assert_eq!(digest, artifact.digest()),
                Err(error) => assert!(told(&error).contains(&host), "{}", told(&error)),
            }
        }
    }
}

fn interrupted(seed: u64) {
    let Some(mut attempts) = Attempts::new(seed) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut blobs = Memory::default();
    let artifact = images::artifact(&mut blobs, &SIZES);
    attempts.push("team/app", &artifact, &blobs, &dir.path().join("uploads"));
    let committed = attempts.registry.committed("team/app");
    let mut expected = images::contents(&artifact);
    expected.push(artifact.digest().to_string());
    expected.sort();
    assert_eq!(committed, expected, "seed {seed}");
    let commits = attempts.registry.commits();
    let once: BTreeSet<_> = commits.iter().collect();
    assert_eq!(once.len(), commits.len(), "seed {seed}: a blob was sent twice: {commits:?}");
    let total: u64 = artifact.contents().iter().map(|blob| blob.size()).sum();
    let (sent, cuts) = (attempts.proxy.forwarded(), attempts.cuts);
    eprintln!("seed {seed}: {sent} of {total}, cuts {cuts}, commits {}", commits.len());
    assert!(sent < total + cuts * UNDER_WAY, "seed {seed}: {sent} bytes of {total}, {cuts} interruptions");
}

#[test]
fn an_interrupted_push_is_gone_on_with() {
    for seed in 0..4 {
        within(120, "an interrupted push", move || interrupted(seed));
    }
}

/// Uploads that the registry has forgotten are begun anew.
#[test]
fn a_registry_that_forgets_its_uploads() {
    let Some(mut attempts) = Attempts::new(7) else { return };
    within(60, "a forgotten upload", move || {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("uploads");
        let mut blobs = Memory::default();
        let artifact = images::artifact(&mut blobs, &SIZES);
        let host = format!("127.0.0.1:{}", attempts.proxy.port());
        let lith = registries(&attempts.registry, host.clone());
        let options = || PushOptions { uploads: Some(uploads.clone()), ..PushOptions::default() };
        let name = reference(&format!("{host}/team/app"));
        attempts.proxy.cut_after(5_000_000);
        push(&lith, &name, &artifact, &blobs, options()).unwrap_err();
        attempts.registry.restart(false);
        attempts.proxy.mend();
        push(&lith, &name, &artifact, &blobs, options()).unwrap_or_else(|error| panic!("{}", told(&error)));
        let committed = attempts.registry.committed("team/app");
        assert!(images::contents(&artifact).iter().all(|digest| committed.contains(digest)));
        let left = std::fs::read_dir(&uploads).into_iter().flatten().count();
        assert_eq!(left, 0, "what is done is not noted any more");
    });
}
