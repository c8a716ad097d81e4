//! The language of faults: when, and what.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::http::{End, Head, Response};

/// Something that goes wrong with the requests that match: with the first of them, unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    method: &'static str,
    pattern: String,
    from: usize,
    count: usize,
    what: What,
}

/// What goes wrong. In texts `{path}` stands for the path and query that were asked for, `{old}` for what the header
/// would be.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A status without a body, in place of an answer.
    Status(u16),
    /// A status with a registry's error body: status, code, message.
    Error(u16, &'static str, &'static str),
    /// A page made for people, in place of an answer.
    Html(u16),
    /// 429 with this Retry-After.
    TooMany(String),
    /// A redirect with this status and location.
    Redirect(u16, String),
    Reset(Where),
    /// All of the Content-Length is promised, so many bytes are sent.
    Truncate(u64),
    /// So many bytes at a time, with a pause between.
    Slow(usize, Duration),
    /// White space without end after the body.
    Endless,
    /// The first byte of the body is another.
    WrongBytes,
    /// Another body.
    Body(&'static str),
    /// Another Content-Length.
    Length(u64),
    /// Another value of a header, or none.
    Header(&'static str, Option<String>),
    /// The upload is gone: 404.
    LostUpload,
    /// 200 and everything, to a request with Range.
    IgnoreRange,
    /// The answer comes after so long.
    Late(Duration),
    /// A page of tags that has always a next one.
    EndlessTags,
}

/// Where a connection is reset.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Where {
    /// After so many bytes of the request's body; if it has fewer, before the answer.
    Request(u64),
    /// When all is done and nothing is answered.
    Answer,
    /// In the middle of the answer's headers.
    Headers,
    /// After so many bytes of the answer's body.
    Body(u64),
}

impl Fault {
    /// A pattern's `*` stands for anything; one with `?` is for path and query.
    pub(crate) fn on(method: &'static str, pattern: &str, what: What) -> Self {
        Self { method, pattern: pattern.to_owned(), from: 0, count: 1, what }
    }

    /// The first `count` requests that match.
    pub(crate) fn first(self, count: usize) -> Self {
        Self { count, ..self }
    }

    /// The request that matches as the `nth`, from 1 on.
    pub(crate) fn nth(self, nth: usize) -> Self {
        Self { from: nth - 1, ..self }
    }

    pub(crate) fn always(self) -> Self {
        self.first(usize::MAX)
    }
}

#[derive(Default)]
pub(super) struct Faults {
    armed: Mutex<Vec<(Fault, usize)>>,
    happened: AtomicUsize,
}

impl Faults {
    pub(super) fn add(&self, fault: Fault) {
        self.armed.lock().unwrap().push((fault, 0));
    }

    pub(super) fn clear(&self) {
        self.armed.lock().unwrap().clear();
    }

    pub(super) fn happened(&self) -> usize {
        self.happened.load(Ordering::Relaxed)
    }

    /// What is to go wrong with this request. Every fault that matches counts it; the first that is due happens.
    pub(super) fn find(&self, head: &Head) -> Option<What> {
        let mut due = None;
        for (fault, seen) in self.armed.lock().unwrap().iter_mut() {
            if !matches(fault.method, &fault.pattern, &head.method, &head.path, &head.query) {
                continue;
            }
            let now = (fault.from..fault.from.saturating_add(fault.count)).contains(seen);
            *seen += 1;
            if now && due.is_none() {
                due = Some(fault.what.clone());
            }
        }
        self.happened.fetch_add(usize::from(due.is_some()), Ordering::Relaxed);
        due
    }
}

impl What {
    /// The answer that is given without doing what was asked.
    pub(super) fn instead(&self, head: &Head) -> Option<Response> {
        Some(match self {
            Self::Status(status) => Response::new(*status),
            Self::Error(status, code, message) => Response::error(*status, code, message),
            Self::Html(status) => {
                let body = b"<!DOCTYPE html>\n<html><h1>Sign in\x1b[31m</h1></html>\n".to_vec();
                Response { body, ..Response::new(*status) }.with("Content-Type", "text/html")
            }
            Self::TooMany(after) => {
                Response::error(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", after)
            }
            Self::Redirect(status, location) => {
                let mark = if head.query.is_empty() { "" } else { "?" };
                let path = format!("{}{mark}{}", head.path, head.query);
                Response::new(*status).with("Location", location.replace("{path}", &path))
            }
            Self::EndlessTags => {
                let number = head.parameter("last").and_then(|last| last.parse().ok()).unwrap_or(0_u64) + 1;
                let link = format!("<{}?last={number}>; rel=\"next\"", head.path);
                let page = serde_json::json!({ "name": "endless", "tags": [format!("tag-{number}")] });
                Response::json(200, &page).with("Link", link)
            }
            _ => return None,
        })
    }

    /// What becomes of a right answer.
    pub(super) fn bend(&self, response: &mut Response) {
        let sending = &mut response.sending;
        match self {
            Self::Reset(Where::Headers) => sending.half_head = true,
            Self::Reset(Where::Body(after)) => sending.end = Some((*after, End::Reset)),
            Self::Truncate(after) => sending.end = Some((*after, End::Close)),
            Self::Slow(step, pause) => sending.pace = Some((*step, *pause)),
            Self::Endless => sending.endless = true,
            Self::WrongBytes => response.body.first_mut().into_iter().for_each(|byte| *byte ^= 1),
            Self::Body(text) => response.body = text.as_bytes().to_vec(),
            Self::Length(length) => sending.declared = Some(*length),
            Self::Header(name, value) => {
                let old = response.header(name).unwrap_or_default().to_owned();
                response.set(name, value.as_ref().map(|value| value.replace("{old}", &old)));
            }
            Self::Late(wait) => std::thread::sleep(*wait),
            _ => {}
        }
    }
}

/// Whether a request is meant by a method (`*` for any) and a pattern.
pub(super) fn matches(wanted: &str, pattern: &str, method: &str, path: &str, query: &str) -> bool {
    let text = if pattern.contains('?') { format!("{path}?{query}") } else { path.to_owned() };
    (wanted == "*" || wanted == method) && glob(pattern, &text)
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut tail) = text.strip_prefix(first) else { return false };
    loop {
        if glob(rest, tail) {
            return true;
        }
        let mut chars = tail.chars();
        if chars.next().is_none() {
            return false;
        }
        tail = chars.as_str();
    }
}
