//! What `COPY` and `ADD` have in common.

use super::{
    path,
    stage::{StageBuilder, owner},
};
use crate::buildfile::{
    check,
    diagnostic::Diagnostic,
    instruction::Operands,
    source::Span,
    syntax::{Heredoc, Word},
};
use crate::oci::Digest;
use crate::plan::{
    ContextName, Copy, CopySource, Git, GitAddress, ModeChange, Op, Pin, ResolveError, TreeRef, Unpack, Url,
};

/// The two instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::buildfile) enum Kind {
    Copy,
    Add,
}

/// Their operands and flags.
#[derive(Debug, Clone, Copy)]
pub(in crate::buildfile) struct CopyForm<'a> {
    pub(in crate::buildfile) kind: Kind,
    pub(in crate::buildfile) operands: &'a Operands,
    pub(in crate::buildfile) from: Option<&'a Word>,
    pub(in crate::buildfile) chown: Option<&'a Word>,
    pub(in crate::buildfile) chmod: Option<&'a Word>,
    pub(in crate::buildfile) checksum: Option<&'a Word>,
    pub(in crate::buildfile) exclude: &'a [Word],
    pub(in crate::buildfile) link: bool,
    pub(in crate::buildfile) parents: bool,
    pub(in crate::buildfile) keep_git_dir: Option<bool>,
    pub(in crate::buildfile) unpack: Option<bool>,
}

/// The words with their values.
struct Values {
    chown: String,
    chmod: String,
    checksum: String,
    /// With the places that they come from.
    sources: Vec<(String, Span)>,
    dest: String,
}

