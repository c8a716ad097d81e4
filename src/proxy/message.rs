//! Requests of a program that may be anybody's: read strictly, and in bounds.

use std::io::{self, Read, Write};

/// The most bytes of a request's head.
const HEAD: usize = 64 << 10;

/// The most headers of one.
const HEADERS: usize = 100;

/// The most bytes of a request's body: what git wants and has, of a large repository.
const BODY: usize = 8 << 20;

/// One side's bytes, with what was read of them too early.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    unread: Vec<u8>,
}

/// The head of a request.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    /// HTTP/1.1, and not 1.0.
    pub(super) modern: bool,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

/// Why a request can't be read.
#[derive(Debug)]
pub(super) enum Wrong {
    /// The connection is no use any more.
    Gone,
    /// What is to be said of it, before the connection is closed.
    Malformed(&'static str),
}

impl From<io::Error> for Wrong {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Head {
    /// The one header of that name; of several, none is to be believed.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        all.next().filter(|_| all.next().is_none())
    }

    fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(key, _)| key == name).count()
    }

    /// Whether bytes come after it that have to be held.
    pub(super) fn has_body(&self) -> bool {
        self.count("transfer-encoding") > 0
            || self.header("content-length").is_none_or(|length| length != "0")
                && self.count("content-length") > 0
    }

    /// Whether the connection goes on after this.
    pub(super) fn keeps(&self) -> bool {
        let says = |word: &str| {
            ["connection", "proxy-connection"]
                .iter()
                .filter_map(|name| self.header(name))
                .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(word)))
        };
        if self.modern { !says("close") } else { says("keep-alive") }
    }
}

impl<S: Read + Write> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The stream as if nothing had been read of it.
    pub(super) fn into_stream(self) -> Rewound<S> {
        Rewound { unread: io::Cursor::new(self.unread), stream: self.stream }
    }

    /// For answers.
    pub(super) fn out(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next request's head; none at the end of the connection.
    pub(super) fn head(&mut self) -> Result<Option<Head>, Wrong> {
        let mut looked = 0;
        loop {
            if ends(&self.unread[looked..]) {
                let (head, length) = parse(&self.unread)?;
                if let Some(head) = head {
                    self.unread.drain(..length);
                    return Ok(Some(head));
                }
            }
            looked = self.unread.len().saturating_sub(3);
            if self.unread.len() >= HEAD {
                return Err(Wrong::Malformed("its head is too long"));
            }
            match self.fill()? {
                0 if self.unread.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                0 => return Err(Wrong::Gone),
                _ => {}
            }
        }
    }

    /// The request's body. Two ways to tell its length are one too many (RFC 9112, section 6.3).
    pub(super) fn body(&mut self, head: &Head) -> Result<Vec<u8>, Wrong> {
        let (coded, sized) = (head.count("transfer-encoding"), head.count("content-length"));
        if coded + sized > 1 {
            return Err(Wrong::Malformed("its length is said twice"));
        }
        if coded + sized > 0 && head.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue"))
        {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.stream.flush()?;
        }
        if let Some(coding) = head.header("transfer-encoding") {
            if !coding.trim().eq_ignore_ascii_case("chunked") {
                return Err(Wrong::Malformed("its transfer encoding is not known"));
            }
            return self.chunks();
        }
        let Some(length) = head.header("content-length") else { return Ok(Vec::new()) };
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: usize = length.parse().ok().filter(|_| digits).ok_or(Wrong::Malformed("its length"))?;
        if length > BODY {
            return Err(Wrong::Malformed("its body is too long"));
        }
        self.take(length)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Wrong> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(Wrong::Malformed("its chunks"));
            };
            let fits = |size: &usize| body.len().checked_add(*size).is_some_and(|all| all <= BODY);
            let size = usize::try_from(size).ok().filter(fits);
            let size = size.ok_or(Wrong::Malformed("its body is too long"))?;
            if size == 0 {
                // Trailers say nothing that is needed.
                while self.line()? != b"\r\n" {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(Wrong::Malformed("its chunks"));
            }
        }
    }

    /// A line with its end.
    fn line(&mut self) -> Result<Vec<u8>, Wrong> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                return Ok(self.unread.drain(..=end).collect());
            }
            if self.unread.len() > 4096 {
                return Err(Wrong::Malformed("its chunks"));
            }
            if self.fill()? == 0 {
                return Err(Wrong::Gone);
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Wrong> {
        while self.unread.len() < length {
            if self.fill()? == 0 {
                return Err(Wrong::Gone);
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// The first byte of what comes next, left where it is.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        Ok(self.unread.first().copied())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let read = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// Whether a head may end in it.
fn ends(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

fn parse(bytes: &[u8]) -> Result<(Option<Head>, usize), Wrong> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok((None, 0)),
        Err(httparse::Error::TooManyHeaders) => return Err(Wrong::Malformed("it has too many headers")),
        Err(_) => return Err(Wrong::Malformed("it is no HTTP")),
    };
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        modern: request.version == Some(1),
        headers: Vec::new(),
    };
    for header in request.headers {
        let value = std::str::from_utf8(header.value).ok().filter(|value| value.is_ascii());
        let value = value.ok_or(Wrong::Malformed("a header is not ASCII"))?;
        head.headers.push((header.name.to_ascii_lowercase(), value.to_owned()));
    }
    Ok((Some(head), length))
}

/// A stream that gives first what was read of it already.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    unread: io::Cursor<Vec<u8>>,
    stream: S,
}

impl<S: Read> Read for Rewound<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.unread.read(buffer)? {
            0 => self.stream.read(buffer),
            read => Ok(read),
        }
    }
}

