//! HTTP/1.1 as a server needs it: a head read, a body read, an answer written, rightly or as a fault wants it.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const HEAD_LIMIT: usize = 64 << 10;

/// Both halves of a connection.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection, with or without TLS.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
}

/// The line and headers of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Decoded, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    headers: Vec<(String, String)>,
}

/// The body of a request, as it comes in.
pub(crate) struct Body<'a> {
    connection: &'a mut Connection,
    left: Left,
    continues: bool,
    /// Fail when so many bytes have come.
    pub(crate) cut: Option<u64>,
    pub(crate) received: u64,
}

enum Left {
    Bytes(u64),
    Chunk(u64),
    Nothing,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) sending: Sending,
}

/// How an answer is sent: rightly, unless a fault says otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sending {
    /// Another Content-Length than the body's.
    pub(crate) declared: Option<u64>,
    /// End the connection after so many bytes of the body.
    pub(crate) end: Option<(u64, End)>,
    /// Bytes at a time, and the pause between.
    pub(crate) pace: Option<(usize, Duration)>,
    pub(crate) endless: bool,
    /// End the connection in the middle of the headers.
    pub(crate) half_head: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Reset,
    Close,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, socket: TcpStream) -> Self {
        Self { stream: BufReader::new(stream), socket }
    }

    /// The next request; `None` if there is none.
    pub(crate) fn read_head(&mut self) -> io::Result<Option<Head>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let room = (HEAD_LIMIT - bytes.len()) as u64;
            if (&mut self.stream).take(room).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            // Somebody who speaks TLS would wait for ever.
            if !bytes.is_ascii() {
                self.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
                return Ok(None);
            }
        }
        Head::parse(&bytes).map(Some)
    }

    pub(crate) fn body(&mut self, head: &Head) -> Body<'_> {
        let chunked = head.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = head.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let left = if chunked { Left::Chunk(0) } else { Left::Bytes(length) };
        let continues = head.header("expect").is_some();
        Body { connection: self, left, continues, cut: None, received: 0 }
    }

    /// Ends the connection so that the other side sees a reset.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).ok();
    }

    pub(crate) fn send(&mut self, head: &Head, response: &Response) -> io::Result<()> {
        let text = response.head();
        if response.sending.half_head {
            self.write(&text.as_bytes()[..text.len() / 2])?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.write(text.as_bytes())?;
        if head.method == "HEAD" {
            return Ok(());
        }
        self.send_body(response)
    }

    fn send_body(&mut self, response: &Response) -> io::Result<()> {
        let sending = &response.sending;
        let (step, pause) = sending.pace.unwrap_or((64 << 10, Duration::ZERO));
        let (limit, end) = sending.end.map_or((u64::MAX, None), |(limit, end)| (limit, Some(end)));
        let mut sent = 0;
        for piece in response.body.chunks(step) {
            let room = usize::try_from(limit - sent).unwrap_or(usize::MAX);
            self.write(&piece[..piece.len().min(room)])?;
            sent += piece.len().min(room) as u64;
            if sent == limit {
                break;
            }
            thread::sleep(pause);
        }
        if sending.endless {
            return self.send_for_ever(pause);
        }
        match end {
            Some(End::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(End::Close) => Err(io::ErrorKind::ConnectionAborted.into()),
            None => Ok(()),
        }
    }

    fn send_for_ever(&mut self, pause: Duration) -> io::Result<()> {
        loop {
            self.write(&[b' '; 16 << 10])?;
            thread::sleep(pause);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(1 << 10).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let wrong = |_| io::Error::from(io::ErrorKind::InvalidData);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(bytes).map_err(wrong)?;
        let target = request.path.unwrap_or_default();
        // A proxy's form of the target; what counts is what follows the host.
        let target =
            target.split_once("://").map_or(target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = request.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value)));
        Ok(Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: decode(path),
            query: query.to_owned(),
            headers: headers.collect(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let headers = self.headers.iter().filter(|(key, _)| key != name).cloned().collect();
        Self { headers, ..self.clone() }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).next()
    }

    pub(crate) fn parameters(&self, name: &str) -> impl Iterator<Item = String> {
        form(&self.query).filter(move |(key, _)| key == name).map(|(_, value)| value)
    }
}

impl Body<'_> {
    pub(crate) fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads what is left; `false` if the other side waits for a word before it sends it.
    pub(crate) fn drain(&mut self) -> io::Result<bool> {
        if self.continues {
            return Ok(false);
        }
        io::copy(self, &mut io::sink()).map(|_| true)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let line = self.connection.line()?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if size == 0 {
            while !self.connection.line()?.is_empty() {}
            self.left = Left::Nothing;
        } else {
            self.left = Left::Chunk(size);
        }
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.continues) {
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if self.cut.is_some_and(|cut| self.received >= cut) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if matches!(self.left, Left::Chunk(0)) {
            self.next_chunk()?;
        }
        let (Left::Bytes(left) | Left::Chunk(left)) = self.left else { return Ok(0) };
        let room = self.cut.map_or(u64::MAX, |cut| cut - self.received).min(left).min(buffer.len() as u64);
        if room == 0 {
            return Ok(0);
        }
        let room = usize::try_from(room).unwrap();
        let count = self.connection.stream.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received += count as u64;
        let left = left - count as u64;
        if matches!(self.left, Left::Bytes(_)) {
            self.left = Left::Bytes(left);
            return Ok(count);
        }
        self.left = Left::Chunk(left);
        if left == 0 {
            self.connection.line()?;
        }
        Ok(count)
    }
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        let body = serde_json::to_vec(value).unwrap();
        Self { body, ..Self::new(status) }.with("Content-Type", "application/json")
    }

    /// An error in the specification's form.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
        Self::json(status, &errors)
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, Some(value.into()));
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<String>) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many bytes of a body it sends, the endless apart.
    pub(crate) fn length(&self) -> u64 {
        self.sending.end.map_or(u64::MAX, |(limit, _)| limit).min(self.body.len() as u64)
    }

    fn head(&self) -> String {
        let mut text = format!("HTTP/1.1 {} Said\r\n", self.status);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if self.sending.endless {
            text += "Connection: close\r\n";
        } else if self.status != 204 {
            let length = self.sending.declared.unwrap_or(self.body.len() as u64);
            write!(text, "Content-Length: {length}\r\n").unwrap();
        }
        text + "\r\n"
    }
}

/// The fields of a query or form, in order.
pub(crate) fn form(text: &str) -> impl Iterator<Item = (String, String)> {
    let fields = text.split('&').filter(|field| !field.is_empty());
    fields.map(|field| {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        (decode(key), decode(&value.replace('+', " ")))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
