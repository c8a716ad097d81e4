//! What a copy costs, by the registry's own count.

use std::collections::BTreeMap;

use lith::image::Artifact;
use lith::store::Store;
use lith::transport::registry::{PushOptions, RegistrySink, RegistrySource};
use lith::transport::{Sink as _, StoreSource, copy};

use super::images;
use super::scene::{REPOSITORY, Scene, pull, push, reference, stock};
use crate::support::registry::{Fault, Options, Registry, Requests, What};

const BLOBS: &str = "/v2/*/blobs/*";

/// The paths of requests whose bodies had something in them, without what is the upload's own.
fn sent(requests: &Requests) -> usize {
    requests.filter(|request| request.received > 0).len()
}

#[test]
fn what_is_there_costs_a_request_for_each_tag() {
    let scene = Scene::new(Options::default(), &[3000, 4000]);
    scene.push().unwrap();
    scene.registry.forget_requests();
    scene.push().unwrap();
    let requests = scene.registry.requests();
    assert_eq!(requests.matching("HEAD", "/v2/team/app/manifests/1").len(), 1);
    assert_eq!(requests.len(), 1, "{}", requests.lines());

    let repository = lith::oci::Repository::from(&scene.name());
    let two = || vec!["1".to_owned(), "two".to_owned()];
    let mut sink = RegistrySink::new(&scene.registries, repository, two(), PushOptions::default());
    scene.registry.forget_requests();
    sink.put(&scene.artifact, &scene.blobs).unwrap();
    let requests = scene.registry.requests();
    assert_eq!(sent(&requests), 1, "the manifest, under its new name\n{}", requests.lines());
    assert!(requests.matching("*", BLOBS).is_empty(), "{}", requests.lines());
    scene.registry.forget_requests();
    sink.put(&scene.artifact, &scene.blobs).unwrap();
    let requests = scene.registry.requests();
    assert_eq!(requests.len(), 2, "{}", requests.lines());
}

#[test]
fn a_first_push_sends_each_blob_once() {
    let scene = Scene::new(Options::default(), &[3000, 2_000_000]);
    scene.push().unwrap();
    scene.check_registry(true);
    let requests = scene.registry.requests();
    let config = scene.artifact.images()[0].config.bytes.len() as u64;
    let blobs: u64 = scene.artifact.contents().iter().map(|blob| blob.size()).sum();
    assert_eq!(requests.matching("*", BLOBS).received(), blobs + config, "{}", requests.lines());
    assert_eq!(requests.matching("PUT", "/v2/*/manifests/*").len(), 1);
    assert!(requests.last().unwrap().path.contains("/manifests/"), "the tag is last\n{}", requests.lines());
}

#[test]
fn of_a_changed_image_only_what_changed_is_sent() {
    let mut scene = Scene::new(Options::default(), &[300_000, 2_000_000]);
    scene.push().unwrap();
    let changed = images::artifact(&mut scene.blobs, &[(1, 300_000), (2, 2_000_000), (3, 700)]);
    scene.registry.forget_requests();
    let name = reference(&scene.registry.name("team/app:2"));
    push(&scene.registries, &name, &changed, &scene.blobs, PushOptions::default()).unwrap();
    let requests = scene.registry.requests();
    let image = changed.images()[0].clone();
    let expected = image.layers[2].descriptor.size() + image.config.descriptor.size();
    assert_eq!(requests.matching("*", BLOBS).received(), expected, "{}", requests.lines());
    assert_eq!(sent(&requests), 3, "{}", requests.lines());
    scene.registry.state().check();
}

#[test]
fn what_the_store_has_is_not_pulled_again() {
    let scene = Scene::new(Options::default(), &[3000, 4000]);
    scene.stock();
    scene.pull().unwrap();
    let first = scene.registry.requests();
    assert_eq!(first.matching("GET", BLOBS).len(), 3, "{}", first.lines());
    scene.registry.forget_requests();
    scene.pull().unwrap();
    let requests = scene.registry.requests();
    for layer in scene.artifact.contents() {
        assert!(requests.matching("GET", &format!("*{}", layer.digest())).is_empty(), "{}", requests.lines());
    }
}

#[test]
fn blobs_of_another_repository_are_mounted() {
    let scene = Scene::new(Options::default(), &[3000, 2_000_000]);
    stock(&scene.registry, "library/base", &scene.artifact, &scene.blobs);
    let base = reference(&scene.registry.name("library/base"));
    let copied = || {
        let source = RegistrySource::open(&scene.registries, &base).unwrap().unwrap();
        let repository = lith::oci::Repository::from(&scene.name());
        let tags = vec!["1".to_owned()];
        let mut sink = RegistrySink::new(&scene.registries, repository, tags, PushOptions::default());
        copy(&source, &mut sink, None).unwrap();
        scene.check_registry(true);
        let requests = scene.registry.requests();
        scene.registry.forget_requests();
        scene.registry.state().repositories.remove(REPOSITORY);
        requests
    };
    let requests = copied();
    assert_eq!(requests.matching("POST", "/v2/*?mount=*&from=*").len(), 3, "{}", requests.lines());
    assert!(requests.matching("GET", "/v2/library/base/blobs/*").len() <= 1, "{}", requests.lines());
    assert_eq!(sent(&requests.matching("*", BLOBS)), 0, "{}", requests.lines());

    scene.registry.ignore_mounts();
    let requests = copied();
    assert_eq!(requests.matching("POST", "/v2/*").len(), 3, "its session is used\n{}", requests.lines());
    scene.registry.behave();
    for status in [403, 404, 405] {
        scene.registry.fault(Fault::on("POST", "/v2/*?mount=*", What::Status(status)).always());
        let requests = copied();
        assert!(sent(&requests.matching("*", BLOBS)) >= 3, "{}", requests.lines());
        scene.registry.behave();
    }
}

