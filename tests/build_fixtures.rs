//! `fixtures/build/<case>/`: a Buildfile, its context in `context/`, options in `options` (one a line), and in
//! `golden.txt` the digest, the config and every layer's listing.
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
