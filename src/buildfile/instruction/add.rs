//! `ADD`: like `COPY`, and it fetches URLs and git repositories and unpacks local archives.

use super::{Operands, Request, Syntax};
use crate::buildfile::{
    diagnostic::Diagnostic,
    flags::{Kind, Known},
    lower::{CopyForm, CopyKind, StageBuilder},
    syntax::Word,
};

/// `ADD [flags] source… destination`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    pub operands: Operands,
    /// `--chown`: expanded; `user[:group]`, names or numbers.
    pub chown: Option<Word>,
    /// `--chmod`: expanded; octal or symbolic.
    pub chmod: Option<Word>,
    /// `--checksum`: expanded; a digest, for git a commit.
    pub checksum: Option<Word>,
    /// `--exclude`: patterns, not expanded.
    pub exclude: Vec<Word>,
    /// `--link`.
    pub link: bool,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`; if absent, local archives are unpacked and remote ones are not.
    pub unpack: Option<bool>,
}

const FLAGS: &Known = &[
    ("chown", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("keep-git-dir", Kind::Switch),
    ("checksum", Kind::Value),
    ("unpack", Kind::Switch),
    ("exclude", Kind::List),
];

impl Syntax for Add {
    const KEYWORD: &'static str = "ADD";
    const HELP: &'static str = "ADD [--chown=…] [--chmod=…] [--link] [--keep-git-dir] [--checksum=…] [--unpack] [--exclude=…] source… destination";
    const HEREDOCS: bool = true;

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let operands = Operands::parse(request, Self::KEYWORD);
        let mut flags = request.flags(FLAGS)?;
        Some(Self {
            operands: operands?,
            chown: flags.value("chown"),
            chmod: flags.value("chmod"),
            checksum: flags.value("checksum"),
            exclude: flags.list("exclude"),
            link: flags.switch("link").unwrap_or(false),
            keep_git_dir: flags.switch("keep-git-dir"),
            unpack: flags.switch("unpack"),
        })
    }
}

impl Add {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        CopyForm {
            kind: CopyKind::Add,
            operands: &self.operands,
            from: None,
            chown: self.chown.as_ref(),
            chmod: self.chmod.as_ref(),
            checksum: self.checksum.as_ref(),
            exclude: &self.exclude,
            link: self.link,
            parents: false,
            keep_git_dir: self.keep_git_dir,
            unpack: self.unpack,
        }
        .lower(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn flags_and_operands() {
        let add: Add = parsed("ADD --checksum=sha256:$S --keep-git-dir=false --unpack a.tar https://b /c");
        assert_eq!(add.operands.sources.len(), 2);
        assert_eq!(add.checksum.unwrap().text, "sha256:$S");
        assert_eq!((add.keep_git_dir, add.unpack, add.link), (Some(false), Some(true), false));
        let add: Add = parsed("ADD a b");
        assert_eq!((add.keep_git_dir, add.unpack), (None, None));
    }

    #[test]
    fn errors_of_add() {
        assert_eq!(errors("ADD a"), ["ADD requires at least two arguments"]);
        assert_eq!(errors("ADD --from=x a b"), ["unknown flag `--from`"]);
        assert_eq!(errors("ADD --unpack=x a b"), ["expecting boolean value for flag `--unpack`, not `x`"]);
    }
}
