//! What is kept of builds, and what becomes of records that lith did not write.

use super::*;
use crate::oci::Digest;
use crate::store::Store;

fn kept(number: u32) -> Kept {
    let step = StepTrace {
        number: 1,
        line: 2,
        text: format!("RUN {number}"),
        expanded: format!("RUN {number}"),
        key: Some(number.to_string()),
        layer: None,
        parts: [(crate::exec::Part::Command, number.to_string())].into(),
        files: Vec::new(),
    };
    let stage = StageTrace { name: "0".into(), base: BaseTrace::Scratch, steps: vec![step] };
    let image = Digest::of(&number.to_le_bytes());
    let trace = Trace { asked: Asked::default(), artifact: image.clone(), image, stages: vec![stage] };
    let (file, platform) = ("Buildfile".to_owned(), "linux/amd64".to_owned());
    let (causes, told) = (Vec::new(), Vec::new());
    Kept { file, target: None, platform, trace, compared: false, causes, told, again: false }
}

fn identity(file: &str) -> Identity {
    Identity { context: "/".into(), file: file.into(), target: None, platform: "linux/amd64".into() }
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

#[test]
fn the_last_builds_are_kept_and_an_unchanged_one_is_none() {
    let (_dir, store) = store();
    let id = identity("a");
    for number in 0..20 {
        keep::save(&store, &id, keep::load(&store, &id), kept(number)).unwrap();
        keep::save(&store, &id, keep::load(&store, &id), kept(number)).unwrap();
    }
    let found = keep::load(&store, &id);
    assert_eq!(found.len(), 8);
    assert!(found[0].again && found[0].trace == kept(19).trace && found[7].trace == kept(12).trace);
    assert!(find(&store, &kept(15).trace.image).unwrap().is_some());
    assert!(find(&store, &kept(3).trace.image).unwrap().is_none());
}

#[test]
fn another_program_text_is_told_and_a_chain_of_bases_may_be_a_ring() {
    let (_dir, store) = store();
    let (was, mut is) = (kept(1).trace, kept(2).trace);
    let (_, told) = between(&store, &was, &is);
    assert!(
        matches!(&told[0].causes[..], [Cause::Part { part: crate::exec::Part::Command, .. }]),
        "{told:?}"
    );
    is.stages[0].base = BaseTrace::Stage("0".into());
    is.stages[0].steps[0].parts.insert(crate::exec::Part::Below, "x".into());
    let (_, told) = between(&store, &was, &is);
    assert!(told[0].causes.iter().any(|cause| matches!(cause, Cause::Base { .. })), "{told:?}");
}

#[test]
fn no_secret_is_in_what_is_known_of_a_step() {
    use crate::exec::{How, Known, Part, StepName};
    let url = "https://h/?t=hunter2".to_owned();
    let parts = [Part::Url(url.clone()), Part::Git(url.clone()), Part::Answer(url.clone()), Part::Command];
    let parts: Vec<_> = parts.into_iter().map(|part| (part, url.clone())).collect();
    let step = StepName { stage: "0", number: 1, of: 1, text: &url };
    let how = How::Cached;
    let known =
        Known { step, line: 1, expanded: &url, how, key: None, layer: None, parts: &parts, files: &[] };
    let trace = format!("{:?}", StepTrace::of(&known, &["hunter2".to_owned()]));
    assert!(!trace.contains("hunter2") && trace.matches("t=***").count() == 9, "{trace}");
}

#[test]
fn an_answer_is_told_by_its_digest_or_its_headers() {
    let (was, is) = ("sha256:1 aa".to_owned(), "sha256:2 bb".to_owned());
    let told = |was: Option<&str>, is: Option<&str>| {
        let part = crate::exec::Part::Answer("https://h/a".into());
        Cause::Part { part, was: was.map(Into::into), is: is.map(Into::into) }.to_string()
    };
    let answer = "the recorded answer to `https://h/a`";
    assert_eq!(told(Some(&was), Some(&is)), format!("{answer} was `sha256:1`, and is `sha256:2`"));
    assert_eq!(told(None, Some(&is)), format!("{answer} is new: `sha256:2`"));
    assert_eq!(told(Some(&was), Some("sha256:1 cc")), format!("the headers of {} changed", &answer));
}

#[test]
fn hostile_traces_are_none() {
    let (_dir, store) = store();
    let id = identity("a");
    keep::save(&store, &id, Vec::new(), kept(1)).unwrap();
    let whole = postcard::to_stdvec(&(0x6c77_0002_u32, vec![kept(1)])).unwrap();
    let name = &id.name();
    // Each with a right hash, so that nothing but their reading is in their way.
    for end in 0..whole.len() {
        store.keep_build_record(name, "/".as_ref(), &Raw(&whole[..end])).unwrap();
        assert!(keep::load(&store, &id).is_empty());
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] = 0xff;
        store.keep_build_record(name, "/".as_ref(), &Raw(&bytes)).unwrap();
        let _any = keep::load(&store, &id);
    }
    keep::save(&store, &id, keep::load(&store, &id), kept(2)).unwrap();
    assert_eq!(last(&store, None).unwrap().unwrap().trace, kept(2).trace);
}

/// Bytes as they are.
struct Raw<'a>(&'a [u8]);

impl serde::Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple as _;
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}
