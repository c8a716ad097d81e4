//! What went wrong with one try, before it is known what it was tried for.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use super::answer::Answer;
use super::retry::{Tries, is_passing, retry_after};
use super::{Complaint, RegistryError};
use crate::http::{Unresolved, Url, is_refused};
use crate::text;

#[derive(Debug)]
pub(super) struct Fault {
    kind: Kind,
    /// Who it is about, if not the registry: its token server.
    host: Option<String>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// `broken` if there was a connection.
    Connect {
        why: String,
        broken: bool,
    },
    /// A name stands for no address.
    Unresolved {
        name: String,
        why: String,
    },
    Tls {
        why: String,
        fault: TlsFault,
    },
    Timeout(Duration),
    /// What is sent could not be read.
    Body(io::Error),
    Guarded(Url),
    Redirect(String),
    Protocol(String),
    Answered {
        complaint: Complaint,
        credential: bool,
        after: Option<Duration>,
    },
    Interrupted {
        sent: u64,
        why: String,
    },
    Ready(RegistryError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsFault {
    /// What answers is something else.
    NotSpoken,
    Certificate,
    Other,
}

impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self { kind, host: None }
    }
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        Kind::Ready(error).into()
    }
}

impl Fault {
    /// An answer that nobody wanted. `credential` if one was shown.
    pub(super) fn answered(answer: &mut Answer, credential: bool) -> Self {
        let after = retry_after(&answer.headers);
        Kind::Answered { complaint: Complaint::of(answer), credential, after }.into()
    }

    /// What the HTTP library has to say. `url` is what was asked.
    pub(super) fn failed(error: ureq::Error, url: &Url, patience: Duration) -> Self {
        let why = text::shown(&error);
        let kind = match error {
            ureq::Error::Timeout(_) => Kind::Timeout(patience),
            ureq::Error::Io(error) => io_kind(&error, patience),
            ureq::Error::Rustls(error) => Kind::Tls { fault: tls_fault(&error), why: text::shown(&error) },
            ureq::Error::Tls(_) | ureq::Error::TlsRequired | ureq::Error::Pem(_) => {
                Kind::Tls { why, fault: TlsFault::Other }
            }
            error if is_refused(&error) => Kind::Guarded(url.clone()),
            ureq::Error::Other(error) => match error.downcast::<Unresolved>() {
                Ok(found) => Kind::Unresolved { name: text::shown(&found.host), why: text::shown(&found) },
                Err(_) => Kind::Protocol(why),
            },
            ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => {
                Kind::Connect { why, broken: false }
            }
            _ => Kind::Protocol(why),
        };
        kind.into()
    }

    /// That it is about another host.
    pub(super) fn at(mut self, host: &str) -> Self {
        self.host.get_or_insert_with(|| host.to_owned());
        self
    }

    /// Whether asking again may help.
    pub(super) fn is_passing(&self) -> bool {
        match &self.kind {
            Kind::Connect { .. } | Kind::Unresolved { .. } | Kind::Timeout(_) => true,
            Kind::Answered { complaint, .. } => is_passing(complaint.status),
            _ => false,
        }
    }

    /// How long to wait before it is asked again, `None` to give up. A name that doesn't resolve is most likely mistyped,
    /// or there is no network: one more try is for a lookup that got lost.
    pub(super) fn pause(&self, tries: &mut Tries<'_>) -> Option<Duration> {
        let again = self.is_passing() && !(matches!(self.kind, Kind::Unresolved { .. }) && tries.made() > 0);
        if again { tries.failed(self.after()) } else { None }
    }

    /// Whether the host itself is out of order.
    pub(super) fn is_down(&self) -> bool {
        matches!(
            self.kind,
            Kind::Connect { .. } | Kind::Unresolved { .. } | Kind::Timeout(_) | Kind::Tls { .. }
        )
    }

    /// Whether a host that was asked over https seems not to speak it: another language, or none.
    pub(super) fn is_no_tls(&self) -> bool {
        let other = matches!(self.kind, Kind::Tls { fault: TlsFault::NotSpoken, .. });
        other || matches!(self.kind, Kind::Connect { broken: true, .. })
    }

