//! The one pass over a layer: reads each file once, right into the chunk that will be compressed.

use super::LayerError;
use super::chunk::{MAX, STRIDE, begins_chunk};
use super::entries::{Body, Entry};
use super::listing::{Lister, Listing};
use super::tar::{END, Times, head, padding};
use crate::tree::Content;

/// Takes the chunks of a tar as they fill.
pub(super) trait Chunks {
    /// The chunk being filled.
    fn buffer(&mut self) -> &mut Vec<u8>;
    /// Takes it away, and has an empty one from then on.
    fn cut(&mut self) -> Result<(), LayerError>;
}

/// Produces the tar, and says where everything is in it.
pub(super) fn produce(
    entries: &[Entry<'_>],
    times: Times,
    chunks: &mut impl Chunks,
) -> Result<Listing, LayerError> {
    let mut tar = Tar { chunks, done: 0, head: Vec::new() };
    let mut lister = Lister::new(times);
    for entry in entries {
        let offset = tar.entry(entry, times)?;
        lister.add(entry, offset);
    }
    tar.chunks.buffer().extend_from_slice(&END);
    tar.chunks.cut()?;
    Ok(lister.finish())
}

struct Tar<'a, C> {
    chunks: &'a mut C,
    /// The bytes in the chunks that were cut off.
    done: u64,
    head: Vec<u8>,
}

impl<C: Chunks> Tar<'_, C> {
    /// Writes an entry; returns where in the tar its body begins.
    fn entry(&mut self, entry: &Entry<'_>, times: Times) -> Result<u64, LayerError> {
        let name = entry.name();
        self.head.clear();
        head(entry, &name, times, &mut self.head)?;
        let size = self.head.len() as u64 + entry.size() + padding(entry.size());
        let so_far = self.chunks.buffer().len() as u64;
        if so_far > 0 && (so_far + size > MAX || begins_chunk(&name, size)) {
            self.cut()?;
        }
        self.chunks.buffer().extend_from_slice(&self.head);
        let offset = self.done + self.chunks.buffer().len() as u64;
        if let Body::File(content) = entry.body {
            self.body(content)?;
        }
        Ok(offset)
    }

    fn body(&mut self, content: &Content) -> Result<(), LayerError> {
        let mut reading = content.open()?;
        while reading.left() > 0 {
            let n = usize::try_from(reading.left().min(STRIDE)).expect("at most a stride");
            let buffer = self.chunks.buffer();
            let at = buffer.len();
            buffer.resize(at + n, 0);
            reading.read_exact(&mut buffer[at..])?;
            if reading.left() > 0 {
                self.cut()?;
            }
        }
        reading.finish()?;
        let buffer = self.chunks.buffer();
        let padding = usize::try_from(padding(content.size())).expect("less than a block");
        buffer.resize(buffer.len() + padding, 0);
        Ok(())
    }

    fn cut(&mut self) -> Result<(), LayerError> {
        self.done += self.chunks.buffer().len() as u64;
        self.chunks.cut()
    }
}
