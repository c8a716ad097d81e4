use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::oci::{Digest, Reference};

/// One who knows every image: its digest is its name's.
struct Fake;

impl Digests for Fake {
    type Error = Infallible;

    fn digest(&self, name: &Reference) -> Result<Option<Digest>, Infallible> {
        Ok(Some(Digest::of(name.to_string().as_bytes())))
    }

    fn build(&self, folder: &str) -> Result<Option<Answer>, Infallible> {
        Ok(Some(Answer { name: "r.example/built".into(), digest: Digest::of(folder.as_bytes()) }))
    }
}

fn pin_text(bytes: &[u8], language: Language, fields: &[FieldPath], mode: Mode) -> Result<String, PinError> {
    let file = read(bytes, language, fields)?;
    let answers = ask(&[&file], mode, &Fake).unwrap();
    Ok(pinned(&file, &answers, mode).text)
}

fn yaml(text: &str) -> String {
    pin_text(text.as_bytes(), Language::Yaml, &[], Mode::New).unwrap()
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pin");
    let entries = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    entries.into_iter().map(|entry| entry.unwrap().into_path()).collect()
}

fn before(case: &Path) -> (PathBuf, Language, Vec<FieldPath>) {
    let before = ["yaml", "json", "Dockerfile"].map(|extension| case.join(format!("before.{extension}")));
    let path = before.into_iter().find(|path| path.exists()).unwrap();
    let language = Language::of(&path).unwrap();
    let fields = std::fs::read_to_string(case.join("fields")).unwrap_or_default();
    (path, language, fields.lines().map(|line| line.parse().unwrap()).collect())
}

/// What pinning takes out of the fixtures, so that the goldens can be compared with what they were made of.
fn without_pins(line: &str) -> String {
    let mut text = line.to_owned();
    while let Some(at) = text.find("sha256:") {
        let hex = text[at + 7..].chars().take_while(char::is_ascii_hexdigit).count();
        let start = if text[..at].ends_with('@') { at - 1 } else { at };
        text.replace_range(start..at + 7 + hex, "");
    }
    text = text.replace(":latest", "").replace(", digest: ", "").replace('~', "");
    // A field that was empty has a space more.
    if text.contains("digest:") { text.replace(' ', "") } else { text }
}

