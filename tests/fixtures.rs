//! `fixtures/parse/<case>/`: a `Buildfile` beside its tree and its diagnostics, both readable.
//! `UPDATE_GOLDENS=1 cargo test` writes them anew.

mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use lith::buildfile::{Source, parse, render::render};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/parse");
    let entries = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    entries.into_iter().map(|entry| entry.expect("the fixtures can be read").into_path()).collect()
}

fn updating() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the goldens")]
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

/// The golden's difference from what is, if there is one.
pub(crate) fn compare(golden: &Path, actual: &str) -> Option<String> {
    if updating() {
        fs::write(golden, actual).expect("the goldens can be written");
        return None;
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    (expected != actual).then(|| format!("{} is not:\n{actual}", golden.display()))
}

#[test]
fn trees_and_diagnostics_are_the_goldens() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 10, "the fixtures are there");
    for case in cases {
        let source =
            Source::new("Buildfile", fs::read(case.join("Buildfile")).expect("each case has a Buildfile"));
        let parsed = parse(&source);
        wrong.extend(compare(&case.join("tree.txt"), &tree::dump(&source, &parsed.buildfile)));
        wrong.extend(compare(&case.join("diagnostics.txt"), &render(&source, &parsed.diagnostics, false)));
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDENS=1 accepts this", wrong.join("\n"));
}
