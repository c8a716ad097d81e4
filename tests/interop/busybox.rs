//! A busybox image, from a Buildfile to a process: umoci unpacks it and runc runs it; podman loads the archive;
//! skopeo sees what lith sees.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::container::Runtime;
use crate::support::judge::Layout;
use crate::support::programs::{find, run};
use crate::support::{World, judge};

/// A static busybox, which Debian's busybox-static has.
pub(crate) fn busybox(what: &str) -> Option<PathBuf> {
    let path = find("busybox", what)?;
    let dynamic =
        std::fs::read(&path).unwrap().windows(11).any(|w| w == b"/ld-linux-x" || w == b"/lib64/ld-l");
    assert!(!dynamic, "`{}` is not a static program", path.display());
    Some(path)
}

fn world(what: &str) -> Option<World> {
    let program = busybox(what)?;
    let world = World::new();
    world.write(
        "app/Buildfile",
        "FROM scratch\n\
         COPY --chmod=755 busybox /bin/busybox\n\
         COPY --chown=7:8 etc/ /etc/\n\
         COPY links/ /bin/\n\
         WORKDIR /work\n\
         ENV GREETING=hello\n\
         CMD [\"/bin/sh\", \"-c\", \"echo $GREETING from $(pwd); stat -c %u:%g /etc/motd\"]\n",
    );
    world.write("app/etc/motd", "welcome\n").write("app/links/.keep", "");
    std::fs::copy(program, world.path("app/busybox")).unwrap();
    for applet in ["sh", "stat", "pwd"] {
        std::os::unix::fs::symlink("busybox", world.path("app/links").join(applet)).unwrap();
    }
    Some(world)
}

#[test]
fn umoci_unpacks_it_and_runc_runs_it() {
    let what = "running an image";
    let (Some(runtime), Some(world)) = (Runtime::find(what), world(what)) else { return };
    world.ok(["build", "-q", "-o", "type=oci,dest=image,name=app:1", "app"]);
    Layout::open(&world.path("image")).image();
    let printed = runtime.run(&format!("{}:1", world.path("image").display()), &world.path("container"));
    assert_eq!(printed, "hello from /work\n7:8\n");
}

#[test]
fn podman_loads_the_docker_archive() {
    let what = "loading an archive";
    let (Some(podman), Some(world)) = (find("podman", what), world(what)) else { return };
    world.ok(["build", "-q", "-t", "localhost/app:1", "-o", "type=docker,dest=image.tar", "app"]);
    let storage = world.path("storage");
    let command = || {
        let mut command = Command::new(&podman);
        command
            .arg("--root")
            .arg(&storage)
            .arg("--runroot")
            .arg(world.path("run"))
            .args(["--storage-driver", "vfs"]);
        command
    };
    run(command().args(["load", "-i"]).arg(world.path("image.tar")));
    let config =
        run(command().args(["image", "inspect", "--format", "{{json .Config.Cmd}}", "localhost/app:1"]));
    assert!(config.contains("/bin/sh"), "{config}");
    run(command().args(["rmi", "-f", "localhost/app:1"]));
}

#[test]
fn skopeo_sees_what_lith_sees() {
    let what = "inspecting an image";
    let (Some(skopeo), Some(world)) = (find("skopeo", what), world(what)) else { return };
    let digest = world.ok(["build", "-q", "-t", "app:1", "-o", "type=oci,dest=image", "app"]);
    let raw = |place: String| run(Command::new(&skopeo).args(["inspect", "--raw"]).arg(place));
    let from_layout = raw(format!("oci:{}", world.path("image").display()));
    assert_eq!(format!("sha256:{}", judge::sha256(from_layout.as_bytes())), digest);
    let from_store = raw(format!("oci:{}:docker.io/library/app:1", world.path("store").display()));
    assert_eq!(from_store, from_layout, "the store is a layout that any tool reads");
    let seen: serde_json::Value = serde_json::from_str(&run(Command::new(&skopeo)
        .arg("inspect")
        .arg(format!("oci:{}", world.path("image").display()))))
    .unwrap();
    let ours: serde_json::Value =
        serde_json::from_str(&world.ok(["inspect", "--format", "json", "app:1"])).unwrap();
    assert_eq!(seen["Digest"], ours["digest"]);
    assert_eq!(seen["Env"], ours["images"][0]["config"]["config"]["Env"]);
    copied_whole(&skopeo, &world);
}

fn copied_whole(skopeo: &Path, world: &World) {
    let (from, to) = (world.path("image"), world.path("copy"));
    let place = |path: &Path| format!("oci:{}:x", path.display());
    run(Command::new(skopeo)
        .args(["--insecure-policy", "copy", "-q"])
        .arg(format!("oci:{}", from.display()))
        .arg(place(&to)));
    assert_eq!(Layout::open(&to).image().digest, Layout::open(&from).image().digest);
}

#[test]
fn buildah_builds_on_it() {
    let what = "a build from lith's image";
    let (Some(buildah), Some(world)) = (find("buildah", what), world(what)) else { return };
    world.ok(["build", "-q", "-t", "localhost/app:1", "-o", "type=docker,dest=image.tar", "app"]);
    let command = || {
        let mut command = Command::new(&buildah);
        command.arg("--root").arg(world.path("storage")).arg("--runroot").arg(world.path("run"));
        command.args(["--storage-driver", "vfs"]);
        command
    };
    let container =
        run(command().arg("from").arg(format!("docker-archive:{}", world.path("image.tar").display())));
    let seen =
        run(command().args(["inspect", "--format", "{{.OCIv1.Config.WorkingDir}}"]).arg(container.trim()));
    assert_eq!(seen.trim(), "/work");
    run(command().args(["rm", container.trim()]));
}
