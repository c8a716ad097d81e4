//! Whether the world still answers as the lock says: asked, and nothing else.

use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};

use super::Session;
use super::asked::Asked;
use super::origin::{Answer, Passed};
use crate::context::url::LIMIT;
use crate::http::{Url, shown};
use crate::lock::{Change, Kind, LockedResponse};
use crate::oci::{Algorithm, Digest, Digester};
use crate::parallel;
use crate::text;

/// Servers that are asked at once.
const THREADS: usize = 8;

/// What has become of the answers that steps were given.
#[derive(Debug, Default)]
pub struct Moved {
    /// Those that are others by now.
    pub changes: Vec<Change>,
    /// Of which that can't be said, and why.
    pub unknown: Vec<String>,
}

/// An answer of the lock, and how to ask for it again.
struct Known {
    name: String,
    asked: Asked,
    url: Url,
    response: LockedResponse,
    digest: Digest,
}

impl Session {
    /// Asks again for each body that the lock has of a GET; what a redirect led to, where that leads now.
    pub fn moved(&self) -> Moved {
        let known: Vec<Known> = self.entries().into_iter().filter_map(known).collect();
        let found = Mutex::new(Moved::default());
        let look = |known: &Known| {
            let now = self.now(known);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match now {
                Ok(Some(digest)) if digest != known.digest => found.changes.push(known.change(&digest)),
                Ok(_) => {}
                Err(why) => found.unknown.push(format!("`{}`: {why}", shown(&known.url.text()))),
            }
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(()) = parallel::each(&known, THREADS, look);
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.changes.sort();
        found.unknown.sort();
        found
    }

    /// The digest of what there is now; none if the server says that it is what is known.
    fn now(&self, known: &Known) -> Result<Option<Digest>, String> {
        let text = |value: &Option<crate::lock::HeaderValue>| value.as_ref().map(|v| v.as_str().to_owned());
        let passed = Passed {
            etag: text(&known.response.etag),
            last_modified: text(&known.response.last_modified),
            ..Passed::default()
        };
        let origin = &self.origin;
        let beginnings = self.beginnings_of(&known.url);
        let from = beginnings.into_iter().find(|url| *url != known.url);
        let answer = match from {
            Some(from) => origin.follow(&known.asked, from, &passed)?,
            None => origin.ask(&known.asked, &known.url, &passed).map_err(|why| why.to_string())?,
        };
        match answer.status {
            304 => Ok(None),
            200 | 203 => digest(answer).map(Some).map_err(|error| text::shown(&error)),
            status => Err(format!("the server answered {status}")),
        }
    }
}

impl Known {
    fn change(&self, found: &Digest) -> Change {
        Change {
            kind: Kind::Network,
            name: self.name.clone(),
            platform: None,
            from: Some(self.digest.to_string()),
            to: Some(found.to_string()),
        }
    }
}

fn known((name, response): (String, LockedResponse)) -> Option<Known> {
    let (asked, url) = Asked::of_name(&name)?;
    let digest = response.digest.clone()?;
    Some(Known { name, asked, url, response, digest })
}

fn digest(mut answer: Answer) -> io::Result<Digest> {
    let (mut digester, mut piece, mut size) = (Digester::new(Algorithm::Sha256), vec![0; 128 << 10], 0);
    let length = answer.length();
    loop {
        let read = answer.body.read(&mut piece)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        digester.update(&piece[..read]);
    }
    if length.is_some_and(|length| length != size) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(digester.finish())
}
