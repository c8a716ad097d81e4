use std::os::unix::fs::MetadataExt as _;

use tempfile::TempDir;

use super::*;
use crate::image::{Memory, load_all};
use crate::oci::Platform;
use crate::transport::testing::{artifact, image, index};
use crate::transport::{StoreSink, StoreSource, copy, import};

struct World {
    dir: TempDir,
    blobs: Memory,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), blobs: Memory::default() }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("layout")
    }

    fn put(&self, artifact: &Artifact, names: &[&str]) -> Digest {
        let names = names.iter().map(|name| Name::tag(name)).collect();
        LayoutSink::new(&self.folder(), names).put(artifact, &self.blobs).unwrap()
    }

    fn open(&self, choice: &Choice) -> Result<Layout, TransportError> {
        Layout::open(&self.folder(), choice)
    }

    fn put_raw(&self, name: &str, content: &str) {
        std::fs::write(self.folder().join(name), content).unwrap();
    }

    fn entries(&self) -> Vec<String> {
        let index: ImageIndex =
            serde_json::from_slice(&std::fs::read(self.folder().join("index.json")).unwrap()).unwrap();
        index.manifests().iter().map(describe).collect()
    }
}

#[test]
fn what_is_put_is_found() {
    let mut world = World::new();
    for artifact in [artifact(&mut world.blobs), index(&mut world.blobs)] {
        let digest = world.put(&artifact, &["x"]);
        let layout = world.open(&Choice::Tag("x".into())).unwrap();
        let found = load_all(&layout, layout.root()).unwrap();
        assert_eq!(found.digest(), digest);
        for blob in found.contents() {
            assert!(pump(&mut *layout.open(blob).unwrap(), &mut io::sink()).unwrap() > 0);
        }
    }
}

#[test]
fn an_image_goes_through_the_store_and_back() {
    let mut world = World::new();
    let artifact = index(&mut world.blobs);
    world.put(&artifact, &["x"]);
    let store = crate::store::Store::open(&world.dir.path().join("store")).unwrap();
    let name: Reference = "app:1".parse().unwrap();
    let layout = world.open(&Choice::Only).unwrap();
    copy(&layout, &mut StoreSink::new(&store, vec![name.clone()]), None).unwrap();
    let source = StoreSource::named(&store, &name).unwrap().unwrap();
    let other = world.dir.path().join("other");
    let digest = copy(&source, &mut LayoutSink::new(&other, vec![(&name).into()]), None).unwrap();
    assert_eq!(digest, artifact.digest());
    assert_eq!(
        *Layout::open(&other, &Choice::Tag("app:1".into())).unwrap().root().digest(),
        (&digest).into()
    );
    assert!(StoreSource::named(&store, &"b".parse().unwrap()).unwrap().is_none());
}

#[test]
fn one_image_of_an_index_is_imported() {
    let mut world = World::new();
    let artifact = index(&mut world.blobs);
    world.put(&artifact, &[]);
    let store = crate::store::Store::open(&world.dir.path().join("store")).unwrap();
    let platform: Platform = "linux/arm64".parse().unwrap();
    let image = import(&world.open(&Choice::Only).unwrap(), &store, &platform).unwrap();
    assert_eq!(image.manifest.digest(), artifact.images()[1].manifest.digest());
    let has = |blob: &Descriptor| store.has(&digest_of(blob).unwrap());
    assert!(image.layers.iter().all(|layer| has(&layer.descriptor)));
    assert!(has(&image.manifest.descriptor) && has(&image.config.descriptor));
    assert!(!has(&artifact.images()[0].layers[0].descriptor), "the other platform's layer was brought too");
}

#[test]
fn names_are_replaced_and_others_stay() {
    let mut world = World::new();
    let (one, two) = (artifact(&mut world.blobs), index(&mut world.blobs));
    world.put(&one, &["a", "b"]);
    world.put(&one, &[]);
    world.put(&two, &["b", "c"]);
    let unnamed = |artifact: &Artifact| artifact.digest().to_string();
    assert_eq!(world.entries(), ["a".to_owned(), unnamed(&one), "b".into(), "c".into()]);
    world.put(&two, &[]);
    assert_eq!(world.entries(), ["a".to_owned(), "b".into(), "c".into(), unnamed(&two)]);
    for (name, artifact) in [("a", &one), ("b", &two), ("c", &two)] {
        let found = world.open(&Choice::Tag(name.into())).unwrap();
        assert_eq!(*found.root().digest(), (&artifact.digest()).into());
    }
    let by_digest = world.open(&Choice::Digest(one.digest())).unwrap();
    assert_eq!(*by_digest.root().digest(), (&one.digest()).into());
}

