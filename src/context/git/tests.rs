use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;
use crate::tree::ImagePath;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A repository of two commits: a branch and a lightweight tag on the first, an annotated tag on the second.
struct Repo {
    dir: TempDir,
    first: String,
    second: String,
}

/// Says so where there is no git, in CI loudly.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test, which looks for git and says that it has none"
)]
fn has_git() -> bool {
    let found = Command::new("git").env("PATH", PATH).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "`git` is not installed");
    if !found {
        eprintln!("`git` is not installed: contexts from repositories were NOT tested");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "the test's repositories are made by git")]
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/nonexistent"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([("GIT_AUTHOR_DATE", "1700000000 +0000"), ("GIT_COMMITTER_DATE", "1700000000 +0000")])
        .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(dir: &Path, message: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", message]);
    git(dir, &["rev-parse", "HEAD"])
}

fn repo() -> Repo {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    git(root, &["init", "-q"]);
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/x"), "first").unwrap();
    let first = commit(root, "first");
    git(root, &["branch", "old"]);
    git(root, &["tag", "light"]);
    fs::write(root.join("sub/x"), "second").unwrap();
    symlink("sub", root.join("link")).unwrap();
    symlink("/etc", root.join("out")).unwrap();
    let second = commit(root, "second");
    git(root, &["tag", "-a", "-m", "t", "v1"]);
    Repo { dir, first, second }
}

impl Repo {
    fn address(&self) -> Git {
        Git {
            remote: format!("file://{}", self.dir.path().display()),
            reference: None,
            subdir: None,
            keep_git_dir: false,
            submodules: true,
            commit: Pin::Unpinned,
        }
    }

    fn at(&self, reference: &str) -> Git {
        Git { reference: Some(reference.into()), ..self.address() }
    }
}

fn env() -> Environment {
    Environment {
        path: PATH.into(),
        home: None,
        ssh_auth_sock: None,
        proxies: Vec::new(),
        temp: "/tmp".into(),
        local: true,
    }
}

