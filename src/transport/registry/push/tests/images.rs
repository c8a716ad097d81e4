//! Images, indexes, tags.

use super::*;
use crate::image::{Document, Image};
use crate::oci::MediaType;
use crate::transport::testing::{artifact, image, index};

fn push(fake: &Fake, tags: &[&str], artifact: &Artifact, blobs: &Memory) -> Result<Digest, TransportError> {
    sink(&Fake::registries(), fake, tags).put(artifact, blobs)
}

/// Bodies that were sent: blobs and manifests.
fn bodies(fake: &Fake) -> usize {
    fake.count("PUT", "/v2/")
}

fn is_whole(fake: &Fake, artifact: &Artifact, tag: &str) {
    let state = fake.state();
    let at = |name: &str| ("a".to_owned(), name.to_owned());
    assert_eq!(Digest::of(&state.manifests[&at(tag)].1), artifact.digest());
    for (descriptor, _) in artifact.documents() {
        let digest = descriptor.digest().to_string();
        assert!(state.blobs.contains_key(&at(&digest)) || state.manifests.contains_key(&at(&digest)));
    }
    for blob in artifact.contents() {
        assert!(state.blobs.contains_key(&at(blob.digest().as_ref())));
    }
}

#[test]
fn what_is_referred_to_goes_first() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    let artifact = artifact(&mut blobs);
    assert_eq!(push(&fake, &["1", "latest", "1"], &artifact, &blobs).unwrap(), artifact.digest());
    is_whole(&fake, &artifact, "latest");
    is_whole(&fake, &artifact, "1");
    let asked = fake.asked();
    let puts: Vec<_> = asked.iter().filter(|asked| asked.starts_with("PUT")).collect();
    assert_eq!(puts.len(), 5, "two layers, the config, the manifest for each tag: {asked:?}");
    assert!(puts[3].ends_with("/manifests/1") && puts[4].ends_with("/manifests/latest"), "{puts:?}");
    let Artifact::Image(image) = &artifact else { unreachable!() };
    assert!(puts[2].contains(&crate::http::encode(&image.config.digest().to_string())), "{puts:?}");
    assert_eq!(&asked[..2], ["HEAD /v2/a/manifests/1", "HEAD /v2/a/manifests/latest"]);
}

#[test]
fn what_is_there_costs_one_request_per_tag() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    for artifact in [artifact(&mut blobs), index(&mut blobs)] {
        let digest = artifact.digest();
        let tags = [digest.short(), "x"];
        fake.state().manifests.clear();
        push(&fake, &tags, &artifact, &blobs).unwrap();
        fake.asked();
        push(&fake, &tags, &artifact, &blobs).unwrap();
        assert_eq!(fake.asked().len(), 2);
        push(&fake, &["y", "x"], &artifact, &blobs).unwrap();
        assert_eq!(fake.asked().len(), 3, "a further name is only a manifest");
        push(&fake, &[], &artifact, &blobs).unwrap();
        assert_eq!(fake.asked().len(), 1);
    }
}

#[test]
fn only_what_changed_is_sent() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    let mut layers = vec!["gzip"; 4];
    push(&fake, &["1"], &Artifact::Image(image(&mut blobs, "linux/amd64", &layers)), &blobs).unwrap();
    fake.asked();
    layers.push("zstd");
    let changed = Artifact::Image(image(&mut blobs, "linux/amd64", &layers));
    push(&fake, &["2"], &changed, &blobs).unwrap();
    assert_eq!(bodies(&fake), 3, "the layer, the config, the manifest");
    is_whole(&fake, &changed, "2");
}

#[test]
fn an_index_has_its_images() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    let first = index(&mut blobs);
    assert_eq!(push(&fake, &["1"], &first, &blobs).unwrap(), first.digest());
    is_whole(&fake, &first, "1");
    let images = [("linux/amd64", &["gzip"][..]), ("linux/arm64", &["gzip", "none"])]
        .map(|(platform, layers)| image(&mut blobs, platform, layers));
    let second = Artifact::index(images.into(), std::collections::BTreeMap::default()).unwrap();
    fake.asked();
    push(&fake, &["2"], &second, &blobs).unwrap();
    is_whole(&fake, &second, "2");
    assert_eq!(bodies(&fake), 4, "a layer, its config, its manifest, the index");
    push(&fake, &[], &second, &blobs).unwrap();
}

