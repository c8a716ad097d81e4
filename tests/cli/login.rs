//! `lith login`, `lith logout`, and what is read of configuration on the way

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::registry::{Auth, Options, PASSWORD, Registry, USER};
use crate::support::{Run, World, programs};

/// The user and the password in base64.
const AUTH: &str = "dGVzdGVyOmNvcnJlY3QtaG9yc2U=";

/// A registry that lets in the one user with the password, and nobody else.
fn registry() -> Registry {
    Registry::with(Options { auth: Auth::Basic, ..Options::default() })
}

fn login(world: &World, args: &[&str], password: &str) -> Run {
    let mut command = world.command(["login"].iter().chain(args));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _gone = child.stdin.take().unwrap().write_all(password.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn config(world: &World) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(world.path("home/.docker/config.json")).unwrap()).unwrap()
}

fn mode(world: &World, name: &str) -> u32 {
    world.path(name).metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn login_and_logout() {
    let (world, server) = (World::new(), registry());
    let registry = server.host();
    world.write(
        "home/.docker/config.json",
        "{\n\t\"credHelpers\": {\"gcr.io\": \"gcr\"},\n\t\"aliases\": {\"b\": \"a\"}\n}",
    );
    let url = format!("http://{registry}/v2/");
    let run = login(&world, &["-vv", "-u", USER, "--password-stdin", &url], &format!("{PASSWORD}\n"));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("Login succeeded for {registry}")), "{}", run.stderr);
    assert!(!run.stderr.contains(PASSWORD) && !run.stderr.contains(AUTH), "{}", run.stderr);
    assert_eq!(config(&world)["auths"][&registry]["auth"], AUTH);
    assert_eq!(config(&world)["aliases"]["b"], "a");
    assert_eq!(mode(&world, "home/.docker/config.json"), 0o600);

    let out = world.run(["logout", &registry]);
    assert_eq!((out.code, out.stderr), (Some(0), format!("Logged out of {registry}\n")));
    assert_eq!(config(&world)["auths"], serde_json::json!({}));
    let again = world.run(["logout", &registry]);
    assert_eq!((again.code, again.stderr), (Some(0), format!("Nobody was logged in to {registry}\n")));
}

#[test]
fn whom_the_registry_refuses_is_not_kept() {
    let (world, server) = (World::new(), registry());
    let registry = server.host();
    let run = login(&world, &["-vv", "-u", USER, "--password-stdin", &registry], "wrong-word");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&registry) && !run.stderr.contains("wrong-word"), "{}", run.stderr);
    assert!(!run.stderr.contains("`lith login"), "they just did: {}", run.stderr);
    assert!(!world.path("home/.docker").exists());
}

#[test]
fn another_file_and_a_helper() {
    let (world, server) = (World::new(), registry());
    let registry = server.host();
    let run =
        login(&world, &["-u", USER, "--password-stdin", "--authfile", "auth.json", &registry], PASSWORD);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("`auth.json` has the password, not encrypted"), "{}", run.stderr);
    assert_eq!(mode(&world, "auth.json"), 0o600);

    world.write("bin/docker-credential-test", "#!/bin/sh\nPATH=/bin:/usr/bin\ncat >\"$HOME/told\"\n");
    world.chmod("bin/docker-credential-test", 0o755).write("helped.json", "{\"credsStore\": \"test\"}");
    world.write("home/x", "");
    let mut command =
        world.command(["login", "-u", USER, "--password-stdin", "--authfile", "helped.json", &registry]);
    command.env("PATH", world.path("bin")).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("`docker-credential-test` has the password"), "{said}");
    assert!(std::fs::read_to_string(world.path("home/told")).unwrap().contains(PASSWORD));
    assert!(!std::fs::read_to_string(world.path("helped.json")).unwrap().contains(AUTH));
}

#[test]
fn a_password_is_never_an_argument() {
    let world = World::new();
    for args in [["login", "-p", PASSWORD, "r.io"], ["login", "--password", PASSWORD, "r.io"]] {
        let said = world.fails(2, args);
        assert!(said.contains("--password-stdin") && !said.contains(PASSWORD), "{said}");
    }
    for (args, expected) in [
        (vec!["login", "r.io"], "no terminal"),
        (vec!["login", "-u", USER, "r.io"], "no terminal"),
        (vec!["login", "--password-stdin", "r.io"], "-u USER"),
        (vec!["login", "-u", USER, "--password-stdin", "r.io"], "the password is empty"),
        (vec!["login", "-u", "a:b", "--password-stdin", "r.io"], "no `:`"),
        (vec!["login", "-u", USER, "--password-stdin", "host"], "not the name of a registry"),
        (vec!["logout", "https://me:correct-horse@r.io"], "not the name of a registry"),
    ] {
        let said = world.fails(2, args);
        assert!(said.contains(expected) && !said.contains(PASSWORD), "{said}");
    }
}

/// Someone at a terminal.
struct Terminal {
    child: Child,
    seen: String,
}

impl Terminal {
    /// Where lith is typed.
    fn start(script: &Path, world: &World, typed: &str) -> Self {
        let lith = crate::support::lith();
        let mut command = Command::new(script);
        command.arg("-qec").arg(format!("{} {typed}", lith.display())).arg("/dev/null");
        command.current_dir(world.path("")).env_clear();
        command.env("HOME", world.path("home")).env("PATH", "/bin:/usr/bin").env("SHELL", "/bin/sh");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { child, seen: String::new() }
    }

