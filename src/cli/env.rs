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
        let absolute = |name| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
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
    fn helpers_get_what_they_need_alone() {
        let passed = environment(&[("PATH", "/bin"), ("AWS_SECRET_ACCESS_KEY", "s")]).for_helpers();
        assert_eq!(passed, [("PATH".into(), "/bin".into())]);
    }
}
