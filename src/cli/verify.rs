//! `lith verify`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use lith::attest::provenance::{self, Record};
use lith::attest::summary::summary;
use lith::build::Contexts;
use lith::context::ContextSpec;
use lith::exec::Report;
use lith::oci::{Digest, canonical};
use lith::store::Store;
use lith::text::{escaped, escaped_lines};
use lith::verify::{self, Ask, Given, RequestError, Untold, Verdict, VerifyError};

use super::World;
use super::build::{allow, build_args, build_contexts, secrets};
use super::error::{Hinted, tell};
use super::format::{Format, FormatArg, print};
use super::place::{Found, Place};
use super::progress::ProgressArg;
use super::reach::Reach;
use super::removal::Removal;

/// The exit code of a verdict against the image.
const FAILED: u8 = 5;

/// More of a record than that nobody has written.
const LIMIT: u64 = 256 << 20;

/// Build an image again from its record, and tell whether it is the same
///
/// The record is what `lith build --record FILE` wrote. The source is the recorded git revision, or a folder (a fresh clone,
/// say) that is given. It is built in a store of its own: nothing comes from the step cache, and what the record names is
/// taken from this store or from where it came from, by digest.
///
/// It passes only if the record is of that image, the Buildfile, the lock file and the files of the context are the recorded
/// ones, and what was built has the image's digest. Otherwise it says which input differs, or which step, which files of the
/// image, and the likely cause.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The image: a name or digest of the store, else of a registry; `docker://NAME`, `oci:DIR[:TAG]`,
    /// `oci-archive:FILE`, `docker-archive:FILE`
    #[arg(value_name = "IMAGE")]
    image: String,

    /// The record that the build wrote
    #[arg(long, value_name = "FILE")]
    record: PathBuf,

    /// Where the build context is: a folder, an archive, a git URL [default: the recorded git revision]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,

    /// The Buildfile, where it was not in the context
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The value of a build argument that the record doesn't tell, as it sounds like a secret: `NAME=VALUE`, or `NAME`
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,

    /// Where another context of the build is: `NAME=FOLDER`, …
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,

    /// A secret for the steps that mount it, as `lith build` has it
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,

    /// An ssh agent for the steps that mount it, as `lith build` has it
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,

    /// Allow what the record's build allowed its steps: `network.host` (without it, no step has the machine's network,
    /// whether it is called `default` or `host`), `network.loopback`, `security.insecure`
    #[arg(long, value_name = "ENTITLEMENT")]
    allow: Vec<String>,

    #[command(flatten)]
    progress: ProgressArg,

    /// `json` prints the verdict as an in-toto statement: a SLSA verification summary
    #[command(flatten)]
    format: FormatArg,
}

const AFTER_HELP: &str = "\
Examples:
  lith build --record app.json -t app:1.0 .
  lith verify app:1.0 --record app.json                     the recorded git revision
  lith verify docker://r.example/app:1.0 --record app.json --source fresh-clone
  lith verify oci:image --record app.json --source . --format json

