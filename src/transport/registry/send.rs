//! One request and its answer, without a second thought.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, SendBody};

use super::answer::Answer;
use super::auth::Authorization;
use super::call::Body;
use super::fault::{Fault, Kind};
use crate::http::Url;

/// What is sent where.
pub(super) struct Sending<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) authorization: Option<&'a Authorization>,
    /// How long to wait for the answer, and then for each piece of it.
    pub(super) patience: Duration,
}

/// How much of a body has gone; what a reader has given can't be had again.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Gone(pub(super) u64);

impl Sending<'_> {
    pub(super) fn send(
        &self,
        agent: &Agent,
        url: &Url,
        body: &mut Body<'_>,
        gone: &mut Gone,
    ) -> Result<Answer, Fault> {
        let begun = Instant::now();
        let result = self.run(agent, url, body, gone);
        let time = begun.elapsed().as_millis();
        match result {
            Ok(answer) => {
                let length = answer.header("content-length").unwrap_or("?");
                let (length, status) = (crate::text::shown(length), answer.status);
                log::debug!("{} {url}: {status}, {length} bytes, after {time} ms", self.method);
                Ok(answer)
            }
            Err(fault) => {
                log::debug!("{} {url}: failed after {time} ms", self.method);
                Err(fault)
            }
        }
    }

    fn run(&self, agent: &Agent, url: &Url, body: &mut Body<'_>, gone: &mut Gone) -> Result<Answer, Fault> {
        let mut request = Request::builder().method(self.method.clone()).uri(url.text());
        for (name, value) in self.headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = self.authorization {
            request = request.header(AUTHORIZATION, authorization.header());
        }
        let mut counted = Counted { body, read: 0, gone, error: None };
        let (length, bare) = match &counted.body {
            Body::Empty => (0, matches!(*self.method, Method::GET | Method::HEAD | Method::DELETE)),
            Body::Bytes(bytes) => (bytes.len() as u64, false),
            Body::Reader { length, .. } => (*length, false),
        };
        if !bare {
            request = request.header(CONTENT_LENGTH, length);
        }
        let result = if bare {
            self.submit(agent, request, ())
        } else {
            self.submit(agent, request, SendBody::from_reader(&mut counted))
        };
        if let Some(error) = counted.error {
            return Err(Kind::Body(error).into());
        }
        let response = result.map_err(|error| Fault::failed(error, url, self.patience))?;
        let (head, body) = response.into_parts();
        let (status, headers, body) = (head.status.as_u16(), head.headers, Box::new(body.into_reader()));
        let shown = self.authorization.cloned();
        Ok(Answer { status, headers, url: url.clone(), body, shown })
    }

    fn submit(
        &self,
        agent: &Agent,
        request: Builder,
        body: impl AsSendBody,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = agent
            .configure_request(request.body(body)?)
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .build();
        agent.run(request)
    }
}

/// The body, never more and never less than was announced.
struct Counted<'a, 'b> {
    body: &'a mut Body<'b>,
    read: u64,
    gone: &'a mut Gone,
    error: Option<io::Error>,
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &mut *self.body {
            Body::Empty => 0,
            Body::Bytes(bytes) => {
                let mut rest =
                    bytes.get(usize::try_from(self.read).unwrap_or(usize::MAX)..).unwrap_or_default();
                rest.read(buffer)?
            }
            Body::Reader { length, reader } => {
                let left = *length - self.read;
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let read = loop {
                    match reader.read(&mut buffer[..room]) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => break other,
                    }
                };
                match read {
                    Ok(0) if room > 0 => return Err(self.fail(io::ErrorKind::UnexpectedEof.into())),
                    Ok(n) => n,
                    Err(error) => return Err(self.fail(error)),
                }
            }
        };
        self.read += n as u64;
        if !self.body.can_be_repeated() {
            self.gone.0 += n as u64;
        }
        Ok(n)
    }
}

impl Counted<'_, '_> {
    /// Keeps what is the matter: the library's error would say that of the connection.
    fn fail(&mut self, error: io::Error) -> io::Error {
        let copy = io::Error::new(error.kind(), "what is sent cannot be read");
        self.error.get_or_insert(error);
        copy
    }
}
