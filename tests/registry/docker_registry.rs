//! docker-registry, over TLS: lith beside skopeo.

use std::process::Command;
use std::sync::Arc;

use lith::image::{Artifact, Memory};
use lith::store::{Store, fsck};
use lith::transport::registry::{Credential, PushOptions, Registries, Settings};
use serde_json::Value;

use super::images;
use super::scene::{OneHost, pull, push, reference, settings, told};
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::programs::{find, run};
use crate::support::registry::{PASSWORD, USER};

/// lith's way to a docker-registry, or to a proxy in front of it.
pub(crate) fn registries(registry: &DockerRegistry, host: String) -> Registries {
    let credential = Credential::Basic { user: USER.into(), password: PASSWORD.into() };
    let settings = Settings { ca: vec![registry.ca()], ..settings() };
    Registries::new(settings, Arc::new(OneHost { registry: host, credential }))
}

fn skopeo(registry: &DockerRegistry, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(find("skopeo", "docker-registry with skopeo")?);
    command.arg("--insecure-policy").args(arguments).env("HOME", registry.cert_dir());
    Some(command)
}

#[test]
fn skopeo_finds_it_in_order() {
    for access in [Access::Htpasswd, Access::Token] {
        let Some(registry) = DockerRegistry::start(access, "docker-registry with skopeo") else { return };
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = Memory::default();
        let artifact = images::index(&mut blobs);
        images::write(&artifact, &blobs, &dir.path().join("in"));
        let from = format!("oci:{}", dir.path().join("in").display());
        let arguments = ["copy", "--quiet", "--all", "--preserve-digests", "--dest-creds"];
        let Some(mut copy) = skopeo(&registry, &arguments) else { return };
        copy.arg(format!("{USER}:{PASSWORD}")).arg("--dest-cert-dir").arg(registry.cert_dir());
        run(copy.args([&from, &format!("docker://{}/team/app:1", registry.host())]));
        let committed = registry.committed("team/app");
        assert!(images::contents(&artifact).iter().all(|digest| committed.contains(digest)), "{committed:?}");
        assert_eq!(registry.tokens_given() > 0, access == Access::Token);
    }
}

#[test]
fn images_go_there_and_come_back_as_they_were() {
    for access in [Access::Htpasswd, Access::Token] {
        let Some(registry) = DockerRegistry::start(access, "pushing to docker-registry") else { return };
        let lith = registries(&registry, registry.host());
        let mut blobs = Memory::default();
        let image = images::artifact(&mut blobs, &[(1, 3000), (2, 3_000_000)]);
        let index = images::index(&mut blobs);
        for (name, artifact) in [("team/image", &image), ("team/index", &index)] {
            there_and_back(&registry, &lith, name, artifact, &blobs);
        }
        assert_eq!(registry.tokens_given() > 0, access == Access::Token);
        assert!(registry.tokens_given() <= 8, "{} tokens for two repositories", registry.tokens_given());
    }
}

#[track_caller]
fn there_and_back(
    registry: &DockerRegistry,
    lith: &Registries,
    name: &str,
    artifact: &Artifact,
    blobs: &Memory,
) {
    let digest = artifact.digest().to_string();
    let place = format!("{}/{name}", registry.host());
    let pushed = push(lith, &reference(&place), artifact, blobs, PushOptions::default());
    assert_eq!(pushed.unwrap_or_else(|error| panic!("{}", told(&error))).to_string(), digest);
    let committed = registry.committed(name);
    assert!(images::contents(artifact).iter().all(|blob| committed.contains(blob)), "{committed:?}");

    let dir = tempfile::tempdir().unwrap();
    for name in [format!("{place}:1"), format!("{place}@{digest}")] {
        let store = Store::open(&dir.path().join(name.replace('/', "-"))).unwrap();
        assert_eq!(pull(lith, &reference(&name), &store).unwrap(), artifact.digest());
        assert_eq!(fsck::check(&store, 1).unwrap(), []);
    }
    assert_eq!(lith.tags(&(&reference(&place)).into()).unwrap(), ["1"]);

    let credentials = format!("{USER}:{PASSWORD}");
    let Some(mut inspect) = skopeo(registry, &["inspect", "--raw", "--creds", &credentials, "--cert-dir"])
    else {
        return;
    };
    let raw = run(inspect.arg(registry.cert_dir()).arg(format!("docker://{place}:1")));
    assert_eq!(crate::support::registry::sha256(raw.as_bytes()), digest);
    let arguments =
        ["copy", "--quiet", "--all", "--preserve-digests", "--src-creds", &credentials, "--src-cert-dir"];
    let out = dir.path().join("out");
    let mut copy = skopeo(registry, &arguments).unwrap();
    run(copy
        .arg(registry.cert_dir())
        .arg(format!("docker://{place}:1"))
        .arg(format!("oci:{}", out.display())));
    let index: Value = serde_json::from_slice(&std::fs::read(out.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
}

#[test]
fn a_wrong_password_is_refused() {
    for access in [Access::Htpasswd, Access::Token] {
        let Some(registry) = DockerRegistry::start(access, "a wrong password at docker-registry") else {
            return;
        };
        let credential = Credential::Basic { user: USER.into(), password: "wrong".into() };
        let settings = Settings { ca: vec![registry.ca()], ..settings() };
        let lith = Registries::new(settings, Arc::new(OneHost { registry: registry.host(), credential }));
        let mut blobs = Memory::default();
        let artifact = images::artifact(&mut blobs, &[(1, 300)]);
        let name = reference(&format!("{}/team/app", registry.host()));
        let error = told(&push(&lith, &name, &artifact, &blobs, PushOptions::default()).unwrap_err());
        assert!(error.contains("credential") && error.contains(&registry.host()), "{error}");
        let right = Credential::Basic { user: USER.into(), password: PASSWORD.into() };
        lith.check(&registry.host(), &right).unwrap();
        let wrong = Credential::Basic { user: USER.into(), password: "wrong".into() };
        lith.check(&registry.host(), &wrong).unwrap_err();
    }
}
