//! Helper programs that keep credentials: `docker-credential-NAME get|store|erase`. What they are told and what they
//! say goes through pipes; their arguments hold nothing but the verb.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::Deserialize;

use super::{Credential, KeychainError, TOKEN_USER};
use crate::text::shown;

/// A credential takes a few hundred bytes, an identity token a few thousand.
const MAX_OUTPUT: usize = 64 << 10;

/// What all helpers say where they have nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Where helpers are, and what they are started with.
#[derive(Clone)]
pub struct Helpers {
    path: OsString,
    environment: Vec<(OsString, OsString)>,
    patience: Duration,
}

impl Helpers {
    /// `path` is a PATH, `environment` all of their environment.
    pub fn new(path: impl Into<OsString>, environment: Vec<(OsString, OsString)>) -> Self {
        // Somebody may have to unlock a keyring.
        Self { path: path.into(), environment, patience: Duration::from_secs(120) }
    }

    /// How long a helper may take.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(super) fn get(&self, name: &str, server: &str) -> Result<Option<Credential>, KeychainError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Username", default)]
            user: String,
            #[serde(rename = "Secret", default)]
            secret: String,
        }
        let asked = Asked { program: program(name), action: "get", server };
        let output = self.run(&asked, server.as_bytes())?;
        if output.says_not_found() {
            return Ok(None);
        }
        output.check(&asked, None)?;
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| asked.failed("its answer is not the JSON that was expected"))?;
        Ok((!answer.secret.is_empty()).then(|| Credential::of(answer.user, answer.secret)))
    }

    pub(super) fn store(
        &self,
        name: &str,
        server: &str,
        credential: &Credential,
    ) -> Result<(), KeychainError> {
        let asked = Asked { program: program(name), action: "store", server };
        let (user, secret) = match credential {
            Credential::Basic { user, password } => (&**user, password),
            Credential::Identity(token) => (TOKEN_USER, token),
            Credential::Bearer(_) => return Err(asked.failed("helpers can't keep a bearer token")),
        };
        let input = serde_json::json!({"ServerURL": server, "Username": user, "Secret": secret});
        self.run(&asked, input.to_string().as_bytes())?.check(&asked, Some(secret))
    }

    /// Whether there was something to erase.
    pub(super) fn erase(&self, name: &str, server: &str) -> Result<bool, KeychainError> {
        // Helpers differ in what they say to the erasing of nothing.
        if self.get(name, server)?.is_none() {
            return Ok(false);
        }
        let asked = Asked { program: program(name), action: "erase", server };
        self.run(&asked, server.as_bytes())?.check(&asked, None)?;
        Ok(true)
    }

    #[expect(clippy::disallowed_methods, reason = "credential helpers are the named helpers here")]
    fn run(&self, asked: &Asked<'_>, input: &[u8]) -> Result<Output, KeychainError> {
        let no_helper = || KeychainError::NoHelper { program: asked.program.clone() };
        let mut command = Command::new(self.locate(&asked.program).ok_or_else(no_helper)?);
        command.arg(asked.action).env_clear().envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| asked.failed(&error.to_string()))?;
        let output = self.converse(&mut child, input);
        if output.is_err() {
            let _ended = (child.kill(), child.wait());
        }
        output.map_err(|why| asked.failed(&why))
    }

    /// Only in folders with an absolute name: where lith happens to run is no place for them.
    fn locate(&self, program: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(&self.path).filter(|folder| folder.is_absolute());
        let runs = |path: &PathBuf| {
            path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        folders.map(|folder| folder.join(program)).find(runs)
    }

    /// Tells it the input and listens until it ends. What it has started may go on and keep the pipes open: that is
    /// not waited for.
    fn converse(&self, child: &mut Child, mut input: &[u8]) -> Result<Output, String> {
        const STEP: Duration = Duration::from_millis(2);
        let (mut stdin, mut stdout, mut stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let fail = |error: io::Error| error.to_string();
        dont_block(stdin.as_ref()).map_err(fail)?;
        dont_block(stdout.as_ref()).map_err(fail)?;
        dont_block(stderr.as_ref()).map_err(fail)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut waited = Duration::ZERO;
        loop {
            if stdin.as_mut().is_none_or(|stdin| tell(stdin, &mut input)) {
                stdin = None;
            }
            let status = child.try_wait().map_err(fail)?;
            hear(&mut stdout, &mut out)?;
            hear(&mut stderr, &mut err)?;
            if let Some(status) = status {
                return Ok(Output { status, stdout: out, stderr: err });
            }
            if waited >= self.patience {
                return Err(format!("it did not end within {} s", self.patience.as_secs()));
            }
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("path", &self.path).finish_non_exhaustive()
    }
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Whether a helper can be called so: a name, and no path or option.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    (1..=100).contains(&name.len()) && name.bytes().all(fits)
}

/// One question to a helper.
struct Asked<'a> {
    program: String,
    action: &'static str,
    server: &'a str,
}

impl Asked<'_> {
    fn failed(&self, why: &str) -> KeychainError {
        KeychainError::Helper {
            program: self.program.clone(),
            action: self.action,
            server: shown(self.server),
            why: why.into(),
        }
    }
}

struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    fn says_not_found(&self) -> bool {
        let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(NOT_FOUND);
        !self.status.success() && (says(&self.stdout) || says(&self.stderr))
    }

    /// An error if it failed, in its own words, unless they hold a secret.
    fn check(&self, asked: &Asked<'_>, secret: Option<&str>) -> Result<(), KeychainError> {
        if self.status.success() {
            return Ok(());
        }
        let said = [&self.stderr, &self.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        let telling = |text: &String| {
            !text.is_empty() && !text.contains("Secret") && secret.is_none_or(|secret| !text.contains(secret))
        };
        let why = said.into_iter().find(telling).unwrap_or_else(|| self.status.to_string());
        Err(asked.failed(&shown(&why)))
    }
}

fn dont_block(pipe: Option<&impl AsFd>) -> io::Result<()> {
    if let Some(pipe) = pipe {
        let flags = rustix::fs::fcntl_getfl(pipe)?;
        rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

/// Writes what the pipe takes. Whether that was all, or nobody listens.
fn tell(pipe: &mut impl Write, input: &mut &[u8]) -> bool {
    while !input.is_empty() {
        match pipe.write(input) {
            Ok(n) => *input = &input[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
    true
}

/// Reads what is there.
fn hear(pipe: &mut Option<impl Read>, heard: &mut Vec<u8>) -> Result<(), String> {
    let Some(open) = pipe else { return Ok(()) };
    let mut piece = [0; 4096];
    loop {
        match open.read(&mut piece) {
            Ok(0) => break,
            Ok(_) if heard.len() > MAX_OUTPUT => return Err(format!("it said more than {MAX_OUTPUT} bytes")),
            Ok(n) => heard.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    *pipe = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn why(error: &KeychainError) -> String {
        error.to_string()
    }

    #[test]
    fn a_helper_is_asked_by_its_input_alone() {
        let world = World::new();
        world.helper("test", r#"echo "$@" >"$DIR/args"; cat >"$DIR/input"; echo '{"ServerURL":"r.io","Username":"u","Secret":"hush"}'"#);
        let found = world.helpers().get("test", "r.io").unwrap();
        assert_eq!(found, Some(Credential::Basic { user: "u".into(), password: "hush".into() }));
        assert_eq!((world.read("args").as_str(), world.read("input").as_str()), ("get\n", "r.io"));

        world.helper("test", r#"echo "$@" >"$DIR/args"; cat >"$DIR/input""#);
        world.helpers().store("test", "r.io", &Credential::Identity("hush".into())).unwrap();
        let told: serde_json::Value = serde_json::from_str(&world.read("input")).unwrap();
        assert_eq!(told, serde_json::json!({"ServerURL": "r.io", "Username": "<token>", "Secret": "hush"}));
        assert_eq!(world.read("args"), "store\n");
    }

    #[test]
    fn it_gets_the_environment_that_is_given_and_no_other() {
        let world = World::new();
        world.helper("test", r#"/usr/bin/env >"$DIR/env"; echo '{"Username":"<token>","Secret":"t"}'"#);
        assert_eq!(world.helpers().get("test", "r.io").unwrap(), Some(Credential::Identity("t".into())));
        let names: Vec<String> =
            world.read("env").lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        let of_the_shell = ["PWD", "SHLVL", "OLDPWD", "_"];
        for name in names.iter().filter(|name| !of_the_shell.contains(&&***name)) {
            assert!(["DIR", "PATH"].contains(&&**name), "`{name}` was passed on");
        }
    }

    #[test]
    fn nothing_found_is_no_error_and_all_else_names_the_helper() {
        let world = World::new();
        world.helper("test", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
        assert_eq!(world.helpers().get("test", "r.io").unwrap(), None);
        assert!(!world.helpers().erase("test", "r.io").unwrap());
        for (script, expected) in [
            ("echo 'the keyring is \x1b[31mlocked'; exit 1", "the keyring is \\u{1b}[31mlocked"),
            ("exit 3", "exit status: 3"),
            ("echo '{\"Secret\":\"hush\"}'; exit 1", "exit status: 1"),
            ("echo hush", "not the JSON"),
            ("yes hush", "more than 65536 bytes"),
        ] {
            world.helper("test", script);
            let message = why(&world.helpers().get("test", "r.io").unwrap_err());
            let named = "the credential helper `docker-credential-test get` failed for `r.io`: ";
            assert!(message.starts_with(named) && message.contains(expected), "{message}");
            assert!(!message.contains("hush"), "{message}");
        }
        let missing = why(&world.helpers().get("other", "r.io").unwrap_err());
        assert!(missing.contains("`docker-credential-other` is not in the PATH"), "{missing}");
    }

    #[test]
    fn its_words_are_left_out_if_they_hold_the_secret() {
        let world = World::new();
        world.helper("test", "echo \"cannot store $(cat)\"; exit 1");
        let credential = Credential::Basic { user: "u".into(), password: "hush".into() };
        let message = why(&world.helpers().store("test", "r.io", &credential).unwrap_err());
        assert!(message.ends_with("exit status: 1"), "{message}");
    }

    #[test]
    fn it_is_not_waited_for_forever() {
        let world = World::new();
        world.helper("test", "sleep 30");
        let helpers = world.helpers().patience(Duration::from_millis(50));
        assert!(why(&helpers.get("test", "r.io").unwrap_err()).contains("did not end"));
        // Nor for what it leaves behind.
        world.helper("test", "sleep 30 & echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
        let began = std::time::Instant::now();
        assert!(world.helpers().get("test", "r.io").unwrap().is_some());
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["desktop", "ecr-login", "desktop.exe", "a_b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "../x", "a/b", "a b", "a\0", &"x".repeat(101)] {
            assert!(!is_name(name), "{name}");
        }
        let world = World::new();
        let helpers = Helpers::new("relative::.", Vec::new());
        assert!(matches!(helpers.get("test", "r.io"), Err(KeychainError::NoHelper { .. })));
        drop(world);
    }

    #[test]
    fn large_input_does_not_wait_for_a_helper_that_listens_late() {
        let world = World::new();
        world.helper("test", "sleep 0.2; cat | wc -c >\"$DIR/count\"");
        let credential = Credential::Basic { user: "u".into(), password: "x".repeat(1 << 20) };
        world.helpers().store("test", "r.io", &credential).unwrap();
        assert!(world.read("count").trim().parse::<usize>().unwrap() > 1 << 20);
        world.helper("test", "exit 0");
        world.helpers().store("test", "r.io", &credential).unwrap();
    }
}
