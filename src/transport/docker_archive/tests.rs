use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::image::load;
use crate::oci::Platform;
use crate::store::Store;
use crate::transport::testing::{artifact, image, index, tar};
use crate::transport::{OciArchive, import};

fn write(dir: &TempDir, artifact: &Artifact, blobs: &Memory) -> Result<PathBuf, TransportError> {
    let path = dir.path().join("image.tar");
    let names = ["app:1", "r.io/team/app"].map(|name| name.parse().unwrap());
    DockerArchiveSink::new(Destination::File(path.clone()), names.into()).put(artifact, blobs)?;
    Ok(path)
}

fn load_from(archive: &DockerArchive) -> Image {
    load(archive, archive.root(), &Platform::default()).unwrap()
}

/// A tar of these files, and of links where a name has a target.
fn archive(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, target) in links {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saved.tar");
    std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
    (dir, path)
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let value = json!({"os": "linux", "architecture": "amd64", "docker_version": "20", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    value.to_string().into_bytes()
}

fn manifest(config: &str, tags: &Value, layers: &[&str]) -> Value {
    json!({"Config": config, "RepoTags": tags, "Layers": layers})
}

#[test]
fn config_and_layers_come_back_as_they_were() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = artifact(&mut blobs);
    let path = write(&dir, &artifact, &blobs).unwrap();
    for choice in ["1", "app:1", "docker.io/library/app:1", "r.io/team/app", "latest"] {
        let archive = DockerArchive::open(&path, &Choice::Tag(choice.into())).unwrap();
        let found = load_from(&archive);
        assert_eq!(found.config.bytes, artifact.images()[0].config.bytes);
        assert_eq!(found.layers, artifact.images()[0].layers);
    }
    let error = DockerArchive::open(&path, &Choice::Tag("2".into())).unwrap_err().to_string();
    assert!(
        error.ends_with("has no image `2`; it has `docker.io/library/app:1`, `r.io/team/app:latest`"),
        "{error}"
    );
}

#[test]
fn it_is_a_layout_too_with_the_same_digest() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = artifact(&mut blobs);
    let path = dir.path().join("image.tar");
    let names = vec!["app:1".parse().unwrap()];
    DockerArchiveSink::new(Destination::File(path.clone()), names).put(&artifact, &blobs).unwrap();
    let layout = OciArchive::open(&path, &Choice::Tag("app:1".into())).unwrap();
    assert_eq!(*layout.root().digest(), (&artifact.digest()).into());
}

#[test]
fn layers_that_docker_cannot_read_are_unpacked() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = Artifact::Image(image(&mut blobs, "linux/amd64", &["zstd", "gzip", "none", "zstd"]));
    let path = write(&dir, &artifact, &blobs).unwrap();
    let archive = DockerArchive::open(&path, &Choice::Only).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let found = import(&archive, &store, &Platform::default()).unwrap();
    assert_eq!(found.config.bytes, artifact.images()[0].config.bytes);
    for layer in &found.layers {
        assert_eq!(*layer.descriptor.media_type(), MediaType::ImageLayer);
        assert_eq!(layer.descriptor.digest().to_string(), layer.diff_id.to_string());
    }
    assert!(OciArchive::open(&path, &Choice::Only).is_err(), "a layout would have another digest");
}

#[test]
fn a_layer_of_another_diff_id_is_not_written() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let mut image = image(&mut blobs, "linux/amd64", &["zstd", "zstd"]);
    image.layers[0].diff_id = image.layers[1].diff_id.clone();
    let written = write(&dir, &Artifact::Image(image), &blobs);
    assert!(matches!(written, Err(TransportError::DiffId { .. })));
    assert!(!dir.path().join("image.tar").exists());
}

#[test]
fn it_holds_one_image() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let index = index(&mut blobs);
    assert!(matches!(write(&dir, &index, &blobs), Err(TransportError::OneImage { images: 2, .. })));
}

