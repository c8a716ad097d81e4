//! Of several `CMD`, `ENTRYPOINT` or `HEALTHCHECK` in a stage only the last one counts.

use super::{Finding, Rule};
use crate::buildfile::{Span, Word};

pub(super) static RULE: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    description: "Multiple instructions of the same type should not be used in the same stage",
    url: Some("https://docs.docker.com/go/dockerfile/rule/multiple-instructions-disallowed/"),
    experimental: false,
    tree: None,
};

/// `earlier` is the one that counts for nothing.
pub(in crate::buildfile) fn multiple_instructions_disallowed(earlier: Span, keyword: &Word) -> Finding {
    let message = format!(
        "Multiple {} instructions should not be used in the same stage because only the last one will be used",
        keyword.text
    );
    Finding::new(&RULE, earlier, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_earlier_one_is_found() {
        let text = "FROM scratch\nCMD [\"a\"]\nENTRYPOINT [\"e\"]\nCMD [\"b\"]\nHEALTHCHECK NONE\nHEALTHCHECK NONE\n";
        assert_eq!(check(text), ["MultipleInstructionsDisallowed 2", "MultipleInstructionsDisallowed 5"]);
        let expected = "Multiple CMD instructions should not be used in the same stage because only the last one will be used";
        assert_eq!(messages(text)[0], expected);
    }

    #[test]
    fn one_per_stage_is_fine() {
        assert_eq!(check("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n"), [] as [&str; 0]);
    }
}
