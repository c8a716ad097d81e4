mod repairs;

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::*;
use crate::image::{Artifact, Blobs as _, Document, Memory, descriptor, digest_of};
use crate::oci::{Descriptor, Digest, ImageManifest, MediaType};
use crate::transport::TransportError;

/// A place in memory. Between any two of its operations others may have theirs.
#[derive(Debug, Default)]
struct Fake(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tags: BTreeMap<String, Descriptor>,
    documents: BTreeMap<String, Artifact>,
    bytes: BTreeMap<String, Vec<u8>>,
}

/// A writer's view of it. It dies before its `dies`th write.
#[derive(Debug)]
struct View<'a> {
    fake: &'a Fake,
    writes: Mutex<u32>,
    dies: u32,
}

impl Fake {
    fn view(&self, dies: u32) -> View<'_> {
        View { fake: self, writes: Mutex::new(0), dies }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let pause = || {
            if fastrand::u8(..) < 200 {
                thread::sleep(Duration::from_micros(fastrand::u64(0..400)));
            }
        };
        pause();
        let result = work(&mut self.0.lock().unwrap());
        pause();
        result
    }
}

impl View<'_> {
    fn write(&self) -> Result<(), TransportError> {
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        if *writes >= self.dies {
            return Err(TransportError::Io { what: "dying".into(), error: io::ErrorKind::Other.into() });
        }
        Ok(())
    }
}

impl Shelf for View<'_> {
    fn name(&self) -> String {
        "fake".into()
    }

    fn tags(&self) -> Result<Vec<String>, TransportError> {
        Ok(self.fake.with(|state| state.tags.keys().cloned().collect()))
    }

    fn resolve(&self, name: &str) -> Result<Option<Descriptor>, TransportError> {
        let found = self.fake.with(|state| state.tags.get(name).cloned());
        Ok(found.filter(|found| self.fake.0.lock().unwrap().documents.contains_key(found.digest().as_ref())))
    }

    fn bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        let digest = digest_of(descriptor).unwrap();
        let found = self.fake.with(|state| state.bytes.get(&digest.to_string()).cloned());
        let bytes = found.ok_or_else(|| crate::image::not_found(&digest))?;
        if Digest::of(&bytes) != digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are wrong"));
        }
        Ok(bytes)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        Ok(self.fake.with(|state| state.bytes.contains_key(blob.digest().as_ref())))
    }

    fn image(&self, root: &Descriptor) -> Result<Artifact, TransportError> {
        Ok(self.fake.with(|state| state.documents[root.digest().as_ref()].clone()))
    }

    fn add(&self, artifact: &Artifact, blobs: &Memory) -> Result<(), TransportError> {
        self.write()?;
        let mut found = Vec::new();
        for blob in artifact.contents() {
            let mut bytes = Vec::new();
            blobs.open(blob).unwrap().read_to_end(&mut bytes).unwrap();
            found.push((blob.digest().to_string(), bytes));
        }
        self.fake.with(|state| {
            state.bytes.extend(found);
            for (descriptor, bytes) in artifact.documents() {
                state.bytes.insert(descriptor.digest().to_string(), bytes.to_vec());
            }
            state.documents.insert(artifact.digest().to_string(), artifact.clone());
        });
        Ok(())
    }

    fn tag(&self, descriptor: &Descriptor, tag: &str) -> Result<(), TransportError> {
        self.write()?;
        self.fake.with(|state| state.tags.insert(tag.to_owned(), descriptor.clone()));
        Ok(())
    }

    fn forget(&self, tag: &str) {
        self.fake.with(|state| state.tags.remove(tag));
    }
}

/// An image of one layer, put there.
fn image(shelf: &dyn Shelf, name: &str) -> Artifact {
    let mut blobs = Memory::default();
    let mut blob = |text: &str| {
        let digest = blobs.put(text.as_bytes().to_vec());
        descriptor(MediaType::ImageLayer, &digest, text.len() as u64)
    };
    let manifest: ImageManifest = serde_json::from_value(serde_json::json!({
        "schemaVersion": 2, "config": blob("{}"), "layers": [blob(name)],
    }))
    .unwrap();
    let artifact = Artifact::Other(Document::write(manifest, MediaType::ImageManifest).unwrap());
    shelf.add(&artifact, &blobs).unwrap();
    shelf.tag(artifact.descriptor(), name).unwrap();
    artifact
}

