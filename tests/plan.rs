//! `fixtures/plan/<case>/`: a `Buildfile` beside the plan made of it, or its errors, and its warnings.
//!
//! `args.json`, if there is one, holds what a build adds: `build_args`, `target`, `platform`, `labels`, `ignored`
//! (paths that the ignore file takes away), `images` (by name, their configs' `config`) and `contexts` (named ones,
//! `files` or `image`). `UPDATE_GOLDENS=1 cargo test` writes the goldens anew.

mod outside;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use lith::buildfile::{Diagnostic, LowerOptions, Source, lower, parse, render::render};
use outside::Arguments;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plan");
    let entries = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    entries.into_iter().map(|entry| entry.expect("the fixtures can be read").into_path()).collect()
}

#[test]
fn plans_and_diagnostics_are_the_goldens() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 10, "the fixtures are there");
    for case in cases {
        let (plan, diagnostics) = planned(&case);
        wrong.extend(super::fixtures::compare(&case.join("plan.txt"), &plan));
        wrong.extend(super::fixtures::compare(&case.join("diagnostics.txt"), &diagnostics));
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDENS=1 accepts this", wrong.join("\n"));
}

/// The plan as text, and the diagnostics.
fn planned(case: &Path) -> (String, String) {
    let bytes = fs::read(case.join("Buildfile")).expect("each case has a Buildfile");
    let source = Source::new("Buildfile", bytes);
    let parsed = parse(&source);
    assert!(!parsed.has_errors(), "{}: {:?}", case.display(), parsed.diagnostics);
    let arguments = Arguments::read(&case.join("args.json"));
    let ignored = |path: &str| arguments.ignored.iter().any(|other| other == path);
    let options = LowerOptions {
        build_args: arguments.build_args.clone(),
        target: arguments.target.clone(),
        platform: arguments.platform.as_ref().map(|text| text.parse().expect("a platform")),
        labels: arguments.labels.clone(),
        ignored: Some(&ignored),
        ..LowerOptions::default()
    };
    let lowered = lower(&parsed.buildfile, &options, &mut arguments.outside());
    let (plan, found): (String, Vec<Diagnostic>) = match lowered {
        Ok((plan, found)) => (text::plan(&plan), found),
        Err(found) => ("no plan\n".to_owned(), found),
    };
    (plan, render(&source, &found, false))
}
