//! [`FrameBuffer`]: the frames of a video before they are written to a shard. Long videos are kept in temporary files.

use crate::file::naming;
use crate::frames::EncodedFrame;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result as ParquetResult};
use std::fs::File;
use std::io::{Result, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that a buffer keeps in memory; the rest is in a temporary file.
pub const SPILL_BYTES: usize = 8 << 20;

/// The encoded frames of a video, in order. Bytes beyond [`SPILL_BYTES`] are in an unnamed temporary file.
pub struct FrameBuffer {
    pts_nanos: Vec<i64>,
    /// End of each frame in `bytes`.
    ends: Vec<u64>,
    bytes: Spill,
}

impl FrameBuffer {
    /// Returns an empty buffer. Its temporary file, if it needs one, is in `folder` and is deleted with the buffer.
    pub fn new(folder: &Path) -> Self {
        Self { pts_nanos: Vec::new(), ends: Vec::new(), bytes: Spill::new(folder) }
    }

    /// Appends a frame: its presentation time and its image file.
    pub fn push(&mut self, pts_nanos: i64, image: &[u8]) -> Result<()> {
        self.bytes.push(image)?;
        self.pts_nanos.push(pts_nanos);
        self.ends.push(self.bytes.length);
        Ok(())
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether the buffer has no frames.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the presentation times of the frames.
    pub fn pts_nanos(&self) -> &[i64] {
        &self.pts_nanos
    }

    /// Returns the end of the longest run of frames from `first` with at most `max_bytes`; a run has at least one frame.
    pub(crate) fn run(&self, first: usize, max_bytes: usize) -> usize {
        let start = self.start(first);
        let fits = self.ends[first..].iter().take_while(|end| **end - start <= max_bytes as u64);
        first + fits.count().max(1)
    }

    /// Returns the concatenated image files of `frames`, and the length of each.
    pub(crate) fn images(&self, frames: Range<usize>) -> Result<(Vec<u8>, Vec<usize>)> {
        let start = self.start(frames.start);
        let ends = &self.ends[frames];
        let bytes = self.bytes.read(start..ends.last().copied().unwrap_or(start))?;
        let mut last = start;
        let length = |end: &u64| (*end - std::mem::replace(&mut last, *end)) as usize;
        Ok((bytes, ends.iter().map(length).collect()))
    }

    /// Returns a copy of all frames.
    pub fn to_vec(&self) -> Result<Vec<EncodedFrame>> {
        let frame = |index: usize| {
            let (jpeg, _) = self.images(index..index + 1)?;
            Ok(EncodedFrame { pts_nanos: self.pts_nanos[index], jpeg })
        };
        (0..self.len()).map(frame).collect()
    }

    fn start(&self, frame: usize) -> u64 {
        if frame == 0 { 0 } else { self.ends[frame - 1] }
    }
}

/// What is done with the file of a spill, which has no name: the errors name its folder.
const CREATE: &str = "create a temporary file in";
const WRITE: &str = "write a temporary file in";
const READ: &str = "read a temporary file in";

/// Bytes that are appended and read back: up to [`SPILL_BYTES`] in memory, the others in a file.
struct Spill {
    folder: PathBuf,
    file: Option<File>,
    /// Number of bytes in the file; they come before those in memory.
    filed: u64,
    memory: Vec<u8>,
    length: u64,
}

impl Spill {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), file: None, filed: 0, memory: Vec::new(), length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.memory.len() + bytes.len() > SPILL_BYTES {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(tempfile::tempfile_in(&self.folder).map_err(naming(CREATE, &self.folder))?),
            };
            file.write_all(&self.memory).map_err(naming(WRITE, &self.folder))?;
            self.filed += self.memory.len() as u64;
            self.memory.clear();
        }
        if self.memory.len() + bytes.len() > self.memory.capacity() && self.memory.len() > SPILL_BYTES / 4 {
            // Reserved in one step: doubling would allocate twice as much.
            self.memory.reserve_exact(SPILL_BYTES - self.memory.len());
        }
        self.memory.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let in_file = range.start.min(self.filed)..range.end.min(self.filed);
        let mut bytes = vec![0; (in_file.end - in_file.start) as usize];
        if let Some(file) = &self.file {
            file.read_exact_at(&mut bytes, in_file.start).map_err(naming(READ, &self.folder))?;
        }
        let in_memory = |at: u64| at.saturating_sub(self.filed) as usize;
        bytes.extend_from_slice(&self.memory[in_memory(range.start)..in_memory(range.end)]);
        Ok(bytes)
    }
}

/// Stores the pages of a row group until it is complete.
#[derive(Debug)]
pub(crate) struct SpillingPages {
    /// Folder of temporary files.
    pub(crate) folder: PathBuf,
}

/// The pages of a row group.
struct RowGroup {
    folder: PathBuf,
    pages: Vec<Page>,
    file: Option<File>,
    filed: u64,
    /// Number of bytes of pages in memory.
    held: usize,
}

enum Page {
    Held(bytes::Bytes),
    /// Position in the file.
    Filed(Range<u64>),
}

impl PageStoreFactory for SpillingPages {
    fn create(&self, _: &PageStoreArgs<'_>) -> ParquetResult<Box<dyn PageStore>> {
        let folder = self.folder.clone();
        Ok(Box::new(RowGroup { folder, pages: Vec::new(), file: None, filed: 0, held: 0 }))
    }
}

impl RowGroup {
    /// Moves all pages from memory to the file.
    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.folder).map_err(naming(CREATE, &self.folder))?),
        };
        for page in &mut self.pages {
            if let Page::Held(bytes) = page {
                file.write_all(bytes)?;
                let start = self.filed;
                self.filed += bytes.len() as u64;
                *page = Page::Filed(start..self.filed);
            }
        }
        self.held = 0;
        Ok(())
    }
}

impl PageStore for RowGroup {
    fn put(&mut self, value: bytes::Bytes) -> ParquetResult<PageKey> {
        self.held += value.len();
        self.pages.push(Page::Held(value));
        if self.held > SPILL_BYTES {
            self.spill()?;
        }
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> ParquetResult<bytes::Bytes> {
        let missing = || ParquetError::General(format!("page {} does not exist", key.get()));
        match self.pages.get_mut(key.get() as usize).ok_or_else(missing)? {
            Page::Held(bytes) => Ok(std::mem::take(bytes)),
            Page::Filed(place) => {
                let mut bytes = vec![0; (place.end - place.start) as usize];
                let file = self.file.as_ref().ok_or_else(missing)?;
                file.read_exact_at(&mut bytes, place.start)?;
                Ok(bytes.into())
            }
        }
    }

    fn memory_size(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut buffer = FrameBuffer::new(folder.path());
        let image = |index: usize| vec![index as u8; (5 << 20) + index];
        for index in 0..16 {
            buffer.push(index as i64, &image(index)).expect("kept");
        }
        assert!(buffer.bytes.filed > 0 && buffer.bytes.memory.len() <= SPILL_BYTES);
        assert_eq!(fs_err::read_dir(folder.path()).expect("a folder").count(), 0, "the file is unnamed");
        let mut first = 0;
        while first < buffer.len() {
            let end = buffer.run(first, 11 << 20);
            assert_eq!(end, (first + 2).min(16));
            let (bytes, lengths) = buffer.images(first..end).expect("read");
            assert_eq!(lengths, (first..end).map(|index| (5 << 20) + index).collect::<Vec<_>>());
            assert!(bytes == (first..end).flat_map(image).collect::<Vec<_>>(), "{first}");
            first = end;
        }
        assert_eq!(buffer.run(3, 1), 4);
    }
}