impl<S: Write> Write for Rewound<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow(Vec<u8>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connection(text: &str) -> Connection<Slow> {
        Connection::new(Slow(text.as_bytes().to_vec(), 7))
    }

    fn wrong(text: &str) -> Option<&'static str> {
        let mut connection = connection(text);
        let result = connection.head().and_then(|head| connection.body(&head.unwrap_or_default()));
        match result {
            Err(Wrong::Malformed(why)) => Some(why),
            Err(Wrong::Gone) => Some("gone"),
            Ok(_) => None,
        }
    }

    #[test]
    fn requests_follow_each_other() {
        let text = "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /c \
            HTTP/1.0\r\n\r\n";
        let mut connection = connection(text);
        let first = connection.head().unwrap().unwrap();
        assert_eq!(
            (first.method.as_str(), first.target.as_str(), first.keeps()),
            ("GET", "http://h/a", true)
        );
        assert_eq!(first.header("host"), Some("h"));
        assert_eq!(connection.body(&first).unwrap(), b"");
        let second = connection.head().unwrap().unwrap();
        assert_eq!(connection.body(&second).unwrap(), b"abc");
        assert!(second.has_body() && !first.has_body());
        let third = connection.head().unwrap().unwrap();
        assert_eq!((third.method.as_str(), third.keeps()), ("HEAD", false));
        assert!(connection.head().unwrap().is_none());
    }

    #[test]
    fn chunked_bodies_are_put_together() {
        let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\nGET / \
            HTTP/1.1\r\n\r\n";
        let mut connection = connection(text);
        let head = connection.head().unwrap().unwrap();
        assert_eq!(connection.body(&head).unwrap(), b"abcde");
        assert_eq!(connection.head().unwrap().unwrap().method, "GET");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let request = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        let twice = Some("its length is said twice");
        assert_eq!(wrong(&request("Content-Length: 3\r\nTransfer-Encoding: chunked")), twice);
        assert_eq!(wrong(&request("Content-Length: 3\r\nContent-Length: 4")), twice);
        assert_eq!(wrong(&request("Content-Length: +3")), Some("its length"));
        assert_eq!(wrong(&request("Content-Length: 99999999999999999999")), Some("its length"));
        assert_eq!(wrong(&request("Content-Length: 9999999999")), Some("its body is too long"));
        assert_eq!(
            wrong(&request("Transfer-Encoding: gzip, chunked")),
            Some("its transfer encoding is not known")
        );
        let chunked = |chunks: &str| format!("{}{chunks}", request("Transfer-Encoding: chunked"));
        assert_eq!(wrong(&chunked("fffffffff\r\n")), Some("its body is too long"));
        assert_eq!(wrong(&chunked("x\r\n")), Some("its chunks"));
        assert_eq!(wrong(&chunked("1\r\nabc")), Some("its chunks"));
        assert_eq!(wrong(&chunked(&"1".repeat(9000))), Some("its chunks"));
        assert_eq!(wrong("GET / HTTP/1.1\r\nA : b\r\n\r\n"), Some("it is no HTTP"));
        assert_eq!(wrong("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), Some("it is no HTTP"));
        assert_eq!(wrong("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n"), Some("it is no HTTP"));
        assert_eq!(wrong("GET / HTTP/1.1\r\nA: caf\u{e9}\r\n\r\n"), Some("a header is not ASCII"));
        assert_eq!(wrong("SSH-2.0-OpenSSH\r\n\r\n"), Some("it is no HTTP"));
        assert_eq!(wrong("GET / HTTP/1.1\r\nA: b"), Some("gone"));
        let many = "A: b\r\n".repeat(200);
        assert_eq!(wrong(&format!("GET / HTTP/1.1\r\n{many}\r\n")), Some("it has too many headers"));
        assert_eq!(
            wrong(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000))),
            Some("its head is too long")
        );
    }
}
