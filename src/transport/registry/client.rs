//! From a question to its answer.

use ureq::http::{Method, Request};

use super::answer::Answer;
use super::call::{Body, Call, To};
use super::complaint::Complaint;
use super::{Registries, RegistryError};
use crate::http::Url;
use crate::text;

impl Registries {
    /// Asks, and gives the answer if it is one of success or an expected one.
    pub(super) fn call(&self, mut call: Call<'_>) -> Result<Answer, RegistryError> {
        let host = match &*call.repository.registry {
            "docker.io" => "registry-1.docker.io".to_owned(),
            other => other.to_owned(),
        };
        let url = match &call.to {
            To::Path(path) => {
                let probe =
                    Url::new(true, &host, "/").ok_or_else(|| RegistryError::Host { host: host.clone() })?;
                Url::new(!probe.names_loopback(), &host, &format!("/v2/{}/{path}", call.repository.name))
            }
            To::Location(url) => Url::parse(url),
        };
        let url = url.ok_or_else(|| RegistryError::Host { host: host.clone() })?;
        let agent = ureq::Agent::from(self.settings.http.config(&url.text())?.build());
        let fail = |error: ureq::Error| RegistryError::Connect {
            doing: call.doing.clone(),
            host: host.clone(),
            why: text::shown(&error),
        };
        let mut request = Request::builder().method(call.method.clone()).uri(url.text());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let bare = [Method::GET, Method::HEAD, Method::DELETE].contains(&call.method);
        let response = match &mut call.body {
            Body::Empty if bare => agent.run(request.body(()).map_err(|e| fail(e.into()))?),
            Body::Empty => agent.run(request.body(&[] as &[u8]).map_err(|e| fail(e.into()))?),
            Body::Bytes(bytes) => agent.run(request.body(*bytes).map_err(|e| fail(e.into()))?),
            Body::Reader { length, reader } => {
                let request = request.header("content-length", length.to_string());
                agent.run(request.body(ureq::SendBody::from_reader(*reader)).map_err(|e| fail(e.into()))?)
            }
        };
        let (head, body) = response.map_err(fail)?.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        let mut answer = Answer { status, headers, url, body: Box::new(body.into_reader()) };
        if answer.is_success() || call.expected.contains(&answer.status) {
            return Ok(answer);
        }
        let complaint = Complaint::of(&mut answer);
        let doing = call.doing;
        Err(match complaint.status {
            401 => RegistryError::Unauthorized { doing, host, credential: false, complaint },
            403 => RegistryError::Denied { doing, host, complaint },
            404 => RegistryError::NotFound { doing, host, complaint },
            _ => RegistryError::Status { doing, host, complaint },
        })
    }
}