#[test]
fn without_a_choice_there_must_be_but_one() {
    let mut world = World::new();
    let (one, two) = (artifact(&mut world.blobs), index(&mut world.blobs));
    world.put(&one, &["a", "b"]);
    world.open(&Choice::Only).expect("both are the same image");
    world.put(&two, &["b"]);
    let error = world.open(&Choice::Only).unwrap_err().to_string();
    assert!(error.ends_with("has several images and none was chosen: `a`, `b`"), "{error}");
    let error = world.open(&Choice::Tag("c\x1b".into())).unwrap_err().to_string();
    assert!(error.ends_with("has no image `c\\u{1b}`; it has `a`, `b`"), "{error}");
    world.put(&two, &["latest"]);
    assert_eq!(*world.open(&Choice::Only).unwrap().root().digest(), (&two.digest()).into());
}

#[test]
fn whole_names_are_found_by_tag_and_by_name() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    let name: Reference = "r.io/team/app:1".parse().unwrap();
    LayoutSink::new(&world.folder(), vec![(&name).into()]).put(&artifact, &world.blobs).unwrap();
    for choice in ["1", "r.io/team/app:1"] {
        world.open(&Choice::Tag(choice.into())).unwrap();
    }
    for choice in ["2", "r.io/team/app:2", "app:1", "r.io/team/app"] {
        assert!(world.open(&Choice::Tag(choice.into())).is_err(), "`{choice}` was found");
    }
}

#[test]
fn blobs_that_are_there_are_kept_and_damaged_ones_mended() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    world.put(&artifact, &["a"]);
    let path = |blob: &Descriptor| world.folder().join(blob_path(&digest_of(blob).unwrap()));
    let [good, bad] = artifact.contents()[..] else { panic!("two layers") };
    let inode = |blob| path(blob).metadata().unwrap().ino();
    let before = inode(good);
    let mut bytes = std::fs::read(path(bad)).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path(bad), bytes).unwrap();
    world.put(&artifact, &["a"]);
    assert_eq!(inode(good), before);
    let layout = world.open(&Choice::Only).unwrap();
    pump(&mut *layout.open(bad).unwrap(), &mut io::sink()).unwrap();
}

#[test]
fn a_failed_put_changes_no_name() {
    let mut world = World::new();
    let old = artifact(&mut world.blobs);
    world.put(&old, &["a"]);
    let before = std::fs::read(world.folder().join("index.json")).unwrap();
    // Its layers are in other blobs than those that are given.
    let new = Artifact::Image(image(&mut Memory::default(), "linux/arm64", &["gzip"]));
    let failed = LayoutSink::new(&world.folder(), vec![Name::tag("a")]).put(&new, &world.blobs);
    assert!(matches!(failed, Err(TransportError::Io { .. })));
    assert_eq!(std::fs::read(world.folder().join("index.json")).unwrap(), before);
    let left: Vec<_> = walkdir::WalkDir::new(world.folder()).into_iter().map(Result::unwrap).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".lith-")));
}

#[test]
fn a_file_that_is_no_such_blob_is_not_copied() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    world.put(&artifact, &["a"]);
    let layout = world.open(&Choice::Only).unwrap();
    let blob = artifact.contents()[0];
    let path = world.folder().join(blob_path(&digest_of(blob).unwrap()));
    let good = std::fs::read(&path).unwrap();
    let other = world.dir.path().join("other");
    for bad in [[&good[..], b"x"].concat(), good[1..].to_vec(), vec![0; good.len()]] {
        std::fs::write(&path, bad).unwrap();
        assert!(copy(&layout, &mut LayoutSink::new(&other, Vec::new()), None).is_err());
        assert!(!other.join(blob_path(&digest_of(blob).unwrap())).exists());
        assert!(!other.join("index.json").exists());
    }
    std::fs::write(&path, good).unwrap();
    copy(&layout, &mut LayoutSink::new(&other, Vec::new()), None).unwrap();
}

#[test]
fn a_folder_of_other_things_is_left_alone() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    std::fs::create_dir(world.folder()).unwrap();
    world.put(&artifact, &[]);
    let home = world.dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("thesis.txt"), "").unwrap();
    let refused = LayoutSink::new(&home, Vec::new()).put(&artifact, &world.blobs);
    assert!(matches!(refused, Err(TransportError::ForeignFolder { .. })));
    assert!(!home.join("blobs").exists());
}

