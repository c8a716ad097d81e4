//! One request from its being understood to its answer.

use std::io::{self, Write};
use std::ops::Range;

use super::answer::{Part, part};
use super::asked::{Asked, Method};
use super::body::{self, GiveError, PullError, Pulled};
use super::error::{ProxyError, Refusal, Why};
use super::message::Head;
use super::origin::{Answer, Passed};
use super::reply::Reply;
use super::server::Step;
use super::session::descriptor;
use crate::http::{Url, shown};
use crate::lock::{HeaderValue, LockedResponse};
use crate::oci::{Descriptor, Digest};
use crate::store::StoreError;

/// A body from this size on is passed on as it comes: programs do not wait for ever. A smaller one is fetched first, so
/// that what goes wrong can be said.
const STREAMED: u64 = 1 << 20;

/// What a step is told where nobody could be asked.
const UNREACHABLE: u16 = 502;

/// A request, and where its answer goes.
pub(super) struct Exchange<'a> {
    pub(super) step: &'a Step,
    pub(super) head: &'a Head,
    pub(super) asked: &'a Asked,
    pub(super) url: &'a Url,
    pub(super) passed: &'a Passed,
    pub(super) out: &'a mut dyn Write,
    /// The connection ends with it.
    pub(super) close: bool,
}

/// Why there is no answer as the program wants it.
enum Trouble {
    Refused(Why),
    /// The server's own word, which is not to be recorded.
    Passed(u16, Vec<(&'static str, String)>),
    Broken(ProxyError),
    /// The answer has begun, and can't be finished.
    Cut(Option<ProxyError>),
}

impl From<Why> for Trouble {
    fn from(why: Why) -> Self {
        Self::Refused(why)
    }
}

impl From<ProxyError> for Trouble {
    fn from(error: ProxyError) -> Self {
        Self::Broken(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.into())
    }
}

fn aborted() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// What comes of writing to a program that is gone; never of reading.
fn gone(_: io::Error) -> Trouble {
    Trouble::Cut(None)
}

impl Exchange<'_> {
    /// Answers. An error is the end of the connection.
    pub(super) fn run(&mut self) -> io::Result<()> {
        // Until what went wrong is noted, too.
        let _active = self.step.active();
        if !self.step.note(self.asked) {
            return self.refuse(Why::Malformed("the step has asked for too much".into()));
        }
        let answered = match self.known() {
            Ok(Some(response)) => self.give(&response),
            Ok(None) => Ok(()),
            Err(trouble) => Err(trouble),
        };
        match answered {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(why)) if self.step.session.records() && why.is_locked() => {
                self.miss(UNREACHABLE, why);
                // In the same words as when the lock says so.
                self.give_head(&LockedResponse::of_status(UNREACHABLE)).map_err(|_| aborted())
            }
            Err(Trouble::Refused(why)) => self.refuse(why),
            Err(Trouble::Passed(status, headers)) => {
                self.miss(status, Why::Failed(format!("the server answered {status}")));
                let reply = Reply::new(status).closing(self.close).length(0);
                headers
                    .into_iter()
                    .fold(reply, |reply, (name, value)| reply.header(name, value))
                    .send(self.out)
            }
            Err(Trouble::Broken(error)) => {
                let text = error.to_string();
                self.step.broken(error);
                Reply::new(502).closing(self.close).send_text(&text, self.wants_body(), self.out)
            }
            Err(Trouble::Cut(error)) => {
                if let Some(error) = error {
                    self.step.broken(error);
                }
                Err(aborted())
            }
        }
    }

    /// Notes that there was no answer. Another try may have one, and another run then none of this.
    fn miss(&self, status: u16, why: Why) {
        self.step.unrecorded();
        self.step.session.fail(self.asked, status);
        self.step.refused(self.refusal(why));
    }

    fn wants_body(&self) -> bool {
        self.asked.method != Method::Head
    }

    fn refusal(&self, why: Why) -> Refusal {
        Refusal::new(self.asked.method.name(), &self.asked.url, why)
    }

    fn refuse(&mut self, why: Why) -> io::Result<()> {
        let status = if matches!(why, Why::Failed(_)) { 502 } else { 403 };
        let refusal = self.refusal(why);
        let text = refusal.to_string();
        self.step.refused(refusal);
        Reply::new(status).closing(self.close).send_text(&text, self.wants_body(), self.out)
    }

    /// What the lock has, or is to have from now on; nothing if it was given already.
    fn known(&mut self) -> Result<Option<LockedResponse>, Trouble> {
        let session = &self.step.session;
        if let Some(response) = session.find(self.asked) {
            return Ok(Some(response));
        }
        if !session.records() {
            return Err(Why::NotLocked.into());
        }
        let _claim = session.claim(self.asked.name(true));
        if let Some(response) = session.find(self.asked) {
            return Ok(Some(response));
        }
        let answer = session.origin.ask(self.asked, self.url, self.passed)?;
        self.record(answer)
    }

