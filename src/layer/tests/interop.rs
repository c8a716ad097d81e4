//! Other programs read what lith writes, and lith reads what they write. A program that is missing is said
//! loudly, and is a failure in CI.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink as make_symlink};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::tree::Backing;

/// A command of another program, or `None` after saying that it is missing.
#[expect(clippy::disallowed_methods, reason = "a test against other programs")]
fn program(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(name).is_file()) {
        let mut command = Command::new(name);
        command.env("LC_ALL", "C.UTF-8").env_remove("TAR_OPTIONS");
        return Some(command);
    }
    let message = format!("`{name}` is not installed: reading and writing its tars was NOT tested");
    assert!(std::env::var_os("CI").is_none(), "{message}");
    say(&message);
    None
}

#[expect(clippy::print_stderr, reason = "a test that doesn't test has to say so")]
fn say(message: &str) {
    eprintln!("warning: {message}");
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder on disk with what an unprivileged user can make, and the changes that say the same.
fn sample(root: &Path, long: bool) -> Changes {
    let mut puts = vec![
        ("dir".to_string(), node(0o750, Kind::Dir)),
        ("dir/exec".into(), node(0o4755, file("#!/bin/sh\n").kind)),
        ("dir/größe".into(), file("unicode")),
        ("empty".into(), file("")),
        ("large".into(), file(vec![b'x'; 70_000])),
        ("link".into(), symlink("dir/exec")),
        ("dangling".into(), symlink("/nowhere/../at all")),
    ];
    if long {
        puts.push((format!("dir/{}", "n".repeat(200)), file("long name")));
        let deep = format!("dir/{}/{}", "d".repeat(200), "e".repeat(200));
        puts.push((deep.rsplit_once('/').unwrap().0.into(), dir()));
        puts.push((deep, file("longer name")));
        puts.push(("link-long".into(), symlink(&"t/".repeat(150))));
    }
    let inode = Inode::fresh();
    puts.push(("h1".into(), linked("hard", inode)));
    puts.push(("h2".into(), linked("hard", inode)));
    let changes = changes(puts);
    for (path, node) in &changes.puts {
        let at = root.join(path.to_string());
        match &node.kind {
            Kind::Dir => fs::create_dir(&at).unwrap(),
            Kind::Symlink(target) => {
                make_symlink(std::str::from_utf8(target).unwrap(), &at).unwrap();
                continue;
            }
            _ if path.as_bytes() == b"h2" => fs::hard_link(root.join("h1"), &at).unwrap(),
            _ => fs::write(&at, node.content().unwrap().read_bounded(1 << 20).unwrap().unwrap()).unwrap(),
        }
        fs::set_permissions(&at, fs::Permissions::from_mode(node.meta.mode.into())).unwrap();
    }
    changes
}

/// What lith reads in an archive; without the root, and with owners as in [`sample`].
fn read_back(tar: &[u8]) -> Changes {
    let mut spool = tempfile::tempfile().unwrap();
    let listing = read::list(decode(tar).unwrap(), Some(&mut spool)).unwrap();
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(spool));
    let mut changes = listing.changes(&backing).unwrap();
    changes.puts.remove(&ImagePath::root());
    for node in changes.puts.values_mut() {
        (node.meta.uid, node.meta.gid) = (0, 0);
    }
    changes
}

