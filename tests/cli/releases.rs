//! `lith release`, `releases`, `current` and `rollback`: registries, a layout, and several writers at once.

use serde_json::Value;

use super::docker_registry::world as account;
use super::verify::git;
use crate::run::base;
use crate::support::World;
use crate::support::docker_registry::{Access, DockerRegistry};
use crate::support::programs::find;
use crate::support::registry::{Fault, Registry, What, sha256};

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// Builds and pushes an image that is different from all others; gives its digest.
pub(super) fn push(world: &World, repository: &str, tag: &str) -> String {
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", tag);
    let (name, label) =
        (format!("{repository}:{tag}"), format!("org.opencontainers.image.revision={REVISION}"));
    world.ok(["build", "-q", "-t", &name, "--push", "--label", &label, "app"])
}

pub(super) fn json(world: &World, args: &[&str]) -> Value {
    serde_json::from_str(&world.ok([args, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn an_environment_moves_on_and_back() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    let digests = ["1", "2", "3"].map(|tag| push(&world, &repo, tag));
    let image = |tag: &str| format!("{repo}:{tag}");
    let error = world.fails(1, ["current", "prod", "--repo", &repo]);
    assert!(error.contains("`prod` has no releases") && error.contains("`lith current`"), "{error}");
    assert_eq!(world.ok(["current", "--repo", &repo]), "");
    let told = world.ok(["release", "prod", &image("1"), "-m", "the first", "--actor", "ann"]);
    assert_eq!(told, format!("{repo}:prod@{}", digests[0]));
    let error = world.fails(1, ["rollback", "prod", "--repo", &repo]);
    assert!(error.contains("no earlier release that is good"), "{error}");
    world.ok(["release", "prod", &image("2")]);
    let run = world.run(["release", "prod", &image("2")]);
    assert!(run.code == Some(0) && run.stderr.contains("already, since entry 2"), "{run:?}");
    world.ok(["release", "prod", &format!("{repo}@{}", digests[2])]);
    assert_eq!(world.ok(["current", "prod", "--repo", &repo]), format!("{repo}:prod@{}", digests[2]));
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    world.ok(["releases", "mark", "prod", "2", "bad", "-m", "loses sessions", "--repo", &repo]);
    let run = world.run(["rollback", "prod", "--dry-run", "--repo", &repo]);
    assert!(run.stderr.contains(&format!("digest    {} -> {}", digests[2], digests[0])), "{run:?}");
    assert!(run.stderr.contains("linux/amd64: 1 path differs ("), "{run:?}");
    assert!(run.stderr.contains("  ~ /f  content") && run.stderr.contains("+1"), "{run:?}");
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    let mut command = world.command(["rollback", "prod", "-m", "3 is slow"]);
    let run = crate::support::Run::of(command.env("LITH_REPO", &repo).env("USER", "bob"));
    assert_eq!(run.stdout.trim(), format!("{repo}:prod@{}", digests[0]), "{run:?}");
    assert_eq!(world.ok(["digest", &format!("docker://{repo}:prod")]), digests[0]);
    let list = json(&world, &["releases", "prod", "--verify", "--repo", &repo]);
    let entries = list["entries"].as_array().unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rollback", "mark", "release", "release", "release"]);
    assert_eq!((entries[0]["to"].as_u64(), entries[0]["actor"].as_str()), (Some(1), Some("bob")));
    assert_eq!((&entries[3]["verdict"], &entries[3]["revision"]), (&"bad".into(), &REVISION.into()));
    assert_eq!(
        (&entries[4]["reason"], &entries[4]["actor"], &entries[4]["tags"][0]),
        (&"the first".into(), &"ann".into(), &"1".into())
    );
    let text = world.ok(["releases", "prod", "--repo", &repo]);
    assert!(
        text.contains("rollback to 1") && text.contains("mark 2 bad") && text.contains("bad  2"),
        "{text}"
    );
    // 2 is bad, 3 was gone back from.
    let error = world.fails(1, ["rollback", "prod", "--repo", &repo]);
    assert!(error.contains("no earlier release") && error.contains("--to N"), "{error}");
    let error = world.fails(1, ["rollback", "prod", "--to", "2", "--repo", &repo]);
    assert!(error.contains("marked bad"), "{error}");
    world.ok(["rollback", "prod", "--to", &digests[2][..20], "--repo", &repo]);
    assert_eq!(registry.state().tag("team/app", "prod").as_ref(), Some(&digests[2]));
    // Entries are what their subjects are referred to by.
    let referrers = json(&world, &["referrers", &format!("{repo}@{}", digests[0])]);
    assert_eq!(referrers["referrers"][0]["artifactType"], "application/vnd.lith.release.v1");
    registry.state().check();
    // Somebody moves the tag by hand.
    world.ok(["push", "--move-tag", &format!("docker://{}", image("2")), &image("prod")]);
    let error = world.fails(1, ["current", "prod", "--repo", &repo]);
    assert!(error.contains(&format!("the tag `prod` stands for `{}`", digests[1])), "{error}");
    let error = world.fails(1, ["releases", "prod", "--verify", "--repo", &repo]);
    assert!(error.contains("the tag `prod`") && error.contains(&digests[2]), "{error}");
    let error = world.fails(1, ["current", "--repo", &repo]);
    assert!(error.contains("prod: the tag `prod` stands for"), "{error}");
    world.ok(["release", "prod", &image("3")]);
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
    world.ok(["release", "staging", &image("1")]);
    let pinned = |environment: &str, digest: &str| format!("{repo}:{environment}@{digest}");
    let all = format!("{}\n{}", pinned("prod", &digests[2]), pinned("staging", &digests[0]));
    assert_eq!(world.ok(["current", "--repo", &repo]), all);
    let list = json(&world, &["current", "--repo", &repo]);
    assert_eq!(list["environments"][1]["digest"], digests[0].as_str());
    // By the tag that it was released by, too.
    let told = world.ok(["rollback", "prod", "--to", "1", "--repo", &repo]);
    assert_eq!(told, pinned("prod", &digests[0]));
    world.ok(["push", "--move-tag", &format!("docker://{}", image("2")), &image("v2")]);
    world.ok(["release", "test", &image("v2")]);
    world.ok(["release", "test", &image("1")]);
    assert_eq!(world.ok(["rollback", "test", "--to", "v2", "--repo", &repo]), pinned("test", &digests[1]));
}

#[test]
fn who_releases_has_a_name_or_a_number() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\n");
    world.ok(["build", "-q", "-o", "type=oci,dest=out,name=app:1", "app"]);
    let release = |environment: &str, known: &[(&str, &str)], args: &[&str]| {
        let mut command = world.command([&["release", environment, "oci:out:1"][..], args].concat());
        let run = crate::support::Run::of(command.envs(known.iter().copied()));
        assert_eq!(run.code, Some(0), "{run:?}");
        let list = json(&world, &["releases", environment, "--repo", "oci:out"]);
        list["entries"][0]["actor"].as_str().unwrap().to_owned()
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let uid = rustix::process::getuid().as_raw();
    let own = |line: &&str| line.split(':').nth(2) == Some(&uid.to_string());
    let name = passwd.lines().find(own).and_then(|line| line.split(':').next());
    assert_eq!(release("a", &[], &[]), name.map_or(format!("uid:{uid}"), str::to_owned));
    assert_eq!(release("b", &[("USER", "ann")], &[]), "ann");
    assert_eq!(release("c", &[("USER", "ann"), ("GITHUB_ACTOR", "bob")], &[]), "bob");
    assert_eq!(release("d", &[("LITH_ACTOR", "job"), ("GITHUB_ACTOR", "bob")], &[]), "job");
    assert_eq!(release("e", &[("LITH_ACTOR", "job")], &["--actor", "me"]), "me");
}

#[test]
fn an_entry_is_put_again_where_a_registry_is_unsettled() {
    let (world, registry) = (World::new(), Registry::start());
    let name = format!("{}:1", registry.name("team/app"));
    push(&world, &registry.name("team/app"), "1");
    let unknown = || What::Error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    registry.fault(Fault::on("PUT", "/v2/*/manifests/sha256:*", unknown()));
    world.ok(["release", "prod", &name]);
    assert_eq!(registry.faults_happened(), 1);
    registry.fault(Fault::on("PUT", "/v2/*/manifests/sha256:*", unknown()).always());
    let error = world.fails(1, ["release", "staging", &name]);
    assert!(error.contains("blob unknown to registry"), "{error}");
}

#[test]
fn gates_are_named_with_what_opens_them() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", "1");
    let name = format!("{repo}:1");
    world.ok(["build", "-q", "-t", &name, "--push", "--record", "record.json", "app"]);
    world.write(
        "policy.toml",
        "[environment.prod]\nhermetic = true\nclean = true\nafter = \"staging\"\nsoak = \"1h\"\n",
    );
    let run = world.run(["release", "production", &name, "--policy", "policy.toml"]);
    assert!(run.code == Some(2) && run.stderr.contains("an empty `[environment.production]`"), "{run:?}");
    let policy = ["release", "prod", &name, "--policy", "policy.toml"];
    let error = world.fails(1, policy);
    for part in [
        "hermetic: nothing says so",
        "clean: neither the image nor a record names a revision",
        "after: `staging` has not had it",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(registry.state().tag("team/app", "prod").is_none());
    world.ok(["release", "staging", &name, "--policy", "policy.toml"]);
    let error = world.fails(1, [&policy[..], &["--record", "record.json"]].concat());
    assert!(error.contains("soak: ") && error.contains("wait ") && !error.contains("hermetic"), "{error}");
    world.write("policy.toml", "[environment.prod]\nhermetic = true\nafter = \"staging\"\n");
    let released = json(&world, &[&policy[..], &["--record", "record.json"]].concat());
    assert_eq!(released["gates"], serde_json::json!(["hermetic", "after"]));
    world.write("policy.toml", "[environment.prod]\nhermetik = true\n");
    let error = world.fails(2, policy);
    assert!(error.contains("line 2"), "{error}");
    world.fails(2, ["release", "Prod", &name]);
    world.fails(2, ["releases", "prod"]);
}

/// A policy of one gate for `test`, and what releasing `image` to it says, with these records.
#[track_caller]
fn gate(world: &World, rule: &str, image: &str, records: &[&str]) -> Result<(), String> {
    world.write("policy.toml", format!("[environment.test]\n{rule}\n"));
    let records = records.iter().flat_map(|record| ["--record", *record]);
    let run = world.run(["release", "test", image, "--policy", "policy.toml"].into_iter().chain(records));
    let gate = rule.split(' ').next().unwrap();
    match run.code {
        Some(0) => Ok(()),
        code => {
            let is_the_gates =
                run.stderr.contains(&format!("\n  {gate}: ")) && run.stderr.contains("to open it: ");
            assert!(code == Some(1) && (is_the_gates || run.stderr.contains("record")), "{run:?}");
            Err(run.stderr)
        }
    }
}

/// A layout with `image`, which is of a clean clone of `REMOTE`; its record and the verdict on it.
fn recorded() -> Option<(World, &'static str)> {
    find("git", "gates that read records")?;
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n").write("app/f", "1\n");
    git(&world, "app", &["init", "-q"]);
    git(&world, "app", &["add", "."]);
    git(&world, "app", &["commit", "-q", "-m", "all"]);
    git(&world, "app", &["remote", "add", "origin", "https://git.example/team/app.git"]);
    build(&world, "image", "record.json", &[]);
    let verify =
        ["verify", "oci:out:image", "--record", "record.json", "--source", "app", "--format", "json"];
    let verdict = world.ok(verify);
    world.write("verdict.json", format!("{verdict}\n"));
    Some((world, "oci:out:image"))
}

fn build(world: &World, name: &str, record: &str, args: &[&str]) {
    let output = format!("type=oci,dest=out,name=app:{name}");
    world.ok(["build", "-q", "-o", &output, "--record", record, "app"].iter().chain(args));
}

#[test]
fn the_gates_read_what_the_build_has_recorded() {
    let Some((world, image)) = recorded() else { return };
    let sources = "sources = [\"https://git.example/team/app\"]";
    for rule in ["hermetic = true", "clean = true", sources] {
        assert!(gate(&world, rule, image, &[]).is_err(), "{rule}");
        // A verdict says nothing of how it was built.
        assert!(gate(&world, rule, image, &["verdict.json"]).is_err(), "{rule}");
        gate(&world, rule, image, &["record.json"]).unwrap();
    }
    // The ledger has from the record what the image does not say.
    let list = json(&world, &["releases", "test", "--repo", "oci:out"]);
    assert_eq!(list["entries"][0]["source"], "https://git.example/team/app.git");
    assert_eq!(list["entries"][0]["revision"].as_str().unwrap().len(), 40);
    let error =
        gate(&world, "sources = [\"https://git.example/other\"]", image, &["record.json"]).unwrap_err();
    assert!(error.contains("it was built from `https://git.example/team/app.git`"), "{error}");
    // What the image says of itself does not hide what the record says.
    let label = "org.opencontainers.image.source=https://git.example/other";
    build(&world, "labelled", "labelled.json", &["--label", label]);
    let error = gate(&world, sources, "oci:out:labelled", &["labelled.json"]).unwrap_err();
    assert!(error.contains("it was built from `https://git.example/other`"), "{error}");
    let revision = format!("org.opencontainers.image.revision={REVISION}");
    build(&world, "revised", "revised.json", &["--label", &revision]);
    gate(&world, "clean = true", "oci:out:revised", &[]).unwrap();
    let error = gate(&world, "clean = true", "oci:out:revised", &["revised.json"]).unwrap_err();
    assert!(error.contains(&format!("and says that it is of `{REVISION}`")), "{error}");
    world.write("app/f", "2\n");
    build(&world, "dirty", "dirty.json", &["--label", &revision]);
    let error = gate(&world, "clean = true", "oci:out:dirty", &["dirty.json"]).unwrap_err();
    assert!(error.contains("files were not as the commit"), "{error}");
}

#[test]
fn the_gate_verified_reads_the_verdict() {
    let Some((world, image)) = recorded() else { return };
    let verified = "verified = true";
    assert!(gate(&world, verified, image, &[]).unwrap_err().contains("nothing says so"));
    assert!(gate(&world, verified, image, &["record.json"]).unwrap_err().contains("nothing says so"));
    gate(&world, verified, image, &["record.json", "verdict.json"]).unwrap();
    gate(&world, verified, image, &["verdict.json"]).unwrap();
    // Another record of the same image is not what was verified.
    let text = std::fs::read_to_string(world.path("record.json")).unwrap();
    world.write("again.json", format!("{text} "));
    let error = gate(&world, verified, image, &["again.json", "verdict.json"]).unwrap_err();
    assert!(error.contains("is not among those that are given"), "{error}");
    world.write("app/f", "2\n");
    let verify =
        ["verify", "oci:out:image", "--record", "record.json", "--source", "app", "--format", "json"];
    let run = world.run(verify);
    assert_eq!(run.code, Some(5));
    world.write("failed.json", &run.stdout);
    for records in [&["failed.json"][..], &["verdict.json", "failed.json"], &["failed.json", "verdict.json"]]
    {
        let error = gate(&world, verified, image, records).unwrap_err();
        assert!(error.contains("building it again did not give it: the context: `f`"), "{error}");
    }
    // Somebody writes that it has passed, by rules of their own.
    world.write(
        "other.json",
        std::fs::read_to_string(world.path("verdict.json")).unwrap().replace("rebuild:v1", "mine"),
    );
    let error = gate(&world, verified, image, &["other.json"]).unwrap_err();
    assert!(error.contains("its policy is `urn:x-lith:policy:mine`"), "{error}");
}

#[test]
fn the_gate_rebuilt_believes_nobody() {
    let Some((world, image)) = recorded() else { return };
    let rebuilt = "rebuilt = true";
    let source = |records: &[&str]| {
        world.write("policy.toml", "[environment.test]\nrebuilt = true\nverified = true\n");
        let records = records.iter().flat_map(|record| ["--record", *record]);
        let release = ["release", "test", image, "--policy", "policy.toml", "--source", "app"];
        world.run(release.into_iter().chain(records))
    };
    assert!(
        gate(&world, rebuilt, image, &[]).unwrap_err().contains("there is no record to build it again from")
    );
    assert!(gate(&world, rebuilt, image, &["verdict.json"]).unwrap_err().contains("there is no record"));
    // A record that says what is not so, with a verdict that was written for it.
    let text = std::fs::read_to_string(world.path("record.json")).unwrap();
    world.write("forged.json", text.replace("\"Buildfile\"", "\"Otherfile\""));
    let run = source(&["forged.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("\n  rebuilt: "), "{run:?}");
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    let hermetic = &mut forged["predicate"]["buildDefinition"]["internalParameters"]["hermetic"];
    assert_eq!(*hermetic, true);
    *hermetic = false.into();
    world.write("forged.json", forged.to_string());
    let run = source(&["forged.json"]);
    let why = "rebuilt: building it again gave no such image: the record says that a step had a network";
    assert!(run.code == Some(1) && run.stderr.contains(why), "{run:?}");
    world.write("app/f", "2\n");
    let run = source(&["record.json"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("rebuilt: building it again gave no such image: "),
        "{run:?}"
    );
    world.write("app/f", "1\n");
    let run = source(&["record.json"]);
    assert!(run.code == Some(0) && run.stderr.contains("building the image again"), "{run:?}");
    let list = json(&world, &["releases", "test", "--repo", "oci:out"]);
    let entry = &list["entries"][0];
    assert_eq!(entry["gates"], serde_json::json!(["verified", "rebuilt"]));
    let digest = format!("sha256:{}", crate::support::judge::sha256(text.as_bytes()));
    assert_eq!(entry["statements"], serde_json::json!([digest]));
    // It is not built again where it would make no difference, nor where going back needs it a second time.
    world.write("app/f", "2\n");
    build(&world, "second", "second.json", &[]);
    world.write("policy.toml", "[environment.test]\nrebuilt = true\nafter = \"staging\"\n");
    let error = world.fails(
        1,
        ["release", "test", "oci:out:second", "--policy", "policy.toml", "--record", "second.json"],
    );
    assert!(error.contains("after: ") && error.contains("it has not been built again"), "{error}");
    world.ok(["release", "test", "oci:out:second"]);
    world.write("policy.toml", "[environment.test]\nrebuilt = true\n");
    world.ok(["rollback", "test", "--repo", "oci:out", "--policy", "policy.toml"]);
    assert_eq!(world.ok(["digest", "oci:out:test"]), entry["digest"]);
    // Without a policy, on the command line.
    let rebuild = ["release", "other", "oci:out:second", "--rebuild", "--source", "app", "--record"];
    world.ok([&rebuild[..], &["second.json"]].concat());
    world.fails(1, ["release", "third", "oci:out:second", "--rebuild"]);
}

#[test]
fn an_image_is_not_proved_by_itself() {
    let Some((world, image)) = recorded() else { return };
    let digest = world.ok(["build", "-q", "-t", "self:1", "app"]);
    let context = ["--build-context", "x=docker-image://self:1"];
    for (from, more) in [("self:1", &[][..]), ("x", &context)] {
        world.write("liner/Buildfile", format!("FROM {from}\n"));
        let build = ["build", "-q", "--record", "self.json", "liner"];
        assert_eq!(world.ok(build.iter().chain(more)), digest, "{from}");
        let args = ["release", "test", image, "--rebuild", "--source", "liner", "--record", "self.json"];
        let error = world.fails(1, args);
        assert!(error.contains("rebuilt: ") && error.contains("built from itself"), "{from}: {error}");
    }
    // Of an index, the manifest of a platform will do.
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let output = ["-o", "type=oci,dest=out,name=app:two"];
    let whole = world.ok(["build", "-q", "-t", "two:1", "app"].iter().chain(&platforms).chain(&output));
    let one = world.ok(["digest", "--platform", "linux/arm64", "oci:out:two"]);
    world.write("liner/Buildfile", format!("FROM two:1@{one}\n"));
    world.ok(["build", "-q", "--platform", "linux/arm64", "--record", "self.json", "liner"]);
    let mut record: Value = serde_json::from_slice(&std::fs::read(world.path("self.json")).unwrap()).unwrap();
    record["subject"][0]["digest"]["sha256"] = whole.trim_start_matches("sha256:").into();
    world.write("self.json", record.to_string());
    let args = ["release", "test", "oci:out:two", "--rebuild", "--source", "liner", "--record", "self.json"];
    let error = world.fails(1, args);
    assert!(error.contains("rebuilt: ") && error.contains("built from itself"), "{error}");
}

#[test]
fn a_folder_proves_no_commit_but_its_own() {
    let Some((world, image)) = recorded() else { return };
    world.write("plain/Buildfile", "FROM scratch\nCOPY f /f\n").write("plain/f", "1\n");
    git(&world, ".", &["clone", "-q", "app", "clone"]);
    let release = |rules: &str, source: &str| {
        world.write("policy.toml", format!("[environment.test]\nrebuilt = true\n{rules}\n"));
        let args = ["release", "test", image, "--policy", "policy.toml", "--record", "record.json"];
        world.run(args.iter().chain(&["--source", source]))
    };
    let (sources, clean) = ("sources = [\"https://git.example/team/app\"]", "clean = true");
    let refused = |rules: &str, source: &str| {
        let run = release(rules, source);
        let why = "rebuilt: building it again gave no such image: `--source` is not the recorded commit";
        assert!(run.code == Some(1) && run.stderr.contains(why), "{rules} {source}: {run:?}");
    };
    let passes = |rules: &str, source: &str| {
        let run = release(rules, source);
        assert_eq!(run.code, Some(0), "{rules} {source}: {run:?}");
    };
    refused(sources, "plain");
    refused(clean, "plain");
    passes("", "plain");
    passes(sources, "app");
    passes(clean, "app");
    // Its origin is another one.
    passes(clean, "clone");
    refused(sources, "clone");
    world.write("app/more", "no step reads it\n");
    refused(clean, "app");
    git(&world, "app", &["add", "."]);
    git(&world, "app", &["commit", "-q", "-m", "more"]);
    refused(clean, "app");
    refused(sources, "https://git.example/team/app.git#main");
}

#[test]
fn a_statement_can_be_named_by_its_digest() {
    let Some((world, image)) = recorded() else { return };
    let text = std::fs::read(world.path("record.json")).unwrap();
    let digest = format!("sha256:{}", crate::support::judge::sha256(&text));
    gate(&world, "hermetic = true", image, &[&format!("record.json@{digest}")]).unwrap();
    let other = format!("record.json@sha256:{}", "0".repeat(64));
    let error = gate(&world, "hermetic = true", image, &[&other]).unwrap_err();
    assert!(error.contains(&format!("has the digest `{digest}`")), "{error}");
}

/// Puts a statement into a repository, as an artifact about a manifest.
fn attach(registry: &Registry, subject: &str, statement: &[u8]) -> String {
    let mut state = registry.state();
    let size = state.repository("team/app").manifests[subject].bytes.len();
    state.put_blob("team/app", b"{}");
    state.put_blob("team/app", statement);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.in-toto+json",
        "subject": {"mediaType": kind, "digest": subject, "size": size},
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": sha256(statement), "size": statement.len()}],
    })
    .to_string();
    let digest = sha256(manifest.as_bytes());
    state.put_manifest("team/app", &digest, kind, manifest.as_bytes());
    state.repository("team/app").tags.remove(&digest);
    digest
}

#[test]
fn a_statement_can_be_attached_to_its_image() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n");
    let mut digests = Vec::new();
    for tag in ["1", "2"] {
        world.write("app/f", tag);
        let (name, record) = (format!("{repo}:{tag}"), format!("{tag}.json"));
        digests.push(world.ok(["build", "-q", "-t", &name, "--push", "--record", &record, "app"]));
    }
    let record = |tag: &str| std::fs::read(world.path(&format!("{tag}.json"))).unwrap();
    let own = attach(&registry, &digests[0], &record("1"));
    let foreign = attach(&registry, &digests[1], &record("1"));
    let wrong = attach(&registry, &digests[0], &record("2"));
    let image = format!("{repo}:1");
    let hermetic = "hermetic = true";
    let error = gate(&world, hermetic, &image, &[&foreign]).unwrap_err();
    assert!(
        error.contains("is no statement that is attached to the image") && error.contains(&digests[1]),
        "{error}"
    );
    let error = gate(&world, hermetic, &image, &[&wrong]).unwrap_err();
    assert!(error.contains("is of another image"), "{error}");
    let error = gate(&world, hermetic, &image, &[&sha256(b"nowhere")]).unwrap_err();
    assert!(error.contains("has it not"), "{error}");
    gate(&world, hermetic, &image, &[&own]).unwrap();
    let error = gate(&world, hermetic, &format!("{repo}:2"), &[&own]).unwrap_err();
    assert!(error.contains("attached to the image"), "{error}");
}

#[test]
fn records_of_other_images_open_no_gate() {
    let Some((world, image)) = recorded() else { return };
    world.write("app/f", "2\n");
    build(&world, "second", "second.json", &[]);
    for rule in ["hermetic = true", "verified = true"] {
        for record in ["record.json", "verdict.json"] {
            let error = gate(&world, rule, "oci:out:second", &[record]).unwrap_err();
            assert!(error.contains(&format!("`{record}` is of another image")), "{error}");
        }
    }
    world.ok(["build", "-q", "--metadata-file", "metadata.json", "app"]);
    for (name, text) in [("empty.json", ""), ("list.json", "[]"), ("null.json", "null")] {
        world.write(name, text);
    }
    for record in ["metadata.json", "empty.json", "list.json", "null.json", "nowhere.json"] {
        assert!(gate(&world, "hermetic = true", image, &[record]).is_err(), "{record}");
    }
    // Where there are several images to choose from, each has its own.
    for (name, record) in [(image, "record.json"), ("oci:out:second", "second.json")] {
        gate(&world, "hermetic = true", name, &[record]).unwrap();
    }
    let rollback = ["rollback", "test", "--repo", "oci:out", "--policy", "policy.toml"];
    assert!(world.fails(1, rollback).contains("hermetic: nothing says so"));
    world.ok([&rollback[..], &["--record", "second.json", "--record", "record.json"]].concat());
}

#[test]
fn a_step_with_a_network_shuts_the_gate_hermetic() {
    let world = World::new();
    let Some(()) = base(&world, "the gate `hermetic`") else { return };
    world.write("app/Buildfile", "FROM bb\nRUN --network=default true\n");
    build(&world, "image", "record.json", &["--build-context", "bb=bb"]);
    let error = gate(&world, "hermetic = true", "oci:out:image", &["record.json"]).unwrap_err();
    assert!(error.contains("hermetic: a step of its build had a network"), "{error}");
    // A record that hides it does not pass.
    let text = std::fs::read_to_string(world.path("record.json")).unwrap();
    world.write("edited.json", text.replace("\"hermetic\":false", "\"hermetic\":true"));
    let verify = ["verify", "oci:out:image", "--source", "app", "--build-context", "bb=bb"];
    let verify = [&verify[..], &["--allow", "network.host", "--record"]].concat();
    world.ok([&verify[..], &["record.json"]].concat());
    let run = world.run([&verify[..], &["edited.json"]].concat());
    assert!(run.code == Some(5) && run.stdout.contains("that no step had a network, and one has"), "{run:?}");
}

#[test]
fn a_layout_keeps_its_own_ledger() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n");
    let mut digests = Vec::new();
    for tag in ["1", "2"] {
        world.write("app/f", tag);
        digests.push(world.ok(["build", "-q", "-o", &format!("type=oci,dest=out,name=app:{tag}"), "app"]));
        world.ok(["release", "test", &format!("oci:out:{tag}")]);
    }
    let repo = ["--repo", "oci:out"];
    assert_eq!(world.ok([&["current", "test"][..], &repo].concat()), format!("oci:out:test@{}", digests[1]));
    let back = json(&world, &[&["rollback", "test"][..], &repo].concat());
    let differs = &back["images"][0];
    assert_eq!(
        (&differs["files"][0]["path"], &differs["filesCompared"]),
        (&"/f".into(), &true.into()),
        "{back}"
    );
    assert_eq!(world.ok(["digest", "oci:out:test"]), digests[0]);
    world.ok([&["releases", "test", "--verify"][..], &repo].concat());
    let layer = std::fs::read_to_string(world.path("out/index.json")).unwrap();
    assert!(layer.contains("lith-release-test-000003"), "{layer}");
}

#[test]
fn going_back_neither_waits_nor_fails_for_what_becomes_different() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nARG SIZE\nENV SIZE=$SIZE\nCOPY f /f\n");
    let mut noise: u64 = 1;
    let mut digests = Vec::new();
    for size in [1_usize, 33 << 20] {
        // What no compression makes smaller.
        let next = || {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()
        };
        let bytes: Vec<u8> = std::iter::repeat_with(next).take(size.div_ceil(8)).flatten().collect();
        world.write("app/f", bytes);
        let output = format!("type=oci,dest=out,name=app:{size}");
        let arg = format!("SIZE={size}");
        digests.push(world.ok([
            "build",
            "-q",
            "-o",
            &output,
            "--build-arg",
            &arg,
            "--store",
            "other",
            "app",
        ]));
        world.ok(["release", "test", &format!("oci:out:{size}")]);
    }
    let rollback = ["rollback", "test", "--repo", "oci:out"];
    let run = world.run([&rollback[..], &["--dry-run"]].concat());
    let digest = &digests[1];
    assert!(
        run.stderr
            .contains(&format!("would have to be fetched to compare the files: `lith diff oci:out@{digest}"))
    );
    assert!(run.stderr.contains("~ config.Env.SIZE") && !run.stderr.contains("/f"), "{run:?}");
    // The image that is left is damaged.
    std::fs::remove_file(world.path("out/blobs").join(digest.replace(':', "/"))).unwrap();
    let run = world.run(rollback);
    assert!(run.code == Some(0) && run.stderr.contains("warning: the images can't be compared"), "{run:?}");
    assert_eq!(world.ok(["digest", "oci:out:test"]), digests[0]);
}

#[test]
fn of_twenty_releases_at_once_none_is_lost_and_no_change_goes_unnoticed() {
    let Some(registry) = DockerRegistry::start(Access::Htpasswd, "releases in docker-registry") else {
        return;
    };
    let (world, repo) = (account(&registry), format!("{}/team/app", registry.host()));
    let digests: Vec<String> = (0..20).map(|tag| push(&world, &repo, &tag.to_string())).collect();
    let accepted: Vec<(u64, String)> = std::thread::scope(|scope| {
        let writers: Vec<_> = digests
            .chunks(5)
            .map(|own| {
                let (world, repo) = (&world, &repo);
                scope.spawn(move || {
                    let release = |digest: &String| {
                        let released = json(world, &["release", "prod", &format!("{repo}@{digest}")]);
                        (released["number"].as_u64().unwrap(), digest.clone())
                    };
                    own.iter().map(release).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(accepted.len(), 20);
    let list = json(&world, &["releases", "prod", "--verify", "--repo", &repo]);
    let entries = list["entries"].as_array().unwrap();
    let of =
        |entry: &Value| (entry["number"].as_u64().unwrap(), entry["digest"].as_str().unwrap().to_owned());
    let chain: Vec<(u64, String)> = entries.iter().map(of).collect();
    for release in &accepted {
        assert!(chain.contains(release), "{release:?} was accepted and is not in {chain:?}");
    }
    assert_eq!(world.ok(["digest", &format!("docker://{repo}:prod")]), chain[0].1, "the tag is at the head");
    // An image that has lost a blob is not released.
    let image = json(&world, &["inspect", &format!("docker://{repo}@{}", digests[0])]);
    let layer = image["images"][0]["manifest"]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let file = registry.blob(layer.strip_prefix("sha256:").unwrap());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let error = world.fails(1, ["release", "staging", &format!("{repo}@{}", digests[0])]);
    assert!(error.contains("is not whole") && error.contains(&layer), "{error}");
    std::fs::write(&file, bytes).unwrap();
    world.ok(["release", "staging", &format!("{repo}@{}", digests[0])]);
    // A manifest in the middle of the chain is altered, then deleted.
    let entry = entries[10]["entry"].as_str().unwrap().to_owned();
    let file = registry.blob(entry.strip_prefix("sha256:").unwrap());
    let bytes = std::fs::read(&file).unwrap();
    let verify = || world.fails(1, ["releases", "prod", "--verify", "--repo", &repo]);
    let altered = String::from_utf8(bytes.clone()).unwrap().replacen("lith.release", "lith.Release", 1);
    std::fs::write(&file, altered).unwrap();
    let error = verify();
    assert!(error.contains(&entry), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = verify();
    assert!(error.contains(&format!("entry `{entry}` of `prod` is missing")), "{error}");
    std::fs::write(&file, bytes).unwrap();
    world.ok(["releases", "prod", "--verify", "--repo", &repo]);
}