    fn record(&mut self, answer: Answer) -> Result<Option<LockedResponse>, Trouble> {
        let response = match answer.status {
            200 | 203 if self.wants_body() => return self.record_body(answer),
            200 | 203 => LockedResponse { size: answer.length(), ..described(&answer) },
            204 => LockedResponse::of_status(204),
            status @ (301 | 302 | 303 | 307 | 308) => {
                let location = answer.header("location").and_then(HeaderValue::new);
                let location = location.ok_or_else(|| Why::Failed("a redirect that leads nowhere".into()))?;
                LockedResponse { location: Some(location), ..LockedResponse::of_status(status) }
            }
            407 => return Err(Why::Failed("the machine's proxy wants to know who asks".into()).into()),
            // Of the moment, or of who asks: another time there may be another answer.
            status if LockedResponse::of_status(status).is_failure() => return Err(passed(status, &answer)),
            status @ 400..500 => LockedResponse::of_status(status),
            status => return Err(Why::Failed(format!("the server answered {status}")).into()),
        };
        self.step.session.record(self.asked, answer.varies(), &response)?;
        Ok(Some(response))
    }

    fn record_body(&mut self, mut answer: Answer) -> Result<Option<LockedResponse>, Trouble> {
        let session = &self.step.session;
        let mut response = described(&answer);
        response.size = answer.length();
        let streams = self.streams(&response);
        let Pulled { writer, held } =
            self.pull(&mut answer, &response, streams).map_err(|error| match error {
                PullError::Store(error) if streams => Trouble::Cut(Some(error.into())),
                PullError::Store(error) => error.into(),
                PullError::Source(why) => {
                    if streams {
                        self.step.unrecorded();
                        session.fail(self.asked, UNREACHABLE);
                        self.step.refused(self.refusal(Why::Failed(why)));
                        return Trouble::Cut(None);
                    }
                    Why::Failed(why).into()
                }
            })?;
        let (digest, size) = writer.finish()?;
        (response.digest, response.size) = (Some(digest), Some(size));
        session.record(self.asked, answer.varies(), &response)?;
        if !streams {
            return Ok(Some(response));
        }
        self.finish(&held)?;
        Ok(None)
    }

    fn finish(&mut self, held: &[u8]) -> Result<(), Trouble> {
        self.out.write_all(held).and_then(|()| self.out.flush()).map_err(gone)
    }

    /// Whether the body is passed on as it comes.
    fn streams(&self, response: &LockedResponse) -> bool {
        response.size.is_some_and(|size| size >= STREAMED)
            && part(response, self.head) == Part::Whole
            && !self.is_cut()
    }

    fn is_cut(&self) -> bool {
        self.head.header("range").is_some()
    }

    fn pull(
        &mut self,
        answer: &mut Answer,
        response: &LockedResponse,
        streams: bool,
    ) -> Result<Pulled, PullError> {
        let mut program: Option<&mut dyn Write> = None;
        if streams {
            // A program that is gone already is noticed with the first piece.
            let _gone = self.reply(response).length(response.size.unwrap_or_default()).send(self.out);
            program = Some(&mut *self.out);
        }
        let length = answer.length();
        body::pull(&self.step.session.store, &mut answer.body, length, program)
    }

