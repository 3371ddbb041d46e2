//! Pieces of results, in memory that a helper and its worker share: through a pipe, frames would cost a good part of what it
//! takes to make them (decision 11).
//!
//! The memory has two halves. The helper fills one after the other, and tells where each piece lies. A half is filled again
//! once the worker has said that it has read all in it, which it does when it sees the first piece of the next. What a helper
//! says of places is not believed unless it makes sense, and what lies there is copied before it is looked at.

use super::message::{WAS_READ, write_message};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// Room for some tens of frames, and no more than processors keep near.
const HALF_BYTES: usize = 1 << 20;

/// The worker's side.
pub(super) struct PieceReader {
    memory: File,
    /// The half in which the last piece lay.
    half: usize,
    piece: Vec<u8>,
}

impl PieceReader {
    /// Makes the memory. Children inherit it.
    pub(super) fn new() -> io::Result<Self> {
        let memory = memfd_create("pieces", MFdFlags::empty())?.into();
        Ok(Self { memory, half: 0, piece: Vec::new() })
    }

    /// Returns the number by which a child finds the memory.
    pub(super) fn descriptor(&self) -> RawFd {
        self.memory.as_raw_fd()
    }

    /// Returns the piece at a place that the helper told; `None` if none can be there. Tells the helper of a half that was read.
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
    /// Halves that were begun after the first.
    begun: u64,
    /// Bytes of the half that are taken.
    filled: usize,
}

impl PieceWriter {
    /// Opens the memory that was inherited as `descriptor`.
    pub(super) fn open(descriptor: RawFd) -> io::Result<Self> {
        let memory = OpenOptions::new().write(true).open(format!("/proc/self/fd/{descriptor}"))?;
        Ok(Self { memory, begun: 0, filled: 0 })
    }

    /// Returns whether a piece can go into the memory at all.
    pub(super) fn takes(piece: &[u8]) -> bool {
        piece.len() <= HALF_BYTES
    }

    /// Begins the other half if a piece does not fit into this one. Returns how many halves must have been read before it is
    /// written to.
    pub(super) fn make_room(&mut self, piece: &[u8]) -> Option<u64> {
        if self.filled + piece.len() <= HALF_BYTES {
            return None;
        }
        (self.begun, self.filled) = (self.begun + 1, 0);
        Some(self.begun - 1)
    }

    /// Writes a piece for which there is room, and returns what tells its place.
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
    fn only_places_that_make_sense_are_believed() {
        let mut reader = PieceReader::new().expect("memory");
        let mut writer = PieceWriter::open(reader.descriptor()).expect("the same memory");
        let place = writer.write(b"a piece").expect("written");
        let mut jobs = Vec::new();
        assert_eq!(reader.read(&place, &mut jobs), Some(&b"a piece"[..]));
        let told = |start: u32, length: u32| [start.to_le_bytes(), length.to_le_bytes()].concat();
        for wrong in [told(0, 8), told(u32::MAX, 1), told(0, u32::MAX), told(2 << 20, 1), told(1 << 20, 1), vec![0; 7]]
        {
            assert_eq!(reader.read(&wrong, &mut jobs), None, "{wrong:?}");
        }
    }
}
