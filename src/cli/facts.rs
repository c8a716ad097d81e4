//! What to do about the library's errors. They say of themselves what was found; which option helps is said here.

use std::error::Error;
use std::io;

use lith::build::{BuildError, LockUseError, OutsideError, SourceError};
use lith::context::ContextError;
use lith::exec::ExecError;
use lith::image::LoadError;
use lith::layer::{LayerError, ReadError};
use lith::lock::{LockError, LockFileError};
use lith::plan::ResolveError;
use lith::release::ReleaseError;
use lith::store::StoreError;
use lith::transport::TransportError;
use lith::transport::registry::{KeychainError, RegistryError};
use lith::tree::ContentError;

type Cause = dyn Error + 'static;

/// For an image that neither a context, the store nor a registry has.
pub(super) const NO_IMAGE: &str = "`lith images` lists the store's images, and `lith tags REGISTRY/NAME` a registry's; \
    `--build-context NAME=oci-layout://DIR` puts a layout in its place, and `lith copy oci:DIR NAME` into the store";

/// What helps, filled in with the name that a diagnostic is about.
pub(super) fn of_name(code: &str, name: &str) -> Option<String> {
    Some(match code {
        "resolve-not-found" => {
            NO_IMAGE.replace("NAME=", &format!("{name}=")).replace("DIR NAME`", &format!("DIR {name}`"))
        }
        "resolve-locked-context" => {
            format!("give `--build-context {name}=VALUE`, as `lith lock` got it; or `lith lock` without it")
        }
        _ => return None,
    })
}

/// What helps, by the code that a diagnostic has.
pub(super) fn of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "resolve-unauthorized" => LOGIN,
        "resolve-not-locked" => "`lith lock` adds it; without `--locked`, `lith build` does",
        "resolve-moved" => "`lith lock --update NAME` locks what is there now, if that is what you want",
        "resolve-offline" | "source-offline" | "run-no-network" => OFFLINE,
        "run-failed" => "`lith debug` opens a shell in the state in which it failed",
        "run-offline" => {
            "steps have no network unless it is asked for: `RUN --network=locked …` in the Buildfile, which `lith lock` \
             records, so that the build is reproducible; or `RUN --network=default …`, or `lith build --network default` \
             for all steps"
        }
        "run-ids" => {
            "the step seems to need ids that it has not: give the user that builds some, by a line \
             `USER:100000:65536` in `/etc/subuid` and in `/etc/subgid`, and install `newuidmap` (`uidmap`); or build as root"
        }
        "run-not-locked" => "`lith lock` records what a step asks for",
        "run-no-lock" => "`lith lock` runs the step, records what it asks for, and writes the lock file",
        "run-changed" => {
            "the server has something else there now: `lith lock --update` records it; `lith lock --vendor DIR` keeps bytes \
              with the source"
        }
        "run-bytes" => {
            "`--vendor DIR` says where `lith lock --vendor DIR` has put them; `lith lock --update` records what is there now"
        }
        "run-address" => {
            "`--allow network.loopback` lets steps reach this machine itself, though never its link"
        }
        "run-memory" => "`--memory SIZE` gives steps more",
        "run-timeout" => "`--timeout TIME` gives steps longer",
        "run-clock" => {
            "for `--clock epoch`, steps are traced (ptrace(2)), which a container may forbid; `--clock real` does without"
        }
        "run-no-program" => "the shell form needs the image's `/bin/sh`; `RUN [\"PROGRAM\", …]` needs none",
        "run-no-program-exec" => {
            "the exec form starts a program of the image itself: is its path right? One without a `/` is looked for in the \
             image's `PATH`"
        }
        "run-secret" => "give it with `--secret id=ID,src=FILE` or `--secret id=ID,env=VARIABLE`",
        "run-ssh" => "give one with `--ssh default`, or `--ssh ID=SOCKET`",
        "run-not-allowed" => "allow it with `--allow network.host` or `--allow security.insecure`",
        "run-platform" => {
            "register an interpreter: install `qemu-user-static` (with binfmt support), or run `docker run --privileged \
             --rm tonistiigi/binfmt --install all`; it needs the `F` flag"
        }
        _ => return None,
    })
}

const OFFLINE: &str = "build once without `--offline` with this store, which then has it";

/// For a registry that doesn't know who asks.
pub(super) const LOGIN: &str = "is the name right? If it is, `lith login REGISTRY` keeps a credential";

const FSCK: &str = "`lith fsck` says what is damaged, and how it can be mended";
const BROKEN_LEDGER: &str = "`lith releases ENV --verify` says what is wrong, and `lith releases repair ENV` how the ledger can go on";
const OTHER_OUTPUT: &str = "write an archive with `-o type=docker,dest=FILE` instead";

