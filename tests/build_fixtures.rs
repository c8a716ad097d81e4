//! `fixtures/build/<case>/`: a Buildfile, its context in `context/`, options in `options` (one a line), and in
//! `golden.txt` the digest, the config and every layer's listing.
//!
//! `base/` is the context of an image that is built first and is there as the named context `base`.
//!
//! A digest that changes here changes for every user: that is a new format profile, not an update.

use crate::support::judge::Layout;
use crate::support::{World, assert_golden, fixtures};

#[test]
fn each_fixture_gives_its_golden_image() {
    for case in fixtures("build") {
        let world = World::new();
        let golden = case.join("golden.txt");
        let buildfile = case.join("Buildfile");
        let mut args = vec!["build", "--progress", "quiet", "-o", "type=oci,dest=image", "-f"];
        args.push(buildfile.to_str().expect("UTF-8"));
        let options = std::fs::read_to_string(case.join("options")).unwrap_or_default();
        args.extend(options.lines());
        let base = case.join("base");
        if base.is_dir() {
            world.ok(["build", "-q", "-o", "type=oci,dest=base", base.to_str().expect("UTF-8")]);
            args.push("--build-context=base=oci-layout://base");
        }
        let context = case.join("context");
        args.push(context.to_str().expect("UTF-8"));
        let digest = world.ok(&args);
        let layout = Layout::open(&world.path("image"));
        let root = &layout.index["manifests"][0];
        assert_eq!(digest, root["digest"].as_str().expect("a digest"), "stdout has the digest");
        let found = if root["mediaType"] == "application/vnd.oci.image.index.v1+json" {
            let index: serde_json::Value = serde_json::from_slice(&layout.blob(root)).expect("JSON");
            let images = index["manifests"].as_array().expect("manifests").iter();
            let described = images.map(|d| format!("{}\n{}", d["platform"], layout.image_of(d).describe()));
            format!("{digest}\n\n{}", described.collect::<Vec<_>>().join("\n"))
        } else {
            layout.image().describe()
        };
        assert_golden(&golden, &found);
    }
}

/// The file is written by hand, one line for a new fixture. Neither a golden that was written anew nor a fixture that was
/// taken away passes by it.
#[test]
fn the_goldens_are_those_of_profile_1() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let lines = std::fs::read_to_string(root.join("profile-1.txt")).expect("the digests of the profile");
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    let held: Vec<String> = lines.map(Into::into).collect();
    let found: Vec<String> = fixtures("build")
        .iter()
        .map(|case| {
            let golden = std::fs::read_to_string(case.join("golden.txt")).expect("a golden");
            let name = case.file_name().expect("a name").to_string_lossy();
            format!("{} {name}", golden.lines().next().expect("the digest"))
        })
        .collect();
    assert_eq!(held, found, "images of format profile 1 have other digests: see docs/image-contract.md");
    assert_eq!(lith::layer::FORMAT_PROFILE, 1, "a new profile has goldens of its own, and these stay");
}