fn environment() -> Environment {
    "prod".parse().unwrap()
}

fn entry(image: &Artifact, kind: Kind, time: u64) -> Entry {
    Entry {
        environment: environment().tag().into(),
        number: 0,
        kind,
        image: image.descriptor().clone(),
        previous: None,
        time,
        actor: "somebody".into(),
        reason: String::new(),
        tags: Vec::new(),
        source: None,
        revision: None,
        gates: Vec::new(),
        statements: Vec::new(),
    }
}

fn release(shelf: &dyn Shelf, name: &str, time: u64) -> Result<Appended, ReleaseError> {
    let image = image(shelf, name);
    Ledger::new(shelf, environment()).append(&entry(&image, Kind::Release, time), None)
}

/// The images of the moves, the first first.
fn history(chain: &Chain) -> Vec<u64> {
    chain.links.iter().rev().map(|link| link.entry.number).collect()
}

#[test]
fn entries_follow_each_other() {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    assert!(matches!(ledger.chain(), Err(ReleaseError::Empty(_))));
    for (time, name) in (1..).zip(["a", "b", "c"]) {
        let appended = release(&view, name, time).unwrap();
        assert_eq!((appended.link.entry.number, appended.overtaken), (time, false));
    }
    let (chain, problems) = ledger.verify().unwrap();
    assert_eq!((history(&chain), problems), (vec![1, 2, 3], vec![]));
    let tags = view.tags().unwrap();
    assert_eq!(tags.len(), 3 + 3 + 2, "images, entries, the environment and the head: {tags:?}");
    assert_eq!(chain.find("2").unwrap().entry.number, 2);
    assert_eq!(chain.find(&chain.links[0].entry.digest()[..20]).unwrap().entry.number, 3);
    assert!(chain.find("9").is_none() && chain.find("sha256:").is_none() && chain.find("").is_none());
}

#[test]
fn who_has_looked_before_is_told() {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let first = release(&view, "a", 1).unwrap().link.descriptor;
    release(&view, "b", 2).unwrap();
    let image = image(&view, "c");
    let ledger = Ledger::new(&view, environment());
    let error = ledger.append(&entry(&image, Kind::Rollback { to: 1 }, 3), Some(&first)).unwrap_err();
    assert!(matches!(error, ReleaseError::Overtaken { number: 2, .. }), "{error}");
}

#[test]
fn of_many_writers_none_is_lost() {
    for seed in 0..12 {
        let fake = Fake::default();
        let accepted = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for writer in 0..4 {
                let (fake, accepted) = (&fake, &accepted);
                scope.spawn(move || {
                    for number in 0..5 {
                        // Some of them die on the way: after a claim, after the number's tag, before the tags are moved.
                        let dies = if fastrand::u8(..) < 60 { fastrand::u32(4..9) } else { u32::MAX };
                        let view = fake.view(dies);
                        match release(&view, &format!("{seed}-{writer}-{number}"), 1) {
                            Ok(appended) => accepted.lock().unwrap().push(appended.link),
                            Err(error) => assert!(dies < u32::MAX, "{error}"),
                        }
                    }
                });
            }
        });
        let view = fake.view(u32::MAX);
        // Whoever comes last sets right what the dead have left.
        let last = release(&view, "last", 2).unwrap().link;
        let (chain, problems) = Ledger::new(&view, environment()).verify().unwrap();
        assert!(chain.broken.is_none(), "{:?}", chain.broken);
        for link in accepted.into_inner().unwrap() {
            assert!(chain.links.contains(&link), "{} was accepted and is lost", link.entry.number);
        }
        assert_eq!(chain.links[0], last);
        let is_fork = |problem: &Problem| matches!(problem, Problem::Fork { .. });
        assert!(problems.iter().all(is_fork), "{problems:?}");
        assert_eq!(view.resolve("prod").unwrap().unwrap().digest(), last.entry.image.digest());
    }
}

