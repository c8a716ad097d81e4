//! How registries are reached and who lith is there: environment, configuration file, options, files of credentials.

use std::path::PathBuf;
use std::sync::Arc;

use lith::http::{Http, Trust};
use lith::store::Store;
use lith::transport::registry::{
    CredentialFile, CredentialFiles, HostSettings, MovePolicy, PushOptions, Registries, Retry, Settings,
    registry_name,
};

use super::World;
use super::config::Config;
use super::error::Hinted;
use super::login::FileArg;

/// The options of all subcommands that talk to registries.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Args {
    /// Trust the certificate authorities in FILE (PEM), too; may be repeated
    #[arg(long, global = true, value_name = "FILE")]
    ca: Vec<PathBuf>,

    /// Speak plain http with this registry; may be repeated
    #[arg(long, global = true, value_name = "HOST[:PORT]", value_parser = parse_host)]
    insecure: Vec<String>,
}

fn parse_host(text: &str) -> Result<String, String> {
    registry_name(text).ok_or_else(|| "expected the name of a registry: a host with a dot or a port".into())
}

impl World {
    /// The way to registries.
    pub(super) fn registries(&self) -> anyhow::Result<Registries> {
        Ok(Registries::new(self.settings()?, Arc::new(self.credential_files())))
    }

    /// The way to all else, which is met with the same certificate authorities.
    pub(super) fn http(&self) -> anyhow::Result<Http> {
        let config = self.config()?;
        let own = |(name, host): (String, HostSettings)| Some((name, host.ca?));
        let hosts = config.hosts().into_iter().filter_map(own).collect();
        let trust = Trust { all: self.authorities(config), hosts };
        Ok(Http { trust, ..self.environment.http() })
    }

    fn authorities(&self, config: &Config) -> Vec<PathBuf> {
        [&config.ca[..], &self.registry_args.ca].concat()
    }

    /// How to push to a registry: any tag may move to another digest, if that is asked for, or those that are known to.
    pub(super) fn push_options(
        &self,
        registry: &str,
        move_tag: bool,
        store: &Store,
    ) -> anyhow::Result<PushOptions> {
        let moving = MovePolicy { any: move_tag, tags: self.config()?.moving_tags(registry).to_vec() };
        Ok(PushOptions { moving, uploads: Some(store.uploads_folder()) })
    }

    /// The keychain of this user.
    pub(super) fn credential_files(&self) -> CredentialFiles {
        CredentialFiles::new(self.environment.credential_files(), self.environment.credential_helpers())
    }

    /// The file of credentials that `login` and `logout` change.
    pub(super) fn credential_file(&self, arg: &FileArg) -> anyhow::Result<CredentialFile> {
        let path = arg.authfile.clone().or_else(|| self.environment.docker_config()).ok_or_else(|| {
            Hinted::new("there is no place for credentials: neither DOCKER_CONFIG nor HOME is set")
                .hint("name a file with `--authfile FILE`")
        })?;
        Ok(CredentialFile::new(path, self.environment.credential_helpers()))
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let config = self.config()?;
        let mut settings = Settings {
            http: self.environment.http(),
            hosts: config.hosts(),
            ca: self.authorities(config),
            retry: Retry::default(),
            certs_d: config.certs_d.clone().unwrap_or_else(|| self.environment.certs_d()),
        };
        for host in &self.registry_args.insecure {
            settings.hosts.entry(host.clone()).or_default().insecure = true;
        }
        Ok(settings)
    }

    /// The configuration file, read when it is first needed.
    fn config(&self) -> anyhow::Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = match self.environment.lith_config() {
            Some((path, named)) => Config::read(&path, named)?,
            None => Config::default(),
        };
        Ok(self.config.get_or_init(|| config))
    }
}