#[test]
fn of_real_files_only_references_change() {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the goldens")]
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let cases = cases();
    assert!(cases.len() >= 30);
    let mut wrong = Vec::new();
    for case in cases {
        let (path, language, fields) = before(&case);
        let bytes = std::fs::read(&path).unwrap();
        let found = pin_text(&bytes, language, &fields, Mode::New).unwrap();
        let golden =
            path.with_file_name(path.file_name().unwrap().to_str().unwrap().replace("before", "after"));
        if update {
            std::fs::write(&golden, &found).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
        let again = pin_text(found.as_bytes(), language, &fields, Mode::New).unwrap();
        assert_eq!(again, found, "{}: a second run changes something", case.display());
        let updated = pin_text(found.as_bytes(), language, &fields, Mode::Update).unwrap();
        let twice = pin_text(updated.as_bytes(), language, &fields, Mode::Update).unwrap();
        assert_eq!(updated, twice, "{}", case.display());
        compare(&case, std::str::from_utf8(&bytes).unwrap(), &found);
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDENS=1 accepts this", wrong.join("\n"));
}

/// Each line is what it was but for digests; a line more is a digest's.
fn compare(case: &Path, before: &str, after: &str) {
    let mut old = before.split_inclusive('\n');
    for line in after.split_inclusive('\n') {
        if line.trim_start().starts_with("digest: sha256:") && !before.contains(line) {
            let was = old.clone().next().unwrap_or_default();
            if !was.trim_start().starts_with("digest:") {
                continue;
            }
        }
        let was = old.next().unwrap_or_else(|| panic!("{}: a line more: {line}", case.display()));
        if line != was {
            // An escaped colon is replaced with the reference that it is in.
            let was = was.replace("\\u003a", ":");
            assert_eq!(without_pins(line), without_pins(&was), "{}", case.display());
        }
    }
    assert_eq!(old.next(), None, "{}: lines are missing", case.display());
}

#[test]
fn invalid_files_say_their_line() {
    for (text, line) in [
        ("a: 1\nb: [\n", 2),
        ("image: nginx:1\nimage: nginx:2\n", 2),
        ("a: b: c\n", 1),
        ("kind: Pod\n\tspec: x\n", 2),
        ("a: \"x\n", 1),
    ] {
        let error = read(text.as_bytes(), Language::Yaml, &[]).unwrap_err();
        assert!(error.line().abs_diff(line) <= 1, "{text:?}: {error}");
    }
    let error = read(b"a: 1\nb: \xff\n", Language::Yaml, &[]).unwrap_err();
    assert_eq!(error, PinError::Encoding { line: 2 });
    let error = read(b"FROM a\nCPOY a b\n", Language::Buildfile, &[]).unwrap_err();
    assert_eq!(error.line(), 2);
    let deep = "[".repeat(100_000);
    assert!(read(deep.as_bytes(), Language::Yaml, &[]).is_err());
    let wide = format!("a: {}", "{a: ".repeat(50_000));
    assert!(read(wide.as_bytes(), Language::Yaml, &[]).is_err());
}

#[test]
fn a_template_is_left_alone_with_its_line() {
    let file = read(b"a: 1\n{{- if x }}\nimage: nginx:1\n{{ end }}\n", Language::Yaml, &[]).unwrap();
    assert_eq!((file.template, file.sites.len()), (Some(2), 0));
}

#[test]
fn what_is_left_says_why() {
    let case = |text: &str| {
        let file = read(text.as_bytes(), Language::Yaml, &[]).unwrap();
        file.sites.into_iter().map(|site| site.target).collect::<Vec<_>>()
    };
    let left = |left| vec![Target::Left(left)];
    assert_eq!(case("image: app:${TAG}\n"), left(Left::Variable));
    assert_eq!(case("image: ${{ matrix.image }}\n"), left(Left::Variable));
    let digest = digest("x");
    for text in ["${REGISTRY}/app:1", "${{ matrix.image }}", "$IMAGE", "app:${TAG:-1}"] {
        assert_eq!(case(&format!("image: '{text}@{digest}'\n")), left(Left::Digested), "{text}");
        assert_eq!(case(&format!("image: '{text}@${{D}}'\n")), left(Left::Variable), "{text}");
        assert_eq!(case(&format!("image: '{text}@sha256:0'\n")), left(Left::Variable), "{text}");
    }
    let parts =
        |digest: &str| case(&format!("image: {{repository: '${{R}}/a', tag: '1', digest: '{digest}'}}\n"));
    assert_eq!(parts(&digest.to_string()), left(Left::Digested));
    assert_eq!(parts("${D}"), left(Left::Variable));
    assert_eq!(parts("sha256:0"), left(Left::Variable));
    assert_eq!(case("image: '{{ x }}'\n"), left(Left::Template));
    assert_eq!(case("image: {{ x }}\n"), left(Left::Template));
    assert_eq!(case("services: {a: {build: ., image: a}}\n"), left(Left::Built));
    assert_eq!(case("image: {repository: a, tag: ''}\n"), left(Left::Untagged));
    assert_eq!(case("image: {repository: a, tag: 1.10}\n"), left(Left::Number));
    assert_eq!(case("image: \"nginx:\\\n  1.27\"\n"), left(Left::Unwritable));
    assert!(matches!(&case("image: My App\n")[..], [Target::Left(Left::NoReference(_))]));
    for nothing in ["image:\n", "image: ~\n", "image: ''\n", "image: {}\n", "image: []\n", "x: nginx:1\n"] {
        assert_eq!(case(nothing), [], "{nothing}");
    }
}

#[test]
fn pins_are_moved_only_when_asked() {
    let old = digest("old");
    let text = format!("image: nginx:1@{old}\n");
    assert_eq!(yaml(&text), text);
    let moved = pin_text(text.as_bytes(), Language::Yaml, &[], Mode::Update).unwrap();
    assert_eq!(moved, format!("image: nginx:1@{}\n", digest("docker.io/library/nginx:1")));
    let bare = format!("image: nginx@{old}\n");
    assert_eq!(pin_text(bare.as_bytes(), Language::Yaml, &[], Mode::Update).unwrap(), bare);
}

#[test]
fn what_a_folder_builds_is_put_in() {
    let text = "a: {image: ./app}\nb: {image: \"lith://b\"}\nc: {image: .}\n";
    let name = |folder: &str| format!("r.example/built@{}", digest(folder));
    let expected = format!(
        "a: {{image: {}}}\nb: {{image: \"{}\"}}\nc: {{image: {}}}\n",
        name("./app"),
        name("b"),
        name(".")
    );
    assert_eq!(yaml(text), expected);
}

#[test]
fn locks_and_overrides_name_what_is_pinned() {
    let old = digest("old");
    let text = format!(
        "services:\n  web: {{image: nginx:1}}\n  'on': {{image: 'redis:7@{old}'}}\n  b: {{build: .}}\n"
    );
    let file = read(text.as_bytes(), Language::Yaml, &[]).unwrap();
    let answers = ask(&[&file], Mode::New, &Fake).unwrap();
    let changes = pinned(&file, &answers, Mode::New).changes;
    let web = digest("docker.io/library/nginx:1");
    let lock = images_lock(&[(&file, &changes)]);
    assert_eq!(
        lock,
        format!(
            "---\napiVersion: imgpkg.carvel.dev/v1alpha1\nkind: ImagesLock\nimages:\n\
             - annotations:\n    kbld.carvel.dev/id: nginx:1\n  image: docker.io/library/nginx@{web}\n\
             - annotations:\n    kbld.carvel.dev/id: redis:7@{old}\n  image: docker.io/library/redis@{old}\n"
        )
    );
    let over = compose_override(&[(&file, &changes)]);
    assert_eq!(over, format!("services:\n  web:\n    image: nginx:1@{web}\n"));
    // What we write is what we read.
    for text in [lock, over] {
        read(text.as_bytes(), Language::Yaml, &[]).unwrap();
    }
}

#[test]
fn an_image_that_is_not_there_is_named() {
    struct Nothing;
    impl Digests for Nothing {
        type Error = Infallible;
        fn digest(&self, _: &Reference) -> Result<Option<Digest>, Infallible> {
            Ok(None)
        }
        fn build(&self, _: &str) -> Result<Option<Answer>, Infallible> {
            Ok(None)
        }
    }
    let file = read(b"image: nginx:1\nx: {image: ./a}\n", Language::Yaml, &[]).unwrap();
    let error = ask(&[&file], Mode::New, &Nothing).unwrap_err();
    assert_eq!(error.to_string(), "there is no image `docker.io/library/nginx:1`");
}

/// YAML of all styles, with what else may be around a reference.
fn manifest() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["nginx", "nginx:1", "r.io/a/b:v1.2", "localhost:5000/x", "é", "a b", ""]);
    let style = prop::sample::select(vec![
        "{}",
        "'{}'",
        "\"{}\"",
        "|\n      {}",
        ">-\n      {}",
        "&a {}",
        "!!str {}",
    ]);
    let line = prop::sample::select(vec![
        "  - image: X # c",
        "  - {image: X}",
        "  - {name: n, newTag: X}",
        "  - repository: X\n    tag: '1'",
        "  - {repository: X, tag: v1, digest: ''}",
        "  - repository: X\n    tag: v1\n    digest:",
        "  - uses: X",
        "  - ü: 'ö'",
    ]);
    let entry =
        (line, style, name).prop_map(|(line, style, name)| line.replace('X', &style.replace("{}", name)));
    let top = prop::sample::select(vec!["images:", "items:", "services:\n  x:"]);
    let end = prop::sample::select(vec!["\n", "\r\n"]);
    (top, prop::collection::vec(entry, 0..6), end, any::<bool>()).prop_map(|(top, entries, end, bom)| {
        let text = format!("{top}\n{}\n", entries.join("\n")).replace('\n', end);
        if bom { format!("\u{feff}{text}") } else { text }
    })
}

