//! `lith diff`: what differs is told, and what doesn't is not.

use std::process::Command;

use serde_json::Value;

use crate::support::World;
use crate::support::programs::{find, run};

const BUILDFILE: &str = "FROM scratch\nCOPY . /\nENV A=1 B=2\nLABEL x=1\nCMD [\"a\"]\n";

/// A world with two contexts that are the same, and what differs in the second.
fn world(edit: impl Fn(&World)) -> World {
    let world = World::new();
    for side in ["a", "b"] {
        world.write(&format!("{side}/etc/motd"), "built 2024-01-02\nhello\n");
        world.write(&format!("{side}/bin/tool"), [b"\x7fELF\0\0", &[7; 300][..]].concat());
        world.write(&format!("{side}/etc/long.conf"), "x = 1\n".repeat(50));
    }
    world.write("Buildfile", BUILDFILE);
    edit(&world);
    for side in ["a", "b"] {
        build(&world, "Buildfile", side, side, &[]);
    }
    world
}

fn build(world: &World, file: &str, name: &str, context: &str, options: &[&str]) {
    let fixed = ["build", "-q", "-f", file, "--context-modes", "keep", "-t", name, context];
    world.ok(fixed.iter().chain(options));
}

fn json(world: &World, args: &[&str]) -> Value {
    let text = world.ok(["diff", "--format", "json"].iter().chain(args));
    serde_json::from_str(&text).expect("JSON")
}

/// Path and change of each file that differs.
fn files(report: &Value) -> Vec<(String, String)> {
    let files = report["images"][0]["files"].as_array().expect("files");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    files.iter().map(|file| (text(&file["path"]), text(&file["change"]))).collect()
}

fn pair(path: &str, change: &str) -> (String, String) {
    (path.into(), change.into())
}

#[test]
fn the_same_digest_is_the_same_image() {
    let world = world(|_| ());
    let digest = world.ok(["digest", "a"]);
    assert_eq!(world.ok(["diff", "--exit-code", "a", "b"]), format!("identical: {digest}"));
    let report = json(&world, &["a", "b"]);
    assert_eq!((&report["differs"], report["images"].as_array().map(Vec::len)), (&false.into(), Some(0)));
    assert_eq!(report["a"]["digest"], digest.as_str());
}

