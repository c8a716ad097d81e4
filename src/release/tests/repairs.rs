//! Repairs that say too much, and registries that fail.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::transport::registry::{Complaint, RegistryError};

/// A registry that fails where it is told to.
struct Failing<'a, F> {
    view: View<'a>,
    fails: F,
}

impl<F> fmt::Debug for Failing<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view.fmt(f)
    }
}

impl<F: Fn(&Descriptor) -> bool + Sync> Failing<'_, F> {
    fn ask(&self, descriptor: &Descriptor) -> Result<(), RegistryError> {
        if !(self.fails)(descriptor) {
            return Ok(());
        }
        let complaint = Complaint::bare(500);
        Err(RegistryError::Status { doing: "asking".into(), host: "fake".into(), complaint })
    }
}

impl<F: Fn(&Descriptor) -> bool + Sync> Shelf for Failing<'_, F> {
    fn name(&self) -> String {
        self.view.name()
    }

    fn tags(&self) -> Result<Vec<String>, TransportError> {
        self.view.tags()
    }

    fn resolve(&self, name: &str) -> Result<Option<Descriptor>, TransportError> {
        let found = self.view.resolve(name)?;
        found.iter().try_for_each(|found| self.ask(found))?;
        Ok(found)
    }

    fn bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        self.ask(descriptor).map_err(io::Error::other)?;
        self.view.bytes(descriptor)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        self.view.has(blob)
    }

    fn image(&self, root: &Descriptor) -> Result<Artifact, TransportError> {
        self.view.image(root)
    }

    fn add(&self, artifact: &Artifact, blobs: &Memory) -> Result<(), TransportError> {
        self.view.add(artifact, blobs)
    }

    fn tag(&self, descriptor: &Descriptor, tag: &str) -> Result<(), TransportError> {
        self.view.tag(descriptor, tag)
    }

    fn forget(&self, tag: &str) {
        self.view.forget(tag);
    }
}

/// So many releases.
fn released(number: usize) -> (Fake, Vec<Link>) {
    let fake = Fake::default();
    let view = fake.view(u32::MAX);
    let links =
        (1..=number).map(|number| release(&view, &format!("image{number}"), 1).unwrap().link).collect();
    (fake, links)
}

/// Deletes an entry; gives what brings it back.
fn lose(fake: &Fake, link: &Link) -> impl FnOnce(&Fake) {
    let digest = link.descriptor.digest().to_string();
    let mut state = fake.0.lock().unwrap();
    let (bytes, document) = (state.bytes.remove(&digest).unwrap(), state.documents.remove(&digest).unwrap());
    move |fake| {
        let mut state = fake.0.lock().unwrap();
        state.bytes.insert(digest.clone(), bytes);
        state.documents.insert(digest, document);
    }
}

fn problems(ledger: &Ledger<'_>) -> Vec<String> {
    ledger.verify().unwrap().1.iter().map(ToString::to_string).collect()
}

/// Repairs what there is to repair; gives the numbers that are in the chain then.
fn mended(ledger: &Ledger<'_>) -> Vec<u64> {
    let repair = ledger.damage().unwrap().expect("there is something to repair");
    ledger.repair(&repair, author()).unwrap();
    assert!(ledger.damage().unwrap().is_none(), "{:?}", ledger.damage());
    assert_eq!(problems(ledger), [""; 0]);
    history(&ledger.chain().unwrap())
}

