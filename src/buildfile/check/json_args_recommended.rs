//! The shell form of `CMD` and `ENTRYPOINT` runs a shell as the container's first process, which keeps signals to itself.

use super::{Finding, Rule};
use crate::buildfile::Word;

pub(super) static RULE: Rule = Rule {
    name: "JSONArgsRecommended",
    description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    url: Some("https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"),
    experimental: false,
    tree: None,
};

/// For a shell form where no `SHELL` was chosen; who chooses one knows what it does.
pub(in crate::buildfile) fn json_args_recommended(keyword: &Word) -> Finding {
    let message = format!(
        "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
        keyword.text
    );
    Finding::new(&RULE, keyword.span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_shell_form_is_found() {
        let text = "FROM scratch\nCMD echo hi\nENTRYPOINT echo\n";
        assert_eq!(check(text), ["JSONArgsRecommended 2", "JSONArgsRecommended 3"]);
        let expected =
            "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals";
        assert_eq!(messages(text)[0], expected);
    }

    #[test]
    fn the_exec_form_and_a_chosen_shell_are_not() {
        assert_eq!(check("FROM scratch\nCMD [\"echo\"]\n"), [] as [&str; 0]);
        assert_eq!(check("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD echo\n"), [] as [&str; 0]);
    }
}
