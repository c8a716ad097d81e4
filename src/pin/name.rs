//! A reference as it is typed: its name, tag and digest are kept in the words that are there.

use crate::oci::{Digest, ParseReferenceError, Reference};

/// `name[:tag][@digest]`, in the words of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Without the digest, and with the tag that is meant where neither is said.
    pub tagged: String,
    /// What a tag can be asked for with: none where there is but a digest.
    pub reference: Option<Reference>,
    pub digest: Option<Digest>,
}

impl Named {
    pub fn parse(text: &str) -> Result<Self, ParseReferenceError> {
        let whole: Reference = text.parse()?;
        let name = text.split('@').next().unwrap_or(text);
        let has_tag = name.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'));
        let tagged =
            if has_tag || whole.digest().is_some() { name.to_owned() } else { format!("{name}:latest") };
        let reference = if whole.tag().is_some() { Some(tagged.parse()?) } else { None };
        Ok(Self { tagged, reference, digest: whole.digest().cloned() })
    }

    /// Of parts that stand apart: `repository` may have neither tag nor digest.
    pub(super) fn of_parts(
        repository: &str,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Self, String> {
        let alone: Reference = repository.parse().map_err(|error: ParseReferenceError| error.to_string())?;
        let last = repository.rsplit('/').next().unwrap_or(repository);
        if alone.digest().is_some() || last.contains(':') {
            return Err(format!("the repository `{repository}` has a tag or a digest of its own"));
        }
        let mut text = repository.to_owned();
        for (sign, part) in [(':', tag), ('@', digest)] {
            if let Some(part) = part {
                text = format!("{text}{sign}{part}");
            }
        }
        Self::parse(&text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_stay_as_they_are() {
        let digest = Digest::of(b"");
        for (text, tagged, reference) in [
            ("nginx".to_owned(), "nginx:latest", Some("docker.io/library/nginx:latest")),
            ("docker.io/nginx:1".into(), "docker.io/nginx:1", Some("docker.io/library/nginx:1")),
            ("localhost:5000/a".into(), "localhost:5000/a:latest", Some("localhost:5000/a:latest")),
            (format!("a:1@{digest}"), "a:1", Some("docker.io/library/a:1")),
            (format!("a@{digest}"), "a", None),
        ] {
            let named = Named::parse(&text).unwrap();
            assert_eq!(named.tagged, tagged);
            assert_eq!(named.reference.map(|name| name.to_string()).as_deref(), reference);
            assert_eq!(named.digest.is_some(), text.contains('@'));
        }
        assert!(Named::of_parts("a:1", Some("2"), None).is_err());
        assert!(Named::of_parts("https://charts.example", Some("2"), None).is_err());
    }
}