#[test]
fn what_old_dockers_saved_is_read() {
    let (one, two) = (tar("one", "1"), tar("two", "2"));
    let config = config(&[&one, &two, &one]);
    let name = format!("{}.json", Digest::of(&config).hex());
    let manifest =
        json!([manifest(&name, &json!(["app:1"]), &["a/layer.tar", "b/layer.tar", "c/layer.tar"])]);
    let (dir, path) = archive(
        &[
            ("manifest.json", manifest.to_string().as_bytes()),
            ("repositories", b"{}"),
            ("a/VERSION", b"1.0"),
            ("a/layer.tar", &one),
            ("b/layer.tar", &two),
            (&name, &config),
        ],
        // docker save writes a layer that comes twice as a link to the first.
        &[("c/layer.tar", "../a/layer.tar")],
    );
    let archive = DockerArchive::open(&path, &Choice::Only).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let image = import(&archive, &store, &Platform::default()).unwrap();
    assert_eq!(image.config.bytes, config);
    let digests: Vec<String> = image.layers.iter().map(|l| l.descriptor.digest().to_string()).collect();
    assert_eq!(digests, [&one, &two, &one].map(|layer| Digest::of(layer).to_string()));
    assert!(image.layers.iter().all(|l| *l.descriptor.media_type() == MediaType::ImageLayer));
    let id = Choice::Digest(Digest::of(&config));
    DockerArchive::open(&path, &id).expect("docker's image ID is a choice");
}

#[test]
fn several_images_need_a_choice() {
    let config = config(&[]);
    let entries =
        json!([manifest("a.json", &json!(["a:1", "b:1"]), &[]), manifest("b.json", &Value::Null, &[])]);
    let (_dir, path) = archive(
        &[("manifest.json", entries.to_string().as_bytes()), ("a.json", &config), ("b.json", &config)],
        &[],
    );
    let error = DockerArchive::open(&path, &Choice::Only).unwrap_err().to_string();
    assert!(error.ends_with("several images and none was chosen: `a:1`, `b:1`, `b.json`"), "{error}");
    DockerArchive::open(&path, &Choice::Tag("b:1".into())).unwrap();
}

#[test]
fn hostile_archives_are_refused() {
    let layer = tar("one", "1");
    let good = config(&[&layer]);
    let open = |manifest: &Value, config: &[u8]| {
        let files = [
            ("manifest.json", manifest.to_string()),
            ("layer.tar", String::from_utf8(layer.clone()).unwrap()),
        ];
        let mut files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        files.push(("c.json", config));
        let (_dir, path) = archive(&files, &[("link.tar", "/etc/passwd")]);
        DockerArchive::open(&path, &Choice::Only).map(drop).map_err(|error| error.to_string())
    };
    open(&json!([manifest("c.json", &json!([]), &["layer.tar"])]), &good).unwrap();
    for (what, manifest, config) in [
        ("fewer layers", json!([manifest("c.json", &json!([]), &[])]), &good[..]),
        ("more layers", json!([manifest("c.json", &json!([]), &["layer.tar"; 2])]), &good),
        ("no layer", json!([manifest("c.json", &json!([]), &["x\u{1b}.tar"])]), &good),
        ("a link out", json!([manifest("c.json", &json!([]), &["link.tar"])]), &good),
        ("a path out", json!([manifest("../../etc/passwd", &json!([]), &["layer.tar"])]), &good),
        ("no config", json!([manifest("d.json", &json!([]), &["layer.tar"])]), &good),
        ("a wrong config", json!([manifest("c.json", &json!([]), &["layer.tar"])]), b"{}"),
        ("a huge config", json!([manifest("c.json", &json!([]), &["layer.tar"])]), &vec![b' '; 9 << 20]),
        ("no list", json!({}), &good),
        ("nothing in it", json!([]), &good),
    ] {
        let error = open(&manifest, config).expect_err(what);
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_noticed() {
    let (right, wrong) = (tar("one", "1"), tar("one", "2"));
    let manifest = json!([manifest("c.json", &json!([]), &["layer.tar"])]);
    let files = [("manifest.json", manifest.to_string()), ("layer.tar", String::from_utf8(wrong).unwrap())];
    let config = config(&[&right]);
    let mut files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    files.push(("c.json", &config));
    let (dir, path) = archive(&files, &[]);
    let archive = DockerArchive::open(&path, &Choice::Only).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    assert!(import(&archive, &store, &Platform::default()).is_err());
    assert!(!store.has(&Digest::of(&right)));
}