#[test]
fn a_repair_hides_nothing_that_is_still_there() {
    // The forged one goes on behind an entry that is lost, or says by itself where it goes on.
    for is_at_end in [false, true] {
        let (fake, links) = released(5);
        let view = fake.view(u32::MAX);
        let ledger = Ledger::new(&view, environment());
        let forged = Break {
            entry: links[4].descriptor.digest().to_string(),
            why: "is missing".into(),
            lost: vec![5, 4, 3],
            resumes: Some(links[1].descriptor.clone()),
        };
        let kind = Kind::Repair { breaks: vec![forged], adopts: true };
        let image = view.image(&links[4].entry.image).unwrap();
        let repair = entry(&image, kind, 2);
        if is_at_end {
            drop(lose(&fake, &links[4]));
            let last = Some(&links[1].descriptor);
            ledger.append_after(&repair, crate::release::append::After::Damage { head: 5, last }).unwrap();
        } else {
            ledger.append(&repair, None).unwrap();
            drop(lose(&fake, &links[4]));
        }
        assert_eq!(history(&ledger.chain().unwrap()), [1, 2, 6]);
        let found = problems(&ledger);
        assert_eq!(found.len(), 2, "{found:?}");
        for (problem, link) in found.iter().zip(&links[2..4]) {
            let digest = link.descriptor.digest().to_string();
            assert!(problem.contains("beside the chain") && problem.contains(&digest), "{problem}");
        }
        assert_eq!(mended(&ledger), [1, 2, 3, 4, 6, 7], "{is_at_end}");
        let chain = ledger.chain().unwrap();
        assert_eq!(chain.breaks().next().unwrap().1.lost, [5]);
        assert_eq!(chain.current().unwrap().entry.number, 6);
        release(&view, "later", 3).unwrap();
        assert_eq!(history(&ledger.chain().unwrap()), [1, 2, 3, 4, 6, 7, 8]);
    }
}

#[test]
fn what_a_backup_brings_back_is_in_the_chain_again() {
    // What is lost, and what of it is brought back.
    let cases: [(&[usize], &[usize]); 8] = [
        (&[5], &[5]),
        (&[4, 5], &[4]),
        (&[4, 5], &[5]),
        (&[3, 4, 5], &[4]),
        (&[1, 2, 3, 4, 5], &[2, 4]),
        (&[2, 3], &[2]),
        (&[1, 2, 3], &[1]),
        (&[2, 4], &[2, 4]),
    ];
    for (lost, back) in cases {
        let (fake, links) = released(5);
        let view = fake.view(u32::MAX);
        let ledger = Ledger::new(&view, environment());
        let mut backups: BTreeMap<usize, _> =
            lost.iter().map(|number| (*number, lose(&fake, &links[number - 1]))).collect();
        let left = mended(&ledger);
        let before = view.resolve("prod").unwrap();
        back.iter().for_each(|number| backups.remove(number).unwrap()(&fake));
        let mut expected: Vec<u64> = back.iter().map(|number| *number as u64).chain(left).collect();
        expected.sort_unstable();
        if problems(&ledger).is_empty() {
            // Something leads there still.
            assert_eq!((lost, ledger.damage().unwrap().is_none()), (&[2, 4][..], true));
        } else {
            expected.push(7);
            assert_eq!(mended(&ledger), expected, "{lost:?} {back:?}");
        }
        assert_eq!(history(&ledger.chain().unwrap()), expected, "{lost:?} {back:?}");
        assert_eq!(view.resolve("prod").unwrap(), before);
        release(&view, "later", 3).unwrap();
        assert_eq!(problems(&ledger), [""; 0]);
    }
}

#[test]
fn a_detour_has_to_lead_back_to_the_chain() {
    let (fake, links) = released(4);
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    drop(lose(&fake, &links[3]));
    assert_eq!(mended(&ledger), [1, 2, 3, 5]);
    let name = ledger.chain().unwrap().breaks().next().unwrap().1.entry.clone();
    let forged = Break {
        entry: name,
        why: "is missing".into(),
        lost: vec![4, 3, 2],
        resumes: Some(links[0].descriptor.clone()),
    };
    let image = view.image(&links[3].entry.image).unwrap();
    ledger.append(&entry(&image, Kind::Repair { breaks: vec![forged], adopts: false }, 2), None).unwrap();
    assert_eq!(history(&ledger.chain().unwrap()), [1, 2, 3, 5, 6]);
}

