//! The command line with docker-registry over TLS, with accounts, and skopeo as the witness.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::World;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::judge::Layout;
use crate::support::programs::{find, run};
use crate::support::registry::{PASSWORD, USER};

/// A world whose user has an account there, and trusts its certificate.
pub(super) fn world(registry: &DockerRegistry) -> World {
    let world = World::new();
    let ca = registry.ca();
    world.write("home/.config/lith/config.toml", format!("ca = [{:?}]\n", ca.display().to_string()));
    let mut command = world.command(["login", "--username", USER, "--password-stdin", &registry.host()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "logging in");
    world
}

#[test]
fn a_digest_goes_there_and_comes_back() {
    for access in [Access::Htpasswd, Access::Token] {
        let Some(registry) = DockerRegistry::start(access, "building and pushing to docker-registry") else {
            return;
        };
        let (builder, name) = (world(&registry), format!("{}/team/app:1", registry.host()));
        builder.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", "content\n");
        let digest = builder.ok(["build", "-q", "-t", &name, "--push", "app"]);
        let user = world(&registry);
        assert_eq!(user.ok(["digest", &format!("docker://{name}")]), digest);
        assert_eq!(user.ok(["tags", &format!("{}/team/app", registry.host())]), "1");
        let mut children = Vec::new();
        for from in [name.clone(), format!("{}/team/app@{digest}", registry.host())] {
            let clean = world(&registry);
            clean.write("child/Buildfile", format!("FROM {from}\nCOPY g /g\n")).write("child/g", "g\n");
            clean.ok(["build", "-q", "-o", "type=oci,dest=out", "child"]);
            children.push(Layout::open(&clean.path("out")).image().digest);
        }
        assert_eq!(children[0], children[1]);
        assert_eq!(user.ok(["pull", "-q", &name]), digest);
        skopeo_agrees(&registry, &user, &name, &digest);
    }
}

fn skopeo_agrees(registry: &DockerRegistry, world: &World, name: &str, digest: &str) {
    let Some(skopeo) = find("skopeo", "what skopeo finds in docker-registry") else { return };
    let skopeo = |subcommand: &str, credentials: &str, certificates: &str| {
        let mut command = Command::new(&skopeo);
        command.args(["--insecure-policy", subcommand, credentials]).arg(format!("{USER}:{PASSWORD}"));
        command.arg(certificates).arg(registry.cert_dir());
        command
    };
    let mut inspect = skopeo("inspect", "--creds", "--cert-dir");
    let found = run(inspect.args(["--format", "{{.Digest}}"]).arg(format!("docker://{name}")));
    assert_eq!(found.trim(), digest);
    let mut copy = skopeo("copy", "--src-creds", "--src-cert-dir");
    let folder = format!("oci:{}", world.path("copied").display());
    run(copy.arg("--preserve-digests").arg(format!("docker://{name}")).arg(folder));
    assert_eq!(Layout::open(&world.path("copied")).image().digest, digest);
}

#[test]
fn who_is_not_known_is_told_how_to_become_so() {
    let Some(registry) = DockerRegistry::start(Access::Htpasswd, "strangers at docker-registry") else {
        return;
    };
    let stranger = World::new();
    let (name, ca) = (format!("{}/team/app:1", registry.host()), registry.ca());
    stranger.write("app/Buildfile", format!("FROM {name}\n"));
    let ca = ca.to_str().unwrap();
    let refused = [
        vec!["build", "app"],
        vec!["pull", &name],
        vec!["inspect", &name],
        vec!["tags", &name[..name.len() - 2]],
    ];
    for args in refused {
        let error = stranger.fails(1, [&["--ca", ca], &args[..]].concat());
        assert!(error.contains(&registry.host()) && error.contains("lith login"), "{args:?}\n{error}");
    }
}
