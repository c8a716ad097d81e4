//! The environment, read once and here only, so that nothing below can depend on it unsaid.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variables that lith looks at.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub(crate) fn read() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// The value of a variable that is set, not empty, and text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(std::ffi::OsStr::new(name))?.to_str().filter(|value| !value.is_empty())
    }

    /// The value of a variable that is set, whatever it is.
    pub(crate) fn raw(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt as _;
        self.variables.get(std::ffi::OsStr::new(name)).map(|value| value.as_bytes().to_vec())
    }

    /// The folder for a user's data (XDG Base Directory Specification): a relative `XDG_DATA_HOME` is ignored.
    pub(crate) fn data_home(&self) -> Option<PathBuf> {
        self.absolute("XDG_DATA_HOME").or_else(|| self.home(".local/share"))
    }

    /// lith's configuration file, and whether it was named: then it has to be there.
    pub(crate) fn lith_config(&self) -> Option<(PathBuf, bool)> {
        let named = self.get("LITH_CONFIG").map(|path| (path.into(), true));
        named.or_else(|| Some((self.config_home()?.join("lith/config.toml"), false)))
    }

    /// docker's configuration file.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        let folder = self.get("DOCKER_CONFIG").map(PathBuf::from).or_else(|| self.home(".docker"));
        folder.map(|folder| folder.join("config.json"))
    }

    /// Where credentials may be, docker's file first, then containers' (containers-auth.json(5)).
    pub(crate) fn credential_files(&self) -> Vec<PathBuf> {
        let containers = |folder: PathBuf| folder.join("containers/auth.json");
        let runtime = self.absolute("XDG_RUNTIME_DIR").map(containers);
        let files = [
            self.docker_config(),
            self.get("REGISTRY_AUTH_FILE").map(PathBuf::from),
            runtime.or_else(|| {
                Some(format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw()).into())
            }),
            self.config_home().map(containers),
        ];
        files.into_iter().flatten().collect()
    }

    pub(crate) fn credential_helpers(&self) -> lith::transport::registry::Helpers {
        lith::transport::registry::Helpers::new(self.get("PATH").unwrap_or_default(), self.for_helpers())
    }

    /// Folders with registries' certificates: docker's and containers'.
    pub(crate) fn certs_d(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = vec!["/etc/docker/certs.d".into(), "/etc/containers/certs.d".into()];
        folders.extend(self.config_home().map(|folder| folder.join("containers/certs.d")));
        folders
    }

    /// The folder for a user's settings (XDG Base Directory Specification).
    fn config_home(&self) -> Option<PathBuf> {
        self.absolute("XDG_CONFIG_HOME").or_else(|| self.home(".config"))
    }

    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn home(&self, inside: &str) -> Option<PathBuf> {
        self.absolute("HOME").map(|home| home.join(inside))
    }

    /// The folder for temporary files.
    pub(crate) fn temp(&self) -> PathBuf {
        self.get("TMPDIR").unwrap_or("/tmp").into()
    }

    /// How URLs are fetched.
    pub(crate) fn http(&self) -> lith::http::Http {
        let either = |upper: &str, lower: &str| self.get(lower).or_else(|| self.get(upper)).map(Into::into);
        lith::http::Http {
            // Upper case is left out, as a request's header could set it where programs run behind a web server.
            http_proxy: self.get("http_proxy").map(Into::into),
            https_proxy: either("HTTPS_PROXY", "https_proxy"),
            no_proxy: either("NO_PROXY", "no_proxy"),
            ..lith::http::Http::default()
        }
    }

    /// Those that helper programs such as git are started with, and no others.
    pub(crate) fn for_helpers(&self) -> Vec<(OsString, OsString)> {
        const PASSED: [&str; 11] = [
            "PATH",
            "HOME",
            "SSH_AUTH_SOCK",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "XDG_RUNTIME_DIR",
            "DOCKER_HOST",
        ];
        let passed = |name: &str| self.variables.get_key_value(std::ffi::OsStr::new(name));
        PASSED.iter().filter_map(|name| passed(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment { variables: pairs.iter().map(|(k, v)| (k.into(), v.into())).collect() }
    }

    #[test]
    fn the_data_folder_follows_xdg() {
        assert_eq!(environment(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]).data_home(), Some("/x".into()));
        assert_eq!(
            environment(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]).data_home(),
            Some("/h/.local/share".into())
        );
        assert_eq!(environment(&[("HOME", "")]).data_home(), None);
    }

    #[test]
    fn credentials_are_looked_for_where_docker_and_containers_keep_them() {
        let files = environment(&[
            ("DOCKER_CONFIG", "/d"),
            ("HOME", "/h"),
            ("REGISTRY_AUTH_FILE", "/a.json"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("XDG_CONFIG_HOME", "/c"),
        ]);
        let expected = ["/d/config.json", "/a.json", "/r/containers/auth.json", "/c/containers/auth.json"];
        assert_eq!(files.credential_files(), expected.map(PathBuf::from));
        let files = environment(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]).credential_files();
        let expected =
            ["/h/.docker/config.json", "/r/containers/auth.json", "/h/.config/containers/auth.json"];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[test]
    fn the_configuration_file_may_be_named() {
        let named = environment(&[("LITH_CONFIG", "x.toml"), ("HOME", "/h")]);
        assert_eq!(named.lith_config(), Some(("x.toml".into(), true)));
        let default = Some(("/h/.config/lith/config.toml".into(), false));
        assert_eq!(environment(&[("HOME", "/h")]).lith_config(), default);
        assert_eq!(environment(&[]).lith_config(), None);
    }

    #[test]
    fn helpers_get_what_they_need_alone() {
        let passed = environment(&[("PATH", "/bin"), ("AWS_SECRET_ACCESS_KEY", "s")]).for_helpers();
        assert_eq!(passed, [("PATH".into(), "/bin".into())]);
    }
}