    /// Waits for a question, and types.
    fn answer(&mut self, question: &str, typed: &str) {
        while !(self.seen.contains(question) && self.seen.ends_with(": ")) {
            let mut piece = [0; 256];
            let n = self.child.stdout.as_mut().unwrap().read(&mut piece).unwrap();
            assert!(n > 0, "{}", self.seen);
            self.seen += &String::from_utf8_lossy(&piece[..n]);
        }
        self.child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    }

    /// What the screen has shown.
    fn end(mut self) -> String {
        self.child.stdout.as_mut().unwrap().read_to_string(&mut self.seen).unwrap();
        self.child.wait().unwrap();
        self.seen
    }
}

#[test]
fn a_terminal_does_not_show_what_is_typed() {
    let Some(script) = programs::find("script", "typing a password") else { return };
    let (world, server) = (World::new(), registry());
    let registry = server.host();
    let mut terminal = Terminal::start(&script, &world, &format!("login {registry}"));
    terminal.answer("User at ", &format!("{USER}\n"));
    terminal.answer(&format!("Password of {USER} at "), &format!("{PASSWORD}\n"));
    let seen = terminal.end();
    assert!(seen.contains("Login succeeded") && !seen.contains(PASSWORD), "{seen}");
    assert_eq!(config(&world)["auths"][&registry]["auth"], AUTH);
}

#[test]
fn ctrl_c_at_the_password_ends_it_and_the_terminal_speaks_again() {
    let Some(script) = programs::find("script", "breaking off at a password") else { return };
    let world = World::new();
    let mut terminal = Terminal::start(&script, &world, "login -u me r.io; stty -a");
    terminal.answer("", "hush\x03");
    let seen = terminal.end();
    assert!(seen.contains("interrupted") && !seen.contains("hush"), "{seen}");
    let words: Vec<&str> = seen.split_whitespace().collect();
    assert!(words.contains(&"echo") && words.contains(&"isig"), "{seen}");
}

#[test]
fn other_programs_find_what_lith_keeps_and_lith_forgets_what_they_keep() {
    let Some(skopeo) = programs::find("skopeo", "sharing credentials with skopeo") else { return };
    let (world, server) = (World::new(), registry());
    let registry = server.host();
    let skopeo = |args: &[&str]| {
        let mut command = Command::new(&skopeo);
        command.args(args).env_clear().env("HOME", world.path("home")).env("PATH", "/bin:/usr/bin");
        programs::run(command.env("XDG_RUNTIME_DIR", world.path("run")))
    };
    login(&world, &["-u", USER, "--password-stdin", &registry], PASSWORD);
    assert_eq!(skopeo(&["login", "--get-login", &registry]).trim(), USER);
    world.ok(["logout", &registry]);

    std::fs::create_dir_all(world.path("run/containers")).unwrap();
    skopeo(&["login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, &registry]);
    let run = world.run(["logout", &registry]);
    assert!(run.stderr.contains("run/containers/auth.json` has credentials"), "{}", run.stderr);
    world.ok(["logout", "--authfile", "run/containers/auth.json", &registry]);
    assert!(!std::fs::read_to_string(world.path("run/containers/auth.json")).unwrap().contains(AUTH));
}

#[test]
fn a_file_that_others_may_read_is_told() {
    let world = World::new();
    world.write("home/.docker/config.json", format!(r#"{{"auths": {{"r.io": {{"auth": "{AUTH}"}}}}}}"#));
    world.chmod("home/.docker/config.json", 0o644);
    let run = world.run(["-vv", "logout", "--authfile", "/dev/null", "other.io"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = world.run(["logout", "other.io"]);
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("(mode 644)"), "{}", run.stderr);
    assert!(!run.stderr.contains(AUTH) && !run.stderr.contains(PASSWORD));
    world.write("home/.docker/config.json", "{\n\"auths\": {\"r.io\": {\"auth\": \"hush\"}}}");
    let said = world.fails(1, ["logout", "r.io"]);
    assert!(said.contains("config.json`, line 2: an `auth` is not `user:password` in base64"), "{said}");
    assert!(!said.contains("hush"), "{said}");
    world.write("home/.docker/config.json", r#"{"credsStore": "gone"}"#);
    let said = world.fails(1, ["logout", "r.io"]);
    assert!(
        said.contains("`docker-credential-gone` is not in the PATH") && said.contains("hint: "),
        "{said}"
    );
}

#[test]
fn the_configuration_is_read_when_a_registry_is_asked() {
    let world = World::new();
    world.write("home/.config/lith/config.toml", "\n[registry.\"r.io\"]\nmirors = []\n");
    let said = login(&world, &["-u", USER, "--password-stdin", "r.io"], PASSWORD);
    assert_eq!(said.code, Some(1));
    for part in ["lith/config.toml`, line 3: unknown key `mirors`", "did you mean `mirrors`?"] {
        assert!(said.stderr.contains(part), "{}", said.stderr);
    }
    world.ok(["images"]);
    let mut named = world.command(["login", "-u", USER, "--password-stdin", "r.io"]);
    let run = Run::of(named.env("LITH_CONFIG", "missing.toml"));
    assert!(run.stderr.contains("the password is empty"), "{}", run.stderr);
    assert!(world.fails(2, ["--insecure", "host", "images"]).contains("a host with a dot or a port"));
}
