//! Sending a blob's bytes, and going on after a break from where the registry is.

use std::io::{self, Read};

use ureq::http::Method;

use super::Sent;
use super::blob::{Outcome, Transfer};
use super::note::Note;
use super::session::Session;
use crate::transport::TransportError;
use crate::transport::registry::call::{Body, Call};
use crate::transport::registry::retry::Tries;
use crate::transport::registry::{RegistryError, retry};

/// Up to here a blob goes with the request that commits it, and begins anew after a break.
const MONOLITHIC: u64 = 1 << 20;
/// The pieces that a blob goes in where it can't go as a whole: below the limits in front of registries.
const CHUNK: u64 = 32 << 20;
/// A registry that takes no more than this at once is none.
const LEAST_CHUNK: u64 = 64 << 10;

const BYTES: &str = "application/octet-stream";

/// The blob's reader, and how far it is.
struct At<'a> {
    reader: Box<dyn Read + 'a>,
    at: u64,
}

/// A blob that goes in pieces.
struct Stream<'a> {
    session: Session,
    source: Option<At<'a>>,
    /// The largest piece.
    chunk: u64,
    /// The registry is let refuse a piece before it is sent: one that answers and hangs up in the middle is never
    /// heard.
    careful: bool,
}

/// What became of a piece.
enum Piece {
    Taken,
    /// It is larger than something on the way lets through.
    TooLarge,
    Lost(String),
    Broken(RegistryError),
}