    fn reply(&self, response: &LockedResponse) -> Reply {
        let reply = Reply::new(response.status).closing(self.close);
        response.headers().fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    /// Gives what the lock has.
    fn give(&mut self, response: &LockedResponse) -> Result<(), Trouble> {
        let part = part(response, self.head);
        if part == Part::NotModified {
            let unsized_ = LockedResponse { status: 304, media_type: None, ..response.clone() };
            return self.reply(&unsized_).send(self.out).map_err(gone);
        }
        if !self.wants_body() || response.status != 200 {
            return self.give_head(response);
        }
        let Some((digest, size)) = response.digest.as_ref().zip(response.size) else {
            return Err(ProxyError::NoBody { url: shown(&self.asked.url) }.into());
        };
        let blob = descriptor(digest, size);
        if self.bring(response, &blob, digest)? {
            return Ok(());
        }
        self.verify(&blob, digest)?;
        match part {
            Part::Some(range) => {
                let content = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                let partial = LockedResponse { status: 206, ..response.clone() };
                let reply = self.reply(&partial).header("Content-Range", content);
                reply.length(range.end - range.start).send(self.out).map_err(gone)?;
                self.give_bytes(&blob, digest, Some(&range))
            }
            Part::Unsatisfiable => {
                let content = format!("bytes */{size}");
                let reply = Reply::new(416).closing(self.close).header("Content-Range", content);
                reply.length(0).send(self.out).map_err(gone)
            }
            Part::Whole | Part::NotModified => {
                let reply = self.reply(response).header("Accept-Ranges", "bytes");
                reply.length(size).send(self.out).map_err(gone)?;
                self.give_bytes(&blob, digest, None)
            }
        }
    }

    /// Gives an answer that has no body.
    fn give_head(&mut self, response: &LockedResponse) -> Result<(), Trouble> {
        let length = match response.status {
            100..200 | 204 | 304 => None,
            // A server need not say it, but what it says is believed.
            200 => response.size,
            _ if self.wants_body() => Some(0),
            _ => None,
        };
        if let (Some(digest), Some(size)) = (&response.digest, length)
            && self.step.session.store.has(digest)
        {
            self.verify(&descriptor(digest, size), digest)?;
        }
        let reply = self.reply(response);
        let reply = if let Some(length) = length { reply.length(length) } else { reply };
        reply.send(self.out).map_err(gone)
    }

    /// Sees to it that what is given is what the lock has, before the first byte is.
    fn verify(&self, blob: &Descriptor, digest: &Digest) -> Result<(), ProxyError> {
        let verified = self.step.session.verify(blob, digest);
        verified.map_err(|error| self.damaged(digest, &error))
    }

    fn give_bytes(
        &mut self,
        blob: &Descriptor,
        digest: &Digest,
        range: Option<&Range<u64>>,
    ) -> Result<(), Trouble> {
        let store = &self.step.session.store;
        let given = match range {
            Some(range) => body::give_part(store, blob, range, self.out),
            None => body::give(store, blob, self.out),
        };
        given.map_err(|error| match error {
            GiveError::Program => Trouble::Cut(None),
            GiveError::Store(error) => Trouble::Cut(Some(self.damaged(digest, &error))),
        })
    }

    fn damaged(&self, digest: &Digest, error: &io::Error) -> ProxyError {
        let why = crate::text::shown(error);
        ProxyError::Damaged { url: shown(&self.asked.url), digest: digest.clone(), why }
    }

    /// Sees to it that the store has the bytes; whether the program has got them on the way.
    fn bring(
        &mut self,
        response: &LockedResponse,
        blob: &Descriptor,
        digest: &Digest,
    ) -> Result<bool, Trouble> {
        let session = &self.step.session;
        if session.store.has(digest) {
            return Ok(false);
        }
        let _claim = session.claim(digest.to_string());
        if session.store.has(digest) || session.bring(blob, digest)? {
            return Ok(false);
        }
        if session.is_offline() {
            let error = ProxyError::Offline { url: shown(&self.asked.url), digest: digest.clone() };
            return Err(error.into());
        }
        let mut answer = self.ask_again()?;
        let streams = self.streams(response) && answer.length() == response.size;
        let unreachable = |why: String| ProxyError::Unreachable { url: shown(&self.asked.url), why };
        let pulled = self.pull(&mut answer, response, streams).map_err(|error| match error {
            PullError::Store(error) => error.into(),
            PullError::Source(why) => unreachable(why),
        });
        let cut = |error: ProxyError| if streams { Trouble::Cut(Some(error)) } else { error.into() };
        let Pulled { writer, held } = pulled.map_err(cut)?;
        writer.finish_expecting(blob).map_err(|error| cut(self.changed(error)))?;
        session.keep(digest)?;
        if streams {
            self.finish(&held)?;
        }
        Ok(streams)
    }

    fn changed(&self, error: StoreError) -> ProxyError {
        match error {
            StoreError::Mismatch { expected, found, .. } => {
                ProxyError::Changed { url: shown(&self.asked.url), expected, found }
            }
            error => error.into(),
        }
    }

    /// Asks for what the lock has an answer to, but the store no bytes. A URL that was made for one time is asked for
    /// again where it came from.
    fn ask_again(&self) -> Result<Answer, ProxyError> {
        let origin = &self.step.session.origin;
        let mut why = match origin.ask(self.asked, self.url, self.passed) {
            Ok(answer) if matches!(answer.status, 200 | 203) => return Ok(answer),
            Ok(answer) => format!("the server answered {}", answer.status),
            Err(why) => why.to_string(),
        };
        for from in self.step.session.redirects_to(&self.asked.url) {
            // Whoever may see a credential was asked by the program itself.
            let passed = Passed { authorization: None, ..self.passed.clone() };
            match origin.follow(self.asked, from, &passed) {
                Ok(answer) => return Ok(answer),
                Err(other) => why = other,
            }
        }
        Err(ProxyError::Unreachable { url: shown(&self.asked.url), why })
    }
}

/// What of an answer's headers is kept. One that is none, or too long, is left out.
fn described(answer: &Answer) -> LockedResponse {
    let header = |name: &str| answer.header(name).and_then(HeaderValue::new);
    LockedResponse {
        media_type: header("content-type"),
        content_encoding: header("content-encoding"),
        content_disposition: header("content-disposition"),
        etag: header("etag"),
        last_modified: header("last-modified"),
        link: header("link"),
        ..LockedResponse::of_status(200)
    }
}

fn passed(status: u16, answer: &Answer) -> Trouble {
    let header = |name: &'static str, key: &str| Some((name, HeaderValue::new(answer.header(key)?)?.into()));
    let headers = [header("WWW-Authenticate", "www-authenticate"), header("Retry-After", "retry-after")];
    Trouble::Passed(status, headers.into_iter().flatten().collect())
}
