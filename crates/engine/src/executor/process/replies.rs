//! [`Replies`]: lines from a worker's stdout.
//!
//! To read from a pipe is not enough: a process that the worker started may keep the pipe open after the worker has ended, and a
//! worker that has closed its input may wait for ever.

use super::child::{END_WITHIN, WorkerChild};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Instant;

/// Time between two looks whether the worker has ended.
const LOOK_EVERY_MILLIS: u16 = 500;

/// Maximum length of a reply: the list of parts of a large stage has some megabytes.
const MAX_LINE_BYTES: usize = 1 << 28;

/// Lines from a worker.
#[derive(Debug)]
pub(super) struct Replies {
    stdout: BufReader<ChildStdout>,
    /// Only to see whether the worker has closed it.
    stdin: Arc<ChildStdin>,
    child: Arc<WorkerChild>,
    line: Vec<u8>,
}

/// Why there are no more replies.
#[derive(Debug)]
pub(super) enum Lost {
    /// The worker has closed its output, after a part of a reply.
    ClosedOutput { unfinished: Vec<u8> },
    /// The worker has ended, and another process keeps its output open.
    Ended { unfinished: Vec<u8> },
    /// The worker has closed its input, and goes on without it.
    ClosedInput,
    /// The worker sends a line without end.
    LongLine { limit_bytes: usize },
    /// The output can't be read.
    Io(io::Error),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Replies {
    pub(super) fn new(stdout: ChildStdout, stdin: Arc<ChildStdin>, child: Arc<WorkerChild>) -> Self {
        Self { stdout: BufReader::new(stdout), stdin, child, line: Vec::new() }
    }

    pub(super) fn next_line(&mut self) -> Result<&[u8], Lost> {
        self.line.clear();
        loop {
            if self.stdout.buffer().is_empty() {
                self.wait()?;
            }
            let bytes = self.stdout.fill_buf()?;
            if bytes.is_empty() {
                return Err(Lost::ClosedOutput { unfinished: std::mem::take(&mut self.line) });
            }
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let count = newline.map_or(bytes.len(), |at| at + 1);
            self.line.extend_from_slice(&bytes[..count]);
            self.stdout.consume(count);
            if newline.is_some() {
                return Ok(&self.line);
            }
            if self.line.len() > MAX_LINE_BYTES {
                return Err(Lost::LongLine { limit_bytes: MAX_LINE_BYTES });
            }
        }
    }

    /// Returns whether the worker runs, reads its input and has sent nothing that was not read.
    pub(super) fn is_idle(&self) -> bool {
        self.child.ended().is_none()
            && self.stdout.buffer().is_empty()
            && self.look(0).is_ok_and(|pipes| !pipes.can_read && !pipes.input_is_closed)
    }

    /// Waits until stdout can be read.
    fn wait(&mut self) -> Result<(), Lost> {
        let mut until: Option<Instant> = None;
        loop {
            let pipes = self.look(LOOK_EVERY_MILLIS)?;
            if pipes.can_read {
                return Ok(());
            }
            // What it has written before its end can be read now.
            if self.child.ended().is_some() && !self.look(0)?.can_read {
                return Err(Lost::Ended { unfinished: std::mem::take(&mut self.line) });
            }
            if pipes.input_is_closed {
                match until {
                    None => until = Some(Instant::now() + END_WITHIN),
                    Some(until) if Instant::now() >= until => return Err(Lost::ClosedInput),
                    // The closed pipe would end the next wait at once.
                    Some(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
                }
            }
        }
    }

    /// Waits until something happens to the pipes, at most this long.
    fn look(&self, millis: u16) -> io::Result<Pipes> {
        // A pipe without a reader is an error even if nothing is waited for.
        let stdout = PollFd::new(self.stdout.get_ref().as_fd(), PollFlags::POLLIN);
        let mut pipes = [stdout, PollFd::new(self.stdin.as_fd(), PollFlags::empty())];
        match poll(&mut pipes, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = |pipe: &PollFd| pipe.any().unwrap_or(true);
        Ok(Pipes { can_read: happened(&pipes[0]), input_is_closed: happened(&pipes[1]) })
    }
}

/// The pipes of a worker.
#[derive(Debug, Clone, Copy)]
struct Pipes {
    /// Something can be read, or stdout is closed.
    can_read: bool,
    /// Nothing reads from stdin any more.
    input_is_closed: bool,
}