#[test]
fn what_was_done_to_a_chain_is_named() {
    let broken = |change: &dyn Fn(&mut State, &Link)| {
        let fake = Fake::default();
        let view = fake.view(u32::MAX);
        let links: Vec<Link> =
            ["a", "b", "c", "d"].map(|name| release(&view, name, 1).unwrap().link).into_iter().collect();
        change(&mut fake.0.lock().unwrap(), &links[1]);
        let (chain, problems) = Ledger::new(&view, environment()).verify().unwrap();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        (history(&chain), problems, links[1].descriptor.digest().to_string())
    };
    let (history, problems, digest) = broken(&|state, link| {
        state.bytes.remove(link.descriptor.digest().as_ref());
        state.documents.remove(link.descriptor.digest().as_ref());
    });
    assert_eq!(history, [3, 4]);
    assert!(problems[0].contains(&digest) && problems[0].contains("is missing"), "{problems:?}");
    let (_, problems, digest) = broken(&|state, link| {
        state.bytes.insert(link.descriptor.digest().to_string(), b"{}".to_vec());
    });
    assert!(problems[0].contains(&digest) && problems[0].contains("altered"), "{problems:?}");
    let (history, problems, _) = broken(&|state, link| {
        let image = link.entry.image.clone();
        state.tags.insert("lith-release-prod-000002".into(), image.clone());
        state.tags.insert("prod".into(), image);
    });
    assert_eq!((history, problems.len()), (vec![1, 2, 3, 4], 2), "{problems:?}");
    let (_, problems, _) = broken(&|state, _| {
        // The last entry is made forgotten, with its tag.
        state.tags.remove("lith-release-prod-000004");
    });
    assert!(problems.iter().any(|problem| problem.contains("lith-release-prod`")), "{problems:?}");
}

/// What is done to an entry.
type Change<'a> = dyn Fn(&mut State, &Link) + 'a;

/// Four releases, of which something is done to the one with this number; gives what a repair says, and the image of the
/// environment before.
fn damaged(number: usize, change: &Change<'_>) -> (Fake, Repair, Vec<Link>) {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let links: Vec<Link> =
        ["a", "b", "c", "d"].map(|name| release(&view, name, 1).unwrap().link).into_iter().collect();
    change(&mut fake.0.lock().unwrap(), &links[number - 1]);
    let repair = Ledger::new(&view, environment()).damage().unwrap().unwrap();
    (fake, repair, links)
}

fn delete(state: &mut State, link: &Link) {
    state.bytes.remove(link.descriptor.digest().as_ref());
    state.documents.remove(link.descriptor.digest().as_ref());
}

fn alter(state: &mut State, link: &Link) {
    state.bytes.insert(link.descriptor.digest().to_string(), b"{}".to_vec());
}

fn author() -> Author {
    Author { time: 9, actor: "ann".into(), reason: "the disk".into() }
}

#[test]
fn a_ledger_that_has_lost_its_head_goes_on() {
    for change in [delete as fn(&mut State, &Link), alter] {
        let (fake, repair, links) = damaged(4, &change);
        let view = fake.view(u32::MAX);
        let ledger = Ledger::new(&view, environment());
        assert!(release(&view, "e", 2).is_err() || !ledger.verify().unwrap().1.is_empty());
        let [one] = &repair.breaks[..] else { panic!("{repair:?}") };
        assert_eq!((&one.lost[..], one.resumes.as_ref()), (&[4][..], Some(&links[2].descriptor)));
        // Nothing that is left says that the environment has the fourth.
        assert!(repair.adopts && repair.image.digest() == links[3].entry.image.digest());
    }
}

