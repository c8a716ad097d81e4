//! Git repositories: contexts and sources of ADD that are given by an address.
//!
//! The system's `git` does the work, in an empty folder and with a configuration of ours alone: no hooks, no
//! filters, no prompts, no transports but https, http, ssh and git, nothing of the environment but what
//! [`Environment`] names. An address's password reaches git by its environment and nothing else: no argument,
//! file or message holds it.
//!
//! Submodules come along, all the way down, as BuildKit has it: the commit pins them.

mod check;
mod run;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use self::run::Runner;
use super::{Context, ContextError, Options, folder};
use crate::http::{shown, split};
use crate::plan::{Git, Pin};

/// What git gets to see of the world.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where programs are.
    pub path: OsString,
    /// For the user's ssh keys, known hosts and `.netrc`.
    pub home: Option<PathBuf>,
    pub ssh_auth_sock: Option<OsString>,
    /// Variables like `https_proxy`, by name.
    pub proxies: Vec<(String, OsString)>,
    /// Where checkouts go, until they are dropped.
    pub temp: PathBuf,
    /// Takes `file://` repositories too, which a stranger's address could use to read this machine.
    pub local: bool,
}

/// A commit's files on disk, until this is dropped.
#[derive(Debug)]
pub struct Checkout {
    dir: TempDir,
    subdir: Option<String>,
    keep_git_dir: bool,
    commit: String,
}

/// Why a repository can't be had. Addresses are shown without credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    #[error("the git address `{remote}`: {why}")]
    Address { remote: String, why: &'static str },
    #[error("the git reference `{0}` is not one that git takes")]
    Reference(String),
    #[error("`{0}` is not a commit's hash")]
    Commit(String),
    #[error("the folder `{subdir}` of `{remote}`: {why}")]
    Subdir { remote: String, subdir: String, why: &'static str },
    #[error("`{remote}` has no reference `{reference}`")]
    NoReference { remote: String, reference: String },
    #[error("`{remote}` has no commit `{commit}`")]
    NoCommit { remote: String, commit: String },
    #[error("`{reference}` of `{remote}`: expected commit {expected}, found {found}")]
    Mismatch { remote: String, reference: String, expected: String, found: String },
    #[error("the program `git` is needed for `{remote}`, and can't be started: {error}")]
    NoGit { remote: String, error: io::Error },
    #[error("`git {command}` for `{remote}`: {message}")]
    Failed { remote: String, command: String, message: String },
    #[error("preparing a checkout in `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// What a remote says of a reference.
struct Found {
    /// The full name; none for a bare commit.
    name: Option<String>,
    /// The object that it names: a commit, or an annotated tag.
    object: String,
    /// The commit of an annotated tag.
    peeled: Option<String>,
}

/// The commit that an address means now. No files are fetched.
pub fn resolve(git: &Git, env: &Environment) -> Result<String, GitError> {
    check::git(git, env.local)?;
    let dir = TempDir::new_in(&env.temp).map_err(|error| GitError::Io { path: env.temp.clone(), error })?;
    let found = look_up(git, &Runner::new(git, env, dir.path())?)?;
    Ok(found.peeled.unwrap_or(found.object))
}

/// Fetches the commit that an address means, and checks it out. A commit that is pinned has to be what the
/// reference leads to; without a reference, it is fetched itself, wherever the branches are by now.
pub fn checkout(git: &Git, env: &Environment) -> Result<Checkout, GitError> {
    check::git(git, env.local)?;
    let dir = TempDir::new_in(&env.temp).map_err(|error| GitError::Io { path: env.temp.clone(), error })?;
    let runner = Runner::new(git, env, dir.path())?;
    let found = look_up(git, &runner)?;
    let format = if found.object.len() == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
    runner.run(&["init", "--quiet", "--template=", format])?;
    runner.run(&["config", "remote.origin.url", runner.url()])?;
    let commit = fetch(git, &runner, &found)?;
    runner.run(&["checkout", "--quiet", "--detach", "--force", &commit, "--"])?;
    if git.submodules {
        runner.run(&[
            "submodule",
            "--quiet",
            "update",
            "--init",
            "--recursive",
            "--checkout",
            "--force",
            "--depth=1",
        ])?;
    }
    let keep_git_dir = git.keep_git_dir && git.subdir.is_none();
    if keep_git_dir {
        settle(&runner, &found)?;
    }
    check::subdir(git, runner.tree())?;
    Ok(Checkout { subdir: git.subdir.clone(), keep_git_dir, commit, dir })
}

/// When the last commit of the repository that a folder is in was made, in seconds since 1970.
pub fn commit_time(folder: &Path, env: &Environment) -> Result<u64, GitError> {
    let text = run::in_folder(folder, env, &["log", "-1", "--no-show-signature", "--format=%ct"])?;
    let remote = || folder.display().to_string();
    text.trim()
        .parse()
        .map_err(|_| GitError::Address { remote: remote(), why: "it has no commit with a time" })
}

/// What a folder is a checkout of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The repository's `origin`, without credentials.
    pub remote: Option<String>,
    pub commit: String,
    /// Which folder of it that is.
    pub folder: Option<String>,
    /// Files in it are not as the commit has them, or are not in it.
    pub dirty: bool,
}

/// The revision that a folder is a checkout of; None if it is in no repository, or there is no git. A repository of
/// somebody else is not asked whether it is clean, as its filters would be run for that.
pub fn revision(folder: &Path, env: &Environment) -> Result<Option<Revision>, GitError> {
    let ask = |args: &[&str]| run::in_folder(folder, env, args);
    let Ok(commit) = ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) else { return Ok(None) };
    let prefix = ask(&["rev-parse", "--show-prefix"])?;
    let remote = ask(&["config", "--get", "remote.origin.url"]).ok();
    let remote = remote.map(|url| shown(split(url.trim()).0.as_str())).filter(|url| !url.is_empty());
    let status = ["-c", "safe.directory=", "status", "--porcelain", "--untracked-files=normal", "--", "."];
    let dirty = !ask(&status)?.is_empty();
    let inside = prefix.trim_end_matches(['\n', '/']);
    let inside = (!inside.is_empty()).then(|| inside.to_owned());
    Ok(Some(Revision { remote, commit: commit.trim().to_owned(), folder: inside, dirty }))
}