#[test]
fn a_pulled_base_is_mounted_when_it_is_pushed_elsewhere() {
    let scene = Scene::new(Options::default(), &[3000, 4000]);
    stock(&scene.registry, "library/base", &scene.artifact, &scene.blobs);
    let base = reference(&scene.registry.name("library/base"));
    pull(&scene.registries, &base, &scene.store).unwrap();
    scene.registry.forget_requests();
    let source = StoreSource::named(&scene.store, &base).unwrap().unwrap();
    let repository = lith::oci::Repository::from(&scene.name());
    let mut sink =
        RegistrySink::new(&scene.registries, repository, vec!["1".to_owned()], PushOptions::default());
    copy(&source, &mut sink, None).unwrap();
    scene.check_registry(true);
    let requests = scene.registry.requests();
    let layers = requests.matching("POST", "/v2/*?mount=*");
    assert!(layers.len() >= 2, "{}", requests.lines());
    assert!(sent(&requests.matching("*", BLOBS)) <= 1, "at most the config\n{}", requests.lines());
}

#[test]
fn from_one_registry_to_another_each_blob_goes_once() {
    let mut scene = Scene::new(Options::default(), &[]);
    let index = images::index(&mut scene.blobs);
    stock(&scene.registry, REPOSITORY, &index, &scene.blobs);
    let other = Registry::start();
    let source = RegistrySource::open(&scene.registries, &scene.name()).unwrap().unwrap();
    let repository = lith::oci::Repository::from(&reference(&other.name("copy")));
    let tags = vec!["1".to_owned()];
    let mut sink = RegistrySink::new(&scene.registries, repository, tags, PushOptions::default());
    let digest = copy(&source, &mut sink, None).unwrap();
    assert_eq!(digest, index.digest());
    other.state().check();
    assert_eq!(other.state().blobs("copy"), images::contents(&index));
    let (from, to) = (scene.registry.requests(), other.requests());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let fetched = from.matching("GET", BLOBS);
    for request in fetched.iter() {
        *seen.entry(&request.path).or_default() += 1;
    }
    assert!(seen.values().all(|count| *count == 1), "{}", from.lines());
    let sizes: u64 = sizes(&index);
    assert_eq!(to.matching("*", BLOBS).received(), sizes, "{}", to.lines());
}

/// The size of all configs and layers, each once.
fn sizes(artifact: &Artifact) -> u64 {
    let configs = artifact.images().into_iter().map(|image| &image.config.descriptor);
    let blobs = artifact.contents().into_iter().chain(configs);
    let sizes: BTreeMap<_, _> = blobs.map(|blob| (blob.digest().to_string(), blob.size())).collect();
    sizes.values().sum()
}

#[test]
fn a_tag_does_not_move_by_accident() {
    use lith::transport::registry::MovePolicy;
    let mut scene = Scene::new(Options::default(), &[3000]);
    scene.push().unwrap();
    let other = images::artifact(&mut scene.blobs, &[(9, 100)]);
    scene.registry.forget_requests();
    let error =
        push(&scene.registries, &scene.name(), &other, &scene.blobs, PushOptions::default()).unwrap_err();
    let error = super::scene::told(&error);
    for digest in [scene.artifact.digest(), other.digest()] {
        assert!(error.contains(&digest.to_string()), "{error}");
    }
    assert_eq!(sent(&scene.registry.requests()), 0, "{}", scene.registry.requests().lines());
    for moving in [
        MovePolicy { any: true, ..MovePolicy::default() },
        MovePolicy { tags: vec!["1*".into()], ..MovePolicy::default() },
    ] {
        let options = PushOptions { moving, ..PushOptions::default() };
        push(&scene.registries, &scene.name(), &other, &scene.blobs, options).unwrap();
        assert_eq!(scene.registry.state().tag(REPOSITORY, "1"), Some(other.digest().to_string()));
        scene.stock();
    }
}

#[test]
fn a_pull_into_a_new_store_takes_each_blob_once() {
    let mut scene = Scene::new(Options::default(), &[]);
    let index = images::index(&mut scene.blobs);
    stock(&scene.registry, REPOSITORY, &index, &scene.blobs);
    let store = Store::open(&scene.dir.path().join("new")).unwrap();
    assert_eq!(pull(&scene.registries, &scene.name(), &store).unwrap(), index.digest());
    let requests = scene.registry.requests();
    assert_eq!(requests.matching("GET", BLOBS).len(), images::contents(&index).len(), "{}", requests.lines());
    assert_eq!(requests.matching("GET", BLOBS).sent(), sizes(&index), "{}", requests.lines());
    assert!(requests.matching("GET", "/v2/*/manifests/*").len() <= 3, "{}", requests.lines());
}
