//! Messages over the pipes of a helper.
//!
//! ```text
//! each message: kind u8, length u32 (little-endian), `length` bytes
//! to a helper:   0 a job; during a job: 3 half of the memory for pieces was read
//! from a helper: any number of pieces of the result, each as 1 its content or 4 its position in memory; then 2 the result
//! ```

use std::io::{self, Read, Write};

pub(super) const JOB: u8 = 0;
pub(super) const PIECE: u8 = 1;
pub(super) const RESULT: u8 = 2;
pub(super) const WAS_READ: u8 = 3;
pub(super) const PLACED: u8 = 4;

/// Maximum length of a message. A longer one is an error.
const MAX_MESSAGE_BYTES: u32 = 1 << 30;

/// Maximum number of bytes per read.
const READ_BYTES: usize = 64 << 10;

const HEADER: usize = 5;

fn parse_header([kind, length @ ..]: [u8; HEADER]) -> (u8, u32) {
    (kind, u32::from_le_bytes(length))
}

pub(super) fn write_message(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut header = [kind; HEADER];
    header[1..].copy_from_slice(&length.to_le_bytes());
    to.write_all(&header)?;
    to.write_all(bytes)
}

/// A message is longer than the maximum.
pub(super) struct TooLong;

/// Messages that come from a pipe.
pub(super) struct Inbox<P> {
    pipe: P,
    bytes: Vec<u8>,
    /// The bytes before this have been processed.
    start: usize,
    /// The bytes after this are unused.
    end: usize,
}

impl<P: Read> Inbox<P> {
    pub(super) fn new(pipe: P) -> Self {
        Self { pipe, bytes: Vec::new(), start: 0, end: 0 }
    }

    pub(super) fn pipe(&self) -> &P {
        &self.pipe
    }

    /// Returns the number of missing bytes of the first message.
    pub(super) fn missing(&self) -> Result<usize, TooLong> {
        let unread = &self.bytes[self.start..self.end];
        let Some(header) = unread.first_chunk() else { return Ok(HEADER - unread.len()) };
        let (_, length) = parse_header(*header);
        if length > MAX_MESSAGE_BYTES {
            return Err(TooLong);
        }
        Ok((HEADER + length as usize).saturating_sub(unread.len()))
    }

    /// Takes the first message; `None` if it is incomplete.
    pub(super) fn take_message(&mut self) -> Option<(u8, &[u8])> {
        let (header, rest) = self.bytes[self.start..self.end].split_first_chunk()?;
        let (kind, length) = parse_header(*header);
        let content = rest.get(..length as usize)?;
        self.start += HEADER + length as usize;
        Some((kind, content))
    }

    /// Reads what is available, after moving the incomplete message to the front.
    pub(super) fn read(&mut self) -> io::Result<usize> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.bytes.len() < self.end + READ_BYTES {
            self.bytes.resize(self.end + READ_BYTES, 0);
        }
        let count = self.pipe.read(&mut self.bytes[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Waits for a message; `None` at the end of the pipe.
    pub(super) fn wait(&mut self) -> io::Result<Option<(u8, &[u8])>> {
        while self.missing().map_err(|TooLong| io::ErrorKind::InvalidData)? > 0 {
            if self.read()? == 0 {
                return Ok(None);
            }
        }
        Ok(self.take_message())
    }
}
