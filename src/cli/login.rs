//! `lith login`

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use lith::text::shown;
use lith::transport::registry::{Credential, Kept, RegistryError, registry_name};

use super::error::{Hinted, tell};
use super::{World, terminal};

/// Larger than any password or token.
const MAX_PASSWORD: u64 = 64 << 10;

/// Log in to a registry
///
/// The registry is asked whether it lets you in, then user and password are kept where docker keeps them: with the
/// credential helper that its `config.json` names, or in that file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith login ghcr.io
  lith login -u me --password-stdin registry.example:5000 < token")]
pub(crate) struct Args {
    /// The registry: `HOST[:PORT]`
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
    /// The user; `<token>` says that the password is an identity token
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Refused: everybody on the machine can see the arguments of a program
    #[arg(short, long, value_name = "PASSWORD", hide = true)]
    password: Option<String>,
    #[command(flatten)]
    file: FileArg,
}

/// `--authfile`, shared with `logout`.
#[derive(Debug, clap::Args)]
pub(super) struct FileArg {
    /// The file of credentials: [default: docker's, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`]
    #[arg(long, value_name = "FILE")]
    pub(super) authfile: Option<PathBuf>,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    if args.password.is_some() {
        let error = Hinted::usage("a password is no option: the list of processes would show it");
        return Err(error.hint("pipe it in: `lith login -u USER --password-stdin REGISTRY < FILE`").into());
    }
    let registry = parse_registry(&args.registry)?;
    let file = world.credential_file(&args.file)?;
    let credential = credential(args, &registry)?;
    let registries = world.registries()?;
    registries.check(&registry, &credential).map_err(refused)?;
    let kept = match file.keep(&registry, &credential)? {
        Kept::File(path) => format!("`{}` has the password, not encrypted", path.display()),
        Kept::Helper(program) => format!("`{program}` has the password"),
    };
    tell(&format!("Login succeeded for {registry}: {kept}"));
    Ok(ExitCode::SUCCESS)
}

/// Elsewhere the advice is to log in.
fn refused(error: RegistryError) -> anyhow::Error {
    match error {
        RegistryError::Unauthorized { .. } => Hinted::new(error.to_string())
            .hint("are user and password right? Many registries want an access token for a password")
            .into(),
        error => error.into(),
    }
}

/// A registry's name from what was typed. That is not shown if it may hold a password.
pub(super) fn parse_registry(text: &str) -> anyhow::Result<String> {
    registry_name(text).ok_or_else(|| {
        let error = Hinted::usage(format!("`{}` is not the name of a registry", lith::http::shown(text)));
        error.hint("it is a host, with a dot or a port: `registry.example`, `localhost:5000`").into()
    })
}

fn credential(args: &Args, registry: &str) -> anyhow::Result<Credential> {
    let user = user(args, registry)?;
    if user.is_empty() {
        return Err(Hinted::usage("the user's name is empty").into());
    }
    if user.contains(':') {
        return Err(Hinted::usage("a user's name has no `:` (RFC 7617)").into());
    }
    let password = password(args, &user, registry)?;
    if password.is_empty() {
        return Err(Hinted::usage("the password is empty").into());
    }
    Ok(Credential::of(user, password))
}

fn user(args: &Args, registry: &str) -> anyhow::Result<String> {
    match &args.username {
        Some(user) => Ok(user.clone()),
        None if args.password_stdin => Err(Hinted::usage("`--password-stdin` needs a user")
            .hint("`lith login -u USER --password-stdin REGISTRY`")
            .into()),
        None => {
            somebody()?;
            terminal::ask(&format!("User at {registry}: ")).map(|user| user.trim().to_owned())
        }
    }
}

fn password(args: &Args, user: &str, registry: &str) -> anyhow::Result<String> {
    if !args.password_stdin {
        somebody()?;
        return terminal::ask_secret(&format!("Password of {} at {registry}: ", shown(user)));
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MAX_PASSWORD + 1).read_to_end(&mut bytes).context("reading the password")?;
    if bytes.len() as u64 > MAX_PASSWORD {
        return Err(Hinted::usage("the password on standard input is too long to be one").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| Hinted::usage("the password is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn somebody() -> anyhow::Result<()> {
    if terminal::is_there() {
        return Ok(());
    }
    let error = Hinted::usage("there is no terminal to ask for user and password");
    Err(error.hint("`lith login -u USER --password-stdin REGISTRY < FILE`").into())
}
