//! What statements say of an image: the record of its build, and the verdict of who built it again. Nobody has signed
//! them: whoever gives them stands for them.

use super::Shelf;
use crate::attest::Resource;
use crate::attest::provenance::{self, Record, RecordError, SourceRef};
use crate::attest::summary::{self, Summary};
use crate::oci::{Digest, ImageManifest};
use crate::text::shown;

/// A statement about images.
#[derive(Debug, Clone, PartialEq)]
pub struct Testimony {
    subject: Vec<Resource>,
    /// Of its bytes.
    digest: Digest,
    said: Said,
}

#[derive(Debug, Clone, PartialEq)]
enum Said {
    Record(Box<Record>),
    Verdict(Box<Summary>),
}

/// Why statements can't be believed together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    #[error("a verdict is on the record `{verdict}`, which is not among those that are given")]
    OtherRecord { verdict: String },
    #[error("`{digest}` is no statement that is attached to the image: {why}")]
    NotAttached { digest: Digest, why: String },
}

/// What is said of an image's digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether no step of its build had a network.
    pub hermetic: Option<bool>,
    /// Whether building it again gave it.
    pub verified: Option<bool>,
    /// Why not.
    pub reason: Option<String>,
    /// Whether lith itself has just built it again from the records, and got it.
    pub rebuilt: Option<bool>,
    /// The revisions that it was built from.
    pub sources: Vec<SourceRef>,
    /// The digests of the statements.
    pub statements: Vec<Digest>,
}

impl Testimony {
    /// Reads what `lith build --record` or `lith verify --format json` has written.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        let value: serde_json::Value = serde_json::from_slice(text)?;
        let digest = Digest::of(text);
        if value["predicateType"].as_str() == Some(summary::PREDICATE) {
            let statement = summary::parse(value)?;
            let said = Said::Verdict(Box::new(statement.predicate));
            return Ok(Self { subject: statement.subject, digest, said });
        }
        let record = provenance::parse(text)?;
        Ok(Self { subject: record.subject.clone(), digest, said: Said::Record(Box::new(record)) })
    }

    /// Of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The record of a build, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match &self.said {
            Said::Record(record) => Some(record),
            Said::Verdict(_) => None,
        }
    }

    /// Whether it is about that image, and no other.
    pub fn is_of(&self, image: &Digest) -> bool {
        !self.subject.is_empty() && self.subject.iter().all(|subject| subject.is(image))
    }
}

/// The statement that an artifact of the image's own repository holds, whose subject the image has to be.
pub fn attached(shelf: &dyn Shelf, artifact: &Digest, image: &Digest) -> Result<Vec<u8>, EvidenceError> {
    let not = |why: String| EvidenceError::NotAttached { digest: artifact.clone(), why };
    let root = shelf.resolve(&artifact.to_string()).map_err(|error| not(shown(&error)))?;
    let root = root.ok_or_else(|| not(format!("{} has it not", shelf.name())))?;
    let bytes = shelf.bytes(&root).map_err(|error| not(shown(&error)))?;
    let manifest: ImageManifest = serde_json::from_slice(&bytes).map_err(|error| not(shown(&error)))?;
    let subject = manifest.subject().as_ref().map(|subject| subject.digest().to_string());
    if subject.as_ref() != Some(&image.to_string()) {
        let found = subject.map_or_else(|| "nothing".to_owned(), |subject| format!("`{}`", shown(&subject)));
        return Err(not(format!("its subject is {found}")));
    }
    let [layer] = &manifest.layers()[..] else { return Err(not("it has not one layer".into())) };
    shelf.bytes(layer).map_err(|error| not(shown(&error)))
}

