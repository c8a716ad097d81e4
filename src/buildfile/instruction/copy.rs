//! `COPY`: files from the build context, a stage, an image or the build file itself.

use super::{Operands, Request, Syntax};
use crate::buildfile::{
    diagnostic::Diagnostic,
    expansion::Expander,
    flags::{Kind, Known},
    lower::{CopyForm, CopyKind, StageBuilder},
    syntax::Word,
};

/// `COPY [flags] source… destination`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub operands: Operands,
    /// `--from`: a stage by name or number, an image or a named context; never expanded, and an error where
    /// expansion would change it.
    pub from: Option<Word>,
    /// `--chown`: expanded; `user[:group]`, names or numbers.
    pub chown: Option<Word>,
    /// `--chmod`: expanded; octal or symbolic.
    pub chmod: Option<Word>,
    /// `--exclude`: patterns, not expanded.
    pub exclude: Vec<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
}

const FLAGS: &Known = &[
    ("from", Kind::Value),
    ("chown", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("parents", Kind::Switch),
    ("exclude", Kind::List),
];

impl Syntax for Copy {
    const KEYWORD: &'static str = "COPY";
    const HELP: &'static str =
        "COPY [--from=…] [--chown=…] [--chmod=…] [--link] [--parents] [--exclude=…] source… destination";
    const HEREDOCS: bool = true;

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let operands = Operands::parse(request, Self::KEYWORD);
        let mut flags = request.flags(FLAGS)?;
        let from = flags.value("from");
        if let Some(from) = &from {
            check_constant(request, from)?;
        }
        Some(Self {
            operands: operands?,
            from,
            chown: flags.value("chown"),
            chmod: flags.value("chmod"),
            exclude: flags.list("exclude"),
            link: flags.switch("link").unwrap_or(false),
            parents: flags.switch("parents").unwrap_or(false),
        })
    }
}

/// Which stages a build needs is known before any variable is.
fn check_constant(request: &mut Request<'_>, from: &Word) -> Option<()> {
    match Expander::new(request.escape).expand(&from.text, &|_| None) {
        Ok(expansion) if expansion.text == from.text => Some(()),
        Ok(_) => {
            let message = "variable expansion is not supported for `--from`";
            let help = "define a stage `FROM` it with an `ARG` from before the first `FROM`, and copy from that stage";
            request.fail(Diagnostic::error("flag-value", from.span, message).help(help))
        }
        Err(error) => request.fail(error.at(from)),
    }
}

impl Copy {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        CopyForm {
            kind: CopyKind::Copy,
            operands: &self.operands,
            from: self.from.as_ref(),
            chown: self.chown.as_ref(),
            chmod: self.chmod.as_ref(),
            checksum: None,
            exclude: &self.exclude,
            link: self.link,
            parents: self.parents,
            keep_git_dir: None,
            unpack: None,
        }
        .lower(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    fn sources(operands: &Operands) -> Vec<&str> {
        operands.sources.iter().map(Word::as_str).collect()
    }

    #[test]
    fn flags_and_operands() {
        let copy: Copy = parsed(
            "COPY --from=base --chown=$U:g --chmod=u=rw --link --parents --exclude=a --exclude=b x $y /z/",
        );
        assert_eq!(sources(&copy.operands), ["x", "$y"]);
        assert_eq!(copy.operands.destination.text, "/z/");
        assert_eq!(copy.from.unwrap().text, "base");
        assert_eq!(copy.chown.unwrap().text, "$U:g");
        assert_eq!(copy.chmod.unwrap().text, "u=rw");
        assert_eq!(copy.exclude.len(), 2);
        assert!(copy.link && copy.parents);
        assert!(!parsed::<Copy>("COPY --link=false a b").link);
    }

    #[test]
    fn json_and_what_looks_like_it() {
        assert_eq!(sources(&parsed::<Copy>(r#"COPY ["a b", "c", "/d"]"#).operands), ["a b", "c"]);
        assert_eq!(
            sources(&parsed::<Copy>(r#"COPY ["a b", "c",] /d"#).operands),
            ["[\"a", "b\",", "\"c\",]"]
        );
    }

    #[test]
    fn inline_files() {
        let copy: Copy = parsed("COPY <<A x <<-'B' /d/\na$v\nA\n\tb\n\tB\n");
        assert_eq!(sources(&copy.operands), ["x"]);
        let files: Vec<_> =
            copy.operands.files.iter().map(|file| (file.name.as_str(), file.text(), file.expand)).collect();
        assert_eq!(files, [("A", "a$v\n".to_owned(), true), ("B", "b\n".to_owned(), false)]);
    }

    #[test]
    fn inline_files_of_one_name_have_the_last_content() {
        let copy: Copy = parsed("COPY <<A <<A /d/\n1\nA\n2\nA\n");
        assert!(copy.operands.files.iter().all(|file| file.text() == "2\n"));
    }

    #[test]
    fn an_operator_apart_from_its_word_is_no_source_file() {
        let copy: Copy = parsed("COPY << A /d/\n1\nA\n");
        assert_eq!(sources(&copy.operands), ["<<", "A"]);
    }

    #[test]
    fn errors_of_copy() {
        assert_eq!(errors("COPY a"), ["COPY requires at least two arguments"]);
        assert_eq!(errors("COPY"), ["COPY requires at least two arguments"]);
        assert_eq!(errors(r#"COPY ["a"]"#), ["COPY requires at least two arguments"]);
        assert_eq!(errors("COPY a <<B\nx\nB\n"), ["COPY cannot accept a heredoc as a destination"]);
        assert_eq!(errors("COPY --from=$x a b"), ["variable expansion is not supported for `--from`"]);
        assert_eq!(errors("COPY --form=x a b"), ["unknown flag `--form`"]);
    }
}
