use serde_json::{Value, json};

use super::*;
use crate::image::{Memory, descriptor};
use crate::oci::MediaType;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn put(blobs: &mut Memory, media_type: &str, document: &Value) -> Descriptor {
    let bytes = document.to_string().into_bytes();
    let size = bytes.len() as u64;
    descriptor(MediaType::from(media_type), &blobs.put(bytes), size)
}

fn entry(descriptor: &Descriptor, platform: Option<&str>) -> Value {
    let mut value = serde_json::to_value(descriptor).unwrap();
    if let Some(platform) = platform {
        let parts: Vec<&str> = platform.split('/').collect();
        value["platform"] = json!({"os": parts[0], "architecture": parts[1]});
        if let Some(variant) = parts.get(2) {
            value["platform"]["variant"] = json!(variant);
        }
    }
    value
}

fn config(architecture: &str, diff_ids: usize) -> Value {
    let diff_ids = vec![Digest::of(b"tar").to_string(); diff_ids];
    json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

fn layer() -> Value {
    entry(&descriptor(MediaType::from(LAYER), &Digest::of(b"blob"), 4), None)
}

/// A manifest of one layer, after `edit` had its way with manifest and config.
fn image(blobs: &mut Memory, architecture: &str, edit: impl FnOnce(&mut Value, &mut Value)) -> Descriptor {
    let mut config = config(architecture, 1);
    let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer()]});
    edit(&mut manifest, &mut config);
    let config = put(blobs, CONFIG, &config);
    if manifest.get("config").is_none() {
        manifest["config"] = entry(&config, None);
    }
    put(blobs, MANIFEST, &manifest)
}

fn index(blobs: &mut Memory, entries: &[Value]) -> Descriptor {
    put(blobs, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
}

fn amd64() -> Platform {
    Platform::default()
}

fn refused(edit: impl FnOnce(&mut Value, &mut Value)) -> LoadError {
    let mut blobs = Memory::default();
    let root = image(&mut blobs, "amd64", edit);
    load(&blobs, &root, &amd64()).expect_err("it was taken")
}

#[test]
fn an_image_is_read_whole() {
    let mut blobs = Memory::default();
    let root = image(&mut blobs, "arm64", |_, _| {});
    let image = load(&blobs, &root, &amd64()).unwrap();
    assert_eq!(image.manifest.descriptor, root);
    assert_eq!(image.config.value.platform.architecture, "arm64");
    assert_eq!(image.layers.len(), 1);
    assert_eq!(image.layers[0].descriptor.digest().to_string(), Digest::of(b"blob").to_string());
}

#[test]
fn dockers_media_types_are_taken_as_they_are() {
    let mut blobs = Memory::default();
    let config = put(&mut blobs, "application/vnd.docker.container.image.v1+json", &config("amd64", 2));
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let mut gzip = layer();
    gzip["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar.gzip");
    let mut foreign = layer();
    foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": entry(&config, None), "layers": [gzip, foreign]});
    let manifest = put(&mut blobs, kind, &manifest);
    let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list =
        json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry(&manifest, Some("linux/amd64"))]});
    let root = put(&mut blobs, kind, &list);
    let image = load(&blobs, &root, &amd64()).unwrap();
    let media_type = image.layers[0].descriptor.media_type().as_ref();
    assert_eq!(media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
}

#[test]
fn documents_of_two_meanings_are_refused() {
    let both = refused(|manifest, _| manifest["manifests"] = json!([]));
    assert!(matches!(both, LoadError::Ambiguous { .. }));
    let other = refused(|manifest, _| manifest["mediaType"] = json!(INDEX));
    assert!(matches!(other, LoadError::Disagreement { .. }));
    let old = refused(|manifest, _| manifest["schemaVersion"] = json!(1));
    assert!(matches!(old, LoadError::Schema { found: 1, .. }));
    assert!(matches!(refused(|m, _| m["schemaVersion"] = Value::Null), LoadError::Schema { .. }));
}

