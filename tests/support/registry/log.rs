//! The memory of all requests.

use std::ops::Deref;
use std::sync::Mutex;

use super::Head;
use super::fault::matches;

/// A request, as far as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
    /// `None` as long as nothing was answered.
    pub(crate) status: Option<u16>,
    /// Bytes of bodies.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// Requests in the order in which they began.
#[derive(Debug, Clone)]
pub(crate) struct Requests(Vec<Request>);

#[derive(Default)]
pub(super) struct Log(Mutex<Vec<Request>>);

/// A request that is in the log.
#[derive(Clone, Copy)]
pub(super) struct Number(usize);

impl Log {
    pub(super) fn begin(&self, head: &Head) -> Number {
        let mut log = self.0.lock().unwrap();
        let text = |name: &str| head.header(name).map(str::to_owned);
        log.push(Request {
            method: head.method.clone(),
            host: text("host").unwrap_or_default(),
            path: head.path.clone(),
            query: head.query.clone(),
            authorization: text("authorization"),
            range: text("range").or_else(|| text("content-range")),
            status: None,
            received: 0,
            sent: 0,
        });
        Number(log.len() - 1)
    }

    /// Notes more of a request, if it has not been forgotten.
    pub(super) fn note(&self, number: Number, note: impl FnOnce(&mut Request)) {
        self.0.lock().unwrap().get_mut(number.0).map(note);
    }

    pub(super) fn requests(&self) -> Requests {
        Requests(self.0.lock().unwrap().clone())
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Requests {
    /// Those of a method (`*` for any) whose path matches a pattern; one with `?` is for path and query.
    pub(crate) fn matching(&self, method: &str, pattern: &str) -> Self {
        self.filter(|request| matches(method, pattern, &request.method, &request.path, &request.query))
    }

    pub(crate) fn filter(&self, wanted: impl Fn(&Request) -> bool) -> Self {
        Self(self.0.iter().filter(|request| wanted(request)).cloned().collect())
    }

    /// Bytes of bodies that came in.
    pub(crate) fn received(&self) -> u64 {
        self.0.iter().map(|request| request.received).sum()
    }

    /// Bytes of bodies that went out.
    pub(crate) fn sent(&self) -> u64 {
        self.0.iter().map(|request| request.sent).sum()
    }

    /// Line by line, for people.
    pub(crate) fn lines(&self) -> String {
        let line = |r: &Request| {
            let status = r.status.map_or("-".into(), |status| status.to_string());
            let mark = if r.query.is_empty() { "" } else { "?" };
            let path = format!("{}{mark}{}", r.path, r.query);
            format!("{} {path} -> {status} (in {}, out {})\n", r.method, r.received, r.sent)
        };
        self.0.iter().map(line).collect()
    }
}

impl Deref for Requests {
    type Target = [Request];

    fn deref(&self) -> &[Request] {
        &self.0
    }
}
