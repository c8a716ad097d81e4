//! Starting git, with nothing inherited.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Environment, GitError};
use crate::http::{Credentials, shown, split};
use crate::plan::Git;
use crate::text::shown_up_to;

/// The work tree's name in the temporary folder.
pub(super) const TREE: &str = "tree";

/// Where ours are, no other settings count: not the system's, not the user's, and none of a template.
const CONFIG: &str = "\
[core]
hooksPath = /dev/null
attributesFile = /dev/null
excludesFile = /dev/null
symlinks = true
fileMode = true
autocrlf = false
fsmonitor = false
[init]
defaultBranch = main
[advice]
detachedHead = false
[gc]
auto = 0
[maintenance]
auto = false
[http]
lowSpeedLimit = 1
lowSpeedTime = 60
";

/// The helper gets the two by the environment; an address's user and password hold for its own host alone.
const HELPER: &str = r#"helper = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"$LITH_GIT_USER\" \"$LITH_GIT_PASSWORD\"; }; f""#;

/// More than the list of a remote's references with one name can take.
const MAX_OUTPUT: u64 = 16 << 20;

pub(super) struct Runner<'a> {
    env: &'a Environment,
    dir: &'a Path,
    tree: PathBuf,
    url: String,
    credentials: Option<Credentials>,
}

/// Runs git in a repository of this machine, and gives what it prints. Its own settings count but for those
/// that would start a program.
#[expect(clippy::disallowed_methods, reason = "git is the named helper here")]
pub(super) fn in_folder(folder: &Path, env: &Environment, args: &[&str]) -> Result<String, GitError> {
    let remote = || folder.display().to_string();
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", &env.path)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args([
        "--no-pager",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "safe.directory=*",
        "-C",
    ]);
    command.arg(folder).args(args).stdin(Stdio::null());
    let output = command.output().map_err(|error| GitError::NoGit { remote: remote(), error })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = message(&String::from_utf8_lossy(&output.stderr));
    Err(GitError::Failed {
        remote: remote(),
        command: args.first().copied().unwrap_or_default().into(),
        message,
    })
}

impl<'a> Runner<'a> {
    /// Makes the work tree and the configuration in `dir`, which is empty.
    pub(super) fn new(git: &Git, env: &'a Environment, dir: &'a Path) -> Result<Self, GitError> {
        let (url, credentials) = split(&git.remote);
        let is_http = url.starts_with("https://") || url.starts_with("http://");
        let credentials = credentials.filter(|_| is_http);
        if let Some(who) = &credentials
            && (who.user.contains(char::is_control) || who.password.contains(char::is_control))
        {
            return Err(GitError::Address {
                remote: shown(&url),
                why: "its user or password has control characters",
            });
        }
        let mut config = CONFIG.to_owned();
        if credentials.is_some() {
            let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            let origin = origin.replace('\\', "\\\\").replace('"', "\\\"");
            config += &format!("[credential \"{origin}\"]\n{HELPER}\n");
        }
        let tree = dir.join(TREE);
        let io = |error| GitError::Io { path: dir.into(), error };
        fs::create_dir(&tree).map_err(io)?;
        fs::write(dir.join("config"), config).map_err(io)?;
        Ok(Self { env, dir, tree, url, credentials })
    }

    /// The address without credentials.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.url)
    }

    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Removes something of the work tree, if it is there.
    pub(super) fn remove(&self, path: PathBuf) -> Result<(), GitError> {
        let path = self.tree.join(path);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(GitError::Io { path, error }),
            _ => Ok(()),
        }
    }

    /// Runs git in the work tree, and gives what it prints.
    pub(super) fn run(&self, args: &[&str]) -> Result<String, GitError> {
        let no_git = |error| GitError::NoGit { remote: self.shown(), error };
        let io = |error| GitError::Io { path: self.dir.into(), error };
        let file = || tempfile::tempfile_in(self.dir).map_err(io);
        let (out, err) = (file()?, file()?);
        let stdio = |file: &File| file.try_clone().map(Stdio::from).map_err(io);
        let mut command = self.command();
        command.args(args).stdin(Stdio::null()).stdout(stdio(&out)?).stderr(stdio(&err)?);
        let status = command.status().map_err(no_git)?;
        if status.success() {
            return text(out, MAX_OUTPUT).map_err(io);
        }
        let message = message(&text(err, 64 << 10).map_err(io)?);
        let command = args.iter().find(|arg| !arg.starts_with('-') && !arg.contains('=')).unwrap_or(&"");
        Err(GitError::Failed { remote: self.shown(), command: (*command).to_owned(), message })
    }

    #[expect(clippy::disallowed_methods, reason = "git is the one named helper of this module")]
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.tree).env_clear().envs(self.variables());
        command
    }

    fn variables(&self) -> Vec<(&str, OsString)> {
        let schemes = if self.env.local { "https:http:ssh:git:file" } else { "https:http:ssh:git" };
        let home = self.env.home.as_ref().map_or_else(|| "/nonexistent".into(), |home| home.clone().into());
        let mut variables: Vec<(&str, OsString)> = vec![
            ("PATH", self.env.path.clone()),
            ("HOME", home),
            ("LC_ALL", "C".into()),
            ("TZ", "UTC".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", self.dir.join("config").into()),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            ("GIT_TEMPLATE_DIR", "".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_ASKPASS", "true".into()),
            ("GIT_ALLOW_PROTOCOL", schemes.into()),
            ("GIT_CEILING_DIRECTORIES", self.dir.into()),
            ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=60 -o ServerAliveInterval=30".into()),
        ];
        variables.extend(self.env.ssh_auth_sock.clone().map(|socket| ("SSH_AUTH_SOCK", socket)));
        variables.extend(self.env.proxies.iter().map(|(name, value)| (&**name, value.clone())));
        if let Some(who) = &self.credentials {
            variables.push(("LITH_GIT_USER", (&who.user).into()));
            variables.push(("LITH_GIT_PASSWORD", (&who.password).into()));
        }
        variables
    }
}

fn text(mut file: File, limit: u64) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines that say why, on one line, with nothing that a terminal would obey: parts are the server's.
fn message(stderr: &str) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let why =
        |line: &&str| line.starts_with("fatal:") || line.starts_with("error:") || line.starts_with("remote:");
    let mut chosen: Vec<&str> = lines().filter(why).collect();
    if chosen.is_empty() {
        chosen = lines().collect();
    }
    let text = if chosen.is_empty() { "it failed without a word".into() } else { chosen.join("; ") };
    shown_up_to(600, &text)
}
