//! Debian's docker-registry, on loopback, over TLS with an authority of its own.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::programs::find;
use super::registry::tls::Authority;
use super::token_server::TokenServer;

/// `crypt` of [`super::registry::PASSWORD`] for [`super::registry::USER`]: docker-registry takes bcrypt only.
const HTPASSWD: &str = "tester:$2y$05$lithlithlithlithlithlu0/H0e.Gs4TrjLyrbzYCMQPgCXEZssq6\n";
const SERVICE: &str = "docker-registry of the tests";

/// Who may use it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Htpasswd,
    Token,
}

/// A running docker-registry; it ends with this value.
pub(crate) struct DockerRegistry {
    dir: tempfile::TempDir,
    program: PathBuf,
    address: SocketAddr,
    child: Child,
    tokens: Option<TokenServer>,
}

impl DockerRegistry {
    /// `None` if it is not installed, after saying so.
    pub(crate) fn start(access: Access, what: &str) -> Option<Self> {
        let program = find("docker-registry", what)?;
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let identity = authority.loopback();
        std::fs::write(dir.path().join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(dir.path().join("registry.crt"), identity.certificate_pem()).unwrap();
        std::fs::write(dir.path().join("registry.key"), identity.key_pem()).unwrap();
        std::fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        let tokens = (access == Access::Token).then(|| TokenServer::start(&identity, &authority, SERVICE));
        let address = free_address();
        let child =
            Self::spawn(&program, dir.path(), address, &config(dir.path(), address, true, tokens.as_ref()));
        Some(Self { dir, program, address, child, tokens })
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The file with the authority that signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A folder with nothing but [`Self::ca`], as skopeo's `--cert-dir` wants it.
    pub(crate) fn cert_dir(&self) -> PathBuf {
        let folder = self.dir.path().join("certs");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(self.ca(), folder.join("ca.crt")).unwrap();
        folder
    }

    /// How often the token server gave a token.
    pub(crate) fn tokens_given(&self) -> usize {
        self.tokens.as_ref().map_or(0, TokenServer::given)
    }

    /// Kills it and starts it anew, on the same port and storage. It knows its uploads again only with `secret`.
    pub(crate) fn restart(&mut self, secret: bool) {
        self.stop();
        let config = config(self.dir.path(), self.address, secret, self.tokens.as_ref());
        self.child = Self::spawn(&self.program, self.dir.path(), self.address, &config);
    }

    fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// The digests that a repository has as blobs or manifests, sorted.
    pub(crate) fn committed(&self, repository: &str) -> Vec<String> {
        let repository = self.dir.path().join("storage/docker/registry/v2/repositories").join(repository);
        let mut found = names(&repository.join("_layers/sha256"));
        found.extend(names(&repository.join("_manifests/revisions/sha256")));
        found.retain(|hex| self.blob(hex).is_file());
        found.sort();
        found.into_iter().map(|hex| format!("sha256:{hex}")).collect()
    }

    /// The digests that were committed by uploads, in order: each as often as it was.
    pub(crate) fn commits(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
        let digest = |line: &str| {
            let (_, rest) = line.split_once("\"PUT ")?;
            let (target, rest) = rest.split_once(" HTTP/")?;
            let query = target.contains("/blobs/uploads/").then(|| target.split_once("digest=")).flatten()?.1;
            let status = rest.split_whitespace().nth(1)?;
            let digest = query.split('&').next()?.replace("%3A", ":");
            (status == "201").then_some(digest)
        };
        log.lines().filter_map(digest).collect()
    }

    /// The file of a blob or manifest.
    pub(crate) fn blob(&self, hex: &str) -> PathBuf {
        let blobs = self.dir.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    #[track_caller]
    fn spawn(program: &Path, dir: &Path, address: SocketAddr, config: &str) -> Child {
        let file = dir.join("config.yml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut child = Command::new(program)
            .arg("serve")
            .arg(file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "docker-registry ended: {ended:?}\n{}", log());
            assert!(start.elapsed() < Duration::from_secs(20), "docker-registry does not listen\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Below the ports that outgoing connections get: none of them may have it while the registry restarts.
fn free_address() -> SocketAddr {
    let random = || SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(20_000..32_000)));
    std::iter::repeat_with(random).find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

fn config(dir: &Path, address: SocketAddr, secret: bool, tokens: Option<&TokenServer>) -> String {
    let dir = dir.display();
    let mut text = format!(
        "version: 0.1\n\
         log: {{ level: warn }}\n\
         storage: {{ filesystem: {{ rootdirectory: {dir}/storage }}, delete: {{ enabled: true }} }}\n\
         http:\n  addr: {address}\n  tls: {{ certificate: {dir}/registry.crt, key: {dir}/registry.key }}\n"
    );
    if secret {
        text += "  secret: kept over restarts\n";
    }
    match tokens {
        None => writeln!(text, "auth: {{ htpasswd: {{ realm: tests, path: {dir}/htpasswd }} }}"),
        Some(tokens) => {
            let (realm, issuer) = (tokens.realm(), TokenServer::ISSUER);
            let bundle = format!("rootcertbundle: {dir}/ca.crt");
            writeln!(
                text,
                "auth: {{ token: {{ realm: '{realm}', service: {SERVICE}, issuer: {issuer}, {bundle} }} }}"
            )
        }
    }
    .unwrap();
    text
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
