//! Changing one file of credentials, or what the helpers that it names keep.
//!
//! Invariant: the file is there whole, before or after; only its owner may read it; all that is not of the registry
//! stays as it was.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::document::Document;
use super::files::{check_helper, read};
use super::{AuthFile, Credential, Helpers, KeychainError, ParseAuthError, server};

/// A file of credentials that is to be changed.
#[derive(Debug)]
pub struct CredentialFile {
    path: PathBuf,
    helpers: Helpers,
}

/// Where a credential went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// As good as in the clear.
    File(PathBuf),
    /// The program's name.
    Helper(String),
}

impl CredentialFile {
    pub fn new(path: PathBuf, helpers: Helpers) -> Self {
        Self { path, helpers }
    }

    /// Keeps a registry's credential in place of any that was there: with the helper that the file names for the
    /// registry, or in the file.
    pub fn keep(&self, registry: &str, credential: &Credential) -> Result<Kept, KeychainError> {
        let path = target(&self.path).map_err(KeychainError::io("finding", &self.path))?;
        let folder = folder(&path);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(KeychainError::io("making a folder for", &path))?;
        let _lock = lock(folder).map_err(KeychainError::io("locking", &path))?;
        let (file, mut document) = self.open(&path)?;
        let (kept, entry) = match file.helper(registry) {
            Some(name) => {
                check_helper(&self.path, name)?;
                self.helpers.store(name, &server::key(registry), credential)?;
                // Docker lists so whom a helper knows.
                (Kept::Helper(format!("docker-credential-{name}")), json!({}))
            }
            None => (Kept::File(self.path.clone()), entry(credential)),
        };
        let registry = server::canonical(registry);
        document.remove(|key| server::canonical(key) == registry);
        let added = document.add(&server::key(&registry), &entry);
        added.map_err(|error| KeychainError::io("writing", &path)(error.into()))?;
        write(&path, &document)?;
        Ok(kept)
    }

    /// Forgets a registry's credential; whether there was one.
    pub fn forget(&self, registry: &str) -> Result<bool, KeychainError> {
        let path = target(&self.path).map_err(KeychainError::io("finding", &self.path))?;
        if read(&path)?.is_none() {
            return Ok(false);
        }
        let _lock = lock(folder(&path)).map_err(KeychainError::io("locking", &path))?;
        let (file, mut document) = self.open(&path)?;
        let mut forgotten = false;
        if let Some(name) = file.helper(registry) {
            check_helper(&self.path, name)?;
            for server in server::names_for_helpers(registry) {
                forgotten |= self.helpers.erase(name, &server)?;
            }
        }
        let registry = server::canonical(registry);
        if document.remove(|key| server::canonical(key) == registry) {
            write(&path, &document)?;
            forgotten = true;
        }
        Ok(forgotten)
    }

    /// What it means, and how it is written.
    fn open(&self, path: &Path) -> Result<(AuthFile, Document), KeychainError> {
        let malformed = |error| KeychainError::Malformed { path: self.path.clone(), error };
        let bytes = read(path)?.unwrap_or_default();
        let file = AuthFile::parse(&bytes).map_err(malformed)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| malformed(ParseAuthError { line: 1, why: "it is not UTF-8" }))?;
        let document = Document::parse(text).map_err(|error| {
            malformed(ParseAuthError {
                line: error.line(),
                why: "a value is not of the kind that belongs there",
            })
        })?;
        Ok((file, document))
    }
}

fn entry(credential: &Credential) -> Value {
    match credential {
        Credential::Basic { user, password } => {
            json!({"auth": STANDARD.encode(format!("{user}:{password}"))})
        }
        Credential::Identity(token) => json!({"identitytoken": token}),
        Credential::Bearer(token) => json!({"registrytoken": token}),
    }
}