#[test]
fn only_a_whole_image_is_adopted_and_it_has_passed_no_gate() {
    let (fake, links) = released(3);
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    drop(lose(&fake, &links[2]));
    let image = view.image(&links[2].entry.image).unwrap();
    let blob = image.contents()[1].digest().to_string();
    let bytes = fake.0.lock().unwrap().bytes.remove(&blob).unwrap();
    let error = ledger.damage().unwrap_err();
    assert!(matches!(&error, ReleaseError::Whole(_)) && error.to_string().contains(&blob), "{error}");
    fake.0.lock().unwrap().bytes.insert(blob, bytes);
    mended(&ledger);
    let chain = ledger.chain().unwrap();
    assert_eq!(chain.current().unwrap().entry.digest(), image.digest().to_string());
    assert_eq!(chain.since(&image.digest()), None);
    let author = Author { time: 2, actor: "x".into(), reason: "y".into() };
    ledger.mark(chain.current().unwrap(), Verdict::Good, author).unwrap();
    assert_eq!(ledger.chain().unwrap().since(&image.digest()), None);
    // It can be gone back to, and counts as soon as it is released.
    release(&view, "later", 3).unwrap();
    let chain = ledger.chain().unwrap();
    assert_eq!(chain.good(&ledger).unwrap().links[0].entry.number, 4);
    ledger.append(&entry(&image, Kind::Release, 7), None).unwrap();
    assert_eq!(ledger.chain().unwrap().since(&image.digest()), Some(7));
}

#[test]
fn who_is_overtaken_has_moved_no_tags() {
    let (fake, links) = released(4);
    let view = fake.view(u32::MAX);
    let ledger = Ledger::new(&view, environment());
    let tag = environment().entry_tag(2);
    let other = links[0].descriptor.clone();
    fake.0.lock().unwrap().tags.insert(tag.clone(), other.clone());
    let repair = ledger.damage().unwrap().unwrap();
    release(&view, "meanwhile", 2).unwrap();
    let error = ledger.repair(&repair, author()).unwrap_err();
    assert!(matches!(error, ReleaseError::Overtaken { number: 5, .. }), "{error}");
    assert_eq!(view.resolve(&tag).unwrap().unwrap().digest(), other.digest());
    mended(&ledger);
    assert_eq!(view.resolve(&tag).unwrap().unwrap().digest(), links[1].descriptor.digest());
}

#[test]
fn a_registry_that_fails_now_and_then_is_not_asked_for_ever() {
    let (fake, links) = released(4);
    for (length, pattern) in (2..5).flat_map(|length| (0..1 << length).map(move |pattern| (length, pattern)))
    {
        let (sick, asked) = (links[2].descriptor.digest().clone(), AtomicUsize::new(0));
        let fails = |of: &Descriptor| {
            *of.digest() == sick && {
                let turn = asked.fetch_add(1, Ordering::Relaxed);
                assert!(turn < 40, "{length} {pattern:b}");
                pattern >> (turn % length) & 1 == 1
            }
        };
        let shelf = Failing { view: fake.view(u32::MAX), fails };
        let repair = Ledger::new(&shelf, environment()).damage().unwrap();
        assert!(repair.is_none_or(|repair| repair.breaks.len() <= 3), "{length} {pattern:b}");
    }
}

#[test]
fn an_outage_is_no_loss() {
    let (fake, links) = released(4);
    // All fail.
    let shelf = Failing { view: fake.view(u32::MAX), fails: |_: &Descriptor| true };
    let ledger = Ledger::new(&shelf, environment());
    assert!(matches!(ledger.damage(), Err(ReleaseError::Transport(_))));
    assert!(matches!(ledger.verify(), Err(ReleaseError::Transport(_))));
    // All fail after a while.
    let asked = AtomicUsize::new(0);
    let fails = |_: &Descriptor| asked.fetch_add(1, Ordering::Relaxed) > 3;
    let shelf = Failing { view: fake.view(u32::MAX), fails };
    let found = Ledger::new(&shelf, environment()).damage();
    assert!(matches!(found, Err(ReleaseError::Unread { .. } | ReleaseError::Transport(_))), "{found:?}");
    // One fails, each time that it is asked for.
    let fails = |of: &Descriptor| of.digest() == links[1].descriptor.digest();
    let shelf = Failing { view: fake.view(u32::MAX), fails };
    let repair = Ledger::new(&shelf, environment()).damage().unwrap().unwrap();
    assert_eq!(repair.breaks[0].lost, [2]);
}
