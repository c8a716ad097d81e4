//! `lith images`, `tag`, `rm`, `copy`, `ls`, `inspect`, `gc`, `fsck`

use crate::support::World;
use crate::support::judge::Layout;

fn built() -> (World, String) {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY f /f\nCOPY g /f\nCOPY g /dir/g\n");
    world.write("app/f", "first\n").write("app/g", "second\n");
    let digest = world.ok(["build", "-q", "-t", "app:1", "app"]);
    (world, digest)
}

#[test]
fn names_come_and_go() {
    let (world, digest) = built();
    world.ok(["tag", "app:1", "other"]);
    let images = world.ok(["images"]);
    assert!(images.contains("app:1") && images.contains("other:latest"), "{images}");
    world.ok(["rm", "app:1"]);
    assert!(!world.ok(["images"]).contains("app:1"));
    assert!(world.fails(1, ["rm", "app:1"]).contains("lith images"));
    let listed: serde_json::Value = serde_json::from_str(&world.ok(["images", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["digest"], digest.as_str());
}

#[test]
fn ls_says_who_wins() {
    let (world, _) = built();
    let listing = world.ok(["ls", "app:1"]);
    assert!(listing.contains("/dir/g") && listing.contains("/f"), "{listing}");
    let json: serde_json::Value =
        serde_json::from_str(&world.ok(["ls", "--format", "json", "app:1"])).unwrap();
    let layers = json["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[0]["files"][0]["hiddenBy"], 2, "{json}");
}

#[test]
fn an_image_is_copied_between_store_layout_and_archives() {
    let (world, digest) = built();
    world.ok(["copy", "app:1", "oci:layout:x"]);
    world.ok(["copy", "oci:layout:x", "oci-archive:image.tar"]);
    world.ok(["copy", "oci-archive:image.tar", "store:back:2"]);
    let listed = world.ok(["images", "--format", "json"]);
    assert!(listed.contains("back:2"), "{listed}");
    assert_eq!(Layout::open(&world.path("layout")).image().digest, digest);
    assert!(world.ok(["inspect", "--format", "json", "back:2"]).contains(&digest));
}

#[test]
fn gc_takes_what_nothing_names() {
    let (world, _) = built();
    world.ok(["rm", "app:1"]);
    let dry = world.ok(["gc", "--dry-run"]);
    let blobs = || std::fs::read_dir(world.path("store/blobs/sha256")).unwrap().count();
    assert!(blobs() >= 3 && dry.contains("sha256:"), "{dry}");
    world.ok(["gc"]);
    assert_eq!(blobs(), 0);
    assert_eq!(world.ok(["fsck"]).lines().count(), 1);
}

#[test]
fn gc_leaves_what_a_name_needs() {
    let (world, digest) = built();
    world.write("app/g", "third\n");
    world.ok(["build", "-q", "app"]);
    world.ok(["gc"]);
    assert_eq!(
        world.ok(["build", "-q", "-o", "type=oci,dest=out", "-f", "app/Buildfile", "app"]).len(),
        digest.len()
    );
    world.ok(["copy", "app:1", "oci:kept"]);
    assert_eq!(Layout::open(&world.path("kept")).image().digest, digest);
}

#[test]
fn fsck_finds_a_changed_blob() {
    let (world, _) = built();
    world.ok(["fsck"]);
    let blob = std::fs::read_dir(world.path("store/blobs/sha256")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    let error = world.fails(3, ["fsck"]);
    assert!(error.contains(&*blob.file_name().unwrap().to_string_lossy()), "{error}");
}

#[test]
fn whoever_meets_a_damaged_blob_says_so() {
    for (kind, commands) in [
        ("layer", &["copy app:1 oci:out", "copy app:1 docker-archive:out.tar"][..]),
        ("manifest", &["copy app:1 oci:out", "inspect app:1", "images", "gc"]),
    ] {
        let (world, digest) = built();
        world.ok(["copy", "app:1", "oci:whole"]);
        let layer = &Layout::open(&world.path("whole")).image().layers[0].digest;
        let damaged = if kind == "layer" { layer } else { &digest };
        let blob = world.path("store/blobs").join(damaged.replace(':', "/"));
        let mut bytes = std::fs::read(&blob).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&blob, bytes).unwrap();
        for command in commands {
            let error = world.fails(3, command.split(' '));
            assert!(error.contains("lith fsck"), "{kind}, {command}:\n{error}");
        }
    }
}

#[test]
fn an_image_that_is_nowhere_comes_with_the_way_to_get_it() {
    let world = World::new();
    world.write("app/Buildfile", "FROM 127.0.0.1:1/nosuch\n");
    let error = world.fails(1, ["build", "app"]);
    let filled = "`--build-context 127.0.0.1:1/nosuch=oci-layout://DIR`";
    assert!(error.contains("lith images") && error.contains(filled), "{error}");
    assert!(error.contains("`lith copy oci:DIR 127.0.0.1:1/nosuch`"), "{error}");
    assert!(error.contains("`lith tags REGISTRY/NAME`"), "{error}");
    assert!(world.fails(1, ["build", "-f", "absent", "app"]).contains("hint: "));
}

#[test]
fn an_image_is_found_by_the_beginning_of_its_digest() {
    let (world, digest) = built();
    for end in [7, 12, 40] {
        let hex = &digest["sha256:".len()..][..end];
        assert_eq!(world.ok(["tag", hex, "again"]), digest);
        assert_eq!(world.ok(["tag", &format!("sha256:{hex}"), "again"]), digest);
    }
    world.fails(1, ["inspect", "0000000"]);
    assert!(world.fails(1, ["inspect", "--platform", "linux/arm64", "app:1"]).contains("linux/arm64"));
    let listed: serde_json::Value = serde_json::from_str(&world.ok(["images", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["platforms"][0], "linux/amd64");
    let blobs = std::fs::read_dir(world.path("store/blobs/sha256")).unwrap();
    let all: u64 = blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(listed[0]["size"], all, "the store has nothing else");
}

#[test]
fn a_damaged_index_is_told_by_the_exit_code() {
    let (world, _) = built();
    world.write("store/index.json", "{");
    for args in
        [&["images"][..], &["gc"], &["rm", "app:1"], &["inspect", "app:1"], &["build", "-t", "x", "app"]]
    {
        let error = world.fails(3, args);
        assert!(error.contains("index.json` is damaged") && error.contains("lith fsck"), "{args:?}: {error}");
    }
}

#[test]
fn strangers_do_not_speak_to_the_terminal() {
    const WORDS: &str = "\u{1b}[31mRED\u{7}\u{9b}2J\u{202e}";
    let world = World::new();
    world.write(&format!("app/{WORDS}"), "x");
    world.write("app/Buildfile", format!("FROM scratch\nCOPY RED* \u{1b}* /\nLABEL x=\"{WORDS}\"\n"));
    // As on a terminal: nothing is taken away by the printing.
    let run = |args: &[&str]| {
        let found = crate::support::Run::of(world.command(args).env("CLICOLOR_FORCE", "1"));
        let said = found.stdout + &found.stderr;
        let own = |text: &str| {
            text.replace("\u{1b}[1;31m", "").replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", "")
        };
        let bad = own(&said).chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(!bad, "{args:?}: {said:?}");
    };
    run(&["build", "--progress=plain", "-t", "app", "-o", "type=oci,dest=out", "app"]);
    // An image whose platform is made of such words, as no lith would make it.
    foreign_platform(&world, "out", WORDS);
    run(&["copy", "oci:out", "foreign"]);
    for args in
        [&["images"][..], &["inspect", "app"], &["inspect", "foreign"], &["ls", "app"], &["ls", "foreign"]]
    {
        run(args);
        run(&[args, &["--format", "json"]].concat());
    }
    assert!(world.ok(["images"]).contains("\\u{1b}[31mRED\\u{7}\\u{9b}2J\\u{202e}/amd64"));
    run(&["build", "--progress=json", "--no-cache", "-t", "app", "app"]);
}

/// Changes the operating system of the one image of a layout, and all digests with it.
fn foreign_platform(world: &World, layout: &str, os: &str) {
    use sha2::Digest as _;
    let read = |path: String| serde_json::from_slice(&std::fs::read(world.path(&path)).unwrap()).unwrap();
    let blob = |digest: &serde_json::Value| {
        format!("{layout}/blobs/{}", digest.as_str().unwrap().replacen(':', "/", 1))
    };
    let put = |descriptor: &mut serde_json::Value, document: &serde_json::Value| {
        let bytes = document.to_string();
        let hex: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        world.write(&format!("{layout}/blobs/sha256/{hex}"), &bytes);
        descriptor["digest"] = format!("sha256:{hex}").into();
        descriptor["size"] = bytes.len().into();
    };
    let mut index: serde_json::Value = read(format!("{layout}/index.json"));
    let mut manifest: serde_json::Value = read(blob(&index["manifests"][0]["digest"]));
    let mut config: serde_json::Value = read(blob(&manifest["config"]["digest"]));
    config["os"] = os.into();
    put(&mut manifest["config"], &config);
    put(&mut index["manifests"][0], &manifest);
    index["manifests"][0].as_object_mut().unwrap().remove("platform");
    world.write(&format!("{layout}/index.json"), index.to_string());
}

#[test]
fn a_store_that_can_not_be_looked_for_is_no_empty_one() {
    let world = World::new();
    world.write("file", "");
    // Below what is no folder nobody can look.
    for looking in [&["images"][..], &["fsck"], &["gc", "--dry-run"]] {
        let run = world.run([&["--store", "file/store"][..], looking].concat());
        assert!(run.code == Some(1) && run.stderr.contains("file/store"), "{run:?}");
    }
}

#[test]
fn the_store_is_no_part_of_a_context() {
    let world = World::new();
    world.write("app/Buildfile", "FROM scratch\nCOPY . /\n");
    let build = || world.run(["--store", "app/.lith", "build", "-q", "-t", "app", "app"]);
    let (first, second) = (build(), build());
    assert_eq!((first.code, &first.stdout), (Some(0), &second.stdout), "{first:?}");
    std::fs::remove_dir_all(world.path("app/.lith")).unwrap();
    assert_eq!(world.ok(["build", "-q", "app"]).trim(), first.stdout.trim(), "as with a store elsewhere");
}
