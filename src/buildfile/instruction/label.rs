//! `LABEL`: the image's labels.

use super::{Request, Syntax};
use crate::buildfile::{diagnostic::Diagnostic, lower::StageBuilder, syntax::Pair};

/// `LABEL name=value…`, or the old form `LABEL name value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// At least one. Names and values are expanded.
    pub labels: Vec<Pair>,
}

impl Syntax for Label {
    const KEYWORD: &'static str = "LABEL";
    const HELP: &'static str = "LABEL name=value…";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let labels = request.pairs(Self::KEYWORD);
        request.flags(&[])?;
        Some(Self { labels: labels? })
    }
}

impl Label {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let (text, labels) = cx.expand_pairs(Self::KEYWORD, &self.labels)?;
        cx.config.config.labels.extend(labels);
        cx.commit(text, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn both_forms() {
        let Label { labels } = parsed("LABEL a=\"b c\" $d='e'\\ f");
        let text: Vec<_> = labels.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
        assert_eq!(text, [("a", "\"b c\""), ("$d", "'e'\\ f")]);
        let Label { labels } = parsed("LABEL a  b=c d ");
        assert_eq!((&*labels[0].name.text, &*labels[0].value.text, labels[0].legacy), ("a", "b=c d", true));
    }

    #[test]
    fn errors_of_label() {
        assert_eq!(errors("LABEL"), ["LABEL requires at least one argument"]);
        assert_eq!(errors("LABEL a"), ["LABEL must have two arguments"]);
        assert_eq!(errors("LABEL =a"), ["LABEL names can not be blank"]);
        assert_eq!(errors("LABEL a=1 b"), ["can't find `=` in `b`"]);
        assert_eq!(errors("LABEL --x a=1"), ["unknown flag `--x`"]);
    }
}
