//! Pieces of results in memory that a helper and its worker share. Sending frames through a pipe would take a large share of
//! the time for decoding them (decision 11).
//!
//! The memory has two halves. The helper fills them in turn and sends the position of each piece. It fills a half again after
//! the worker has reported that it has read all pieces in it; the worker does so at the first piece of the other half. The worker
//! checks each position, and copies a piece before it reads it.

use super::message::{WAS_READ, write_message};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// Room for tens of frames, and small enough for the processor's cache.
const HALF_BYTES: usize = 1 << 20;

/// The worker's side.
pub(super) struct PieceReader {
    memory: File,
    /// The half of the last piece.
    half: usize,
    piece: Vec<u8>,
}

impl PieceReader {
    /// Creates the memory. Child processes inherit it.
    pub(super) fn new() -> io::Result<Self> {
        let memory = memfd_create("pieces", MFdFlags::empty())?.into();
        Ok(Self { memory, half: 0, piece: Vec::new() })
    }

    /// Returns the file descriptor under which a child inherits the memory.
    pub(super) fn descriptor(&self) -> RawFd {
        self.memory.as_raw_fd()
    }

    /// Returns the piece at a position that the helper sent; `None` if the position is invalid. Reports to the helper when a half
    /// has been read.
    pub(super) fn read(&mut self, place: &[u8], jobs: &mut impl Write) -> Option<&[u8]> {
        let (start, length) = place.split_first_chunk()?;
        let start = u32::from_le_bytes(*start) as usize;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let half = start / HALF_BYTES;
        if half > 1 || length > HALF_BYTES {
            return None;
        }
        if half != self.half {
            write_message(jobs, WAS_READ, &[]).ok()?;
            self.half = half;
        }
        self.piece.resize(length, 0);
        self.memory.read_exact_at(&mut self.piece, start as u64).ok()?;
        Some(&self.piece)
    }
}

/// The helper's side.
pub(super) struct PieceWriter {
    memory: File,
    /// Number of halves that were started after the first.
    begun: u64,
    /// Number of used bytes of the current half.
    filled: usize,
}

impl PieceWriter {
    /// Opens the memory that was inherited as `descriptor`.
    pub(super) fn open(descriptor: RawFd) -> io::Result<Self> {
        let memory = OpenOptions::new().write(true).open(format!("/proc/self/fd/{descriptor}"))?;
        Ok(Self { memory, begun: 0, filled: 0 })
    }

    /// Returns whether a piece fits into the memory.
    pub(super) fn takes(piece: &[u8]) -> bool {
        piece.len() <= HALF_BYTES
    }

    /// Starts the other half if a piece does not fit into this one. Returns how many halves must have been read before it can be
    /// written.
    pub(super) fn make_room(&mut self, piece: &[u8]) -> Option<u64> {
        if self.filled + piece.len() <= HALF_BYTES {
            return None;
        }
        (self.begun, self.filled) = (self.begun + 1, 0);
        Some(self.begun - 1)
    }

    /// Writes a piece that fits, and returns its position and length.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<[u8; 8]> {
        let start = (self.begun % 2) as usize * HALF_BYTES + self.filled;
        self.memory.write_all_at(piece, start as u64)?;
        self.filled += piece.len();
        let mut place = [0; 8];
        place[..4].copy_from_slice(&(start as u32).to_le_bytes());
        place[4..].copy_from_slice(&(piece.len() as u32).to_le_bytes());
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_positions_are_refused() {
        let mut reader = PieceReader::new().expect("memory");
        let mut writer = PieceWriter::open(reader.descriptor()).expect("the same memory");
        let place = writer.write(b"a piece").expect("written");
        let mut jobs = Vec::new();
        assert_eq!(reader.read(&place, &mut jobs), Some(&b"a piece"[..]));
        let position = |start: u32, length: u32| [start.to_le_bytes(), length.to_le_bytes()].concat();
        for wrong in [
            position(0, 8),
            position(u32::MAX, 1),
            position(0, u32::MAX),
            position(2 << 20, 1),
            position(1 << 20, 1),
            vec![0; 7],
        ] {
            assert_eq!(reader.read(&wrong, &mut jobs), None, "{wrong:?}");
        }
    }
}
