//! The keychain of docker's and containers' files. A file is read, and a helper asked, when somebody first wants to
//! know, and once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{AuthFile, Credential, Helpers, Keychain, KeychainError, helper, server};
use crate::store::files::read_bounded;
use crate::text::shown;

/// A file has an entry for each registry somebody ever logged in to.
pub(super) const MAX_FILE: u64 = 4 << 20;

/// Files of credentials, the first that knows a registry being the one that counts.
#[derive(Debug)]
pub struct CredentialFiles {
    files: Vec<PathBuf>,
    helpers: Helpers,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<PathBuf, Arc<AuthFile>>,
    /// What helpers said, by their name and the registry.
    asked: BTreeMap<(String, String), Option<Credential>>,
}

impl CredentialFiles {
    /// Files that aren't there are passed over.
    pub fn new(files: Vec<PathBuf>, helpers: Helpers) -> Self {
        Self { files, helpers, known: Mutex::default() }
    }

    /// The file that knows a credential for the repository, or that names the helper which does.
    pub fn whence(&self, registry: &str, repository: &str) -> Result<Option<&Path>, KeychainError> {
        Ok(self.look(registry, repository)?.map(|(path, _)| path))
    }

    fn look(&self, registry: &str, repository: &str) -> Result<Option<(&Path, Credential)>, KeychainError> {
        // Held while a helper is asked: nobody is to unlock a keyring twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &self.files {
            if let Some(found) = self.look_in(path, registry, repository, &mut known)? {
                log::info!("`{}` has a credential for `{}`", path.display(), shown(registry));
                return Ok(Some((path, found)));
            }
        }
        log::debug!("there is no credential for `{}`", shown(registry));
        Ok(None)
    }

    fn look_in(
        &self,
        path: &Path,
        registry: &str,
        repository: &str,
        known: &mut Known,
    ) -> Result<Option<Credential>, KeychainError> {
        let file = match known.files.get(path) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::new(load(path)?);
                known.files.insert(path.to_owned(), Arc::clone(&file));
                file
            }
        };
        if let Some(name) = file.helper(registry)
            && let Some(found) = self.ask(path, name, registry, &mut known.asked)?
        {
            return Ok(Some(found));
        }
        Ok(file.find(registry, repository).cloned())
    }

    fn ask(
        &self,
        path: &Path,
        name: &str,
        registry: &str,
        asked: &mut BTreeMap<(String, String), Option<Credential>>,
    ) -> Result<Option<Credential>, KeychainError> {
        check_helper(path, name)?;
        let question = (name.to_owned(), server::canonical(registry));
        if let Some(answer) = asked.get(&question) {
            return Ok(answer.clone());
        }
        let mut answer = None;
        for server in server::names_for_helpers(registry) {
            answer = self.helpers.get(name, &server)?;
            if answer.is_some() {
                break;
            }
        }
        asked.insert(question, answer.clone());
        Ok(answer)
    }
}

impl Keychain for CredentialFiles {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, KeychainError> {
        Ok(self.look(registry, repository)?.map(|(_, credential)| credential))
    }
}

pub(super) fn check_helper(path: &Path, name: &str) -> Result<(), KeychainError> {
    if helper::is_name(name) {
        return Ok(());
    }
    Err(KeychainError::HelperName { path: path.into(), name: shown(name) })
}

fn load(path: &Path) -> Result<AuthFile, KeychainError> {
    let Some(bytes) = read(path)? else { return Ok(AuthFile::default()) };
    let malformed = |error| KeychainError::Malformed { path: path.into(), error };
    let file = AuthFile::parse(&bytes).map_err(malformed)?;
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if file.has_secrets() && mode & 0o044 != 0 {
        log::warn!(
            "`{}` has passwords and others may read it (mode {:03o}): `chmod 600` keeps them out",
            path.display(),
            mode & 0o777
        );
    }
    Ok(file)
}

