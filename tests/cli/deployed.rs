//! What really runs, and what becomes of a ledger whose registry has lost something: with docker-registry.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::docker_registry::world as account;
use super::releases::{json, push};
use crate::interop::busybox::busybox;
use crate::support::World;
use crate::support::container::Runtime;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::programs::{find, run};
use crate::support::registry::{PASSWORD, USER};

/// A registry with releases `1` and `2` of a program that prints its version.
struct Scene {
    registry: DockerRegistry,
    world: World,
    repo: String,
    digests: [String; 2],
    skopeo: PathBuf,
    runtime: Runtime,
}

impl Scene {
    fn new(what: &str) -> Option<Self> {
        let (skopeo, busybox, runtime) = (find("skopeo", what)?, busybox(what)?, Runtime::find(what)?);
        let registry = DockerRegistry::start(Access::Htpasswd, what)?;
        let (world, repo) = (account(&registry), format!("{}/team/shop", registry.host()));
        world.write(
            "app/Buildfile",
            "FROM scratch\nCOPY --chmod=755 busybox /bin/\nCOPY version /\nENTRYPOINT [\"/bin/busybox\", \"cat\", \"/version\"]\n",
        );
        std::fs::copy(busybox, world.path("app/busybox")).unwrap();
        let digests = ["1", "2"].map(|version| {
            world.write("app/version", format!("this is version {version}\n"));
            let name = format!("{repo}:{version}.0");
            let digest = world.ok(["build", "-q", "-t", &name, "--push", "app"]);
            world.ok(["release", "prod", &name, "-m", &format!("version {version}"), "--actor", "ann"]);
            digest
        });
        Some(Self { registry, world, repo, digests, skopeo, runtime })
    }

    /// Pulls the environment's tag with another program, starts a container from it, and gives its digest and what it prints.
    fn start(&self, name: &str) -> (String, String) {
        let layout = self.world.path(&format!("{name}-layout"));
        let mut skopeo = Command::new(&self.skopeo);
        skopeo.args(["--insecure-policy", "copy", "-q", "--src-creds", &format!("{USER}:{PASSWORD}")]);
        skopeo.arg("--src-cert-dir").arg(self.registry.cert_dir());
        skopeo.arg(format!("docker://{}:prod", self.repo)).arg(format!("oci:{}:prod", layout.display()));
        run(&mut skopeo);
        let index: Value =
            serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let printed = self.runtime.run(&format!("{}:prod", layout.display()), &self.world.path(name));
        (digest, printed)
    }
}

#[test]
fn after_a_rollback_a_container_from_the_tag_is_the_old_one() {
    let Some(scene) = Scene::new("a container after a rollback") else { return };
    let (world, repo, [first, second]) = (&scene.world, &scene.repo, &scene.digests);
    assert_eq!(scene.start("before"), (second.clone(), "this is version 2\n".to_owned()));
    let repo_arg = ["--repo", repo];
    world.ok([&["releases", "mark", "prod", "2", "bad", "-m", "loses sessions"][..], &repo_arg].concat());
    let back = json(
        world,
        &[&["rollback", "prod", "-m", "2 loses sessions", "--actor", "bob"][..], &repo_arg].concat(),
    );
    assert_eq!((back["from"].as_u64(), back["to"].as_u64()), (Some(2), Some(1)));
    assert_eq!(scene.start("after"), (first.clone(), "this is version 1\n".to_owned()));
    let list = json(world, &[&["releases", "prod", "--verify"][..], &repo_arg].concat());
    let told: Vec<(&str, &str, &str)> = list["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("kind"), text("digest"), text("reason"))
        })
        .collect();
    let expected = [
        ("rollback", &**first, "2 loses sessions"),
        ("mark", second, "loses sessions"),
        ("release", second, "version 2"),
        ("release", first, "version 1"),
    ];
    assert_eq!(told, expected);
    assert_eq!(world.ok([&["current", "prod"][..], &repo_arg].concat()), format!("{repo}:prod@{first}"));
}

/// What is done to the file of a manifest.
type Damage = (&'static str, fn(&std::path::Path));

const DAMAGES: [Damage; 3] = [
    ("deleted", |file| std::fs::remove_file(file).unwrap()),
    ("altered", |file| {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, text.replacen("lith.release", "lith.Release", 1)).unwrap();
    }),
    ("garbage", |file| std::fs::write(file, "garbage").unwrap()),
];