#[test]
fn what_others_wrote_into_the_index_stays() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    world.put(&artifact, &["a"]);
    let path = world.folder().join("index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    index["annotations"] = json!({"vendor": "x"});
    index["manifests"][0]["platform"] = json!({"os.version": "10", "os": "linux", "architecture": "amd64"});
    std::fs::write(&path, index.to_string()).unwrap();
    world.put(&artifact, &["b"]);
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(after["annotations"], index["annotations"]);
    assert_eq!(after["manifests"][0], index["manifests"][0]);
}

#[test]
fn hostile_layouts_are_refused() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    world.put(&artifact, &["a"]);
    let digest = Digest::of(b"x").to_string();
    let entry = |digest: &str, size: Value| {
        json!({"schemaVersion": 2, "manifests": [{"mediaType": "m", "digest": digest, "size": size}]})
            .to_string()
    };
    for index in [
        entry("sha256:../../../../etc/passwd", json!(1)),
        entry("md5:d41d8cd98f00b204e9800998ecf8427e", json!(1)),
        entry(&digest, json!(-1)),
        "[]".into(),
        "{".into(),
        json!({"schemaVersion": 2, "manifests": []}).to_string(),
        " ".repeat(usize::try_from(MAX_MANIFEST).unwrap() + 1),
    ] {
        world.put_raw("index.json", &index);
        assert!(world.open(&Choice::Only).is_err(), "{index:.200}");
    }
    world.put_raw("index.json", &entry(&digest, json!(1)));
    world.open(&Choice::Only).unwrap();
    world.put_raw("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    assert!(world.open(&Choice::Only).unwrap_err().to_string().contains("2.0.0"));
}

#[test]
fn a_fifo_in_a_blobs_place_is_not_waited_for() {
    let mut world = World::new();
    let artifact = artifact(&mut world.blobs);
    world.put(&artifact, &[]);
    let blob = artifact.contents()[0];
    let path = world.folder().join(blob_path(&digest_of(blob).unwrap()));
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(world.open(&Choice::Only).unwrap().open(blob).is_err());
}

#[test]
fn a_path_and_a_name_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("a:b");
    std::fs::create_dir(&here).unwrap();
    let here = here.to_str().unwrap();
    let digest = Digest::of(b"x");
    let tag = |tag: &str| Choice::Tag(tag.into());
    for (text, path, choice) in [
        (here.to_owned(), here, Choice::Only),
        (format!("{here}:1"), here, tag("1")),
        (format!("{here}:r.io/app:1"), here, tag("r.io/app:1")),
        (format!("{here}@{digest}"), here, Choice::Digest(digest.clone())),
        (format!("{here}:1@{digest}"), here, Choice::Digest(digest.clone())),
        ("not/there".into(), "not/there", Choice::Only),
        ("not/there:1".into(), "not/there", tag("1")),
        ("no:1/there".into(), "no:1/there", Choice::Only),
        ("x:".into(), "x", Choice::Only),
    ] {
        assert_eq!(Choice::split(&text), (PathBuf::from(path), choice), "{text}");
    }
}

#[test]
fn names_with_one_tag_are_not_ambiguous() {
    let mut world = World::new();
    let (first, second) = (artifact(&mut world.blobs), artifact(&mut world.blobs));
    let names = |names: &[&str]| -> Vec<Name> {
        names.iter().map(|name| Name::from(&name.parse::<Reference>().unwrap())).collect()
    };
    let entries = |world: &World| {
        let index: Value =
            serde_json::from_slice(&std::fs::read(world.folder().join("index.json")).unwrap()).unwrap();
        let annotation = |entry: &Value, key| entry["annotations"][key].as_str().unwrap_or("-").to_owned();
        let entries = index["manifests"].as_array().unwrap().iter();
        entries
            .map(|entry| [REF_NAME, IMAGE_NAME].map(|key| annotation(entry, key)).join(" "))
            .collect::<Vec<_>>()
    };
    let both = ["1 docker.io/library/app:1", "- r.example/app:1", "2 r.example/app:2"];
    for artifact in [&first, &second, &first] {
        let mut sink =
            LayoutSink::new(&world.folder(), names(&["app:1", "r.example/app:1", "r.example/app:2"]));
        sink.put(artifact, &world.blobs).unwrap();
        assert_eq!(entries(&world), both);
    }
    // The one without a tag is found by its name, and replaced by it.
    assert!(world.open(&Choice::Tag("r.example/app:1".into())).is_ok());
    LayoutSink::new(&world.folder(), names(&["r.example/app:1"])).put(&first, &world.blobs).unwrap();
    assert_eq!(entries(&world), ["2 r.example/app:2", "1 r.example/app:1"]);
    LayoutSink::new(&world.folder(), Vec::new()).put(&first, &world.blobs).unwrap();
    assert_eq!(entries(&world), ["2 r.example/app:2", "1 r.example/app:1", "- -"]);
}
