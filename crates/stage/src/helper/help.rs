//! [`help`]: the helper's side.

use super::message::{Inbox, JOB, PIECE, PLACED, RESULT, WAS_READ, write_message};
use super::pieces::PieceWriter;
use super::{Job, JobLimits, PIECE_CPU_SECS};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::RawFd;

/// Smaller pieces are sent at once, without waiting for others.
const SMALL_BYTES: usize = 256;

/// Does jobs from stdin until it closes: the main function of a helper. `pieces` is the memory for pieces, as inherited.
pub(crate) fn help(job: Job, limits: JobLimits, pieces: RawFd, replies: impl Write) -> io::Result<()> {
    limit(Resource::RLIMIT_AS, limits.memory_mb << 20)?;
    // A crash must not leave a core file, least of all in a folder of the user.
    limit(Resource::RLIMIT_CORE, 0)?;
    let mut jobs = Jobs { inbox: Inbox::new(io::stdin().lock()), num_read: 0 };
    let mut outbox = Outbox { replies: BufWriter::new(replies), pieces: PieceWriter::open(pieces)? };
    while let Some(message) = jobs.next()? {
        let mut clock = Clock::start(limits.cpu_secs)?;
        let result = (job.run)(&message, &mut |piece| {
            outbox.send(piece, &mut jobs)?;
            // The worker hears from this job at least once a second.
            let is_small = (1..SMALL_BYTES).contains(&piece.len());
            if clock.renew()? || is_small { outbox.replies.flush() } else { Ok(()) }
        })?;
        write_message(&mut outbox.replies, RESULT, &result)?;
        outbox.replies.flush()?;
    }
    Ok(())
}

/// Messages from the worker.
struct Jobs<P> {
    inbox: Inbox<P>,
    /// Number of halves of the memory for pieces that the worker has read.
    num_read: u64,
}

impl<P: Read> Jobs<P> {
    /// Waits for a job; `None` after the last one.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.inbox.wait()? {
                Some((JOB, job)) => return Ok(Some(job.to_vec())),
                Some((WAS_READ, _)) => self.num_read += 1,
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => return Ok(None),
            }
        }
    }

    /// Waits until `count` halves were read.
    fn wait_until_read(&mut self, count: u64) -> io::Result<()> {
        while self.num_read < count {
            match self.inbox.wait()? {
                Some((WAS_READ, _)) => self.num_read += 1,
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        Ok(())
    }
}

/// Messages to the worker.
struct Outbox<R: Write> {
    replies: BufWriter<R>,
    pieces: PieceWriter,
}

impl<R: Write> Outbox<R> {
    fn send(&mut self, piece: &[u8], jobs: &mut Jobs<impl Read>) -> io::Result<()> {
        if piece.len() < SMALL_BYTES || !PieceWriter::takes(piece) {
            return write_message(&mut self.replies, PIECE, piece);
        }
        if let Some(count) = self.pieces.make_room(piece) {
            // From now on the worker can read the half that is full.
            self.replies.flush()?;
            jobs.wait_until_read(count)?;
        }
        write_message(&mut self.replies, PLACED, &self.pieces.write(piece)?)
    }
}

/// The processor time of a job.
struct Clock {
    end_secs: u64,
    renewed_secs: u64,
}

impl Clock {
    fn start(limit_secs: u64) -> io::Result<Self> {
        let mut clock = Self { end_secs: cpu_secs()? + limit_secs, renewed_secs: u64::MAX };
        clock.renew()?;
        Ok(clock)
    }

    /// Extends the limit once a second, and returns whether it did.
    fn renew(&mut self) -> io::Result<bool> {
        let now = cpu_secs()?;
        let is_due = now != self.renewed_secs;
        if is_due {
            // The kernel counts whole seconds, and this one has started.
            limit(Resource::RLIMIT_CPU, self.end_secs.min(now + PIECE_CPU_SECS) + 1)?;
            self.renewed_secs = now;
        }
        Ok(is_due)
    }
}

/// Sets a limit of this process, at most to the hard limit.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    Ok(setrlimit(resource, value.min(hard), hard)?)
}

/// Returns the processor time that this process has used.
fn cpu_secs() -> io::Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    Ok(((micros(usage.user_time()) + micros(usage.system_time())) / 1_000_000).max(0) as u64)
}
