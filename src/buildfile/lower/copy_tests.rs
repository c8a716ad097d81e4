use super::*;
use crate::buildfile::lower::LowerOptions;
use crate::buildfile::lower::testing::{World, build_args, errors, target_with, try_lower};
use crate::plan::Owner;

fn lowered(line: &str) -> (Copy, String) {
    let text = format!("FROM scratch\nARG V=val\nWORKDIR /work\n{line}\n");
    let mut stage = target_with(&text, &LowerOptions::default(), &mut World::default());
    let step = stage.steps.pop().unwrap();
    let Some(Op::Copy(copy)) = step.op else { panic!("{line}") };
    (copy, step.created_by)
}

fn patterns(copy: &Copy) -> Vec<&str> {
    let texts = copy.sources.iter().filter_map(|source| match source {
        CopySource::Pattern(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn destinations() {
    for (line, dest, into_folder) in [
        ("COPY a b", "/work/b", false),
        ("COPY a ./b/", "/work/b", true),
        ("COPY a .", "/work", true),
        ("COPY a /", "/", true),
        ("COPY a /x/../y", "/y", false),
        ("COPY a /x/.", "/x", true),
        ("COPY a ../../..", "/", false),
        ("COPY a $NONE", "/work", true),
        ("COPY a b /c", "/c", true),
        ("COPY [\"a\", \"b c\"]", "/work/b c", false),
    ] {
        let (copy, _) = lowered(line);
        assert_eq!((copy.dest.as_str(), copy.into_folder), (dest, into_folder), "{line}");
    }
}

#[test]
fn flags_are_expanded_and_told() {
    let (copy, text) =
        lowered("COPY --link --parents --chown=$V:1 --chmod=u=rwX --exclude=$V --exclude=b a$V ./x /d/");
    assert_eq!(text, "COPY --parents --chown=val:1 --chmod=u=rwX aval ./x /d/");
    assert_eq!(copy.owner, Some(Owner { user: "val".into(), group: Some("1".into()) }));
    assert_eq!(copy.mode, "u=rwX".parse().ok());
    assert_eq!(copy.exclude, ["$V", "b"]);
    assert!(copy.link && copy.parents);
    assert_eq!((patterns(&copy), copy.unpack), (vec!["aval", "./x"], Unpack::Never));
    let (copy, text) = lowered("COPY --chown=$NONE --chmod=${NONE} a b");
    assert_eq!((copy.owner, copy.mode, text.as_str()), (None, None, "COPY a b"));
}

#[test]
fn inline_files_come_last() {
    let (copy, text) = lowered("COPY <<A x <<-'B' /d/\n\"$V\" \\$V\nA\n\t$V\n\tB");
    assert_eq!(text, "COPY x <<A <<B /d/");
    let contents: Vec<_> = copy
        .sources
        .iter()
        .filter_map(|source| match source {
            CopySource::Inline { name, content } => {
                Some((name.as_str(), std::str::from_utf8(content).unwrap()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(contents, [("A", "\"val\" $V\n"), ("B", "$V\n")]);
    assert_eq!((patterns(&copy)[0], copy.into_folder), ("x", true));
}

#[test]
fn adds_of_the_network_are_pinned() {
    let digest = Digest::of(b"x");
    let (copy, text) = lowered(&format!("ADD --checksum={digest} https://h/f.tgz /d/"));
    let [CopySource::Url(url)] = copy.sources.as_slice() else { panic!() };
    assert_eq!((&url.digest, copy.unpack), (&Pin::Pinned(digest), Unpack::Local));
    assert_eq!(text, "ADD https://h/f.tgz /d/");
    let (copy, _) = lowered("ADD --unpack=true https://h/f.tgz /d/");
    let [CopySource::Url(url)] = copy.sources.as_slice() else { panic!() };
    assert_eq!((&url.digest, copy.unpack), (&Pin::Pinned(Digest::of(b"https://h/f.tgz")), Unpack::Always));
    let (copy, _) = lowered("ADD --keep-git-dir=true https://h/r.git#$V:sub?x /d");
    let [CopySource::Git(git)] = copy.sources.as_slice() else { panic!() };
    assert_eq!((git.reference.as_deref(), git.subdir.as_deref()), (Some("val"), Some("sub?x")));
    assert_eq!((git.keep_git_dir, git.submodules, &git.commit), (true, true, &Pin::Pinned("c0ffee".into())));
    let (copy, _) = lowered("ADD --checksum=abc git@h:r?submodules=0 /d");
    let [CopySource::Git(git)] = copy.sources.as_slice() else { panic!() };
    assert_eq!((git.submodules, &git.commit), (false, &Pin::Pinned("abc".into())));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (line, expected) in [
        ("COPY https://h/f /", "source can't be a URL for COPY"),
        ("COPY git@h:r /", "source can't be a git ref for COPY"),
        ("COPY https://h/r.git /", "source can't be a git ref for COPY"),
        ("ADD https://h/r.git?what=1 /", "the git address: unexpected query `what`"),
        ("ADD --checksum=abc a /", "checksum requires HTTP(S) or Git sources"),
        ("ADD --checksum=abc a https://h/f /", "checksum can't be specified for multiple sources"),
        ("ADD --keep-git-dir https://h/r.git?keep-git-dir=0 /", "inconsistent keep-git-dir configuration"),
        ("ADD --checksum=a https://h/r.git?checksum=b /", "checksum mismatch `a` != `b`"),
    ] {
        let text = format!("FROM scratch\n{line}\n");
        assert_eq!(errors(&text), [format!("2: {expected}")], "{line}");
    }
    for line in [
        "COPY --chmod=8 a /",
        "COPY --chmod=10000 a /",
        "COPY --chmod=u=q a /",
        "ADD --checksum=x https://h/f /",
    ] {
        assert_eq!(errors(&format!("FROM scratch\n{line}\n")).len(), 1, "{line}");
    }
}

#[test]
fn variables_see_what_is_before_them() {
    let mut world = World::default();
    let (plan, _) =
        try_lower("FROM scratch\nENV D=/a\nCOPY x $D\nENV D=/b\n", &build_args(&[]), &mut world).unwrap();
    assert_eq!(plan.stages[0].steps[1].created_by, "COPY x /a");
}
