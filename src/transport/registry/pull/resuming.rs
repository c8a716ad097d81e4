//! A blob's body that goes on where it broke.

use std::io::{self, Read};
use std::time::Instant;

use ureq::http::Method;

use super::pace::Pace;
use crate::http::Url;
use crate::oci::media_type::MANIFESTS;
use crate::oci::{Descriptor, Digest};
use crate::text::shown;
use crate::transport::registry::answer::Answer;
use crate::transport::registry::call::Call;
use crate::transport::registry::retry::Tries;
use crate::transport::registry::{Registries, RegistryError, Repository, ranges};

/// Of a foreign layer, how many places are asked.
const MAX_URLS: usize = 4;

/// Gives exactly as many bytes as the descriptor says. Nothing has verified them.
pub(super) struct Resuming<'a> {
    registries: &'a Registries,
    repository: &'a Repository,
    path: String,
    /// Where a foreign layer is.
    elsewhere: Option<Url>,
    media_type: String,
    size: u64,
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    tries: Tries<'a>,
    /// A mirror that has once given less than it should is not asked for the rest.
    direct: bool,
    pace: Pace,
}

impl<'a> Resuming<'a> {
    /// Asks for the blob at once: that it isn't there is for whoever opens it to know.
    pub(super) fn open(
        registries: &'a Registries,
        repository: &'a Repository,
        blob: &Descriptor,
        digest: &Digest,
    ) -> io::Result<Self> {
        let media_type = blob.media_type().to_string();
        let kind = if MANIFESTS.contains(&media_type.as_str()) { "manifests" } else { "blobs" };
        let (path, size) = (format!("{kind}/{digest}"), blob.size());
        let (elsewhere, at, body, direct) = (None, 0, None, false);
        let (tries, pace) = (Tries::new(&registries.settings.retry), Pace::default());
        let mut opened =
            Self { registries, repository, path, elsewhere, media_type, size, at, body, tries, direct, pace };
        opened.body = Some(match opened.ask() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => opened.ask_elsewhere(blob, error)?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData && opened.has_mirrors() => {
                log::info!("{error}");
                opened.direct = true;
                opened.ask()?
            }
            body => body?,
        });
        Ok(opened)
    }

    /// A foreign layer that the registry has not got is where its descriptor says (image-spec, descriptor.md): no
    /// credential goes there, and only https is spoken.
    fn ask_elsewhere(&mut self, blob: &Descriptor, absent: io::Error) -> io::Result<Box<dyn Read + Send>> {
        let urls = blob.urls().iter().flatten().filter_map(|url| Url::parse(url)).filter(Url::secure);
        let mut result = Err(absent);
        for url in urls.take(MAX_URLS) {
            self.elsewhere = Some(url);
            result = self.ask();
            match &result {
                Ok(_) => break,
                Err(error) => log::debug!("{error}"),
            }
        }
        result
    }

    fn doing(&self) -> String {
        let what = format!("pulling `{}` of `{}`", self.path, self.repository);
        match &self.elsewhere {
            None => what,
            Some(url) => format!("{what} from `{url}`"),
        }
    }

    fn has_mirrors(&self) -> bool {
        let hosts = &self.registries.settings.hosts;
        hosts.get(&self.repository.registry).is_some_and(|host| !host.mirrors.is_empty())
    }

    /// The body from where we are.
    fn ask(&self) -> io::Result<Box<dyn Read + Send>> {
        let call = match &self.elsewhere {
            None => Call::at(Method::GET, self.repository, &self.path, self.doing()),
            Some(url) => Call::following(Method::GET, self.repository, url, self.doing()),
        };
        let mut call = call.header("accept-encoding", "identity");
        if MANIFESTS.contains(&self.media_type.as_str()) {
            // Some registries convert manifests to what they think is wanted.
            call = call.header("accept", &self.media_type);
        }
        call.direct = self.direct;
        if self.at > 0 {
            call = call.header("range", format!("bytes={}-", self.at));
        }
        let answer = self.registries.call(call.expecting(&[404, 416])).map_err(io::Error::other)?;
        match answer.status {
            404 => {
                let absent = RegistryError::absent(&self.doing(), self.repository);
                Err(io::Error::new(io::ErrorKind::NotFound, absent))
            }
            206 => self.rest(answer),
            416 => Err(self.wrong(format!("it has no bytes from {} on", self.at))),
            _ => self.whole(answer),
        }
    }

    /// Of a registry that knows ranges.
    fn rest(&self, answer: Answer) -> io::Result<Box<dyn Read + Send>> {
        let range = answer.header("content-range").unwrap_or_default();
        match ranges::part(range) {
            Some((first, size)) if first == self.at && size.is_none_or(|size| size == self.size) => {
                Ok(answer.body)
            }
            _ => Err(self.wrong(format!("the range `{}` is not what was asked for", shown(range)))),
        }
    }

    /// Of one that doesn't: what we have is skipped.
    fn whole(&self, answer: Answer) -> io::Result<Box<dyn Read + Send>> {
        if let Some(length) = answer.length().filter(|length| *length != self.size) {
            return Err(self.wrong(format!("it has {length} bytes, its descriptor says {}", self.size)));
        }
        let mut body = answer.body;
        // If it breaks here already, whoever reads on will notice.
        drop(io::copy(&mut body.by_ref().take(self.at), &mut io::sink()));
        Ok(body)
    }

    fn wrong(&self, why: String) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            RegistryError::protocol(&self.doing(), self.repository, why),
        )
    }

    fn unanswered(&self, error: io::Error) -> io::Error {
        let (kind, host) = (error.kind(), self.repository.registry.clone());
        io::Error::new(kind, RegistryError::Answer { doing: self.doing(), host, error })
    }

    /// What was longer than its descriptor says would be cut, and then be right: it is a fault all the same.
    fn end(&mut self) -> io::Result<usize> {
        match self.body.take().map(|mut body| body.read(&mut [0])) {
            Some(Ok(1..)) => {
                Err(self.wrong(format!("it has more than the {} bytes that its descriptor says", self.size)))
            }
            _ => Ok(0),
        }
    }
}

impl Read for Resuming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = self.size - self.at;
        if left == 0 {
            return self.end();
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        loop {
            if self.body.is_none() {
                self.body = Some(self.ask()?);
            }
            let begun = Instant::now();
            let broken = match self.body.as_mut().expect("just made").read(&mut buffer[..most]) {
                Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended early"),
                Ok(n) => {
                    self.pace.took(n, begun.elapsed()).map_err(|error| self.unanswered(error))?;
                    self.at += n as u64;
                    self.tries.progress();
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.body = None;
            self.direct = true;
            log::info!("{}: broken off at {} of {} bytes: {broken}", self.doing(), self.at, self.size);
            if !self.tries.again() {
                return Err(self.unanswered(broken));
            }
        }
    }
}
