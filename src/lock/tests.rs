use super::*;
use crate::oci::{ImageConfig, MediaType};

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

pub(super) fn example() -> Lock {
    let mut config = ImageConfig::default();
    config.config.env.push("PATH=/bin".into());
    let manifest = LockedManifest {
        digest: digest("manifest"),
        media_type: MediaType::ImageManifest,
        size: 7,
        config: LockedConfig::new(digest("config"), &config),
    };
    let image = LockedImage {
        digest: digest("index"),
        media_type: MediaType::ImageIndex,
        platforms: BTreeMap::from([(PlatformName::of(&Platform::default()), manifest)]),
    };
    let mut lock = Lock::new(1, digest("fingerprint"));
    lock.platforms.insert(PlatformName::of(&Platform::default()));
    lock.syntax = Some("docker/dockerfile:1".into());
    lock.images.insert("debian:12".into(), image.clone());
    let source = "docker-image://base:1".into();
    lock.contexts.insert("base".into(), LockedContext { source, image });
    lock.urls.insert("https://a/b?c".into(), LockedUrl { digest: digest("url"), size: 3 });
    let commit = "0123456789abcdef0123456789abcdef01234567".to_owned().try_into().unwrap();
    lock.git.insert("https://a/b.git#main".into(), LockedGit { commit, archive: None });
    let response = LockedResponse {
        digest: Some(digest("r")),
        size: Some(1),
        media_type: HeaderValue::new("text/plain"),
        ..LockedResponse::of_status(200)
    };
    lock.network.insert("https://a/c".into(), response);
    lock
}

#[test]
fn what_is_written_is_read_again() {
    let lock = example();
    let text = lock.to_text();
    assert_eq!(text.parse::<Lock>().unwrap(), lock);
    assert_eq!(text.parse::<Lock>().unwrap().to_text(), text);
    let mut lock = lock;
    lock.syntax = Some("a\u{202e}b\u{9b}\n".into());
    assert!(lock.to_text().contains("a\\u202eb\\u009b\\n"), "{}", lock.to_text());
    assert_eq!(lock.to_text().parse::<Lock>().unwrap(), lock);
    let empty = Lock::new(1, digest(""));
    assert_eq!(empty.to_text().lines().count(), 5);
    assert_eq!(empty.to_text().parse::<Lock>().unwrap(), empty);
}

#[test]
fn what_is_no_lock_is_refused_with_its_place() {
    let text = example().to_text();
    let error = |text: &str| text.parse::<Lock>().unwrap_err().to_string();
    for (from, to, expected) in [
        ("\"version\": 1", "\"version\": 2", "it is of version 2, and this lith knows version 1"),
        ("\"profile\": 1", "\"profil\": 1", "unknown field `profil`"),
        ("\"size\": 3", "\"size\": 3, \"x\": 1", "unknown field `x`"),
        ("\"size\": 3", "\"size\": -3", "invalid value: integer `-3`"),
        (
            "\"linux/amd64\": {",
            "\"linux/x86_64\": {",
            "expected the platform `linux/amd64`, found `linux/x86_64`",
        ),
        ("0123456789abcdef", "0123456789ABCDEF", "expected a commit's whole hash"),
        ("\"git\": {", "\"git\": {\n<<<<<<< ours", "a merge has left its marks"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "`{from}` is not there");
        let found = error(&changed);
        assert!(found.contains(expected) && (found.contains("line") || from.contains("version")), "{found}");
    }
    let entry = "\"https://a/c\": {\"digest\": \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \"size\": 0},";
    let twice = text.replacen("\"network\": {", &format!("\"network\": {{ {entry} "), 1);
    assert!(error(&twice).contains("`https://a/c` stands twice"), "{}", error(&twice));
    for text in ["", "{}", "[]", "nonsense", "{\"version\": 1}", &"[".repeat(100_000)] {
        error(text);
    }
}

#[test]
fn names_hold_no_password() {
    assert_eq!(name_of_url("https://me:secret@a/b?c=d#e"), "https://a/b?c=d");
    let git = Git {
        remote: "https://me:secret@a/b.git".into(),
        reference: None,
        subdir: Some("x".into()),
        keep_git_dir: false,
        submodules: true,
        commit: crate::plan::Pin::Unpinned,
    };
    assert_eq!(name_of_git(&git), "https://a/b.git#HEAD");
}
