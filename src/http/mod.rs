//! What every request over HTTP has in common: proxies, TLS, patience, and that no secret is shown. What is asked
//! for, and what is believed of the answer, is the matter of those who ask.

mod address;
mod guard;
mod origin;
mod secret;
pub(crate) mod trust;
mod url;

use std::fmt;
use std::time::Duration;

use ureq::config::{Config, ConfigBuilder, RedirectAuthHeaders};
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;

pub(crate) use address::{Class, is_proxy};
#[cfg(test)]
pub(crate) use guard::tests::dials_this_machine;
pub(crate) use guard::{Unresolved, guarded, is_refused};
pub(crate) use origin::Origin;
pub use secret::{Credentials, decode, shown, split};
pub use trust::Trust;
pub use url::{Url, encode};

/// How to ask.
#[derive(Clone)]
pub struct Http {
    /// For URLs of the scheme, as `http://[user:password@]host[:port]`.
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    /// Hosts to ask directly, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// How long to wait for a connection, and then for each piece of the answer.
    pub patience: Duration,
    /// Who vouches for hosts beside those that the system trusts.
    pub trust: Trust,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = |proxy: &Option<String>| proxy.as_deref().map(shown);
        f.debug_struct("Http")
            .field("http_proxy", &proxy(&self.http_proxy))
            .field("https_proxy", &proxy(&self.https_proxy))
            .field("no_proxy", &self.no_proxy)
            .field("patience", &self.patience)
            .field("trust", &self.trust)
            .finish()
    }
}

impl Default for Http {
    fn default() -> Self {
        let (http_proxy, https_proxy, no_proxy) = (None, None, None);
        Self { http_proxy, https_proxy, no_proxy, patience: Duration::from_secs(60), trust: Trust::default() }
    }
}

/// Why no request can be made at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    #[error("`{url}`: expected an http or https URL")]
    Scheme { url: String },
    #[error("the proxy `{proxy}` is not of the form `http://host:port`")]
    Proxy { proxy: String },
    #[error("the certificate authorities in `{path}`: {why}")]
    Certificate { path: String, why: String },
}

impl Http {
    /// The settings of an agent that asks for URLs like this one. Statuses are no errors, and credentials do not
    /// follow redirects.
    pub fn config(&self, url: &str) -> Result<ConfigBuilder<AgentScope>, HttpError> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let proxy = match scheme.as_deref() {
            Some("http") => &self.http_proxy,
            Some("https") => &self.https_proxy,
            _ => return Err(HttpError::Scheme { url: shown(url) }),
        };
        let roots = self.trust.roots(url)?;
        Ok(Config::builder()
            .proxy(self.proxy(proxy.as_deref())?)
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .timeout_per_write(Some(self.patience))
            .user_agent("lith"))
    }

    /// The library would take the environment's, had it none from us.
    fn proxy(&self, proxy: Option<&str>) -> Result<Option<ureq::Proxy>, HttpError> {
        let Some(text) = proxy.filter(|text| !text.is_empty()) else { return Ok(None) };
        let fail = |_| HttpError::Proxy { proxy: shown(text) };
        let parsed = ureq::Proxy::new(text).map_err(fail)?;
        let mut builder = ureq::Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
        if let Some(user) = parsed.username() {
            builder = builder.username(user).password(parsed.password().unwrap_or_default());
        }
        for host in self.no_proxy.iter().flat_map(|list| list.split(',')).map(str::trim) {
            if !host.is_empty() {
                builder = builder.no_proxy(host);
            }
        }
        builder.build().map(Some).map_err(fail)
    }
}