fn names(checkout: &Checkout) -> String {
    let context = checkout.read(Options::default()).unwrap();
    context.tree.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_of_reference_leads_to_its_commit() {
    if !has_git() {
        return;
    }
    let repo = repo();
    for (address, expected) in [
        (repo.address(), &repo.second),
        (repo.at("main"), &repo.second),
        (repo.at("old"), &repo.first),
        (repo.at("light"), &repo.first),
        (repo.at("v1"), &repo.second),
        (repo.at("refs/tags/v1"), &repo.second),
        (repo.at("heads/old"), &repo.first),
        (repo.at(&repo.first), &repo.first),
        (Git { commit: Pin::Pinned(repo.first.clone()), ..repo.address() }, &repo.first),
        (Git { commit: Pin::Pinned(repo.first[..9].to_uppercase()), ..repo.at("old") }, &repo.first),
    ] {
        assert_eq!(resolve(&address, &env()).unwrap(), *expected, "{address:?}");
        let checkout = checkout(&address, &env()).unwrap();
        assert_eq!(checkout.commit(), expected);
        let text = fs::read_to_string(checkout.root().join("sub/x")).unwrap();
        assert_eq!(text, if *expected == repo.first { "first" } else { "second" });
        let all = if *expected == repo.first { "sub sub/x" } else { "link out sub sub/x" };
        assert_eq!(names(&checkout), all);
    }
}

#[test]
fn what_is_not_there_is_said() {
    if !has_git() {
        return;
    }
    let repo = repo();
    let error = |git: Git| checkout(&git, &env()).unwrap_err();
    assert!(matches!(error(repo.at("nope")), GitError::NoReference { .. }));
    assert!(matches!(error(repo.at(&"1".repeat(40))), GitError::Failed { .. } | GitError::NoCommit { .. }));
    let pinned = Git { commit: Pin::Pinned(repo.first.clone()), ..repo.at("v1") };
    assert!(matches!(error(pinned), GitError::Mismatch { .. }));
    let pinned = Git { commit: Pin::Pinned("foobar".into()), ..repo.at("v1") };
    assert!(matches!(error(pinned), GitError::Commit(_)));
    let nowhere = Git { remote: "file:///nonexistent/repository".into(), ..repo.address() };
    let message = error(nowhere).to_string();
    assert!(
        message.contains("does not appear to be a git repository") || message.contains("does not exist"),
        "{message}"
    );
    let no_git = Environment { path: "/nonexistent".into(), ..env() };
    assert!(matches!(checkout(&repo.address(), &no_git), Err(GitError::NoGit { .. })));
}

#[test]
fn local_repositories_are_for_those_who_say_so() {
    if !has_git() {
        return;
    }
    let repo = repo();
    let strict = Environment { local: false, ..env() };
    assert!(matches!(checkout(&repo.address(), &strict), Err(GitError::Address { .. })));
}

#[test]
fn a_folder_is_one_and_no_link() {
    if !has_git() {
        return;
    }
    let repo = repo();
    let at = |subdir: &str| checkout(&Git { subdir: Some(subdir.into()), ..repo.address() }, &env());
    assert_eq!(names(&at("sub").unwrap()), "x");
    for subdir in ["link", "out", "..", "sub/../..", "sub/x", "none", ".git", ""] {
        assert!(matches!(at(subdir), Err(GitError::Subdir { .. })), "{subdir}");
    }
}

#[test]
fn submodules_come_along_unless_told_otherwise() {
    if !has_git() {
        return;
    }
    let (inner, outer) = (repo(), repo());
    git(outer.dir.path(), &["submodule", "--quiet", "add", &inner.address().remote, "mod"]);
    commit(outer.dir.path(), "third");
    let checkout = |submodules| checkout(&Git { submodules, ..outer.address() }, &env()).unwrap();
    assert_eq!(
        names(&checkout(true)),
        ".gitmodules link mod mod/link mod/out mod/sub mod/sub/x out sub sub/x"
    );
    assert_eq!(names(&checkout(false)), ".gitmodules link mod out sub sub/x");
}

#[test]
fn a_kept_repository_works_and_is_the_same_twice() {
    if !has_git() {
        return;
    }
    let repo = repo();
    let address = Git { keep_git_dir: true, ..repo.at("v1") };
    let listing = || {
        let checkout = checkout(&address, &env()).unwrap();
        let context = checkout.read(Options::default()).unwrap();
        let listing = context
            .tree
            .iter()
            .map(|(path, node)| {
                (path.clone(), node.content().map(|content| content.read_bounded(1 << 20).unwrap().unwrap()))
            })
            .collect::<Vec<_>>();
        assert_eq!(git(&checkout.root(), &["describe", "--tags"]), "v1");
        assert_eq!(git(&checkout.root(), &["status", "--porcelain"]), "");
        listing
    };
    let first = listing();
    assert!(first.iter().any(|(path, _)| *path == ImagePath::new(b".git/HEAD").unwrap()));
    for ((path, one), (_, other)) in first.iter().zip(listing()) {
        assert!(*one == other, "{path} differs");
    }
}

#[test]
fn nothing_of_a_repository_runs() {
    if !has_git() {
        return;
    }
    let repo = repo();
    let root = repo.dir.path();
    let ran = root.join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    fs::write(root.join(".gitattributes"), "* filter=evil\n").unwrap();
    fs::create_dir(root.join("hooks")).unwrap();
    for name in ["post-checkout", "post-merge", "reference-transaction"] {
        fs::write(root.join("hooks").join(name), &script).unwrap();
        git(root, &["add", "--chmod=+x", &format!("hooks/{name}")]);
    }
    commit(root, "evil");
    git(root, &["config", "filter.evil.smudge", &format!("touch {}", ran.display())]);
    checkout(&repo.address(), &env()).unwrap();
    assert!(!ran.exists());
}

#[test]
fn credentials_are_nowhere_to_be_seen() {
    if !has_git() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut seen = Vec::new();
        for answer in ["401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"", "404 Not Found"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap_or(0);
            seen.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(stream.write_all(head.as_bytes()));
        }
        seen
    });
    let remote = format!("http://user:hush%21@127.0.0.1:{port}/r.git");
    let error = resolve(&Git { remote, ..repo().address() }, &env()).unwrap_err();
    // A git without http never asks, and the server would wait for it.
    for _ in 0..2 {
        drop(std::net::TcpStream::connect(("127.0.0.1", port)));
    }
    let all = format!("{error} {error:?}");
    assert!(all.contains("/r.git") && !all.contains("hush"), "{all}");
    let seen = server.join().unwrap();
    assert!(!seen[0].contains("Authorization"));
    assert!(seen[1].contains("Authorization: Basic dXNlcjpodXNoIQ=="), "{}", seen[1]);
}
