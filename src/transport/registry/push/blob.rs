//! One blob: it is there already, it is mounted, or it is sent.

use ureq::http::Method;

use super::note::Note;
use super::session::Session;
use super::{RegistrySink, Sent};
use crate::image::{Blobs, digest_of};
use crate::oci::{Descriptor, Digest};
use crate::transport::registry::call::Call;
use crate::transport::registry::{RegistryError, Repository};
use crate::transport::{Arrival, TransportError};

/// How often a blob is sent from the start, when the registry has lost what it had of it.
const ROUNDS: u32 = 3;

/// A blob on its way to a repository.
pub(super) struct Transfer<'a> {
    pub(super) sink: &'a RegistrySink<'a>,
    pub(super) blobs: &'a dyn Blobs,
    pub(super) sent: &'a Sent<'a>,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// How an upload ended.
pub(super) enum Outcome {
    Committed,
    /// The registry knows nothing of it any more, or has other bytes than it was sent: it has to begin anew.
    Lost(String),
}

impl RegistrySink<'_> {
    pub(super) fn push_blob(&self, sent: &Sent<'_>, blobs: &dyn Blobs) -> Result<(), TransportError> {
        let descriptor = sent.descriptor();
        if is_foreign(descriptor) {
            log::debug!("`{}` is had from elsewhere", descriptor.digest());
            return Ok(());
        }
        let failed =
            |error| TransportError::Io { what: format!("pushing blob `{}`", descriptor.digest()), error };
        let digest = digest_of(descriptor).map_err(failed)?;
        let size = descriptor.size();
        Transfer { sink: self, blobs, sent, digest, size }.run()
    }
}

/// A layer that is not to be distributed by registries: its URLs say where it is (image-spec, layer.md).
fn is_foreign(blob: &Descriptor) -> bool {
    let media_type = blob.media_type().to_string();
    let kind = media_type.contains(".nondistributable.") || media_type.contains(".foreign.");
    kind && blob.urls().as_ref().is_some_and(|urls| !urls.is_empty())
}

impl Transfer<'_> {
    pub(super) fn repository(&self) -> &Repository {
        &self.sink.repository
    }

    pub(super) fn doing(&self) -> String {
        format!("pushing blob `{}` to `{}`", self.digest, self.repository())
    }

    fn run(&self) -> Result<(), TransportError> {
        let uploads = self.sink.options.uploads.as_deref();
        if self.is_there()? {
            log::debug!("{}: it is there", self.doing());
            Note::forget(uploads, self.repository(), &self.digest);
            self.arrived(Arrival::Present);
            return Ok(());
        }
        let mut note = Note::open(uploads, self.repository(), &self.digest);
        let sent = self.send(&mut note)?;
        // A session that is committed or lost is of no use to anybody.
        note.remove();
        match sent {
            Outcome::Committed => Ok(()),
            Outcome::Lost(why) => Err(RegistryError::lost(&self.doing(), self.repository(), why).into()),
        }
    }

    fn send(&self, note: &mut Note) -> Result<Outcome, TransportError> {
        let mut session = match note.url() {
            Some(url) => self.noted(&url)?,
            None => None,
        };
        if session.is_none() {
            session = match self.mount()? {
                Mount::Mounted => {
                    self.arrived(Arrival::Mounted);
                    return Ok(Outcome::Committed);
                }
                Mount::Session(begun) => Some(begun),
                Mount::Refused => None,
            };
        }
        let mut outcome = Outcome::Committed;
        for _ in 0..ROUNDS {
            let session = match session.take() {
                Some(session) => session,
                None => self.begin()?,
            };
            let how = match session.offset {
                0 => Arrival::Pushed,
                from => Arrival::Resumed { from },
            };
            self.began(session.offset);
            outcome = self.upload(session, note)?;
            match &outcome {
                Outcome::Lost(why) => log::debug!("{}: it is lost: {why}", self.doing()),
                Outcome::Committed => {
                    self.arrived(how);
                    break;
                }
            }
            // What is not known any more may have been committed.
            if self.is_there()? {
                self.arrived(Arrival::Pushed);
                return Ok(Outcome::Committed);
            }
        }
        Ok(outcome)
    }

    /// Its bytes move, from this one on.
    pub(super) fn began(&self, offset: u64) {
        self.sink.tell(|watch| watch.began(self.sent.descriptor()));
        self.moved(offset);
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.sink.tell(|watch| watch.moved(self.sent.descriptor(), bytes));
    }

    fn arrived(&self, how: Arrival) {
        self.sink.tell(|watch| watch.arrived(self.sent.descriptor(), how));
    }

    pub(super) fn is_there(&self) -> Result<bool, RegistryError> {
        let path = format!("blobs/{}", self.digest);
        let call = Call::at(Method::HEAD, self.repository(), path, self.doing()).pushing();
        Ok(self.sink.registries.call(call.expecting(&[404]))?.status != 404)
    }

    /// Asks for it from a repository of the same registry. A refusal costs nothing but the question.
    fn mount(&self) -> Result<Mount, RegistryError> {
        let own = self.repository();
        let origins = self.blobs.origins(self.sent.descriptor());
        let other = |origin: &&Repository| origin.registry == own.registry && origin.name != own.name;
        let Some(origin) = origins.iter().find(other) else { return Ok(Mount::Refused) };
        let path = format!("blobs/uploads/?mount={}&from={}", self.digest, crate::http::encode(&origin.name));
        let doing = format!("mounting blob `{}` of `{origin}` in `{own}`", self.digest);
        let mut call = Call::at(Method::POST, own, path, doing).pushing();
        call.access.from = Some(&origin.name);
        match self.sink.registries.call(call) {
            Ok(answer) if answer.status == 201 => {
                answer.drain();
                Ok(Mount::Mounted)
            }
            Ok(answer) => Ok(Session::begun(&answer).map_or(Mount::Refused, Mount::Session)),
            // That one may not read there is no reason not to write here.
            Err(error)
                if error.status().is_some_and(|status| (400..500).contains(&status) && status != 429) =>
            {
                log::debug!("{error}");
                Ok(Mount::Refused)
            }
            Err(error) => Err(error),
        }
    }
}

enum Mount {
    Mounted,
    Session(Session),
    Refused,
}
