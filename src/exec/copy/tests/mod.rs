//! A table per rule: base, sources, the instruction in short, what comes of it.

mod archives;
mod destination;
mod flags;
mod properties;
mod sources;

use std::fmt::Write as _;

use expect_test::Expect;

use super::testing::{listing, tree};
use super::*;
use crate::plan::{Git, Owner, Pin, Unpack, Url};

/// An instruction in short: COPY's flags, sources and destination, as the front end would lower them.
fn copy(line: &str) -> plan::Copy {
    let mut copy = plan::Copy {
        from: TreeRef::Context(ContextName::Main),
        sources: Vec::new(),
        dest: String::new(),
        into_folder: false,
        owner: None,
        mode: None,
        link: false,
        parents: false,
        exclude: Vec::new(),
        unpack: Unpack::Never,
    };
    let mut words: Vec<&str> = line.split(' ').collect();
    let dest = words.pop().unwrap();
    for word in words {
        match word.split_once('=') {
            Some(("--chown", owner)) => {
                let (user, group) =
                    owner.split_once(':').map_or((owner, None), |(u, g)| (u, Some(g.to_owned())));
                copy.owner = Some(Owner { user: user.into(), group });
            }
            Some(("--chmod", mode)) => copy.mode = Some(mode.parse().unwrap()),
            Some(("--exclude", pattern)) => copy.exclude.push(pattern.into()),
            _ if word == "--link" => copy.link = true,
            _ if word == "--parents" => copy.parents = true,
            Some(("--unpack", "false")) => copy.unpack = Unpack::Never,
            _ if word == "--unpack" => copy.unpack = Unpack::Always,
            _ if word == "COPY" => {}
            _ if word == "ADD" => copy.unpack = Unpack::Local,
            _ if word == "URL" => copy
                .sources
                .push(CopySource::Url(Url { url: "https://example.com/file".into(), digest: Pin::Unpinned })),
            _ if word == "GIT" => copy.sources.push(CopySource::Git(Git {
                remote: "https://example.com/x.git".into(),
                reference: None,
                subdir: None,
                keep_git_dir: false,
                submodules: true,
                commit: Pin::Unpinned,
            })),
            _ => match word.strip_prefix("<<") {
                Some(name) => {
                    copy.sources
                        .push(CopySource::Inline { name: name.into(), content: b"inline\n".to_vec() });
                }
                None => copy.sources.push(CopySource::Pattern(word.into())),
            },
        }
    }
    copy.dest = format!("/{}", ImagePath::clamped(dest.as_bytes()).unwrap());
    copy.into_folder = dest.ends_with('/') || dest.ends_with("/.") || copy.sources.len() > 1;
    copy
}

/// A file that begins so is an archive of these paths.
const ARCHIVE: &str = "archive:";

fn unpack(content: &Content) -> Result<Option<Tree>, CopyError> {
    let bytes = content.read_bounded(1 << 20).unwrap().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.strip_prefix(ARCHIVE).map(tree))
}

fn run(copy: &plan::Copy, base: &Tree, from: &Tree) -> Result<Copied, CopyError> {
    let other = Arc::new(from.clone());
    let others = vec![Some(other); copy.sources.len()];
    let ignored = |path: &ImagePath| (path.name() == b"ignored").then(|| "`ignored` in the list".to_owned());
    changes(
        copy,
        &CopyInputs { from, stage: None, others: &others, ignored: &ignored, unpack: &unpack },
        base,
    )
}

fn shown(base: &str, from: &str, line: &str) -> String {
    match run(&copy(line), &tree(base), &tree(from)) {
        Ok(copied) => {
            let warnings: String =
                copied.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
            listing(&copied.changes) + &warnings
        }
        Err(error) => format!("error: {error}\n"),
    }
}

/// The expected text is the cases as well: instructions, each with its base after `ON`, followed by what they do.
#[track_caller]
fn check(from: &str, expected: &Expect) {
    let cases =
        expected.data().lines().map(str::trim).filter(|l| l.starts_with("COPY ") || l.starts_with("ADD "));
    let mut out = String::new();
    for case in cases {
        let (line, base) = case.split_once(" ON ").unwrap_or((case, ""));
        let result = shown(&base.replace("; ", "\n"), from, line);
        writeln!(out, "{case}").unwrap();
        result.lines().for_each(|line| writeln!(out, "    {line}").unwrap());
    }
    expected.assert_eq(&out);
}

const CONTEXT: &str = "a = A\n\
    b 0755 = B\n\
    dir/ 0700 3:4\n\
    dir/f 0600 1:2 = F\n\
    dir/sub/ 0711 5:6\n\
    dir/sub/g = G\n\
    dir/to -> sub\n\
    link -> dir/f\n\
    linkdir -> /dir\n\
    out -> ../../etc/shadow\n\
    loop -> loop";