impl Checkout {
    /// The folder that the address means.
    pub fn root(&self) -> PathBuf {
        let tree = self.dir.path().join(run::TREE);
        self.subdir.as_ref().map_or_else(|| tree.clone(), |subdir| tree.join(subdir))
    }

    /// The full hash.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The files. The context is of use as long as the checkout is.
    pub fn read(&self, options: Options<'_>) -> Result<Context, ContextError> {
        folder::read(&self.root(), Options { without_git_dirs: !self.keep_git_dir, ..options })
    }
}

fn look_up(git: &Git, runner: &Runner<'_>) -> Result<Found, GitError> {
    let pinned = match &git.commit {
        Pin::Pinned(commit) => Some(commit.to_ascii_lowercase()),
        Pin::Unpinned => None,
    };
    let bare = |object| Found { name: None, object, peeled: None };
    let found = match (git.reference.as_deref(), &pinned) {
        (Some(reference), _) if check::is_full_hash(reference) => bare(reference.to_ascii_lowercase()),
        (None, Some(pinned)) if check::is_full_hash(pinned) => bare(pinned.clone()),
        (reference, _) => ask(runner, reference)?,
    };
    let is_expected = |pinned: &String| {
        found.object.starts_with(pinned) || found.peeled.as_ref().is_some_and(|p| p.starts_with(pinned))
    };
    match pinned.filter(|pinned| !is_expected(pinned)) {
        None => Ok(found),
        Some(expected) => Err(GitError::Mismatch {
            remote: runner.shown(),
            reference: git.reference.clone().unwrap_or_else(|| "HEAD".into()),
            expected,
            found: found.peeled.unwrap_or(found.object),
        }),
    }
}

/// Asks the remote. Of several that a short name could mean, a branch comes before a tag, as for `git checkout`.
fn ask(runner: &Runner<'_>, reference: Option<&str>) -> Result<Found, GitError> {
    let wanted = reference.unwrap_or("HEAD");
    let listing =
        runner.run(&["ls-remote", "--quiet", "--", runner.url(), wanted, &format!("{wanted}^{{}}")])?;
    let lines: Vec<(&str, &str)> = listing.lines().filter_map(|line| line.split_once('\t')).collect();
    let object = |name: &str| {
        let (hash, _) = lines.iter().find(|(_, found)| *found == name)?;
        check::is_full_hash(hash).then(|| (*hash).to_owned())
    };
    let names = match wanted.strip_prefix("refs/") {
        Some(_) => vec![wanted.to_owned()],
        None if reference.is_none() => vec!["HEAD".to_owned()],
        None => ["refs/", "refs/heads/", "refs/tags/"].map(|folder| format!("{folder}{wanted}")).into(),
    };
    for name in names {
        if let Some(found) = object(&name) {
            let peeled = object(&format!("{name}^{{}}"));
            return Ok(Found { name: Some(name), object: found, peeled });
        }
    }
    Err(GitError::NoReference { remote: runner.shown(), reference: wanted.to_owned() })
}

/// Fetches the object, by the cheapest way that the server allows: some take no hashes, some can't be shallow.
/// Gives the commit.
fn fetch(git: &Git, runner: &Runner<'_>, found: &Found) -> Result<String, GitError> {
    let everything = &["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"][..];
    let name = found.name.as_deref();
    let mut ways = vec![(true, vec![&*found.object])];
    ways.extend(name.map(|name| (true, vec![name])));
    ways.extend(name.map(|name| (false, vec![name])));
    ways.push((false, everything.to_vec()));
    let mut result = Ok(());
    for (shallow, refspecs) in ways {
        let mut args = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force"];
        args.extend(shallow.then_some("--depth=1"));
        args.extend(["--", runner.url()]);
        args.extend(refspecs);
        result = runner.run(&args).map(drop);
        let commit = format!("{}^{{commit}}", found.object);
        if let (Ok(()), Ok(commit)) =
            (&result, runner.run(&["rev-parse", "--quiet", "--verify", "--end-of-options", &commit]))
        {
            return Ok(commit.trim().to_owned());
        }
    }
    result?;
    let commit = git.reference.clone().unwrap_or_else(|| found.object.clone());
    Err(GitError::NoCommit { remote: runner.shown(), commit })
}

/// Makes of a repository that is kept what the commit says, as far as git allows: no traces of when and where it
/// was fetched, an index without times and inodes, and one pack in which no object depends on another. Its
/// bytes still depend on the version of git and its zlib.
fn settle(runner: &Runner<'_>, found: &Found) -> Result<(), GitError> {
    if let Some(name) = found.name.as_deref().filter(|name| *name != "HEAD") {
        runner.run(&["update-ref", "--no-deref", name, &found.object])?;
    }
    for name in ["index", "FETCH_HEAD", "ORIG_HEAD", "logs"] {
        runner.remove(Path::new(".git").join(name))?;
    }
    runner.run(&["read-tree", "HEAD"])?;
    let threads = ["-c", "pack.threads=1", "-c", "pack.compression=6", "-c", "repack.writeBitmaps=false"];
    runner.run(&[&threads[..], &["repack", "-a", "-d", "-f", "-q", "--window=0"]].concat())?;
    Ok(())
}

#[cfg(test)]
mod tests;