Exit codes:
  0  what was built has the image's digest, from the recorded inputs
  1  there is no verdict: the record misses something, or the build failed
  2  the command line is wrong
  3  the store is damaged
  5  it has not, or an input is not the recorded one: the verdict says which";

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let text = read(&args.record)?;
    let record =
        provenance::parse(&text).with_context(|| format!("the record `{}`", args.record.display()))?;
    let reach = Reach::new(world);
    let found = Place::parse(&args.image)?.read(&reach, None)?;
    let again = Again {
        given: given(args, world)?,
        source: args.source.as_deref().map(ContextSpec::parse).transpose().map_err(Hinted::usage)?,
        file: args.file.clone(),
    };
    let verdict = again.build(&record, &found, &reach, &args.progress.start())?;
    let verdict = verdict.map_err(|error| told(error, args))?;
    match args.format.format {
        Format::Json => {
            let said = summary(&args.image, &verdict.image, &Digest::of(&text), &verdict.reasons);
            print(&format!("{}\n", String::from_utf8(canonical::to_vec(&said)?)?))?;
        }
        Format::Text => print(&words(&verdict))?,
    }
    Ok(if verdict.passed() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// What the record has not, to build an image again.
#[derive(Default)]
pub(super) struct Again {
    pub(super) given: Given,
    pub(super) source: Option<ContextSpec>,
    pub(super) file: Option<PathBuf>,
}

impl Again {
    /// Builds it in a store of its own.
    pub(super) fn build(
        self,
        record: &Record,
        found: &Found<'_>,
        reach: &Reach<'_>,
        report: &dyn Report,
    ) -> anyhow::Result<Result<Verdict, VerifyError>> {
        let world = reach.world;
        let folder = tempfile::tempdir_in(world.environment.temp()).context("making a temporary folder")?;
        let path = folder.path().join("store");
        let store = Arc::new(Store::open(&path)?);
        let ask = Ask {
            record,
            image: &found.artifact,
            blobs: found.blobs(),
            given: Given { sandbox: Some(world.sandbox(&store)), ..self.given },
            source: self.source,
            file: self.file,
            contexts: contexts(world)?,
            known: Some(reach.store()?),
            store: &store,
            threads: world.threads(),
        };
        let verdict = verify::verify(ask, report);
        drop(store);
        if let Err(error) = Removal::new(world).remove(&path) {
            tell(&format!("warning: `{}` can't be removed: {error}", path.display()));
        }
        Ok(verdict)
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("reading the record `{}`", path.display()))?;
    if bytes.len() as u64 > LIMIT {
        return Err(
            Hinted::new(format!("the record `{}` has more than {LIMIT} bytes", path.display())).into()
        );
    }
    Ok(bytes)
}

fn given(args: &Args, world: &World) -> anyhow::Result<Given> {
    let (secrets, ssh) = secrets(&args.secret, &args.ssh, world)?;
    Ok(Given {
        build_args: build_args(&args.build_arg, world)?,
        contexts: build_contexts(&args.build_context)?,
        secrets,
        ssh,
        allow: allow(&args.allow)?,
        sandbox: None,
    })
}

fn contexts(world: &World) -> anyhow::Result<Contexts> {
    Ok(Contexts {
        named: BTreeMap::new(),
        registries: Some(Arc::new(world.registries()?)),
        helpers: world.environment.for_helpers(),
        http: world.http()?,
        ..Contexts::default()
    })
}

/// Adds what would help.
fn told(error: VerifyError, args: &Args) -> anyhow::Error {
    let hint = match &error {
        VerifyError::Request(RequestError::NotTold(what)) => match what {
            Untold::Buildfile => "name it with `-f FILE`",
            Untold::Context(_) => "name it with `--build-context NAME=VALUE`",
            Untold::BuildArg(_) => "give it with `--build-arg NAME=VALUE`",
            Untold::Secret(_) => "give it with `--secret id=ID,src=FILE`",
            Untold::Ssh(_) => "give it with `--ssh ID=SOCKET`",
            _ => "name it with `--source DIR|GIT`",
        },
        VerifyError::Request(RequestError::Network { .. }) => {
            "`--allow network.host` gives it to the steps that want it, as the build did: only if you trust the source \
             with this machine; what they get may be something else by now"
        }
        VerifyError::Request(RequestError::NotAllowed(_)) => {
            "`--allow ENTITLEMENT` allows it here too: only if you trust the source with this machine"
        }
        VerifyError::Request(RequestError::OneMachine { .. }) => "name it with `--source DIR`, if it is here",
        VerifyError::Request(RequestError::Dirty { .. }) => {
            "give that source with `--source DIR`, or build from a commit"
        }
        VerifyError::Build { said, .. } => {
            for diagnostic in said {
                tell(&format!("error: {}", escaped(&diagnostic.message)));
                diagnostic.notes.iter().for_each(|note| tell(&format!("  {}", escaped_lines(note))));
            }
            return anyhow::Error::from(error);
        }
        _ => return anyhow::Error::from(error),
    };
    let what = format!("`{}` can't be verified: {error}", args.image);
    Hinted::new(what).hint(hint).into()
}

fn words(verdict: &Verdict) -> String {
    if verdict.passed() {
        return format!("the same: {}\n", verdict.image);
    }
    let mut lines = vec![format!("NOT the same: {}", verdict.image)];
    lines.extend(verdict.rebuilt.iter().map(|digest| format!("what was built: {digest}")));
    lines.extend(verdict.reasons.iter().map(|reason| format!("  {}", escaped(reason))));
    lines.join("\n") + "\n"
}
