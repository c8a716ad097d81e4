//! From entries to a compressed blob: reading, compressing and hashing side by side, in bounded memory.
//!
//! The caller's thread produces the tar chunk by chunk; workers compress chunks; a collector takes them in
//! order, hashes the tar for the diff ID and writes the blob. A fixed number of chunk buffers goes round
//! between them, which is the bound on memory. The bytes are the same for any number of threads, since a
//! chunk's depend on the chunk alone.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::chunk::STRIDE;
use super::entries::Entry;
use super::listing::Listing;
use super::produce::{Chunks, produce};
use super::tar::Times;
use super::{LayerError, Options};
use crate::compression::Compression;
use crate::oci::{Algorithm, DiffId, Digester};

/// Below this many bytes starting threads costs more than it gains.
const SMALL: u64 = 2 * STRIDE;

/// A buffer that grew beyond this is given back, so that a few large chunks don't set the memory for all.
const KEEP: usize = 2 << 20;

/// Writes the layer's blob to `out`. The diff ID is `None` where the blob is the tar itself, as then the writer
/// knows it: it is the blob's digest.
pub(super) fn write<W: Write + Send>(
    entries: &[Entry<'_>],
    options: &Options,
    out: &mut W,
) -> Result<(Listing, Option<DiffId>), LayerError> {
    let size: u64 = entries.iter().map(|entry| entry.size() + 512).sum();
    if options.compression.is_none() || options.threads <= 1 || size < SMALL {
        let mut chunks = Alone::new(options.compression, out);
        let listing = produce(entries, Times::All(options.epoch), &mut chunks)?;
        return Ok((listing, chunks.diff.map(Diff::finish)));
    }
    side_by_side(entries, options, out)
}

/// Hashes the uncompressed tar.
struct Diff(Digester);

impl Diff {
    fn new() -> Self {
        Self(Digester::new(Algorithm::Sha256))
    }

    fn finish(self) -> DiffId {
        DiffId::from_uncompressed(self.0.finish())
    }
}

/// Everything on the caller's thread.
struct Alone<'a, W> {
    compression: Compression,
    out: &'a mut W,
    slot: Slot,
    scratch: Vec<u8>,
    diff: Option<Diff>,
}

impl<'a, W: Write> Alone<'a, W> {
    fn new(compression: Compression, out: &'a mut W) -> Self {
        let diff = (!compression.is_none()).then(Diff::new);
        Self { compression, out, slot: Slot::default(), scratch: Vec::new(), diff }
    }
}

impl<W: Write> Chunks for Alone<'_, W> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.slot.raw
    }

    fn cut(&mut self) -> Result<(), LayerError> {
        if let Some(diff) = &mut self.diff {
            diff.0.update(&self.slot.raw);
            let packed = self.compression.compress(&self.slot.raw, &mut self.scratch);
            packed.and_then(|()| self.out.write_all(&self.scratch))
        } else {
            self.out.write_all(&self.slot.raw)
        }
        .map_err(LayerError::Write)?;
        self.slot.reset();
        Ok(())
    }
}

/// A chunk on its way, and the buffers that it travels in.
#[derive(Default)]
struct Slot {
    index: u64,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Slot {
    /// Compresses by way of `scratch`, which has to have room for the worst case; few slots need that much.
    fn compress(&mut self, compression: Compression, scratch: &mut Vec<u8>) -> io::Result<()> {
        compression.compress(&self.raw, scratch)?;
        self.packed.clear();
        self.packed.extend_from_slice(scratch);
        Ok(())
    }

    fn reset(&mut self) {
        self.raw.clear();
        if self.raw.capacity() > KEEP {
            self.raw = Vec::new();
            self.packed = Vec::new();
        }
    }
}

fn side_by_side<W: Write + Send>(
    entries: &[Entry<'_>],
    options: &Options,
    out: &mut W,
) -> Result<(Listing, Option<DiffId>), LayerError> {
    let (free_in, free) = channel();
    let (jobs, jobs_out) = channel();
    let (packed, packed_out) = channel();
    // One for each worker, and some for the producer and the collector, so that nobody waits.
    for _ in 0..options.threads + 3 {
        free_in.send(Slot::default()).expect("the receiver is here");
    }
    let jobs_out = Mutex::new(jobs_out);
    thread::scope(|scope| {
        for _ in 0..options.threads {
            let (packed, jobs) = (packed.clone(), &jobs_out);
            scope.spawn(move || work(options.compression, jobs, &packed));
        }
        drop(packed);
        let collector = scope.spawn(move || collect(&packed_out, &free_in, out));
        let mut chunks = Shared { slot: Slot::default(), free, jobs };
        let listing = produce(entries, Times::All(options.epoch), &mut chunks);
        // Without a sender of jobs the workers end, and after them the collector.
        drop(chunks);
        let collected = collector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Where the collector failed, the producer only knows that it stopped.
        let diff = collected.map_err(LayerError::Write)?;
        Ok((listing?, Some(diff.finish())))
    })
}

/// The producer's end.
struct Shared {
    slot: Slot,
    free: Receiver<Slot>,
    jobs: Sender<Slot>,
}

impl Chunks for Shared {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.slot.raw
    }

    fn cut(&mut self) -> Result<(), LayerError> {
        let stopped = || LayerError::Write(io::Error::other("the blob can't be written"));
        let mut next = self.free.recv().map_err(|_| stopped())?;
        next.index = self.slot.index + 1;
        let full = std::mem::replace(&mut self.slot, next);
        self.jobs.send(full).map_err(|_| stopped())
    }
}

fn work(compression: Compression, jobs: &Mutex<Receiver<Slot>>, packed: &Sender<io::Result<Slot>>) {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let mut scratch = Vec::new();
    while let Ok(mut slot) = next() {
        let result = slot.compress(compression, &mut scratch).map(|()| slot);
        if packed.send(result).is_err() {
            return;
        }
    }
}

/// Takes compressed chunks in order. When it returns early, its ends of the channels go, and the others stop.
fn collect(
    packed: &Receiver<io::Result<Slot>>,
    free: &Sender<Slot>,
    out: &mut impl Write,
) -> io::Result<Diff> {
    let mut diff = Diff::new();
    let mut waiting = BTreeMap::new();
    let mut index = 0;
    while let Ok(slot) = packed.recv() {
        let slot = slot?;
        waiting.insert(slot.index, slot);
        while let Some(mut slot) = waiting.remove(&index) {
            diff.0.update(&slot.raw);
            out.write_all(&slot.packed)?;
            slot.reset();
            index += 1;
            // The producer may have finished already.
            drop(free.send(slot));
        }
    }
    Ok(diff)
}
