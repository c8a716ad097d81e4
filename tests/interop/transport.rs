//! Layouts and archives, with skopeo, umoci and podman.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use lith::compression::Compression;
use lith::image::{Artifact, Blobs, Image, Memory, Parts, assemble, descriptor};
use lith::layer::Layer;
use lith::oci::{Descriptor, DiffId, Digest, Epoch, ImageConfig, Platform, Reference};
use lith::store::Store;
use lith::transport::{
    Choice, Daemon, Destination, DockerArchive, DockerArchiveSink, Layout, LayoutSink, Name, OciArchive,
    OciArchiveSink, Sink, Source, StoreSource, import,
};
use serde_json::Value;

use crate::support::programs::{find, run};

const NAME: &str = "r.io/team/app:1";

struct World {
    dir: tempfile::TempDir,
    blobs: Memory,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), blobs: Memory::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `KIND:PATH`, as skopeo names places.
    fn place(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.path(name).display())
    }

    fn image(&mut self, platform: &str, compressions: &[&str]) -> Image {
        let layers = compressions.iter().enumerate().map(|(i, compression)| {
            let compression: Compression = compression.parse().unwrap();
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            header.set_size(7);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("etc/layer-{i}"), &b"content"[..]).unwrap();
            let tar = builder.into_inner().unwrap();
            let mut blob = Vec::new();
            compression.compress(&tar, &mut blob).unwrap();
            let size = blob.len() as u64;
            let digest = self.blobs.put(blob);
            Layer {
                descriptor: descriptor(compression.media_type(), &digest, size),
                diff_id: DiffId::from_uncompressed(Digest::of(&tar)),
            }
        });
        let parts = Parts {
            layers: layers.collect(),
            config: ImageConfig { platform: platform.parse().unwrap(), ..ImageConfig::default() },
            history: Vec::new(),
            annotations: [("note".to_owned(), "kept".to_owned())].into(),
            epoch: Epoch::ZERO,
        };
        assemble(parts).unwrap()
    }

    /// An image that is written to `layout`, `oci.tar` and `docker.tar`.
    fn written(&mut self, compressions: &[&str]) -> Image {
        let image = self.image("linux/amd64", compressions);
        let artifact = Artifact::Image(image.clone());
        LayoutSink::new(&self.path("layout"), vec![Name::from(&name())]).put(&artifact, &self.blobs).unwrap();
        let file = |path| Destination::File(path);
        let mut oci = OciArchiveSink::new(file(self.path("oci.tar")), vec![Name::from(&name())]);
        oci.put(&artifact, &self.blobs).unwrap();
        let mut docker = DockerArchiveSink::new(file(self.path("docker.tar")), vec![name()]);
        docker.put(&artifact, &self.blobs).unwrap();
        image
    }

    /// What a source holds, brought into a new store and read from there again.
    fn imported(&self, source: &dyn Source) -> Image {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let image = import(source, &store, &Platform::default()).unwrap();
        let stored = StoreSource::new(&store, image.manifest.descriptor.clone());
        for layer in &image.layers {
            std::io::copy(&mut stored.open(&layer.descriptor).unwrap(), &mut std::io::sink()).unwrap();
        }
        image
    }

    /// podman, with a store of its own.
    fn podman_arguments(&self) -> Vec<OsString> {
        let root = |option: &str, name: &str| [option.into(), self.path(name).into_os_string()];
        let options = [root("--root", "podman"), root("--runroot", "podman-run")].into_iter().flatten();
        options.chain(["--storage-driver".into(), "vfs".into()]).collect()
    }

    fn podman(&self, program: &Path, arguments: &[&str]) -> String {
        run(Command::new(program).args(self.podman_arguments()).args(arguments))
    }
}

fn name() -> Reference {
    NAME.parse().unwrap()
}

fn diff_ids(image: &Image) -> Vec<String> {
    image.layers.iter().map(|layer| layer.diff_id.to_string()).collect()
}