impl CopyForm<'_> {
    pub(in crate::buildfile) fn lower(self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let values = self.expand(cx)?;
        let files = self.files(cx)?;
        let from = match self.from {
            Some(word) => cx.origin(word, true)?,
            None => TreeRef::Context(ContextName::Main),
        };
        self.check_checksum(&values)?;
        let created_by = self.created_by(&values);
        let mut sources = Vec::new();
        for (source, span) in &values.sources {
            sources.push(self.source(cx, source, *span, &values)?);
        }
        sources.extend(files);
        let into_folder = sources.len() > 1 || is_folder(&values.dest);
        let copy = Copy {
            from,
            dest: path::join(&cx.workdir(), &values.dest),
            into_folder,
            owner: owner(&values.chown),
            mode: self.mode(&values)?,
            link: self.link,
            parents: self.parents,
            exclude: self.exclude.iter().map(|word| word.text.clone()).collect(),
            unpack: self.unpacking(),
            sources,
        };
        let places: Vec<Span> = values.sources.iter().map(|(_, span)| *span).collect();
        cx.commit_sources(created_by, Some(Op::Copy(copy)), &places);
        Ok(())
    }

    fn expand(&self, cx: &mut StageBuilder<'_, '_>) -> Result<Values, Diagnostic> {
        let mut flag = |word: Option<&Word>| word.map(|word| cx.expand(word)).transpose();
        let [chown, chmod, checksum] = [flag(self.chown)?, flag(self.chmod)?, flag(self.checksum)?];
        let mut sources = Vec::new();
        for word in &self.operands.sources {
            sources.push((cx.expand(word)?, word.span));
        }
        let dest = cx.expand(&self.operands.destination)?;
        Ok(Values {
            chown: chown.unwrap_or_default(),
            chmod: chmod.unwrap_or_default(),
            checksum: checksum.unwrap_or_default(),
            sources,
            dest,
        })
    }

    fn files(&self, cx: &mut StageBuilder<'_, '_>) -> Result<Vec<CopySource>, Diagnostic> {
        let mut files = Vec::new();
        for file in &self.operands.files {
            self.check_name(file)?;
            // The text is not as it stands in the file, where tabs were taken off it.
            let place = Word { span: file.content.span, ..file.content.clone() };
            let expansion =
                cx.with_lookup(|lookup| file.expanded(lookup)).map_err(|error| error.at(&place))?;
            cx.report_undefined(&expansion, &place);
            files.push(CopySource::Inline { name: file.name.clone(), content: expansion.text.into_bytes() });
        }
        Ok(files)
    }

    /// A heredoc is a file of that name in a folder where nothing else is.
    fn check_name(&self, file: &Heredoc) -> Result<(), Diagnostic> {
        let name = path::clean(file.name.trim_start_matches('/'));
        if !name.contains('/') && !matches!(name.as_str(), "." | "..") {
            return Ok(());
        }
        let message = format!("`{}` can't be the name of a file", file.name);
        Err(Diagnostic::error("heredoc", file.span, message).help("give the path with the destination"))
    }

    fn source(
        &self,
        cx: &mut StageBuilder<'_, '_>,
        source: &str,
        span: Span,
        values: &Values,
    ) -> Result<CopySource, Diagnostic> {
        if let Some(address) = git_address(source, span)? {
            self.only_add(span, "a git ref")?;
            return self.git(cx, address, span, values).map(CopySource::Git);
        }
        if is_http(source) {
            self.only_add(span, "a URL")?;
            return self.url(cx, source, span, values).map(CopySource::Url);
        }
        self.check_ignored(cx, source, span);
        Ok(CopySource::Pattern(if source.is_empty() { "/".to_owned() } else { source.to_owned() }))
    }

    fn only_add(&self, span: Span, what: &str) -> Result<(), Diagnostic> {
        if self.kind == Kind::Add {
            return Ok(());
        }
        let message = format!("source can't be {what} for COPY");
        Err(Diagnostic::error("source", span, message).help("`ADD` takes it"))
    }

    fn git(
        &self,
        cx: &mut StageBuilder<'_, '_>,
        address: GitAddress,
        span: Span,
        values: &Values,
    ) -> Result<Git, Diagnostic> {
        let wrong = |message: String| Err(Diagnostic::error("source", span, message));
        let keep_git_dir = match (self.keep_git_dir, address.keep_git_dir) {
            (Some(flag), Some(query)) if flag != query => {
                return wrong("inconsistent keep-git-dir configuration".to_owned());
            }
            (flag, query) => query.or(flag).unwrap_or(false),
        };
        let given = Some(&values.checksum).filter(|checksum| !checksum.is_empty());
        match (given, &address.checksum) {
            (Some(flag), Some(query)) if flag != query => {
                return wrong(format!("checksum mismatch `{flag}` != `{query}`"));
            }
            _ => {}
        }
        let mut git = Git { keep_git_dir, ..address.git() };
        if let Some(commit) = given {
            git.commit = Pin::Pinned(commit.clone());
        }
        if git.commit == Pin::Unpinned {
            cx.world.resolve(|resolve| resolve.git(&mut git)).map_err(|error| unresolved(&error, span))?;
        }
        Ok(git)
    }

    fn url(
        &self,
        cx: &mut StageBuilder<'_, '_>,
        source: &str,
        span: Span,
        values: &Values,
    ) -> Result<Url, Diagnostic> {
        let digest = match values.checksum.as_str() {
            "" => Pin::Unpinned,
            text => Pin::Pinned(text.parse::<Digest>().map_err(|error| {
                let span = self.checksum.map_or(span, |word| word.span);
                Diagnostic::error("checksum", span, error.to_string())
            })?),
        };
        let mut url = Url { url: source.to_owned(), digest };
        if url.digest == Pin::Unpinned {
            cx.world.resolve(|resolve| resolve.url(&mut url)).map_err(|error| unresolved(&error, span))?;
        }
        Ok(url)
    }

    fn check_checksum(&self, values: &Values) -> Result<(), Diagnostic> {
        let Some(word) = self.checksum.filter(|_| !values.checksum.is_empty()) else { return Ok(()) };
        let wrong = |message| Err(Diagnostic::error("checksum", word.span, message));
        match values.sources.as_slice() {
            [(source, span)] if git_address(source, *span)?.is_some() || is_http(source) => Ok(()),
            [_] => wrong("checksum requires HTTP(S) or Git sources"),
            _ => wrong("checksum can't be specified for multiple sources"),
        }
    }

    fn mode(&self, values: &Values) -> Result<Option<ModeChange>, Diagnostic> {
        if values.chmod.is_empty() {
            return Ok(None);
        }
        let span = self.chmod.map(|word| word.span).unwrap_or_default();
        let mode = values.chmod.parse().map_err(|error| {
            let message = format!("invalid chmod parameter: {error}");
            Diagnostic::error("chmod", span, message)
                .help("it is an octal string between 0 and 07777, or like `u=rwX,go=rX`")
        })?;
        Ok(Some(mode))
    }

    fn unpacking(&self) -> Unpack {
        match (self.kind, self.unpack) {
            (Kind::Copy, _) | (Kind::Add, Some(false)) => Unpack::Never,
            (Kind::Add, None) => Unpack::Local,
            (Kind::Add, Some(true)) => Unpack::Always,
        }
    }

    /// The history's text: the values, but of the flags only those that change what is copied.
    fn created_by(&self, values: &Values) -> String {
        let mut words = vec![if self.kind == Kind::Add { "ADD" } else { "COPY" }.to_owned()];
        if self.parents {
            words.push("--parents".to_owned());
        }
        for (flag, value) in [("--chown", &values.chown), ("--chmod", &values.chmod)] {
            if !value.is_empty() {
                words.push(format!("{flag}={value}"));
            }
        }
        words.extend(values.sources.iter().map(|(source, _)| source.clone()));
        words.extend(self.operands.files.iter().map(|file| format!("<<{}", file.name)));
        words.push(values.dest.clone());
        words.join(" ")
    }

    fn check_ignored(&self, cx: &mut StageBuilder<'_, '_>, source: &str, span: Span) {
        let Some(ignored) = cx.world.options().ignored.filter(|_| self.from.is_none()) else { return };
        let clean = path::clean(source.trim_start_matches('/'));
        // Whatever takes away the whole context takes away a file of any name.
        if ignored(if clean == "." { "any file" } else { &clean }) {
            let verb = if self.kind == Kind::Add { "Add" } else { "Copy" };
            cx.lint(check::copy_ignored_file(span, verb, &clean));
        }
    }
}

fn git_address(source: &str, span: Span) -> Result<Option<GitAddress>, Diagnostic> {
    GitAddress::parse(source).map_err(|error| Diagnostic::error("source", span, error.to_string()))
}

fn is_http(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// A destination that says that it is a folder.
fn is_folder(dest: &str) -> bool {
    matches!(dest, "" | ".") || dest.ends_with('/') || dest.ends_with("/.")
}

fn unresolved(error: &ResolveError, span: Span) -> Diagnostic {
    Diagnostic::error(error.code(), span, error.to_string())
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