#[test]
fn a_tag_does_not_move_by_accident() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    let (one, two) = (artifact(&mut blobs), index(&mut blobs));
    push(&fake, &["1", "2-dev"], &one, &blobs).unwrap();
    fake.asked();
    let error = push(&fake, &["0", "1", "9"], &two, &blobs).unwrap_err();
    let TransportError::Registry(RegistryError::TagMoves { name, from, to }) = &error else {
        panic!("{error}")
    };
    assert_eq!((name, from, to), (&format!("{}/a:1", fake.host), &one.digest(), &two.digest()));
    assert_eq!(fake.asked().len(), 2, "nothing was sent");
    let registries = Fake::registries();
    let moved = |moving: MovePolicy, tag: &str| {
        let options = PushOptions { moving, uploads: None };
        RegistrySink::new(&registries, fake.repository("a"), vec![tag.into()], options).put(&two, &blobs)
    };
    let globs = || MovePolicy { any: false, tags: vec!["latest".into(), "*-dev".into()] };
    assert!(moved(globs(), "1").is_err());
    assert_eq!(moved(globs(), "2-dev").unwrap(), two.digest());
    assert_eq!(moved(MovePolicy { any: true, tags: vec![] }, "1").unwrap(), two.digest());
    is_whole(&fake, &two, "1");
    let wrong = MovePolicy { any: false, tags: vec!["[".into()] };
    push(&fake, &["3"], &one, &blobs).unwrap();
    assert!(matches!(moved(wrong, "3"), Err(TransportError::Registry(RegistryError::Pattern(_)))));
}

#[test]
fn the_registry_has_to_have_understood() {
    let mut blobs = Memory::default();
    let artifact = artifact(&mut blobs);
    let other = Digest::of(b"other").to_string();
    let liar = Fake::with(move |asked| {
        let put = asked.is("PUT", "/manifests/");
        put.then(|| Fault::Header("docker-content-digest", other.clone()))
    });
    let error = push(&liar, &["1"], &artifact, &blobs).unwrap_err().to_string();
    assert!(error.contains(artifact.digest().hex()) && error.contains(&liar.host), "{error}");
    let silent = Fake::with(|asked| {
        asked.is("PUT", "/manifests/").then(|| Fault::Header("docker-content-digest", String::new()))
    });
    assert_eq!(push(&silent, &["1"], &artifact, &blobs).unwrap(), artifact.digest());
    let forgetful =
        Fake::with(|asked| asked.is("PUT", "/manifests/").then(|| Fault::Answer(reply(201, &[], ""))));
    let error = push(&forgetful, &["1"], &artifact, &blobs).unwrap_err().to_string();
    assert!(error.contains("not there"), "{error}");
}

/// An artifact whose subject is an image.
fn signature(blobs: &mut Memory, subject: &Image) -> Artifact {
    let config = blobs.put(b"{}".to_vec());
    let text = format!(
        r#"{{"schemaVersion":2,"artifactType":"a/signature","config":{{"mediaType":"{}","digest":"{config}","size":2}},
            "layers":[],"subject":{{"mediaType":"{}","digest":"{}","size":{}}}}}"#,
        "application/vnd.oci.empty.v1+json",
        MediaType::ImageManifest,
        subject.manifest.digest(),
        subject.manifest.descriptor.size(),
    );
    let descriptor =
        crate::image::descriptor(MediaType::ImageManifest, &Digest::of(text.as_bytes()), text.len() as u64);
    let value = serde_json::from_str(&text).unwrap();
    Artifact::Other(Document { value, bytes: text.into_bytes(), descriptor })
}

#[test]
fn referrers_are_listed_where_the_registry_does_not() {
    let (fake, mut blobs) = (Fake::new(), Memory::default());
    let subject = image(&mut blobs, "linux/amd64", &["gzip"]);
    let signature = signature(&mut blobs, &subject);
    push(&fake, &[], &signature, &blobs).unwrap();
    push(&fake, &["x"], &signature, &blobs).unwrap();
    let registries = Fake::registries();
    let find = |artifact_type| {
        registries.referrers(&fake.repository("a"), &subject.manifest.digest(), artifact_type).unwrap()
    };
    assert_eq!(find(None).len(), 1);
    assert_eq!(find(Some("a/signature"))[0].digest(), signature.descriptor().digest());
    assert_eq!(find(Some("a/b")), []);
    let subject_known = Fake::with(|asked| {
        asked.is("PUT", "/manifests/").then(|| Fault::Header("oci-subject", "sha256:x".into()))
    });
    push(&subject_known, &[], &signature, &blobs).unwrap();
    assert_eq!(subject_known.count("GET", "/manifests/sha256-"), 0);
}

#[test]
fn a_copy_from_registry_to_registry() {
    let (from, to, mut blobs) = (Fake::new(), Fake::new(), Memory::default());
    let artifact = index(&mut blobs);
    push(&from, &["1"], &artifact, &blobs).unwrap();
    let registries = Fake::registries();
    let name = format!("{}/a:1", from.host).parse().unwrap();
    let source = crate::transport::registry::RegistrySource::open(&registries, &name).unwrap().unwrap();
    let digest = crate::transport::copy(&source, &mut sink(&registries, &to, &["1"]), None).unwrap();
    assert_eq!(digest, artifact.digest());
    is_whole(&to, &artifact, "1");
    from.asked();
    let mut within =
        RegistrySink::new(&registries, from.repository("b"), vec!["1".into()], PushOptions::default());
    crate::transport::copy(&source, &mut within, None).unwrap();
    assert_eq!(from.count("POST", "?mount="), 4);
    assert_eq!(bodies(&from), 3, "only manifests: {:?}", from.asked());
}
