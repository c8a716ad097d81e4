//! `lith audit`: references beside ledgers, and the page in a browser.

use std::process::Command;

use serde_json::Value;

use super::releases::{json, push};
use crate::support::World;
use crate::support::programs::{find, run};
use crate::support::registry::Registry;

const HOSTILE: &str =
    "</td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'&\u{202e}";

/// Two environments; `prod` has had three images, one of them bad, and has gone back.
fn scene() -> (World, Registry, Vec<String>) {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    let digests: Vec<String> = ["1", "2", "3"].iter().map(|tag| push(&world, &repo, tag)).collect();
    for tag in ["1", "2", "3"] {
        world.ok(["release", "prod", &format!("{repo}:{tag}"), "-m", HOSTILE, "--actor", "<b>ann"]);
    }
    world.ok(["release", "staging", &format!("{repo}:3")]);
    world.ok(["releases", "mark", "prod", "3", "bad", "--repo", &repo]);
    world.ok(["rollback", "prod", "--repo", &repo]);
    world.write(
        "k8s/pod.yaml",
        format!(
            "kind: Pod\nspec:\n  containers:\n  - image: {repo}:1@{}\n  - image: {repo}@{}\n  - image: {repo}:3\n  - image: {repo}:none\n  - image: app:${{TAG}}\n  - image: \"<script>alert(1)</script>\"\n",
            digests[0], digests[1]
        ),
    );
    (world, registry, digests)
}