impl Evidence {
    /// What statements about one image say together. One that denies counts more than others that don't.
    pub fn of(statements: &[Testimony]) -> Result<Self, EvidenceError> {
        let mut evidence = Self::default();
        let also = |before: Option<bool>, now: bool| Some(before.unwrap_or(true) && now);
        for statement in statements {
            evidence.statements.push(statement.digest.clone());
            match &statement.said {
                Said::Record(record) => {
                    let definition = &record.predicate.build_definition;
                    evidence.hermetic = also(evidence.hermetic, definition.internal_parameters.hermetic);
                    evidence.sources.extend(definition.external_parameters.source.clone());
                }
                Said::Verdict(verdict) => {
                    is_on_one_of(verdict, statements)?;
                    evidence.verified = also(evidence.verified, verdict.passed());
                    evidence.reason = evidence.reason.or_else(|| verdict.lith_reasons.first().cloned());
                }
            }
        }
        Ok(evidence)
    }

    /// What building it again right now has given; why it isn't the image, otherwise. That counts more than what is said.
    pub fn rebuild(&mut self, reasons: &[String]) {
        let passed = reasons.is_empty();
        self.rebuilt = Some(passed);
        self.verified = Some(passed && self.verified.unwrap_or(true));
        if let (false, Some(reason)) = (passed, reasons.first()) {
            self.reason = Some(reason.clone());
        }
    }
}

/// Where records are given, what was verified has to be what they say.
fn is_on_one_of(verdict: &Summary, statements: &[Testimony]) -> Result<(), EvidenceError> {
    let mut records = statements.iter().filter(|one| matches!(one.said, Said::Record(_))).peekable();
    let is_it = |record: &Testimony| verdict.input_attestations.iter().any(|input| input.is(&record.digest));
    if records.peek().is_none() || records.any(is_it) {
        return Ok(());
    }
    let inputs = verdict.input_attestations.iter().flat_map(|input| &input.digest);
    let named = inputs.map(|(algorithm, hex)| crate::text::shown(&format!("{algorithm}:{hex}")));
    Err(EvidenceError::OtherRecord { verdict: named.collect::<Vec<_>>().join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attest::Statement;
    use crate::oci::canonical;

    fn verdict(edit: impl FnOnce(&mut Statement<Summary>)) -> Testimony {
        let mut said = summary::summary("app", &Digest::of(b"image"), &Digest::of(b"record"), &[]);
        edit(&mut said);
        Testimony::parse(&canonical::to_vec(&said).unwrap()).unwrap()
    }

    #[test]
    fn a_verdict_has_to_say_it_in_each_way() {
        let passed = |one: Testimony| Evidence::of(&[one]).unwrap().verified;
        assert_eq!(passed(verdict(|_| ())), Some(true));
        assert_eq!(passed(verdict(|said| said.predicate.verification_result = "FAILED".into())), Some(false));
        assert_eq!(passed(verdict(|said| said.predicate.verified_levels.clear())), Some(false));
        assert_eq!(passed(verdict(|said| said.predicate.lith_reasons.push("a reason".into()))), Some(false));
        let both = [verdict(|_| ()), verdict(|said| said.predicate.lith_reasons.push("no".into()))];
        let evidence = Evidence::of(&both).unwrap();
        assert_eq!((evidence.verified, evidence.reason.as_deref()), (Some(false), Some("no")));
        assert_eq!(Evidence::of(&[]).unwrap(), Evidence::default());
    }

    #[test]
    fn a_statement_about_several_images_is_about_none() {
        let image = Digest::of(b"image");
        assert!(verdict(|_| ()).is_of(&image));
        assert!(
            !verdict(|said| said.subject.push(Resource::new("other", &Digest::of(b"other")))).is_of(&image)
        );
        assert!(!verdict(|said| said.subject.clear()).is_of(&image));
        assert!(!verdict(|said| said.subject[0].digest.clear()).is_of(&image));
    }

    #[test]
    fn what_is_no_statement_is_an_error() {
        let kind = summary::PREDICATE;
        for text in
            ["", "[]", "null", "{}", "{\"predicateType\":7}", &format!("{{\"predicateType\":\"{kind}\"}}")]
        {
            assert!(Testimony::parse(text.as_bytes()).is_err(), "{text}");
        }
        let mut said = summary::summary("app", &Digest::of(b"image"), &Digest::of(b"record"), &[]);
        said.predicate.verification_result = "PERHAPS".into();
        assert!(Testimony::parse(&canonical::to_vec(&said).unwrap()).is_err());
    }
}