#[test]
fn a_last_entry_that_took_its_tags_with_it_is_missed() {
    let (fake, _, links) = damaged(4, &|state: &mut State, link: &Link| {
        delete(state, link);
        state.tags.retain(|_, of| of.digest() != link.descriptor.digest());
    });
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    assert!(matches!(ledger.current(), Err(ReleaseError::Broken { .. })));
    assert!(matches!(release(&view, "e", 2), Err(ReleaseError::Broken { .. })));
    assert!(matches!(ledger.point(), Err(ReleaseError::Broken { .. })));
    let repair = ledger.damage().unwrap().unwrap();
    assert!(repair.adopts && repair.image.digest() == links[3].entry.image.digest(), "{repair:?}");
    ledger.repair(&repair, author()).unwrap();
    assert!(ledger.verify().unwrap().1.is_empty() && ledger.damage().unwrap().is_none());
    assert_eq!(ledger.current().unwrap().unwrap().entry.digest(), links[3].entry.digest());
    assert!(release(&view, "e", 2).is_ok());
}

#[test]
fn a_repair_changes_nothing_that_is_deployed_and_is_seen_for_ever() {
    let cases: [(usize, &Change<'_>); 6] =
        [(4, &delete), (4, &alter), (3, &delete), (3, &alter), (1, &delete), (2, &alter)];
    for (number, change) in cases {
        let (fake, repair, links) = damaged(number, change);
        let view = fake.view(u32::MAX);
        let ledger = Ledger::new(&view, environment());
        let before = view.resolve("prod").unwrap();
        let link = ledger.repair(&repair, author()).unwrap().link;
        assert_eq!((link.entry.number, &*link.entry.reason), (5, "the disk"));
        assert_eq!(view.resolve("prod").unwrap(), before, "{number}");
        assert!(ledger.damage().unwrap().is_none(), "{number}");
        let kept: Vec<u64> = (1..=4).filter(|own| *own != number as u64).collect();
        for later in 6..8 {
            let (chain, problems) = ledger.verify().unwrap();
            assert!(
                chain.broken.is_none() && problems.is_empty(),
                "{number}: {:?} {problems:?}",
                chain.broken
            );
            let left: Vec<u64> =
                chain.links.iter().rev().map(|link| link.entry.number).filter(|number| *number < 5).collect();
            assert_eq!(left, kept);
            let breaks: Vec<_> = chain.breaks().collect();
            assert_eq!((breaks.len(), breaks[0].0, &breaks[0].1.lost[..]), (1, 5, &[number as u64][..]));
            assert_eq!(release(&view, &format!("{number} {later}"), 3).unwrap().link.entry.number, later);
        }
        assert_eq!(ledger.chain().unwrap().get(5).unwrap().entry.moves(), number == 4);
        // The second that is lost beside the first.
        let other = if number == 2 { 3 } else { 2 };
        delete(&mut fake.0.lock().unwrap(), &links[other - 1]);
        assert!(!ledger.verify().unwrap().1.is_empty());
        let repair = ledger.damage().unwrap().unwrap();
        assert!(!repair.adopts);
        ledger.repair(&repair, author()).unwrap();
        let (chain, problems) = ledger.verify().unwrap();
        assert!(chain.broken.is_none() && problems.is_empty(), "{problems:?}");
        assert!(chain.breaks().flat_map(|(_, one)| one.lost.clone()).any(|lost| lost == other as u64));
    }
}

#[test]
fn tags_that_were_taken_away_or_moved_are_put_back() {
    for number in [2, 4] {
        let tag = environment().entry_tag(number as u64);
        let (fake, repair, links) = damaged(number, &|state, _| drop(state.tags.remove(&tag)));
        let view = fake.view(u32::MAX);
        let ledger = Ledger::new(&view, environment());
        assert_eq!((&repair.breaks[0].entry, &*repair.breaks[0].why), (&tag, "was missing"));
        ledger.repair(&repair, author()).unwrap();
        let (chain, problems) = ledger.verify().unwrap();
        assert!(problems.is_empty() && chain.breaks().count() == 1, "{problems:?}");
        assert_eq!(history(&chain), [1, 2, 3, 4, 5]);
        assert_eq!(view.resolve(&tag).unwrap().unwrap().digest(), links[number - 1].descriptor.digest());
    }
    let tag = environment().entry_tag(2);
    let (fake, repair, links) = damaged(1, &|state, link| {
        state.tags.insert(tag.clone(), link.entry.image.clone());
    });
    assert!(repair.breaks[0].why.contains(&links[0].entry.digest()), "{repair:?}");
    let view = fake.view(u32::MAX);
    Ledger::new(&view, environment()).repair(&repair, author()).unwrap();
    assert!(Ledger::new(&view, environment()).verify().unwrap().1.is_empty());
}

#[test]
fn who_repairs_what_goes_on_is_told() {
    let (fake, repair, _) = damaged(2, &delete);
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    release(&view, "e", 2).unwrap();
    let error = ledger.repair(&repair, author()).unwrap_err();
    assert!(matches!(error, ReleaseError::Overtaken { number: 5, .. }), "{error}");
    // What is whole needs none; and what is nowhere has none.
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    assert!(matches!(Ledger::new(&view, environment()).damage(), Err(ReleaseError::Empty(_))));
    release(&view, "a", 1).unwrap();
    assert!(Ledger::new(&view, environment()).damage().unwrap().is_none());
}

#[test]
fn breaks_that_lead_to_each_other_lead_nowhere() {
    let (fake, repair, links) = damaged(2, &delete);
    let view = fake.view(u32::MAX);
    let mut forged = repair.breaks[0].clone();
    forged.resumes = Some(links[1].descriptor.clone());
    let kind = Kind::Repair { breaks: vec![forged], adopts: false };
    let image = image(&view, "e");
    Ledger::new(&view, environment()).append(&entry(&image, kind, 2), None).unwrap();
    let chain = Ledger::new(&view, environment()).chain().unwrap();
    assert!(chain.broken.is_some(), "{chain:?}");
}

#[test]
fn going_back_leaves_out_what_is_bad() {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    for name in ["a", "b", "c", "d"] {
        release(&view, name, 1).unwrap();
    }
    let good = || {
        let chain = ledger.chain().unwrap();
        chain.good(&ledger).unwrap().links.iter().map(|link| link.entry.number).collect::<Vec<_>>()
    };
    assert_eq!(good(), [3, 2, 1]);
    let mark = |number, verdict| {
        let chain = ledger.chain().unwrap();
        let author = Author { time: 2, actor: "x".into(), reason: "y".into() };
        ledger.mark(chain.get(number).unwrap(), verdict, author).unwrap();
    };
    mark(3, Verdict::Bad);
    assert_eq!(good(), [2, 1]);
    assert_eq!(ledger.chain().unwrap().verdict(3), Some(Verdict::Bad));
    let image = view.image(&ledger.chain().unwrap().get(2).unwrap().entry.image).unwrap();
    ledger.append(&entry(&image, Kind::Rollback { to: 2 }, 3), None).unwrap();
    // What was gone back from is not gone back to.
    assert_eq!(good(), [1]);
    mark(4, Verdict::Good);
    assert_eq!(good(), [4, 1]);
    mark(3, Verdict::Good);
    assert_eq!(good(), [4, 3, 1]);
    let (chain, problems) = ledger.verify().unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(chain.current().unwrap().entry.kind, Kind::Rollback { to: 2 });
    let of = |number| Digest::try_from(chain.get(number).unwrap().entry.image.digest()).unwrap();
    assert_eq!(chain.since(&of(1)), Some(1));
    assert_eq!(chain.since(&Digest::of(b"none")), None);
}

#[test]
fn what_is_released_again_is_good_again() {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    release(&view, "a", 1).unwrap();
    release(&view, "b", 1).unwrap();
    let chain = || ledger.chain().unwrap();
    let image_of = |number| view.image(&chain().get(number).unwrap().entry.image).unwrap();
    let (a, b) = (image_of(1), image_of(2));
    let since = |image: &Artifact| chain().since(&image.digest());
    ledger.append(&entry(&a, Kind::Rollback { to: 1 }, 3), None).unwrap();
    assert_eq!((since(&a), since(&b)), (Some(1), None));
    ledger.append(&entry(&b, Kind::Release, 4), None).unwrap();
    assert_eq!((since(&a), since(&b)), (Some(1), Some(4)), "it soaks anew");
    let mark = |verdict| {
        let author = Author { time: 5, actor: "x".into(), reason: "y".into() };
        ledger.mark(chain().get(4).unwrap(), verdict, author).unwrap();
    };
    mark(Verdict::Bad);
    assert_eq!(since(&b), None);
    ledger.append(&entry(&a, Kind::Release, 6), None).unwrap();
    ledger.append(&entry(&b, Kind::Release, 7), None).unwrap();
    assert_eq!(since(&b), None, "what was said of it stands");
    mark(Verdict::Good);
    assert_eq!(since(&b), Some(1));
}

#[test]
fn an_image_without_one_of_its_blobs_is_not_whole() {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let image = image(&view, "a");
    assert!(whole(&view, image.descriptor()).is_ok());
    let layer = Digest::of(b"a").to_string();
    fake.0.lock().unwrap().bytes.remove(&layer);
    let error = whole(&view, image.descriptor()).unwrap_err();
    assert!(error.to_string().contains(&layer), "{error}");
}

#[test]
fn an_environment_that_the_policy_does_not_know_is_told() {
    let policy = Policy::parse("[environment.prod]\nafter = \"staging\"\n[environment.test]\n").unwrap();
    let gates = |name: &str| policy.rules(&name.parse().unwrap()).map(|rules| rules.gates());
    assert_eq!(gates("prod"), Some(vec!["after"]));
    assert_eq!((gates("staging"), gates("test")), (Some(vec![]), Some(vec![])));
    assert_eq!(gates("production"), None);
}

#[test]
fn each_gate_says_what_would_open_it() {
    let policy = "[environment.prod]\nhermetic = true\nverified = true\nrebuilt = true\nsources = [\"https://git.example/team/app\"]\n\
                  clean = true\nafter = \"staging\"\nsoak = \"2h\"\n";
    let rules = Policy::parse(policy).unwrap().rules(&environment()).unwrap();
    let shut =
        |facts: &Facts, now| rules.judge(facts, now).iter().map(|refusal| refusal.gate).collect::<Vec<_>>();
    assert_eq!(shut(&Facts::default(), 0), ["hermetic", "verified", "rebuilt", "sources", "clean", "after"]);
    let open = Facts {
        source: Some("git+https://git.example/team/app.git".into()),
        revision: Some("0123456789abcdef0123456789abcdef01234567".into()),
        evidence: Evidence {
            hermetic: Some(true),
            verified: Some(true),
            rebuilt: Some(true),
            ..Evidence::default()
        },
        since: Some(1000),
    };
    assert_eq!(shut(&open, 1000 + 7199), ["soak"]);
    assert_eq!(shut(&open, 1000 + 7200), [""; 0]);
    let refusal = &rules.judge(&open, 1000 + 3600)[0];
    assert_eq!(
        (refusal.why.as_str(), refusal.wants.as_str()),
        ("`staging` has had it for 60 min", "wait 60 min")
    );
    // A clock that went back.
    assert_eq!(shut(&open, 0), ["soak"]);
    let dirty = Facts { revision: Some("0123456789abcdef0123456789abcdef01234567-dirty".into()), ..open };
    assert_eq!(shut(&dirty, 9000), ["clean"]);
    for (text, line) in [("[environment.prod]\nhermetik = true\n", 2), ("[env.prod]\n", 1), ("x", 1)] {
        assert!(
            matches!(Policy::parse(text), Err(PolicyError::Toml { line: found, .. }) if found == line),
            "{text}"
        );
    }
    for text in ["soak = \"1h\"", "after = \"prod\"", "after = \"a b\"", "after = \"x\"\nsoak = \"1 day\""] {
        let parsed = Policy::parse(&format!("[environment.prod]\n{text}\n"));
        assert!(matches!(parsed, Err(PolicyError::Rules { .. })), "{text}");
    }
    assert!(Policy::parse("[environment.Prod]\n").is_err());
}
