//! docker-registry, over TLS.

use std::process::Command;

use lith::image::Memory;

use super::images;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::programs::{find, run};
use crate::support::registry::{PASSWORD, USER};

#[test]
fn skopeo_finds_it_in_order() {
    for access in [Access::Htpasswd, Access::Token] {
        let what = "docker-registry with skopeo";
        let (Some(skopeo), Some(registry)) = (find("skopeo", what), DockerRegistry::start(access, what))
        else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = Memory::default();
        let artifact = images::index(&mut blobs);
        images::write(&artifact, &blobs, &dir.path().join("in"));
        let from = format!("oci:{}", dir.path().join("in").display());
        run(Command::new(skopeo)
            .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--dest-creds"])
            .arg(format!("{USER}:{PASSWORD}"))
            .arg("--dest-cert-dir")
            .arg(registry.cert_dir())
            .args([&from, &format!("docker://{}/team/app:1", registry.host())])
            .env("HOME", dir.path()));
        let committed = registry.committed("team/app");
        assert!(images::contents(&artifact).iter().all(|digest| committed.contains(digest)), "{committed:?}");
        assert_eq!(registry.tokens_given() > 0, access == Access::Token);
    }
}