impl Transfer<'_> {
    pub(super) fn upload(&self, session: Session, note: &mut Note) -> Result<Outcome, TransportError> {
        match self.sent {
            Sent::Document(_, bytes) if session.offset == 0 => Ok(self.commit(session, bytes)?),
            Sent::Blob(_) | Sent::Document(..) if self.size <= MONOLITHIC && session.offset == 0 => {
                let mut bytes = Vec::new();
                self.source(0)?.reader.read_to_end(&mut bytes).map_err(|error| self.unreadable(error))?;
                Ok(self.commit(session, &bytes)?)
            }
            _ => self.stream(session, note),
        }
    }

    fn stream(&self, session: Session, note: &mut Note) -> Result<Outcome, TransportError> {
        let chunk = session.min_chunk.map_or(u64::MAX, |least| least.max(CHUNK));
        let mut stream = Stream { session, source: None, chunk, careful: false };
        let mut tries = Tries::new(&self.sink.registries.settings.retry);
        while stream.session.offset < self.size {
            note.write(&stream.session.url);
            let before = stream.session.offset;
            let broken = match self.send_piece(&mut stream)? {
                Piece::Taken if stream.source.as_ref().is_some_and(|s| s.at == stream.session.offset) => {
                    tries.progress();
                    continue;
                }
                // A registry that keeps a byte of each must come to an end, too.
                Piece::Taken => {
                    let why = "it keeps less than it is sent";
                    Some(RegistryError::lost(&self.doing(), self.repository(), why))
                }
                Piece::TooLarge => {
                    self.shrink(&mut stream)?;
                    None
                }
                Piece::Lost(why) => return Ok(Outcome::Lost(why)),
                Piece::Broken(error) => Some(error),
            };
            let why = broken.as_ref().map_or("what it was sent is too large".into(), ToString::to_string);
            log::info!("{}: broken off: {why}", self.doing());
            stream.source = None;
            let Some(now) = self.status(&stream.session)? else { return Ok(Outcome::Lost(why)) };
            stream.session = now;
            self.began(stream.session.offset);
            if stream.session.offset > before {
                tries.progress();
            } else {
                stream.careful = true;
            }
            if let Some(broken) = broken
                && !tries.again()
            {
                return Err(broken.into());
            }
        }
        note.write(&stream.session.url);
        Ok(self.commit(stream.session, &[])?)
    }

    /// Takes smaller pieces, as long as there are any that the registry may take.
    fn shrink(&self, stream: &mut Stream<'_>) -> Result<(), RegistryError> {
        let sent = stream.chunk.min(self.size - stream.session.offset);
        let least = stream.session.min_chunk.unwrap_or(0).max(LEAST_CHUNK);
        if sent <= least {
            let why = format!("pieces of {sent} bytes are too large for it");
            return Err(RegistryError::protocol(&self.doing(), self.repository(), why));
        }
        stream.chunk = sent.div_ceil(2).min(CHUNK).max(least);
        Ok(())
    }

    fn send_piece<'s>(&'s self, stream: &mut Stream<'s>) -> Result<Piece, TransportError> {
        let first = stream.session.offset;
        let length = stream.chunk.min(self.size - first);
        let mut at = match stream.source.take() {
            Some(at) if at.at == first => at,
            _ => self.source(first)?,
        };
        let mut call =
            Call::following(Method::PATCH, self.repository(), &stream.session.url, self.doing()).pushing();
        if length < self.size {
            call = call.header("content-range", format!("{first}-{}", first + length - 1));
        }
        if stream.careful {
            call = call.header("expect", "100-continue");
        }
        let moved = |bytes| self.moved(bytes);
        let mut reader = Heard { inner: at.reader.by_ref().take(length), moved: &moved };
        let call = call.body(BYTES, Body::Reader { length, reader: &mut reader });
        let result = self.sink.registries.call(call.expecting(&[400, 404, 413, 416]));
        let answer = match result {
            Ok(answer) => answer,
            Err(RegistryError::Body { error, .. }) => return Err(self.unreadable(error)),
            Err(error) if is_passing(&error) => return Ok(Piece::Broken(error)),
            Err(error) => return Err(error.into()),
        };
        let why = format!("it answered {} in the middle", answer.status);
        match answer.status {
            413 => return Ok(Piece::TooLarge),
            400 | 404 => return Ok(Piece::Lost(why)),
            416 => return Ok(Piece::Broken(RegistryError::protocol(&self.doing(), self.repository(), why))),
            _ => {}
        }
        at.at = first + length;
        stream.session.offset = stream.session.moved(&answer).unwrap_or(at.at);
        answer.drain();
        if stream.session.offset > at.at {
            let why = format!("it has {} bytes of {} that were sent", stream.session.offset, at.at);
            return Ok(Piece::Lost(why));
        }
        stream.source = Some(at);
        Ok(Piece::Taken)
    }

    /// The blob from a byte on, verified from the first, so that what is wrong there is told as such.
    fn source(&self, offset: u64) -> Result<At<'_>, TransportError> {
        let mut reader: Box<dyn Read + '_> = match self.sent {
            Sent::Blob(blob) => self.blobs.open(blob).map_err(|error| self.unreadable(error))?,
            Sent::Document(_, bytes) => Box::new(*bytes),
        };
        let skipped = io::copy(&mut reader.by_ref().take(offset), &mut io::sink());
        skipped.map_err(|error| self.unreadable(error))?;
        Ok(At { reader, at: offset })
    }

    fn unreadable(&self, error: io::Error) -> TransportError {
        TransportError::Io {
            what: format!("reading blob `{}`, to push it to `{}`", self.digest, self.repository()),
            error,
        }
    }
}

/// Whether it may go better the next time.
pub(super) fn is_passing(error: &RegistryError) -> bool {
    match error {
        RegistryError::Connect { .. } | RegistryError::Timeout { .. } | RegistryError::Interrupted { .. } => {
            true
        }
        // A token that ran out is got anew for the next.
        error => error.status().is_some_and(|status| status == 401 || retry::is_passing(status)),
    }
}

/// Tells how far it is.
struct Heard<'a, R> {
    inner: R,
    moved: &'a dyn Fn(u64),
}

impl<R: Read> Read for Heard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect(|read| (self.moved)(*read as u64))
    }
}