/// Whether the store is damaged.
pub(super) fn is_damage(error: &anyhow::Error) -> bool {
    causes(error).any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Damaged { .. })))
}

pub(super) fn hint(error: &anyhow::Error) -> Option<String> {
    if is_damage(error) {
        return Some(FSCK.into());
    }
    causes(error).find_map(advice).map(Into::into)
}

fn advice(cause: &Cause) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<SourceError>() {
        return match error {
            SourceError::NotFound { .. } => Some("name the Buildfile with `-f FILE`"),
            SourceError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Some("`-f FILE` is a path from the folder that lith runs in, not from the context")
            }
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<TransportError>() {
        return match error {
            TransportError::OneImage { .. } => {
                Some("choose one with `--platform`, or write `type=oci` or `type=oci-archive`")
            }
            TransportError::Daemon { .. }
            | TransportError::NoProgram { .. }
            | TransportError::NotReady { .. } => Some(OTHER_OUTPUT),
            _ => None,
        };
    }
    if let Some(ReleaseError::Broken { .. }) = cause.downcast_ref() {
        return Some(BROKEN_LEDGER);
    }
    if let Some(ReleaseError::Empty(_)) = cause.downcast_ref() {
        return Some("`lith current` without an environment lists those that have releases");
    }
    if let Some(ReleaseError::NothingLeft { .. }) = cause.downcast_ref() {
        return Some(
            "give the tag back to the image that is deployed (`lith push docker://REPO@DIGEST REPO:ENV`), and repair again",
        );
    }
    if let Some(error) = cause.downcast_ref() {
        return lock_advice(error);
    }
    if let Some(LockFileError::Content { error, .. }) = cause.downcast_ref() {
        return Some(lock_text_advice(error));
    }
    if let Some(OutsideError::Offline(_)) = cause.downcast_ref() {
        return Some(OFFLINE);
    }
    if let Some(error) = cause.downcast_ref() {
        return registry_advice(error);
    }
    if let Some(error) = cause.downcast_ref() {
        return keychain_advice(error);
    }
    match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(ResolveError::NotFound { .. } | ResolveError::NotInRegistry { .. }), ..) => Some(NO_IMAGE),
        (_, Some(LoadError::NoPlatform { .. })) => Some("choose one that is there with `--platform`"),
        _ => None,
    }
}

fn lock_advice(error: &LockUseError) -> Option<&'static str> {
    match error {
        LockUseError::Stale { .. } => Some(
            "`lith lock` brings it up to date; without `--locked`, `lith build` does, if no step's network is locked",
        ),
        LockUseError::Profile { .. } => Some(
            "remove it and run `lith lock`, which makes one for this profile; images then have other digests",
        ),
        LockUseError::File(LockFileError::Content { error, .. }) => Some(lock_text_advice(error)),
        _ => None,
    }
}

fn lock_text_advice(error: &LockError) -> &'static str {
    match error {
        LockError::Merge { .. } => {
            "settle the conflict, with either side's entries or both, and run `lith lock`, which mends the rest"
        }
        LockError::Version { .. } => "use the lith that wrote it, or remove it and run `lith lock`",
        _ => {
            "take the file from version control again, or remove it and run `lith lock`, which asks anew for all"
        }
    }
}

fn registry_advice(error: &RegistryError) -> Option<&'static str> {
    match error {
        RegistryError::Unauthorized { .. } => Some(LOGIN),
        RegistryError::Denied { .. } => {
            Some("is the name right? `lith login REGISTRY` with an account that may do this")
        }
        RegistryError::Keychain { error, .. } => keychain_advice(error),
        RegistryError::TagMoves { .. } => Some("`--move-tag` moves it; or push under another tag"),
        RegistryError::Undeletable { .. } => {
            Some("some registries remove manifests, and no tags: `lith rm docker://NAME@DIGEST`")
        }
        _ => None,
    }
}

fn keychain_advice(error: &KeychainError) -> Option<&'static str> {
    match error {
        KeychainError::NoHelper { .. } => Some(
            "install it, or remove it from `credsStore` or `credHelpers` of the file of credentials, mostly \
             `~/.docker/config.json`",
        ),
        KeychainError::Malformed { .. } => Some("mend the file, or remove it and log in again"),
        _ => None,
    }
}

/// An error with all that led to it. An error that only passes another on is followed by that one, which
/// [`Error::source`] would leave out.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &Cause> {
    error.chain().flat_map(|cause| std::iter::successors(Some(cause), |cause| inner(*cause)))
}