#[test]
fn archives_of_gnu_tar_in_all_formats() {
    for format in ["v7", "ustar", "oldgnu", "gnu", "pax"] {
        let Some(mut tar) = program("tar") else { return };
        let root = tempfile::tempdir().unwrap();
        let expected = sample(root.path(), !matches!(format, "v7" | "ustar"));
        let archive = root.path().with_extension("tar");
        run(tar
            .arg(format!("--format={format}"))
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(root.path())
            .arg("."));
        let bytes = fs::read(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        assert_eq!(facts(&read_back(&bytes)), facts(&expected), "{format}");
    }
}

#[test]
fn archives_of_gnu_tar_compressed_by_all_its_programs() {
    for (option, compressor) in [("-z", "gzip"), ("-j", "bzip2"), ("-J", "xz"), ("--zstd", "zstd")] {
        let (Some(mut tar), Some(_)) = (program("tar"), program(compressor)) else { continue };
        let root = tempfile::tempdir().unwrap();
        let expected = sample(root.path(), true);
        let archive = root.path().with_extension("tar.packed");
        run(tar.arg(option).arg("-cf").arg(&archive).arg("-C").arg(root.path()).arg("."));
        let bytes = fs::read(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        assert_ne!(crate::compression::Format::detect(&bytes), crate::compression::Format::Plain);
        assert_eq!(facts(&read_back(&bytes)), facts(&expected), "{compressor}");
    }
}

#[test]
fn sparse_archives_of_gnu_tar() {
    let formats = [
        ("--format=gnu", ""),
        ("--format=pax", "--sparse-version=0.0"),
        ("--format=pax", "--sparse-version=0.1"),
        ("--format=pax", "--sparse-version=1.0"),
    ];
    for (format, version) in formats {
        let Some(mut tar) = program("tar") else { return };
        let root = tempfile::tempdir().unwrap();
        let holes = fs::File::create(root.path().join("holes")).unwrap();
        for i in 0..60_u64 {
            holes.write_all_at(format!("region {i}").as_bytes(), i * 40_000 + 4096).unwrap();
        }
        holes.set_len(5_000_000).unwrap();
        fs::File::create(root.path().join("hollow")).unwrap().set_len(1_000_000).unwrap();
        fs::write(root.path().join("then"), "what follows").unwrap();
        let archive = root.path().with_extension("sparse.tar");
        tar.args(["--sparse", "--hole-detection=raw", format]).args(Some(version).filter(|v| !v.is_empty()));
        run(tar.arg("-cf").arg(&archive).arg("-C").arg(root.path()).args(["holes", "hollow", "then"]));
        let bytes = fs::read(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        assert!(bytes.len() < 2_000_000, "{format} {version} is not sparse");
        let changes = read_back(&bytes);
        for name in ["holes", "hollow", "then"] {
            let found = changes.puts[&path(name)].content().unwrap().read_bounded(1 << 30).unwrap().unwrap();
            assert!(found == fs::read(root.path().join(name)).unwrap(), "{format} {version}: {name}");
        }
    }
}

#[test]
fn archives_of_python_in_all_formats() {
    const WRITE: &str = r"
import sys, tarfile
formats = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}
with tarfile.open(sys.argv[2], 'w', format=formats[sys.argv[1]]) as tar:
    tar.add(sys.argv[3], arcname='.')
";
    for format in ["ustar", "gnu", "pax"] {
        let Some(mut python) = program("python3") else { return };
        let root = tempfile::tempdir().unwrap();
        let expected = sample(root.path(), format != "ustar");
        let archive = root.path().with_extension("tar");
        run(python.args(["-c", WRITE, format]).arg(&archive).arg(root.path()));
        let bytes = fs::read(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        assert_eq!(facts(&read_back(&bytes)), facts(&expected), "{format}");
    }
}

/// What lith writes that others might stumble over.
fn difficult() -> Changes {
    let mut changes = changes([
        (b"dir".to_vec(), dir()),
        (b"dir/\xff\xfe".to_vec(), file("not UTF-8")),
        ([&b"dir/"[..], &[b'n'; 255]].concat(), file("long")),
        ([&[b'p'; 155][..], b"/", &[b'q'; 100]].concat(), file("prefix")),
        ([&[b'p'; 156][..], b"/", &[b'q'; 100]].concat(), file("pax")),
        (b"new\nline".to_vec(), file("newline")),
        (b"fifo".to_vec(), node(0o600, Kind::Fifo)),
        (b"null".to_vec(), node(0o666, Kind::CharDevice { major: 1, minor: 3 })),
        (b"link".to_vec(), symlink(&"t".repeat(300))),
    ]);
    let mut tagged = file("tagged");
    tagged.meta.uid = 3_000_000_000;
    tagged.meta.xattrs.insert(b"user.note".to_vec(), b"two\nlines".to_vec());
    changes.puts.insert(path("tagged"), tagged);
    let inode = Inode::fresh();
    changes.puts.extend([(path("h1"), linked("hard", inode)), (path("h2"), linked("hard", inode))]);
    changes
}

#[test]
fn gnu_tar_reads_what_lith_writes() {
    let Some(mut tar) = program("tar") else { return };
    let changes = difficult();
    let dir = tempfile::tempdir().unwrap();
    for compression in ["none", "gzip", "zstd"] {
        if compression == "zstd" && program("zstd").is_none() {
            continue;
        }
        let (_dir, store) = store();
        let layer = create(&store, &changes, &options(compression, 1)).unwrap();
        fs::write(dir.path().join(compression), blob(&store, &layer)).unwrap();
    }
    let archive = dir.path().join("none");
    let listed =
        run(tar.args(["--numeric-owner", "--full-time", "--quoting-style=escape", "-tvf"]).arg(&archive));
    let lines: Vec<String> =
        listed.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines.len(), changes.puts.len(), "{listed}");
    for expected in [
        "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 dir/",
        r"-rw-r--r-- 0/0 9 1970-01-01 00:00:00 dir/\377\376",
        r"-rw-r--r-- 0/0 7 1970-01-01 00:00:00 new\nline",
        "prw------- 0/0 0 1970-01-01 00:00:00 fifo",
        "crw-rw-rw- 0/0 1,3 1970-01-01 00:00:00 null",
        "hrw-r--r-- 0/0 0 1970-01-01 00:00:00 h2 link to h1",
        "-rw-r--r-- 3000000000/0 6 1970-01-01 00:00:00 tagged",
    ] {
        assert!(lines.iter().any(|line| line == expected), "no `{expected}` in\n{listed}");
    }
    for (compression, option) in [("gzip", "-z"), ("zstd", "--zstd")] {
        let archive = dir.path().join(compression);
        let Some(mut tar) = program("tar").filter(|_| archive.exists()) else { continue };
        tar.args(["--numeric-owner", "--full-time", "--quoting-style=escape", option, "-tvf"]);
        assert_eq!(run(tar.arg(&archive)), listed, "{compression}");
    }
}

#[test]
fn python_reads_what_lith_writes() {
    const READ: &str = r"
import os, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for m in tar:
        body = tar.extractfile(m).read().decode() if m.isreg() else ''
        name = os.fsencode(m.name)
        print(name, m.type.decode(), oct(m.mode), m.uid, m.gid, m.mtime, body, m.linkname, repr(m.pax_headers.get('SCHILY.xattr.user.note')))
";
    let Some(mut python) = program("python3") else { return };
    let changes = difficult();
    let archive = tempfile::NamedTempFile::new().unwrap();
    fs::write(archive.path(), tar_of(&changes)).unwrap();
    let listed = run(python.args(["-c", READ]).arg(archive.path()));
    assert_eq!(listed.lines().count(), changes.puts.len(), "{listed}");
    for expected in [
        r"b'dir/\xff\xfe' 0 0o644 0 0 0 not UTF-8  None",
        r"b'new\nline' 0 0o644 0 0 0 newline  None",
        "b'h2' 1 0o644 0 0 0  h1 None",
        "b'null' 3 0o666 0 0 0   None",
    ] {
        assert!(listed.lines().any(|line| line == expected), "no `{expected}` in\n{listed}");
    }
    assert!(listed.contains(r"3000000000 0 0 tagged  'two\nlines'"), "{listed}");
    assert!(listed.contains(&format!("b'dir/{}' 0", "n".repeat(255))));
    assert!(listed.contains(&"t".repeat(300)));
}