/// The file's bytes, if there is one. `/dev/null` is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, KeychainError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device()) {
        return Ok(None);
    }
    match read_bounded(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(KeychainError::io("reading", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn user(found: Result<Option<Credential>, KeychainError>) -> Option<String> {
        match found.unwrap()? {
            Credential::Basic { user, .. } => Some(user),
            _ => None,
        }
    }

    fn auths(entries: &[(&str, &str)]) -> String {
        let entries: Vec<String> = entries
            .iter()
            .map(|(key, user)| format!(r#""{key}": {{"username": "{user}", "password": "p"}}"#))
            .collect();
        format!(r#"{{"auths": {{{}}}}}"#, entries.join(","))
    }

    #[test]
    fn the_first_file_that_knows_a_registry_counts() {
        let world = World::new();
        let files = vec![
            world.write("docker.json", &auths(&[("a.io", "first")])),
            world.path("missing.json"),
            "/dev/null".into(),
            world.write("auth.json", &auths(&[("a.io", "second"), ("a.io/x", "x"), ("b.io/team", "team")])),
        ];
        let keychain = CredentialFiles::new(files, world.helpers());
        assert_eq!(user(keychain.find("a.io", "x")), Some("first".into()));
        assert_eq!(user(keychain.find("b.io", "team/app")), Some("team".into()));
        assert_eq!(user(keychain.find("b.io", "other")), None);
        assert_eq!(keychain.whence("b.io", "team").unwrap(), Some(&*world.path("auth.json")));
    }

    #[test]
    fn a_helper_comes_before_the_file_and_is_asked_once() {
        let world = World::new();
        world.helper(
            "test",
            r#"read -r server || true; echo "$server" >>"$DIR/asked"
            case $server in
            docker.io) echo '{"Username":"hub","Secret":"s"}';;
            *) echo 'credentials not found in native keychain'; exit 1;;
            esac"#,
        );
        let text = auths(&[("b.io", "file")]).replacen('{', r#"{"credsStore": "test","#, 1);
        let keychain = CredentialFiles::new(vec![world.write("config.json", &text)], world.helpers());
        for _ in 0..2 {
            assert_eq!(user(keychain.find("docker.io", "library/alpine")), Some("hub".into()));
            assert_eq!(user(keychain.find("b.io", "x")), Some("file".into()));
            assert_eq!(user(keychain.find("c.io", "x")), None);
        }
        assert_eq!(world.read("asked"), "https://index.docker.io/v1/\ndocker.io\nb.io\nc.io\n");
    }

    #[test]
    fn nothing_is_looked_at_before_it_is_needed_nor_after_it_is_known() {
        let world = World::new();
        let good = world.write("good.json", &auths(&[("a.io", "u")]));
        let bad = world.write("bad.json", "{\n\"auths\": secret}");
        let keychain = CredentialFiles::new(vec![good.clone(), bad.clone()], world.helpers());
        assert_eq!(user(keychain.find("a.io", "x")), Some("u".into()));
        fs::write(good, "{}").unwrap();
        assert_eq!(user(keychain.find("a.io", "x")), Some("u".into()));
        let error = keychain.find("b.io", "x").unwrap_err().to_string();
        assert_eq!(error, format!("`{}`, line 2: it is not JSON", bad.display()));
    }

    #[test]
    fn what_is_there_and_cannot_be_used_is_an_error() {
        let world = World::new();
        fs::create_dir(world.path("folder.json")).unwrap();
        let keychain = CredentialFiles::new(vec![world.path("folder.json")], world.helpers());
        let error = keychain.find("a.io", "x").unwrap_err().to_string();
        assert!(error.starts_with("reading the credentials in `"), "{error}");
        let path = world.write("config.json", r#"{"credHelpers": {"a.io": "../evil"}}"#);
        let keychain = CredentialFiles::new(vec![path], world.helpers());
        assert!(matches!(keychain.find("a.io", "x"), Err(KeychainError::HelperName { .. })));
        assert_eq!(keychain.find("b.io", "x").unwrap(), None);
    }
}
