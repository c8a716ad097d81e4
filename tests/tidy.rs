//! The project's rules that a compiler doesn't know.

use std::path::{Path, PathBuf};

use lith::buildfile::{self, LowerOptions, Source, check};

/// The modules of the library, in the order of ARCHITECTURE.md: each may import those before it.
const ORDER: [&str; 25] = [
    "parallel",
    "text",
    "http",
    "oci",
    "compression",
    "tree",
    "store",
    "layer",
    "image",
    "diff",
    "plan",
    "lock",
    "buildfile",
    "pin",
    "transport",
    "context",
    "proxy",
    "sandbox",
    "exec",
    "why",
    "attest",
    "release",
    "audit",
    "build",
    "verify",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The module of the library that a file belongs to.
fn module(path: &Path) -> Option<usize> {
    let inside = path.strip_prefix(root().join("src")).expect("below src");
    let first = inside.components().next()?.as_os_str().to_str()?;
    ORDER.iter().position(|m| *m == first.trim_end_matches(".rs"))
}

#[test]
fn modules_import_only_those_above_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(own) = module(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if ORDER.iter().position(|m| *m == name).is_some_and(|used| used > own) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the order of ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_order_is_complete_and_told() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let library = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let declared: Vec<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    for name in &declared {
        assert!(ORDER.contains(name), "`{name}` has no place in the order");
    }
    let told: Vec<usize> = ORDER
        .iter()
        .map(|name| {
            let rows = [format!("| `{name}/`"), format!("| `{name}.rs`")];
            rows.iter()
                .find_map(|row| architecture.find(row))
                .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for `{name}`"))
        })
        .collect();
    assert!(told.is_sorted(), "ARCHITECTURE.md lists the modules in another order");
}

#[test]
fn the_command_line_uses_the_librarys_public_face() {
    for (path, text) in sources("src/cli") {
        for module in ORDER {
            assert!(
                !text.contains(&format!("crate::{module}::")),
                "{} reaches into `{module}`",
                path.display()
            );
        }
    }
}

#[test]
fn no_source_file_is_a_heap() {
    for (path, text) in sources("src") {
        let lines = text.lines().count();
        assert!(lines <= 700, "{} has {lines} lines: where is the seam?", path.display());
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let start = manifest.find("\n[dependencies]").expect("dependencies");
    let end = manifest.find("\n[profile").expect("profiles");
    let mut reason = false;
    for line in manifest[start..end].lines() {
        if line.starts_with('#') {
            reason = true;
        } else if line.is_empty() || line.starts_with('[') {
            reason = false;
        } else if line.contains('=') {
            assert!(reason || line.contains('#'), "no reason is given for `{line}`");
        }
    }
}

/// The rows of docs/checks.md, in cells without their spaces.
fn checks_table() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/checks.md")).expect("docs/checks.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn every_check_is_explained() {
    let told: Vec<String> = checks_table().iter().map(|row| row[0].clone()).collect();
    let mark = |rule: &check::Rule| if rule.experimental { " ¹" } else { "" };
    let rules: Vec<String> =
        check::RULES.iter().map(|rule| format!("`{}`{}", rule.name, mark(rule))).collect();
    assert_eq!(told, rules);
}

#[test]
fn the_examples_of_the_checks_are_found() {
    for row in checks_table() {
        let [name, _, example, _] = &row[..] else { panic!("four cells: {row:?}") };
        let name = name.split('`').nth(1).expect("a name in backticks");
        // What a base image is for can't be seen without one.
        if name == "InvalidBaseImagePlatform" {
            continue;
        }
        let lines: Vec<&str> = example.split("<br>").map(|line| line.trim_matches('`')).collect();
        let first = if example.contains("FROM") { "" } else { "FROM scratch\n" };
        let source = Source::new("Buildfile", format!("{first}{}\n", lines.join("\n")));
        let options = LowerOptions { ignored: Some(&|path| path == "secrets"), ..LowerOptions::default() };
        let found = check::check(&buildfile::parse(&source), &options, None);
        let codes: Vec<&str> = found.iter().map(|diagnostic| diagnostic.code).collect();
        assert!(codes.contains(&name), "{name} is not in {codes:?} of {lines:?}");
    }
}