fn digests(image: &Image) -> Vec<String> {
    image.layers.iter().map(|layer| layer.descriptor.digest().to_string()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn skopeo_reads_what_is_written() {
    let Some(skopeo) = find("skopeo", "layouts and archives read by skopeo") else { return };
    let mut world = World::new();
    let image = world.written(&["gzip", "none"]);
    let inspect = |place: &str| json(&run(Command::new(&skopeo).args(["inspect", place])));
    for place in [format!("{}:1", world.place("oci", "layout")), world.place("oci-archive", "oci.tar")] {
        let seen = inspect(&place);
        assert_eq!(seen["Digest"], image.manifest.digest().to_string(), "{place}");
        assert_eq!(seen["Layers"], serde_json::json!(digests(&image)), "{place}");
    }
    // From a docker archive skopeo makes its own manifest, of the uncompressed layers.
    let seen = inspect(&world.place("docker-archive", "docker.tar"));
    assert_eq!(seen["Layers"], serde_json::json!(diff_ids(&image)));
    for (from, tag) in [("oci:layout", ":1"), ("oci-archive:oci.tar", ""), ("docker-archive:docker.tar", "")]
    {
        let (kind, file) = from.split_once(':').unwrap();
        let from = format!("{}{tag}", world.place(kind, file));
        let to = format!("{}:x", world.place("oci", &format!("copy-of-{kind}")));
        run(Command::new(&skopeo).args(["copy", "--insecure-policy", &from, &to]));
        let copied = Layout::open(&world.path(&format!("copy-of-{kind}")), &Choice::Tag("x".into())).unwrap();
        assert_eq!(diff_ids(&world.imported(&copied)), diff_ids(&image));
    }
}

#[test]
fn skopeo_copies_a_whole_index() {
    let Some(skopeo) = find("skopeo", "an index copied by skopeo") else { return };
    let mut world = World::new();
    let images = ["linux/amd64", "linux/arm64"].map(|platform| world.image(platform, &["gzip", "zstd"]));
    let index = Artifact::index(images.into(), BTreeMap::new()).unwrap();
    LayoutSink::new(&world.path("layout"), vec![Name::tag("all")]).put(&index, &world.blobs).unwrap();
    let from = format!("{}:all", world.place("oci", "layout"));
    let to = format!("{}:all", world.place("oci", "copy"));
    run(Command::new(&skopeo).args(["copy", "--insecure-policy", "--all", &from, &to]));
    let copy = Layout::open(&world.path("copy"), &Choice::Only).unwrap();
    assert_eq!(copy.root().digest().to_string(), index.digest().to_string());
}

#[test]
fn what_skopeo_writes_is_read() {
    let Some(skopeo) = find("skopeo", "archives written by skopeo") else { return };
    let mut world = World::new();
    // (An uncompressed layer it would compress.)
    let image = world.written(&["gzip", "gzip"]);
    let from = format!("{}:1", world.place("oci", "layout"));
    for (kind, file) in
        [("oci-archive", "s-oci.tar"), ("docker-archive", "s-docker.tar"), ("oci", "s-layout")]
    {
        let to = format!("{}:app:1", world.place(kind, file));
        run(Command::new(&skopeo).args(["copy", "--insecure-policy", &from, &to]));
    }
    let choice = Choice::Tag("app:1".into());
    let layout = Layout::open(&world.path("s-layout"), &choice).unwrap();
    assert_eq!(world.imported(&layout).manifest.digest(), image.manifest.digest());
    let archive = OciArchive::open(&world.path("s-oci.tar"), &choice).unwrap();
    assert_eq!(world.imported(&archive).manifest.digest(), image.manifest.digest());
    let docker = DockerArchive::open(&world.path("s-docker.tar"), &choice).unwrap();
    assert_eq!(diff_ids(&world.imported(&docker)), diff_ids(&image));
}

#[test]
fn umoci_unpacks_a_layout() {
    let Some(umoci) = find("umoci", "a layout unpacked by umoci") else { return };
    let mut world = World::new();
    world.written(&["gzip", "none"]);
    let (layout, bundle) = (world.path("layout"), world.path("bundle"));
    let image = format!("{}:1", layout.display());
    run(Command::new(umoci).args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
    for name in ["layer-0", "layer-1"] {
        assert_eq!(std::fs::read(bundle.join("rootfs/etc").join(name)).unwrap(), b"content");
    }
}

#[test]
fn podman_loads_each_archive() {
    let Some(podman) = find("podman", "archives loaded by podman") else { return };
    for compressions in [&["gzip", "none"][..], &["zstd", "gzip"], &["gzip"]] {
        for kind in ["docker", "oci"] {
            let mut world = World::new();
            let image = world.image("linux/amd64", compressions);
            let (file, mut names) = (world.path("image.tar"), vec![name()]);
            // Of a layout that has two names podman takes none.
            names.extend((kind == "docker").then(|| "other:2".parse::<Reference>().unwrap()));
            let all: Vec<String> = names.iter().map(ToString::to_string).collect();
            let to = Destination::File(file.clone());
            let mut sink: Box<dyn Sink> = match kind {
                "docker" => Box::new(DockerArchiveSink::new(to, names)),
                _ => Box::new(OciArchiveSink::new(to, names.iter().map(Name::from).collect())),
            };
            sink.put(&Artifact::Image(image.clone()), &world.blobs).unwrap();
            world.podman(&podman, &["load", "-q", "-i", file.to_str().unwrap()]);
            for name in &all {
                let seen = json(&world.podman(&podman, &["image", "inspect", name]));
                assert_eq!(seen[0]["RootFS"]["Layers"], serde_json::json!(diff_ids(&image)), "{kind} {name}");
            }
        }
    }
}

#[test]
fn podman_is_loaded_into_and_what_it_saves_is_read() {
    let Some(podman) = find("podman", "loading into podman") else { return };
    let mut world = World::new();
    let image = world.image("linux/amd64", &["gzip", "none", "gzip"]);
    let mut daemon = Daemon::new(&podman, vec![name()]).with_arguments(world.podman_arguments());
    let digest = daemon.put(&Artifact::Image(image.clone()), &world.blobs).unwrap();
    assert_eq!(digest, image.manifest.digest());
    let id = world.podman(&podman, &["image", "inspect", "--format", "{{.Id}}", NAME]);
    assert_eq!(format!("sha256:{}", id.trim()), image.config.descriptor.digest().to_string());
    let choice = Choice::Tag(NAME.into());
    for format in ["docker-archive", "oci-archive"] {
        let file = world.path(format);
        world.podman(&podman, &["save", "-q", "--format", format, "-o", file.to_str().unwrap(), NAME]);
        let source: Box<dyn Source> = match format {
            "docker-archive" => Box::new(DockerArchive::open(&file, &choice).unwrap()),
            _ => Box::new(OciArchive::open(&file, &choice).unwrap()),
        };
        assert_eq!(diff_ids(&world.imported(&*source)), diff_ids(&image), "{format}");
    }
}

#[test]
fn what_a_failing_program_says_is_told() {
    let mut world = World::new();
    let artifact = Artifact::Image(world.image("linux/amd64", &["none"]));
    let put = |program: &str| Daemon::new(program, Vec::new()).put(&artifact, &world.blobs);
    let absent = put("no-such-docker").unwrap_err().to_string();
    assert!(absent.starts_with("the program `no-such-docker` cannot be started"), "{absent}");
    // A program that reads nothing and complains.
    let script = world.path("complains");
    std::fs::write(&script, "#!/bin/sh\nprintf 'first \\033[2J\\nsecond\\n' >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let complaint = Daemon::new(&script, Vec::new()).put(&artifact, &world.blobs).unwrap_err().to_string();
    assert!(complaint.ends_with("failed: first \\u{1b}[2J; second"), "{complaint}");
}

#[test]
fn a_cut_archive_is_not_loaded() {
    struct Broken<'a>(&'a Memory);
    impl Blobs for Broken<'_> {
        fn open(&self, blob: &Descriptor) -> std::io::Result<Box<dyn std::io::Read + '_>> {
            let wrong = std::io::Error::new(std::io::ErrorKind::InvalidData, "damaged");
            let _fine = self.0.open(blob)?;
            Err(wrong)
        }
    }
    let mut world = World::new();
    let artifact = Artifact::Image(world.image("linux/amd64", &["none"]));
    let script = world.path("loads");
    let done = world.path("done");
    let text = format!("#!/bin/sh\ncat >/dev/null; sleep 0.2; touch {}\n", done.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let failed = Daemon::new(&script, Vec::new()).put(&artifact, &Broken(&world.blobs)).unwrap_err();
    assert!(failed.to_string().contains("damaged"), "{failed}");
    assert!(!done.exists());
}