fn write(path: &Path, document: &Document) -> Result<(), KeychainError> {
    let write = || -> io::Result<()> {
        let text = document.to_text()?;
        // It has mode 0600 from the start.
        let mut file = NamedTempFile::new_in(folder(path))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(KeychainError::io("writing", path))
}

/// Where a link leads in the end: it is to stay, and what it names to be changed, be it there or not.
fn target(path: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            // No link, or nothing at all.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(Errno::LOOP))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Against two who change it at once. The folder is what is locked: the file is replaced, and a lock file would be
/// left in a folder that is not ours.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)) {
        // Network file systems lock no folders.
        Ok(()) | Err(Errno::BADF | Errno::INVAL | Errno::NOLCK | Errno::NOTSUP) => Ok(file),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::testing::World;
    use super::super::{CredentialFiles, Keychain as _};
    use super::*;

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.into(), password: password.into() }
    }

    fn file(world: &World) -> CredentialFile {
        CredentialFile::new(world.path("docker/config.json"), world.helpers())
    }

    fn found(world: &World, registry: &str) -> Option<Credential> {
        let files = CredentialFiles::new(vec![world.path("docker/config.json")], world.helpers());
        files.find(registry, "x").unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_found_and_what_is_forgotten_is_not() {
        let world = World::new();
        assert!(!file(&world).forget("r.io").unwrap());
        assert!(!world.path("docker").exists());
        let path = world.path("docker/config.json");
        assert_eq!(file(&world).keep("r.io", &basic("u", "p:q")).unwrap(), Kept::File(path.clone()));
        file(&world).keep("docker.io", &Credential::Identity("t".into())).unwrap();
        assert_eq!((mode(&path), mode(&world.path("docker"))), (0o600, 0o700));
        assert_eq!(found(&world, "r.io"), Some(basic("u", "p:q")));
        assert_eq!(found(&world, "docker.io"), Some(Credential::Identity("t".into())));
        assert!(world.read("docker/config.json").contains("https://index.docker.io/v1/"));
        assert!(file(&world).forget("r.io").unwrap());
        assert!(!file(&world).forget("r.io").unwrap());
        assert_eq!(found(&world, "r.io"), None);
        assert!(found(&world, "docker.io").is_some());
    }

    #[test]
    fn older_spellings_of_the_registry_are_replaced() {
        let world = World::new();
        let text = r#"{"auths": {"docker.io": {"identitytoken": "old"}, "docker.io/team": {"identitytoken": "team"},
            "https://r.io/v1/": {"identitytoken": "old"}}, "experimental": "on"}"#;
        world.write("docker/config.json", text);
        file(&world).keep("docker.io", &basic("u", "p")).unwrap();
        assert!(file(&world).forget("r.io").unwrap());
        assert_eq!(found(&world, "docker.io"), Some(basic("u", "p")));
        let text = world.read("docker/config.json");
        assert!(!text.contains("old") && text.contains("team") && text.contains("experimental"), "{text}");
    }

    #[test]
    fn a_helper_that_the_file_names_is_told() {
        let world = World::new();
        world.helper(
            "test",
            r#"input=$(cat); echo "$1 $input" >>"$DIR/told"
            test $1 = get || exit 0
            case $input in r.io) echo '{"Username":"u","Secret":"hush"}';; *) echo 'credentials not found in native keychain'; exit 1;; esac"#,
        );
        world.write("docker/config.json", r#"{"credsStore": "test", "auths": {"r.io": {"auth": "dTpw"}}}"#);
        let kept = file(&world).keep("r.io", &basic("u", "hush")).unwrap();
        assert_eq!(kept, Kept::Helper("docker-credential-test".into()));
        let text = world.read("docker/config.json");
        assert!(!text.contains("dTpw") && text.contains("\"r.io\": {}"), "{text}");
        assert!(file(&world).forget("r.io").unwrap());
        assert!(!file(&world).forget("other.io").unwrap());
        let told = world.read("told");
        assert!(
            told.starts_with("store {") && told.contains("get r.io\nerase r.io\nget other.io\n"),
            "{told}"
        );
        assert!(!world.read("docker/config.json").contains("r.io"));
    }

    #[test]
    fn links_stay_links() {
        let world = World::new();
        fs::create_dir(world.path("docker")).unwrap();
        symlink("../real/there.json", world.path("docker/config.json")).unwrap();
        file(&world).keep("r.io", &basic("u", "p")).unwrap();
        world.write("real/there.json", &world.read("real/there.json"));
        fs::set_permissions(world.path("real/there.json"), fs::Permissions::from_mode(0o644)).unwrap();
        file(&world).keep("s.io", &basic("u", "p")).unwrap();
        assert!(world.path("docker/config.json").is_symlink());
        assert_eq!(mode(&world.path("real/there.json")), 0o600);
        assert!(found(&world, "r.io").is_some() && found(&world, "s.io").is_some());
        symlink("loop", world.path("loop")).unwrap();
        let lost = CredentialFile::new(world.path("loop"), world.helpers());
        assert!(matches!(lost.forget("r.io"), Err(KeychainError::Io { .. })));
    }

    #[test]
    fn a_malformed_file_is_left_alone() {
        let world = World::new();
        for text in ["{\"auths\": ", "{\"auths\": []}", "[]"] {
            world.write("docker/config.json", text);
            assert!(file(&world).keep("r.io", &basic("u", "p")).is_err(), "{text}");
            assert_eq!(world.read("docker/config.json"), text);
        }
    }

    #[test]
    fn none_of_many_at_once_is_lost() {
        let world = World::new();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = file(&world);
                scope.spawn(move || file.keep(&format!("r{n}.io"), &basic("u", "p")).unwrap());
            }
        });
        assert!((0..8).all(|n| found(&world, &format!("r{n}.io")).is_some()));
    }
}
