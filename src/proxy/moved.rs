//! Whether the world still answers as the lock says: asked, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};

use super::asked::Asked;
use super::origin::{Answer, Passed};
use super::session::redirect;
use super::{Entries, Session};
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
        let entries = self.entries();
        let redirects = Redirects::of(&entries);
        let known: Vec<Known> = entries.into_iter().filter_map(known).collect();
        let found = Mutex::new((BTreeSet::new(), BTreeSet::new()));
        let look = |known: &Known| {
            for from in redirects.beginnings(&known.url) {
                let now = self.now(known, from);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                match now {
                    Ok(Some(digest)) if digest != known.digest => _ = found.0.insert(known.change(&digest)),
                    Ok(_) => {}
                    Err(why) => _ = found.1.insert(format!("`{}`: {why}", shown(&known.url.text()))),
                }
            }
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(()) = parallel::each(&known, THREADS, look);
        let (changes, unknown) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Moved { changes: changes.into_iter().collect(), unknown: unknown.into_iter().collect() }
    }

    /// The digest of what there is now, where that URL leads; none if the server says that it is what is known.
    fn now(&self, known: &Known, from: &Url) -> Result<Option<Digest>, String> {
        let etag = known.response.etag.as_ref();
        let passed = Passed {
            known: etag.map(|etag| (known.url.clone(), etag.as_str().to_owned())),
            ..Passed::default()
        };
        let origin = &self.origin;
        let answer = if *from == known.url {
            origin.ask(&known.asked, from, &passed).map_err(|why| why.to_string())?
        } else {
            origin.follow(&known.asked, from.clone(), &passed)?
        };
        match answer.status {
            _ if answer.is_known => Ok(None),
            200 | 203 => digest(answer).map(Some).map_err(|error| text::shown(&error)),
            status => Err(format!("the server answered {status}")),
        }
    }
}

/// The redirects of a lock: from where each URL is led to.
struct Redirects(BTreeMap<Url, BTreeSet<Url>>);

impl Redirects {
    fn of(entries: &Entries) -> Self {
        let mut redirects = BTreeMap::<Url, BTreeSet<Url>>::new();
        for (from, to) in entries.iter().filter_map(redirect) {
            redirects.entry(to).or_default().insert(from);
        }
        Self(redirects)
    }

    /// Where the chains of redirects begin that lead to a URL; it itself, if none does.
    fn beginnings<'a>(&'a self, url: &'a Url) -> BTreeSet<&'a Url> {
        let (mut found, mut seen, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![url]);
        while let Some(url) = left.pop() {
            if !seen.insert(url) {
                continue;
            }
            match self.0.get(url) {
                Some(before) => left.extend(before),
                None => _ = found.insert(url),
            }
        }
        if found.is_empty() {
            found.insert(url);
        }
        found
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