#[test]
fn other_compression_is_told_in_a_sentence() {
    let world = world(|_| ());
    build(&world, "Buildfile", "z", "a", &["--compression", "zstd"]);
    let run = world.run(["diff", "--exit-code", "a", "z"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stdout.contains("\nthe same files; layer 1 was compressed otherwise\n"), "{}", run.stdout);
    let report = json(&world, &["a", "z"]);
    assert_eq!(report["images"][0]["layers"][0]["how"], "compression");
    assert!(files(&report).is_empty());
}

#[test]
fn times_alone_are_told_as_such() {
    let world = world(|_| ());
    build(&world, "Buildfile", "t", "a", &["--source-date-epoch", "99"]);
    let told = world.ok(["diff", "a", "t"]);
    assert!(told.contains("in their times alone; so do the configuration and the history"), "{told}");
    assert!(told.contains("other times of files") && told.contains("1970-01-01T00:01:39Z"), "{told}");
    let report = json(&world, &["--no-times", "a", "t"]);
    assert!(files(&report).is_empty(), "{report}");
    assert_eq!(report["images"][0]["layers"][0]["how"], "times");
}

#[test]
fn one_mode_is_all_that_differs() {
    let world = world(|world| _ = world.chmod("b/bin/tool", 0o775).chmod("a/bin/tool", 0o755));
    let report = json(&world, &["a", "b"]);
    assert_eq!(files(&report), [pair("/bin/tool", "changed")]);
    let file = &report["images"][0]["files"][0];
    assert_eq!(file["aspects"], serde_json::json!([{"what": "mode", "a": "0755", "b": "0775"}]));
    assert_eq!(file["causes"], serde_json::json!(["umask"]));
    assert!(world.ok(["diff", "a", "b"]).contains("~ /bin/tool  mode 0755 -> 0775  [likely: umask]"));
}

#[test]
fn contents_moves_folders_and_configurations() {
    let world = world(|world| {
        world.write("b/etc/motd", "built 2026-11-23\nhello\n").write("b/new/1", "1").write("b/new/2", "2");
        std::fs::create_dir(world.path("b/lib")).unwrap();
        std::fs::rename(world.path("b/bin/tool"), world.path("b/lib/tool")).unwrap();
        world.write("Other", BUILDFILE.replace("B=2", "B=3").replace("x=1", "y=1"));
    });
    build(&world, "Other", "b", "b", &[]);
    let told = world.ok(["diff", "a", "b"]);
    for line in [
        "  ~ config.Env.B: \"2\" -> \"3\"\n",
        "  - config.Labels.x: \"1\"\n",
        "  + config.Labels.y: \"1\"\n",
        "  ~ ENV A=1 B=2 -> ENV A=1 B=3\n",
        "  > /lib/tool  moved from /bin/tool",
        "  + /new  dir 0755 0:0, with 2 paths below it",
        "  ~ /etc/motd  content +1 -1 lines  [likely: timestamp]\n",
        "      -built 2024-01-02\n      +built 2026-11-23\n",
    ] {
        assert!(told.contains(line), "`{line}` is not in\n{told}");
    }
    let report = json(&world, &["--path", "etc", "--path", "**/2", "a", "b"]);
    assert_eq!(files(&report), [pair("/etc/motd", "changed"), pair("/new/2", "added")]);
    assert_eq!(report["images"][0]["config"], serde_json::json!([]));
    assert_eq!(world.run(["diff", "--exit-code", "--path", "nothing", "a", "b"]).code, Some(0));
    let layers = json(&world, &["--layers", "a", "b"]);
    assert!(
        layers["images"][0]["layers"][0]["files"].as_array().is_some_and(|files| files.len() > 4),
        "{layers}"
    );
}

#[test]
fn images_are_found_anywhere() {
    let world = world(|world| _ = world.write("b/etc/motd", "x"));
    world.ok(["copy", "-q", "a", "oci:layout"]);
    world.ok(["copy", "-q", "b", "docker-archive:b.tar"]);
    let elsewhere = World::new();
    let run = elsewhere.run([
        "diff".into(),
        format!("oci:{}", world.path("layout").display()),
        format!("docker-archive:{}", world.path("b.tar").display()),
        "--path=etc".into(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("~ /etc/motd"), "{}", run.stdout);
    assert!(world.fails(1, ["diff", "a", "oci:nowhere"]).contains("nowhere"));
    assert!(world.fails(2, ["diff", "--path", "[", "a", "b"]).contains("--path"));
}

#[test]
fn indexes_are_compared_platform_by_platform() {
    let world = world(|world| _ = world.write("b/etc/motd", "x"));
    let build = |platforms: &str, name: &str, context: &str| {
        world.ok(["build", "-q", "-f", "Buildfile", "--platform", platforms, "-t", name, context]);
    };
    build("linux/amd64,linux/arm64", "one", "a");
    build("linux/amd64,linux/arm/v7", "two", "b");
    let report = json(&world, &["one", "two"]);
    assert_eq!(report["a"]["platforms"], serde_json::json!(["linux/arm64"]));
    assert_eq!(report["b"]["platforms"], serde_json::json!(["linux/arm/v7"]));
    assert_eq!(report["images"].as_array().map(Vec::len), Some(1));
    assert!(world.ok(["diff", "one", "two"]).contains("\n- image for linux/arm64\n"));
    assert_eq!(world.run(["diff", "--platform", "linux/arm64", "one", "two"]).code, Some(1));
}

#[test]
fn wheels_are_looked_into() {
    let Some(python) = find("python3", "two wheels") else { return };
    let world = world(|world| {
        for (side, value) in [("a", "1"), ("b", "2")] {
            let script = "import sys, zipfile\n\
                z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n\
                for name, text in (('x/__init__.py', ''), ('x/y.py', 'value = %s\\n' % sys.argv[2])):\n    \
                    z.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)\n\
                z.close()\n";
            let wheel = world.path(side).join("app.whl");
            run(Command::new(&python).args(["-c", script]).arg(wheel).arg(value));
        }
    });
    let told = world.ok(["diff", "a", "b"]);
    assert!(told.contains("~ /app.whl  zip (1 difference in it)\n"), "{told}");
    assert!(told.contains("~ /app.whl!/x/y.py  content +1 -1 lines\n"), "{told}");
    assert!(told.contains("+value = 2"), "{told}");
}

#[test]
fn packages_of_debian_are_looked_into() {
    let Some(deb) = find("dpkg-deb", "two packages") else { return };
    let world = world(|world| {
        for (side, text) in [("a", "one\n"), ("b", "two\n")] {
            let control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m <m@e>\nDescription: d\n";
            world.write(&format!("p{side}/DEBIAN/control"), control).write(&format!("p{side}/usr/f"), text);
            let (from, to) = (world.path(&format!("p{side}")), world.path(side).join("p.deb"));
            run(Command::new(&deb)
                .args(["--root-owner-group", "-b"])
                .arg(from)
                .arg(to)
                .env("SOURCE_DATE_EPOCH", "1"));
        }
    });
    let report = world.ok(["diff", "--path", "p.deb", "a", "b"]);
    assert!(report.contains("!/usr/f  content +1 -1 lines"), "{report}");
    assert!(report.contains("/p.deb!/data.tar."), "{report}");
}

#[test]
fn what_a_stranger_wrote_is_not_obeyed() {
    let world = world(|world| _ = world.write("b/etc/\u{1b}[2Jx", "\u{1b}]0;t\u{7}\n"));
    world.write("Bad", "FROM scratch\nCOPY . /\nLABEL x=\"\u{1b}[31m\u{202e}\"\n");
    world.ok(["build", "-q", "-f", "Bad", "-t", "b", "b"]);
    for format in ["text", "json"] {
        let told = world.ok(["diff", "--format", format, "a", "b"]);
        assert!(!told.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{told:?}");
    }
}

#[test]
fn buildahs_image_and_ours() {
    let what = "lith's image beside buildah's";
    let Some(buildah) = find("buildah", what) else { return };
    let world = world(|_| ());
    let root = world.path("buildah");
    let mut command = Command::new(buildah);
    command
        .args([
            "--root",
            &root.join("root").to_string_lossy(),
            "--runroot",
            &root.join("run").to_string_lossy(),
        ])
        .args(["--storage-driver", "vfs", "bud", "-q", "--isolation", "chroot", "--layers=false", "-f"])
        .arg(world.path("Buildfile"))
        .arg("-t")
        .arg(format!("oci:{}:theirs", world.path("theirs").display()))
        .arg(world.path("a"));
    let output = command.output().expect("starting buildah");
    if !output.status.success() {
        eprintln!("warning: {what} was NOT tested: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let report = json(&world, &["a", "oci:theirs"]);
    let image = &report["images"][0];
    assert_eq!(report["differs"], true);
    // The same contents, modes and owners; what differs is when.
    for file in image["files"].as_array().expect("files") {
        let aspects: Vec<&str> =
            file["aspects"].as_array().expect("aspects").iter().filter_map(|a| a["what"].as_str()).collect();
        assert_eq!(aspects, ["time"], "{file}");
    }
    let fields: Vec<&str> =
        image["config"].as_array().expect("fields").iter().filter_map(|f| f["name"].as_str()).collect();
    assert!(
        fields.contains(&"created") && fields.iter().any(|f| f.starts_with("config.Labels.io.buildah")),
        "{fields:?}"
    );
    let without = json(&world, &["--no-times", "a", "oci:theirs"]);
    assert_eq!(without["images"][0]["files"], serde_json::json!([]));
}

/// Two images of a gigabyte, of which 100 MB differ. `cargo test -- --ignored two_large_images`
#[test]
#[ignore = "writes some gigabytes"]
fn two_large_images_in_little_memory() {
    use std::io::Write as _;
    let world = World::new();
    let mut state = 1_u64;
    let mut block = vec![0; 1 << 20];
    for number in 0..100 {
        for side in ["a", "b"] {
            std::fs::create_dir_all(world.path(side)).unwrap();
            let mut file = std::fs::File::create(world.path(&format!("{side}/f{number}"))).unwrap();
            let own = u64::from(number >= 90 && side == "b");
            let mut seed = state + own;
            for _ in 0..10 {
                for chunk in block.chunks_exact_mut(8) {
                    seed =
                        seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    chunk.copy_from_slice(&(seed ^ seed >> 33).to_le_bytes());
                }
                file.write_all(&block).unwrap();
            }
        }
        state += 7;
    }
    world.write("Buildfile", "FROM scratch\nCOPY . /\n");
    for side in ["a", "b"] {
        world.ok(["build", "-q", "--compression", "gzip:1", "-f", "Buildfile", "-t", side, side]);
        world.ok(["copy", "-q", side, &format!("oci:{side}.oci")]);
    }
    for folder in ["store", "a", "b"] {
        std::fs::remove_dir_all(world.path(folder)).unwrap();
    }
    let mut command = world.command(["diff", "oci:a.oci", "oci:b.oci"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        peak = peak.max(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("peak memory: {} MiB", peak / 1024);
    assert!(child.wait().unwrap().success());
    assert!(peak > 0 && peak < 200 << 10, "{peak} KiB");
}