#[test]
fn each_reference_is_told_with_its_release() {
    let (world, registry, digests) = scene();
    let run = world.run(["audit", "-f", "k8s", "--format", "json"]);
    assert!(run.code == Some(0) && run.stderr.contains("k8s/pod.yaml:7: "), "{run:?}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let references = document["references"].as_array().unwrap();
    let states: Vec<&str> = references.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pinned", "pinned", "floating", "floating", "left", "left"]);
    let releases = |row: usize| -> Vec<(String, u64, bool)> {
        let all = references[row]["releases"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of = |one: &Value| {
            (text(&one["environment"]), one["number"].as_u64().unwrap(), one["current"].as_bool().unwrap())
        };
        all.iter().map(of).collect()
    };
    assert_eq!(releases(0), [("prod".to_owned(), 1, false)]);
    assert_eq!(releases(1), [("prod".to_owned(), 5, true)]);
    assert_eq!(releases(2), [("prod".to_owned(), 3, false), ("staging".to_owned(), 1, true)]);
    assert_eq!(references[2]["digest"], digests[2].as_str());
    assert_eq!(references[2]["releases"][0]["verdict"], "bad");
    assert_eq!(references[0]["releases"][0]["revision"].as_str().unwrap().len(), 40);
    assert!(references[3]["problem"].as_str().unwrap().contains("is not there"));
    assert_eq!(document["ledgers"].as_array().unwrap().len(), 2);
    let text = world.ok(["audit", "--file", "k8s/pod.yaml"]);
    let line = text.lines().nth(2).unwrap();
    assert!(line.contains("pinned") && line.contains("prod 5") && line.contains("  yes  "), "{text}");
    assert!(text.contains("marked bad") && !text.contains('\u{202e}'), "{text}");
    // A ledger elsewhere, and a registry that is none.
    let gone = format!("image: 127.0.0.1:1/x@{}\n", digests[1]);
    world.write("other.yaml", gone);
    let other = json(&world, &["audit", "-f", "other.yaml", "--repo", &registry.name("team/app")]);
    assert_eq!(other["references"][0]["releases"][0]["number"], 5);
    assert!(other["references"][0]["problem"].as_str().unwrap().contains("127.0.0.1:1"));
    world.fails(2, ["audit", "k8s"]);
    world.write("wrong.yaml", "a: [\n");
    world.fails(1, ["audit", "-f", "wrong.yaml"]);
}

#[test]
fn a_platform_of_an_index_belongs_to_its_release() {
    let (world, registry) = (World::new(), Registry::start());
    let repo = registry.name("team/app");
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\n");
    let mut parts = Vec::new();
    for tag in ["1", "2"] {
        world.write("app/f", tag);
        let name = format!("{repo}:{tag}");
        let platforms = "linux/amd64,linux/arm64,linux/arm/v7";
        world.ok(["build", "-q", "-t", &name, "--push", "--platform", platforms, "app"]);
        let index = json(&world, &["inspect", &format!("docker://{name}")]);
        let images = index["images"].as_array().unwrap();
        parts.push(images.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        world.ok(["release", "prod", &name]);
    }
    let audit = |digest: &str| {
        world.write("k8s.yaml", format!("image: {repo}@{digest}\n"));
        let list = json(&world, &["audit", "-f", "k8s.yaml"]);
        let check = world.run(["audit", "-f", "k8s.yaml", "--check"]);
        (list["references"][0]["releases"].clone(), check)
    };
    for (number, is_current) in [(1, false), (2, true)] {
        for (part, platform) in parts[number - 1].iter().zip(["linux/amd64", "linux/arm64", "linux/arm/v7"]) {
            let (releases, check) = audit(part);
            let one = &releases[0];
            assert_eq!((&one["number"], &one["platform"]), (&number.into(), &platform.into()), "{releases}");
            assert_eq!(one["current"], is_current);
            assert_eq!(check.code, Some(if is_current { 0 } else { 4 }), "{check:?}");
        }
    }
    let text = world.ok(["audit", "-f", "k8s.yaml", "--html", "page.html"]);
    assert!(text.contains("prod 2 (linux/arm/v7)"), "{text}");
    assert!(std::fs::read_to_string(world.path("page.html")).unwrap().contains("prod 2 (linux/arm/v7)"));
    let (releases, check) = audit(&crate::support::registry::sha256(b"another"));
    assert_eq!((releases.as_array().unwrap().len(), check.code), (0, Some(4)));
}

#[test]
fn a_check_says_what_floats_and_what_is_not_current() {
    let (world, registry) = (World::new(), Registry::start());
    let (repo, plain) = (registry.name("team/app"), registry.name("base"));
    let [first, second] = ["1", "2"].map(|tag| push(&world, &repo, tag));
    let base = push(&world, &plain, "1");
    world.ok(["release", "prod", &format!("{repo}:1")]);
    world.ok(["release", "staging", &format!("{repo}:1")]);
    world.ok(["release", "staging", &format!("{repo}:2")]);
    let check = |references: &[String]| {
        let lines: String = references.iter().map(|one| format!("- image: {one}\n")).collect();
        world.write("k8s.yaml", lines);
        world.run(["audit", "-f", "k8s.yaml", "--check"])
    };
    let pinned = |tag: &str, digest: &str| format!("{repo}:{tag}@{digest}");
    for (references, code, told) in [
        (vec![pinned("prod", &first), pinned("staging", &second), format!("{plain}:1@{base}")], 0, ""),
        // Each environment has its own; a tag that is none may have any.
        (vec![pinned("1", &first), pinned("2", &second)], 0, ""),
        (vec![pinned("prod", &second)], 4, "k8s.yaml:1: "),
        (vec![pinned("prod", &first), pinned("staging", &first)], 4, "k8s.yaml:2: "),
        (vec![format!("{repo}:prod")], 1, "is not pinned"),
        (vec![format!("{plain}:1"), pinned("prod", &second)], 1, "1 reference not pinned"),
        (vec!["'app:${TAG}'".to_owned()], 1, "is not pinned"),
        (vec!["'My App'".to_owned()], 0, ""),
        (vec![format!("127.0.0.1:1/x@{base}")], 1, "127.0.0.1:1"),
    ] {
        let run = check(&references);
        assert!(run.code == Some(code) && run.stderr.contains(told), "{references:?} {run:?}");
    }
    // Ledgers from elsewhere are about the images that they know.
    push(&world, &registry.name("mirror/app"), "1");
    let elsewhere = |digest: &str| {
        world.write("k8s.yaml", format!("image: {}@{digest}\n", registry.name("mirror/app")));
        world.run(["audit", "-f", "k8s.yaml", "--check", "--repo", &repo]).code
    };
    assert_eq!([&first, &second, &base].map(|digest| elsewhere(digest)), [Some(0); 3]);
    world.ok(["releases", "mark", "prod", "1", "bad", "--repo", &repo]);
    let run = check(&[pinned("prod", &first)]);
    assert!(run.code == Some(4) && run.stderr.contains("`prod` has now, and that is marked bad"), "{run:?}");
    assert!(run.stderr.contains("`lith rollback prod`") && !run.stderr.contains("pin --update"), "{run:?}");
    assert_eq!(elsewhere(&first), Some(4));
}

#[test]
fn an_environment_of_another_repository_has_no_say() {
    let (world, registry) = (World::new(), Registry::start());
    let (a, b) = (registry.name("a/app"), registry.name("b/app"));
    let [first, second] = ["1", "2"].map(|tag| push(&world, &a, tag));
    push(&world, &b, "1");
    world.ok(["release", "prod", &format!("{a}:1")]);
    world.ok(["release", "prod", &format!("{a}:2")]);
    world.ok(["release", "prod", &format!("{b}:1")]);
    let check = |references: &[String], repos: &[&str]| {
        world.write("k8s.yaml", references.iter().map(|one| format!("- image: {one}\n")).collect::<String>());
        let given = repos.iter().flat_map(|repo| ["--repo", repo]);
        world.run(["audit", "-f", "k8s.yaml", "--check"].into_iter().chain(given)).code
    };
    let pinned = |repo: &str, digest: &str| format!("{repo}:prod@{digest}");
    let bare = |repo: &str, digest: &str| format!("{repo}@{digest}");
    assert_eq!(check(&[pinned(&a, &second), pinned(&b, &first)], &[]), Some(0));
    // The image is current, and elsewhere.
    for wrong in [pinned(&a, &first), bare(&a, &first), pinned(&b, &second)] {
        assert_eq!(check(&[wrong.clone(), pinned(&b, &first)], &[]), Some(4), "{wrong}");
        assert_eq!(check(std::slice::from_ref(&wrong), &[&a, &b]), Some(4), "{wrong}");
    }
    // A mirror without ledgers goes by those that are named for it, as far as they know the image.
    let mirror = registry.name("mirror/app");
    push(&world, &mirror, "1");
    assert_eq!(check(&[bare(&mirror, &first)], &[&a]), Some(4));
    assert_eq!(check(&[bare(&mirror, &first), pinned(&b, &first)], &[&a]), Some(4));
    assert_eq!(check(&[bare(&mirror, &first)], &[&b]), Some(0));
    assert_eq!(check(&[bare(&mirror, &second), pinned(&a, &second)], &[&b]), Some(0));
}

#[test]
fn a_ledger_that_breaks_off_is_told_and_shown() {
    let (world, registry, _) = scene();
    let list = json(&world, &["releases", "prod", "--repo", &registry.name("team/app")]);
    let entry = list["entries"][2]["entry"].as_str().unwrap().to_owned();
    registry.state().repository("team/app").manifests.remove(&entry);
    let error = world.fails(1, ["audit", "-f", "k8s", "--html", "page.html"]);
    assert!(error.contains("1 ledger not whole") && error.contains(&entry), "{error}");
    assert!(std::fs::read_to_string(world.path("page.html")).unwrap().contains("The ledger breaks off"));
}

#[test]
fn the_page_needs_nothing_and_runs_nothing() {
    let (world, _registry, digests) = scene();
    world.ok(["audit", "-f", "k8s", "--html", "page.html"]);
    let page = std::fs::read_to_string(world.path("page.html")).unwrap();
    for part in ["<script", "<img", "<b>", "\u{202e}", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("&lt;script&gt;document.title=&#39;owned&#39;") && page.contains(&digests[0]));
    assert!(page.contains("default-src 'none'"));
    let Some(browser) = find("chromium", "the page of `lith audit` in a browser") else { return };
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]);
    command.arg(format!("--user-data-dir={}", world.path("profile").display()));
    command.arg("--dump-dom").arg(world.path("page.html"));
    let dom = run(&mut command);
    assert!(dom.contains("<title>What is deployed</title>"), "{dom}");
    assert_eq!(dom.matches("<rect ").count(), 5, "a bar for each move");
    assert_eq!(dom.matches("<script").count() + dom.matches("<img").count(), 0);
    assert_eq!(dom.matches("<h3>").count(), 2);
}
