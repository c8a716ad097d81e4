//! An `ARG` or `ENV` whose name sounds like a secret: both stay readable in the image.

use super::{Finding, Rule};
use crate::buildfile::{Span, lower::quote};

pub(super) static RULE: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    description: "Sensitive data should not be used in the ARG or ENV commands",
    url: Some("https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/"),
    experimental: false,
    tree: None,
};

const SECRET: &[&str] =
    &["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
const PUBLIC: &[&str] = &["public", "file", "version"];

/// None if the name is harmless. `keyword` is `ARG` or `ENV`.
pub(in crate::buildfile) fn secrets_used_in_arg_or_env(
    span: Span,
    keyword: &str,
    name: &str,
) -> Option<Finding> {
    if !sounds_secret(name) {
        return None;
    }
    let message =
        format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {})", quote(name));
    Some(Finding::new(&RULE, span, message))
}

/// Whether a variable's name sounds like that of a secret.
pub fn sounds_secret(name: &str) -> bool {
    has_word(name, SECRET) && !has_word(name, PUBLIC)
}

/// Whether one of the parts between underscores is one of the words.
fn has_word(name: &str, words: &[&str]) -> bool {
    name.split('_').any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn names_that_sound_like_secrets_are_found() {
        for name in ["SECRET_PASSPHRASE", "git_key", "Api_Token", "aws_auth_x", "PASSWORD", "apikey"] {
            assert!(secrets_used_in_arg_or_env(Span::default(), "ARG", name).is_some(), "{name}");
        }
        for name in ["public_key", "KEY_FILE", "TOKEN_VERSION", "keyboard", "monkey", "auther", "superSecret"]
        {
            assert!(secrets_used_in_arg_or_env(Span::default(), "ARG", name).is_none(), "{name}");
        }
    }

    #[test]
    fn both_instructions_are_read() {
        let text = "FROM scratch\nARG SECRET\nENV a=1 my_token=2\n";
        assert_eq!(check(text), ["SecretsUsedInArgOrEnv 2", "SecretsUsedInArgOrEnv 3"]);
        assert_eq!(
            messages(text)[1],
            r#"Do not use ARG or ENV instructions for sensitive data (ENV "my_token")"#
        );
    }
}
