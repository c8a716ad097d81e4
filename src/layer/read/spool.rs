//! The file that gets what an archive holds, or no file: then only the position is kept.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use super::ReadError;

pub(super) struct Spool<'a> {
    file: Option<BufWriter<&'a mut File>>,
    position: u64,
    limit: u64,
}

impl<'a> Spool<'a> {
    pub(super) fn new(file: Option<&'a mut File>, limit: u64) -> Self {
        let file = file.map(|file| BufWriter::with_capacity(128 << 10, file));
        Self { file, position: 0, limit }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.advance(bytes.len() as u64)?;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).map_err(ReadError::Spool)
    }

    /// Leaves a hole, which takes no room on the disk.
    pub(super) fn hole(&mut self, len: u64) -> Result<(), ReadError> {
        self.advance(len)?;
        let to = SeekFrom::Start(self.position);
        self.file.as_mut().map_or(Ok(0), |file| file.seek(to)).map_err(ReadError::Spool)?;
        Ok(())
    }

    fn advance(&mut self, len: u64) -> Result<(), ReadError> {
        self.position = self
            .position
            .checked_add(len)
            .filter(|&at| at <= self.limit)
            .ok_or(ReadError::Limit { what: "content", limit: self.limit })?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), ReadError> {
        let Some(file) = self.file else { return Ok(()) };
        let set_len = |file: &mut File| file.set_len(self.position);
        file.into_inner().map_err(io::Error::from).and_then(set_len).map_err(ReadError::Spool)
    }
}