#[test]
fn a_ledger_whose_registry_has_lost_an_entry_is_repaired_and_says_so_for_ever() {
    for (damage, change) in DAMAGES {
        // The last entry, and one in the middle. (docker-registry answers 500 to garbage, and is asked again with pauses: once
        // will do.)
        let numbers = if damage == "garbage" { &[3][..] } else { &[3, 2] };
        for &number in numbers {
            let Some(registry) = DockerRegistry::start(Access::Htpasswd, "repairing a ledger") else {
                return;
            };
            let (world, repo) = (account(&registry), format!("{}/team/app", registry.host()));
            let digests = ["1", "2", "3", "4"].map(|tag| push(&world, &repo, tag));
            let release = |tag: &str| world.run(["release", "prod", &format!("{repo}:{tag}")]);
            ["1", "2", "3"].iter().for_each(|tag| assert_eq!(release(tag).code, Some(0)));
            let repo_arg = ["--repo", &*repo];
            let list = json(&world, &[&["releases", "prod"][..], &repo_arg].concat());
            let entry = list["entries"][3 - number].clone();
            let digest = entry["entry"].as_str().unwrap().to_owned();
            let good = list["entries"][4 - number]["entry"].as_str().unwrap().to_owned();
            change(&registry.blob(digest.strip_prefix("sha256:").unwrap()));
            let what = format!("{damage} {number}");
            let tag = format!("lith-release-prod-00000{number}");
            let error = world.fails(1, [&["releases", "prod", "--verify"][..], &repo_arg].concat());
            assert!(error.contains(&digest) || error.contains(&tag), "{what}: {error}");
            assert!(error.contains("lith releases repair prod"), "{what}: {error}");
            if number == 3 {
                let run = world.run([&["rollback", "prod"][..], &repo_arg].concat());
                assert!(
                    run.code == Some(1) && run.stderr.contains("lith releases repair"),
                    "{what}: {run:?}"
                );
                assert!(!run.stderr.contains("has no releases"), "{what}: {run:?}");
                let run = release("4");
                assert!(
                    run.code == Some(1) && run.stderr.contains("lith releases repair"),
                    "{what}: {run:?}"
                );
            }
            let repair =
                [&["releases", "repair", "prod", "-m", "the disk", "--actor", "ann"][..], &repo_arg].concat();
            let shown = world.run(&repair);
            assert_eq!(shown.code, Some(4), "{what}: {shown:?}");
            for part in [&*good, &format!("lost: {number}"), &digests[2], "nothing has been changed"] {
                assert!(shown.stdout.contains(part), "{what}: {part}: {shown:?}");
            }
            world.fails(1, [&["releases", "prod", "--verify"][..], &repo_arg].concat());
            let done = json(&world, &[&repair[..], &["--yes"]].concat());
            assert_eq!((done["number"].as_u64(), done["digest"].as_str()), (Some(4), Some(&*digests[2])));
            assert_eq!(done["adopts"], number == 3);
            let deployed = || world.ok(["digest", &format!("docker://{repo}:prod")]);
            assert_eq!(deployed(), digests[2], "what is deployed stays");
            let again = world.run(&repair);
            assert!(again.code == Some(0) && again.stderr.contains("nothing is lost"), "{what}: {again:?}");
            // And on it goes.
            assert_eq!(release("4").code, Some(0), "{what}");
            assert_eq!(deployed(), digests[3]);
            let run = world.run([&["releases", "prod", "--verify"][..], &repo_arg].concat());
            assert_eq!(run.code, Some(0), "{what}: {run:?}");
            assert!(
                run.stderr.contains("entry 4 acknowledges: ") && run.stderr.contains("but for 1 break"),
                "{run:?}"
            );
            assert!(run.stdout.contains("repair") && run.stdout.contains("the disk"), "{run:?}");
            let list = json(&world, &[&["releases", "prod", "--verify"][..], &repo_arg].concat());
            let numbers: Vec<u64> = list["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["number"].as_u64().unwrap())
                .collect();
            assert_eq!(numbers, if number == 3 { [5, 4, 2, 1] } else { [5, 4, 3, 1] });
            let one = &list["acknowledged"][0];
            assert_eq!((&one["by"], &one["lost"][0]), (&4.into(), &number.into()), "{what}: {one}");
            assert_eq!(one["resumes"]["digest"], good.as_str());
            assert_eq!(list["problems"].as_array().unwrap().len(), 0);
            // What goes by ledgers goes by it again.
            world.ok(["gc", "--remote", &repo]);
            world.ok([&["rollback", "prod", "--dry-run"][..], &repo_arg].concat());
            world.write("k8s.yaml", format!("image: {repo}:prod@{}\n", digests[3]));
            world.ok(["audit", "-f", "k8s.yaml", "--check", "--html", "page.html"]);
            assert!(
                std::fs::read_to_string(world.path("page.html"))
                    .unwrap()
                    .contains(&format!("lost: {number}"))
            );
        }
    }
}