    /// What the server asks to wait.
    pub(super) fn after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Answered { after, .. } => *after,
            _ => None,
        }
    }

    /// The same in the middle of a body that can't be sent again.
    pub(super) fn interrupted(self, sent: u64) -> Self {
        let host = self.host;
        let why = match self.kind {
            Kind::Connect { why, .. } | Kind::Unresolved { why, .. } => why,
            Kind::Timeout(patience) => format!("nothing came for {} seconds", patience.as_secs_f32()),
            Kind::Answered { complaint, .. } => format!("it answered {complaint}"),
            kind => return Self { kind, host },
        };
        Self { kind: Kind::Interrupted { sent, why }, host }
    }

    pub(super) fn into_error(self, doing: &str, host: &str) -> RegistryError {
        let (doing, host) = (doing.to_owned(), self.host.unwrap_or_else(|| host.to_owned()));
        match self.kind {
            Kind::Connect { why, .. } => RegistryError::Connect { doing, host, why },
            Kind::Unresolved { name, why } => RegistryError::Unresolved { doing, host: name, why },
            Kind::Tls { why, fault } => {
                RegistryError::Tls { doing, host, certificate: fault == TlsFault::Certificate, why }
            }
            Kind::Timeout(patience) => RegistryError::Timeout { doing, host, patience },
            Kind::Body(error) => RegistryError::Body { doing, error },
            Kind::Guarded(url) => RegistryError::Guarded { doing, host, to: url.to_string() },
            Kind::Redirect(why) => RegistryError::Redirect { doing, host, why },
            Kind::Protocol(why) => RegistryError::Protocol { doing, host, why },
            Kind::Interrupted { sent, why } => RegistryError::Interrupted { doing, host, sent, why },
            Kind::Answered { complaint, credential, .. } => match complaint.status {
                401 => RegistryError::Unauthorized { doing, host, credential, complaint },
                403 => RegistryError::Denied { doing, host, complaint },
                404 => RegistryError::NotFound { doing, host, complaint },
                429 => RegistryError::TooManyRequests { doing, host, complaint },
                _ => RegistryError::Status { doing, host, complaint },
            },
            Kind::Ready(error) => error,
        }
    }
}

fn io_kind(error: &io::Error, patience: Duration) -> Kind {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof,
        WouldBlock,
    };
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Kind::Tls { fault: tls_fault(tls), why: text::shown(tls) };
    }
    match error.kind() {
        TimedOut | WouldBlock => Kind::Timeout(patience),
        UnexpectedEof => {
            Kind::Connect { why: "the connection was closed before the end".into(), broken: true }
        }
        ConnectionReset | ConnectionAborted | BrokenPipe => {
            Kind::Connect { why: "the connection was cut".into(), broken: true }
        }
        ConnectionRefused => Kind::Connect { why: "the connection was refused".into(), broken: false },
        _ => {
            let cause = error.source().map_or(String::new(), |cause| format!(": {}", text::shown(cause)));
            Kind::Connect { why: text::shown(error) + &cause, broken: false }
        }
    }
}

fn tls_fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidMessage(_) => TlsFault::NotSpoken,
        rustls::Error::InvalidCertificate(_) => TlsFault::Certificate,
        _ => TlsFault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Retry;
    use super::*;

    #[test]
    fn a_name_is_looked_up_once_more_and_a_host_asked_often() {
        let retry = Retry { tries: 6, ..Retry::default() };
        let asked = |kind: fn() -> Kind| {
            let (fault, mut tries) = (Fault::from(kind()), Tries::new(&retry));
            std::iter::from_fn(|| fault.pause(&mut tries)).count()
        };
        assert_eq!(asked(|| Kind::Unresolved { name: "r.test".into(), why: String::new() }), 1);
        assert_eq!(asked(|| Kind::Connect { why: String::new(), broken: false }), 5);
        assert_eq!(asked(|| Kind::Redirect(String::new())), 0);
    }
}
