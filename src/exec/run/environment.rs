//! A step's environment: the Buildfile's variables and a few that are always there, and nothing of the machine's.

use std::collections::BTreeMap;

use crate::oci::Epoch;
use crate::plan::{MountKind, Run};
use crate::sandbox::Hidden;

/// As other builders have it where an image says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What counts: two steps with other variables are other steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of the image and the arguments in scope, used by the command or not: a program can read them
    /// unseen. Where they say nothing of it: `PATH`, `HOME` by passwd, `SOURCE_DATE_EPOCH`, the ssh agent's socket.
    pub(super) fn new(run: &Run, home: &str, epoch: Epoch) -> Self {
        let pair = |pair: &String| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (pair.clone(), String::new()),
        };
        let mut pairs: BTreeMap<String, String> = run.env.iter().map(pair).collect();
        let mut default = |name: &str, value: String| _ = pairs.entry(name.into()).or_insert(value);
        default("PATH", PATH.into());
        default("HOME", home.into());
        default("SOURCE_DATE_EPOCH", epoch.to_string());
        if let Some(mount) = run.mounts.iter().find(|mount| matches!(mount.kind, MountKind::Ssh { .. })) {
            default("SSH_AUTH_SOCK", mount.target.clone());
        }
        Self(pairs)
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As it is in a step whose network is locked.
    pub(super) fn locked(&self) -> Self {
        let mut pairs = self.0.clone();
        crate::proxy::set(&mut pairs);
        Self(pairs)
    }

    /// All that the program gets: with proxies where nothing is said of them, and secrets, which win.
    pub(super) fn whole(&self, proxies: &[String], secrets: &[(String, Hidden)]) -> Vec<(Vec<u8>, Hidden)> {
        let hidden = |value: &str| Hidden(value.as_bytes().to_vec());
        let mut all: BTreeMap<&str, Hidden> =
            self.pairs().map(|(name, value)| (name, hidden(value))).collect();
        for (name, value) in proxies.iter().filter_map(|pair| pair.split_once('=')) {
            all.entry(name).or_insert_with(|| hidden(value));
        }
        all.extend(secrets.iter().map(|(name, value)| (name.as_str(), value.clone())));
        all.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::plan::Mount;

    fn environment(env: &[&str]) -> Environment {
        let run = Run { env: env.iter().map(|pair| (*pair).into()).collect(), ..run("true") };
        Environment::new(&run, "/home/me", Epoch::from_seconds(7).unwrap())
    }

    #[test]
    fn what_is_not_said_is_added() {
        let found = environment(&["A=1=2", "B="]);
        let pairs: Vec<_> = found.pairs().collect();
        assert_eq!(
            pairs,
            [("A", "1=2"), ("B", ""), ("HOME", "/home/me"), ("PATH", PATH), ("SOURCE_DATE_EPOCH", "7")]
        );
        let found = environment(&["HOME=/h", "PATH=", "SOURCE_DATE_EPOCH=1"]);
        let pairs: Vec<_> = found.pairs().collect();
        assert_eq!(pairs, [("HOME", "/h"), ("PATH", ""), ("SOURCE_DATE_EPOCH", "1")]);
    }

    #[test]
    fn the_first_agent_is_named() {
        let mut run = run("true");
        for target in ["/run/a", "/run/b"] {
            let kind = MountKind::Ssh { id: "x".into(), required: false, mode: 0o600, uid: 0, gid: 0 };
            run.mounts.push(Mount { kind, target: target.into(), read_only: true });
        }
        let found = Environment::new(&run, "/", Epoch::default());
        assert!(found.pairs().any(|pair| pair == ("SSH_AUTH_SOCK", "/run/a")));
    }

    #[test]
    fn proxies_fill_and_secrets_win() {
        let proxies = ["A=no".into(), "http_proxy=p".into()];
        let whole = environment(&["A=1", "B=2"]).whole(&proxies, &[("B".into(), Hidden(b"s".to_vec()))]);
        let value = |name: &str| {
            let found = whole.iter().find(|(n, _)| n == name.as_bytes());
            String::from_utf8(found.unwrap().1.0.clone()).unwrap()
        };
        assert_eq!((value("A"), value("B"), value("http_proxy")), ("1".into(), "s".into(), "p".into()));
    }
}