#[test]
fn what_announces_the_wrong_kind_is_refused() {
    let mut blobs = Memory::default();
    let root = image(&mut blobs, "amd64", |manifest, _| {
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    let as_index = descriptor(MediaType::ImageIndex, &Digest::try_from(root.digest()).unwrap(), root.size());
    assert!(matches!(load(&blobs, &as_index, &amd64()), Err(LoadError::Json { .. })));
    let as_page =
        descriptor(MediaType::from("text/html"), &Digest::try_from(root.digest()).unwrap(), root.size());
    assert!(matches!(load(&blobs, &as_page, &amd64()), Err(LoadError::MediaType { .. })));
}

#[test]
fn descriptors_that_lie_are_refused() {
    for (field, value) in [
        ("digest", json!("sha256:../../../../etc/passwd")),
        ("digest", json!("md5:d41d8cd98f00b204e9800998ecf8427e")),
        ("digest", json!("sha256:ABCDEF")),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!(18_446_744_073_709_551_615_u64 as f64 * 4.0)),
        ("mediaType", json!("text/html")),
    ] {
        let found = refused(|manifest, _| manifest["layers"][0][field] = value.clone());
        let fits =
            matches!(found, LoadError::Digest(_) | LoadError::Json { .. } | LoadError::MediaType { .. });
        assert!(fits, "{field} {value}: {found}");
    }
}

#[test]
fn the_bytes_must_be_those_of_the_descriptor() {
    let mut blobs = Memory::default();
    let root = image(&mut blobs, "amd64", |_, _| {});
    for size in [root.size() - 1, root.size() + 1, 0] {
        let lying = descriptor(MediaType::ImageManifest, &Digest::try_from(root.digest()).unwrap(), size);
        assert!(matches!(load(&blobs, &lying, &amd64()), Err(LoadError::Read { .. })), "size {size}");
    }
    let absent = descriptor(MediaType::ImageManifest, &Digest::of(b"elsewhere"), 1);
    let Err(LoadError::Read { error, .. }) = load(&blobs, &absent, &amd64()) else { panic!("found") };
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn documents_without_bound_are_not_read() {
    let huge = descriptor(MediaType::ImageManifest, &Digest::of(b"x"), MAX_MANIFEST + 1);
    let found = load(&Memory::default(), &huge, &amd64());
    assert!(matches!(found, Err(LoadError::TooLarge { what: "manifest", .. })));
    let found = refused(|manifest, _| {
        let config = descriptor(MediaType::ImageConfig, &Digest::of(b"x"), 100 << 20);
        manifest["config"] = entry(&config, None);
    });
    assert!(matches!(found, LoadError::TooLarge { what: "config", .. }));
}

#[test]
fn each_layer_has_its_diff_id() {
    for count in [0, 2] {
        let found = refused(|_, config| {
            config["rootfs"]["diff_ids"] = json!(vec![Digest::of(b"tar").to_string(); count]);
        });
        assert!(matches!(found, LoadError::LayerCount { layers: 1, diff_ids, .. } if diff_ids == count));
    }
    let found = refused(|_, config| config["rootfs"]["type"] = json!("layers+base"));
    assert!(matches!(found, LoadError::RootFs { .. }));
}

#[test]
fn history_that_disagrees_is_tolerated() {
    let mut blobs = Memory::default();
    let root = image(&mut blobs, "amd64", |_, config| config["history"] = json!([{}, {}, {}]));
    assert_eq!(load(&blobs, &root, &amd64()).unwrap().config.value.history.len(), 3);
}

#[test]
fn a_strangers_words_reach_no_terminal() {
    let found = refused(|manifest, _| manifest["mediaType"] = json!("\u{1b}[2J"));
    assert!(!found.to_string().contains('\u{1b}'), "{found}");
    let found = refused(|manifest, _| manifest["layers"] = json!("\u{1b}[2J"));
    assert!(!found.to_string().contains('\u{1b}'), "{found}");
    let found = refused(|manifest, _| manifest["layers"][0]["digest"] = json!("sha256:\u{1b}[2J"));
    assert!(!found.to_string().contains('\u{1b}'), "{found}");
}

#[test]
fn the_platform_picks_from_an_index() {
    let mut blobs = Memory::default();
    let one = image(&mut blobs, "amd64", |_, _| {});
    let two = image(&mut blobs, "arm", |_, _| {});
    let silent = image(&mut blobs, "riscv64", |_, _| {});
    let entries = [
        entry(&two, Some("unknown/unknown")),
        entry(&one, Some("linux/amd64")),
        entry(&two, Some("linux/arm/v6")),
        entry(&silent, None),
    ];
    let root = index(&mut blobs, &entries);
    let pick = |platform: &str| {
        load(&blobs, &root, &platform.parse().unwrap())
            .map(|image| image.manifest.descriptor.digest().clone())
    };
    assert_eq!(pick("linux/amd64").unwrap(), *one.digest());
    assert_eq!(pick("linux/arm/v7").unwrap(), *two.digest());
    assert_eq!(pick("linux/riscv64").unwrap(), *silent.digest());
    let error = pick("linux/s390x").unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no image for `linux/s390x`; there is `linux/amd64`, `linux/arm/v6`, `linux/riscv64`"
    );
}

#[test]
fn attestations_are_no_images_but_belong_to_the_whole() {
    let mut blobs = Memory::default();
    let one = image(&mut blobs, "amd64", |_, _| {});
    // As BuildKit writes it: the statement's layers have no diff IDs of ours.
    let attestation = image(&mut blobs, "unknown", |manifest, _| {
        manifest["layers"][0]["mediaType"] = json!("application/vnd.in-toto+json");
    });
    let mut second = entry(&attestation, Some("unknown/unknown"));
    second["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let root = index(&mut blobs, &[entry(&one, Some("linux/amd64")), second]);
    let whole = load_all(&blobs, &root).unwrap();
    assert_eq!(whole.images().len(), 1);
    assert_eq!(whole.documents().len(), 4, "two manifests, one config, the index");
    assert_eq!(whole.contents().len(), 2, "a layer, which both name, and the attestation's config");
    assert_eq!(whole.documents().last().unwrap().0, &root);
    assert_eq!(whole.digest().to_string(), root.digest().to_string());
}

#[test]
fn an_artifact_is_no_image() {
    let mut blobs = Memory::default();
    let empty = put(&mut blobs, "application/vnd.oci.empty.v1+json", &json!({}));
    let root = image(&mut blobs, "amd64", |manifest, _| manifest["config"] = entry(&empty, None));
    assert!(matches!(load(&blobs, &root, &amd64()), Err(LoadError::MediaType { .. })));
    assert!(matches!(load_all(&blobs, &root), Ok(Artifact::Other(_))));
}

#[test]
fn indexes_do_not_nest_without_end() {
    let mut blobs = Memory::default();
    let mut root = image(&mut blobs, "amd64", |_, _| {});
    root = index(&mut blobs, &[entry(&root, Some("linux/amd64"))]);
    for depth in 1..=MAX_NESTING + 1 {
        let expected = depth <= MAX_NESTING;
        assert_eq!(load(&blobs, &root, &amd64()).is_ok(), expected, "{depth} deep");
        assert_eq!(load_all(&blobs, &root).is_ok(), expected, "{depth} deep");
        root = index(&mut blobs, &[entry(&root, None)]);
    }
}

#[test]
fn indexes_do_not_fan_out_without_end() {
    let mut blobs = Memory::default();
    let mut root = image(&mut blobs, "amd64", |_, _| {});
    for _ in 0..MAX_NESTING {
        root = index(&mut blobs, &vec![entry(&root, None); 100]);
    }
    assert!(matches!(load(&blobs, &root, &amd64()), Err(LoadError::Documents)));
    assert!(matches!(load_all(&blobs, &root), Err(LoadError::Documents)));
}

#[test]
fn an_index_of_ours_is_read_back() {
    let mut blobs = Memory::default();
    let roots = [image(&mut blobs, "amd64", |_, _| {}), image(&mut blobs, "arm64", |_, _| {})];
    let images = roots.iter().map(|root| load(&blobs, root, &amd64()).unwrap()).collect();
    let made = Artifact::index(images, std::collections::BTreeMap::default()).unwrap();
    for (_, bytes) in made.documents() {
        blobs.put(bytes.to_vec());
    }
    let read = load_all(&blobs, made.descriptor()).unwrap();
    assert_eq!((read.images().len(), read.digest()), (2, made.digest()));
    let arm = load(&blobs, made.descriptor(), &"linux/arm64".parse().unwrap()).unwrap();
    assert_eq!(arm.manifest.descriptor.digest(), roots[1].digest());
}
