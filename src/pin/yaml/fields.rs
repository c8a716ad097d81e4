//! Which fields name images, as a user says it.

use std::str::FromStr;

/// The way to a field: keys with dots between them, `*` for any one key or place in a list, `**` for any number of
/// them. It may begin anywhere in the document, unless it begins with a dot: then at its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FromStr for FieldPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, mut parts) = match text.strip_prefix('.') {
            Some(rest) => (rest, Vec::new()),
            None => (text, vec!["**".to_owned()]),
        };
        parts.extend(text.split('.').map(str::to_owned));
        if parts.iter().any(String::is_empty) {
            return Err("expected keys with dots between them, like `spec.sidecarImage`");
        }
        Ok(Self(parts))
    }
}

impl FieldPath {
    pub(super) fn matches(&self, field: &[String]) -> bool {
        // Which of the pattern's beginnings fit what has been seen of the field.
        let mut fits = vec![false; self.0.len() + 1];
        fits[0] = true;
        self.skip(&mut fits);
        for key in field {
            let mut next = vec![false; fits.len()];
            for (at, part) in self.0.iter().enumerate().filter(|(at, _)| fits[*at]) {
                match part.as_str() {
                    "**" => next[at] = true,
                    "*" => next[at + 1] = true,
                    _ => next[at + 1] |= part == key,
                }
            }
            self.skip(&mut next);
            fits = next;
        }
        fits[self.0.len()]
    }

    /// `**` may also stand for nothing.
    fn skip(&self, fits: &mut [bool]) {
        for (at, part) in self.0.iter().enumerate() {
            if part == "**" && fits[at] {
                fits[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_matched_by_their_keys() {
        let matches = |pattern: &str, field: &str| {
            let field: Vec<String> = field.split('.').map(Into::into).collect();
            pattern.parse::<FieldPath>().unwrap().matches(&field)
        };
        for (pattern, field) in [
            ("initImage", "spec.initImage"),
            ("initImage", "initImage"),
            ("spec.*.img", "a.spec.0.img"),
            (".spec.**.img", "spec.a.b.img"),
            (".spec.**.img", "spec.img"),
            ("**", "a"),
        ] {
            assert!(matches(pattern, field), "{pattern} {field}");
        }
        for (pattern, field) in [("initImage", "initImage.x"), (".spec.img", "a.spec.img"), ("a.*.b", "a.b")]
        {
            assert!(!matches(pattern, field), "{pattern} {field}");
        }
        for text in ["", ".", "a..b", "a."] {
            assert!(text.parse::<FieldPath>().is_err(), "{text}");
        }
    }
}