proptest! {
    #[test]
    fn a_second_run_changes_nothing(text in manifest()) {
        if let Ok(once) = pin_text(text.as_bytes(), Language::Yaml, &[], Mode::New) {
            // What was YAML is YAML, and what it says of images is pinned.
            let again = pin_text(once.as_bytes(), Language::Yaml, &[], Mode::New);
            prop_assert_eq!(again.as_ref(), Ok(&once));
            let places = |text: &str| read(text.as_bytes(), Language::Yaml, &[]).unwrap().sites.len();
            prop_assert_eq!(places(&text), places(&once));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:{}\\[\\]'\"|>&*!#?, \\-\n\t@/.$é\u{feff}]{0,200}") {
        for language in [Language::Yaml, Language::Buildfile] {
            if let Ok(file) = read(text.as_bytes(), language, &[]) {
                let answers = ask(&[&file], Mode::New, &Fake).unwrap();
                drop(pinned(&file, &answers, Mode::New));
            }
        }
    }
}

#[test]
fn each_name_is_asked_for_once() {
    struct Counting(std::sync::Mutex<BTreeMap<String, usize>>);
    impl Digests for Counting {
        type Error = Infallible;
        fn digest(&self, name: &Reference) -> Result<Option<Digest>, Infallible> {
            *self.0.lock().unwrap().entry(name.to_string()).or_default() += 1;
            Fake.digest(name)
        }
        fn build(&self, folder: &str) -> Result<Option<Answer>, Infallible> {
            Fake.build(folder)
        }
    }
    let counting = Counting(std::sync::Mutex::default());
    let file = read(b"a: {image: nginx}\nb: {image: docker.io/nginx:latest}\n", Language::Yaml, &[]).unwrap();
    ask(&[&file, &file], Mode::New, &counting).unwrap();
    assert_eq!(counting.0.into_inner().unwrap().into_values().collect::<Vec<_>>(), [1]);
}
