//! `VOLUME`: folders that a container keeps outside its image.

use super::{Request, Syntax};
use crate::buildfile::{
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::Word,
};

/// `VOLUME path…`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// At least one, trimmed, none of them empty. Expanded.
    pub volumes: Vec<Word>,
}

impl Syntax for Volume {
    const KEYWORD: &'static str = "VOLUME";
    const HELP: &'static str = "VOLUME path…   or   VOLUME [\"path\", …]";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let words = request.list()?;
        let words = request.at_least_one(words, Self::KEYWORD)?;
        request.flags(&[])?;
        let mut volumes = Vec::new();
        for word in words {
            let path = word.text.trim();
            if path.is_empty() {
                let message = "VOLUME specified can not be an empty string";
                return request.fail(Diagnostic::error("arguments", word.span, message));
            }
            let start = word.text.len() - word.text.trim_start().len();
            volumes.push(Word::new(path, word.place(start..start + path.len())));
        }
        Some(Self { volumes })
    }
}

impl Volume {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let mut volumes = Vec::new();
        for word in &self.volumes {
            let volume = cx.expand(word)?;
            if volume.is_empty() {
                let message = "VOLUME specified can not be an empty string";
                return Err(Diagnostic::error("arguments", word.span, message));
            }
            volumes.push(volume);
        }
        cx.commit(format!("VOLUME {}", lower::list(&volumes)), None);
        cx.config.config.volumes.extend(volumes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn both_forms() {
        let texts =
            |line: &str| parsed::<Volume>(line).volumes.into_iter().map(|word| word.text).collect::<Vec<_>>();
        assert_eq!(texts("VOLUME /a $b"), ["/a", "$b"]);
        assert_eq!(texts(r#"VOLUME [" /a b ", "/c"]"#), ["/a b", "/c"]);
        assert_eq!(texts("VOLUME ['/a']"), ["['/a']"]);
    }

    #[test]
    fn errors_of_volume() {
        assert_eq!(errors("VOLUME"), ["VOLUME requires at least one argument"]);
        assert_eq!(errors("VOLUME []"), ["VOLUME requires at least one argument"]);
        assert_eq!(errors(r#"VOLUME ["/a", " "]"#), ["VOLUME specified can not be an empty string"]);
    }
}
