//! What an answer looks like on its way to the program.

use std::io::{self, Write};

use ureq::http::StatusCode;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    close: bool,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), close: false }
    }

    /// The value must be one of a header: nothing looks at it again.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn length(self, length: u64) -> Self {
        self.header("Content-Length", length.to_string())
    }

    /// It is the last one of its connection.
    pub(super) fn closing(mut self, close: bool) -> Self {
        self.close = close;
        self
    }

    /// No `Date`, nor anything else that would differ the next time: programs keep what they are told.
    pub(super) fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason.unwrap_or("Unknown"));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(if self.close { "Connection: close\r\n\r\n" } else { "\r\n" });
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// With a few words for who reads it.
    pub(super) fn send_text(self, text: &str, with_body: bool, out: &mut dyn Write) -> io::Result<()> {
        let body = format!("lith: {text}\n");
        let reply = self.header("Content-Type", "text/plain; charset=utf-8").length(body.len() as u64);
        reply.send(out)?;
        if with_body {
            out.write_all(body.as_bytes())?;
        }
        out.flush()
    }
}