fn inner(cause: &Cause) -> Option<&Cause> {
    build_inner(cause).or_else(|| io_inner(cause))
}

fn build_inner(cause: &Cause) -> Option<&Cause> {
    if let Some(error) = cause.downcast_ref::<BuildError>() {
        return match error {
            BuildError::Outside(inner) => Some(inner),
            BuildError::Lock(inner) => Some(inner),
            BuildError::Exec(inner) => Some(inner),
            BuildError::Transport(inner) => Some(inner),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<OutsideError>() {
        return match error {
            OutsideError::Context(inner) => Some(inner),
            OutsideError::Store(inner) => Some(inner),
            OutsideError::Transport(inner) => Some(inner),
            OutsideError::Source(inner) => Some(inner),
            OutsideError::Step { source, .. } => Some(&**source),
            _ => None,
        };
    }
    match cause.downcast_ref::<ExecError>()? {
        ExecError::Step { source, .. } => Some(&**source),
        ExecError::Run(inner) => Some(&**inner),
        ExecError::Archive(inner) => Some(inner),
        ExecError::Layer(inner) => Some(inner),
        ExecError::Store(inner) => Some(inner),
        ExecError::Content(inner) => Some(inner),
        ExecError::Input(inner) => Some(&**inner),
        _ => None,
    }
}

fn io_inner(cause: &Cause) -> Option<&Cause> {
    if let Some(error) = cause.downcast_ref::<TransportError>() {
        return match error {
            TransportError::Load(inner) => Some(inner),
            TransportError::Store(inner) => Some(inner),
            TransportError::Layer(inner) => Some(inner),
            TransportError::Content(inner) => Some(inner),
            TransportError::Registry(inner) => Some(inner),
            TransportError::Io { error, .. } => within(error),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<LayerError>() {
        return match error {
            LayerError::Content(inner) => Some(inner),
            LayerError::Store(inner) => Some(inner),
            LayerError::Blob { error, .. } => within(error),
            LayerError::Read { error, .. } => Some(error),
            LayerError::Write(error) => within(error),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<ContextError>() {
        return match error {
            ContextError::Archive(inner) => Some(inner),
            ContextError::Content(inner) => Some(inner),
            ContextError::Io { error, .. } => within(error),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return within(error);
    }
    match (cause.downcast_ref(), cause.downcast_ref(), cause.downcast_ref(), cause.downcast_ref()) {
        (Some(LoadError::Read { error, .. }), ..)
        | (_, Some(ReadError::Io(error)), ..)
        | (_, _, Some(ContentError::Io { error, .. }), _)
        | (.., Some(StoreError::Io { error, .. })) => within(error),
        _ => None,
    }
}

/// An I/O error's own cause.
fn within(error: &io::Error) -> Option<&Cause> {
    error.get_ref().map(|inner| inner as &Cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged() -> StoreError {
        StoreError::Damaged { path: "blob".into(), why: "its bytes are wrong".into() }
    }

    #[test]
    fn damage_is_found_at_any_depth() {
        let read = io::Error::new(io::ErrorKind::InvalidData, damaged());
        let layer = LayerError::Store(StoreError::Io { doing: "reading", path: "blob".into(), error: read });
        let step = ExecError::Step { line: 1, place: 0..4, source: Box::new(layer.into()) };
        let error = anyhow::Error::from(BuildError::from(step)).context("building");
        assert!(is_damage(&error));
        assert_eq!(hint(&error).as_deref(), Some(FSCK));
        assert!(is_damage(&ExecError::Input(damaged().into()).into()));
        let foreign = io::Error::new(io::ErrorKind::InvalidData, "a blob of a layout");
        assert!(!is_damage(&StoreError::Io { doing: "reading", path: "x".into(), error: foreign }.into()));
    }

    #[test]
    fn a_hint_names_an_option() {
        let digest = lith::oci::Digest::of(b"");
        let moves = RegistryError::TagMoves { name: "r.io/a:1".into(), from: digest.clone(), to: digest };
        assert!(hint(&TransportError::from(moves).into()).unwrap().contains("--move-tag"));
        let not_found = SourceError::NotFound { place: "`x`".into() };
        let no_platform = LoadError::NoPlatform { wanted: "linux/arm64".parse().unwrap(), available: vec![] };
        let one_image = TransportError::OneImage { sink: "a docker archive", images: 2 };
        for (error, option) in [
            (BuildError::Outside(not_found.into()), "-f FILE"),
            (BuildError::Transport(no_platform.into()), "--platform"),
            (BuildError::Transport(one_image), "--platform"),
        ] {
            assert!(hint(&error.into()).unwrap().contains(option), "{option}");
        }
    }
}
