//! [`Helpers`]: child processes of a worker, for files that may crash or hang the code that reads them.
//!
//! A helper is the worker's own executable, started as `WORKER --helper NAME MEMORY CPU PIECES`. It does [`Job`]s one after
//! the other until its stdin closes. [`JobLimits`] apply to each job. A job that exceeds them, or crashes, ends its helper; the
//! next job starts a new one. So a bad file affects no other file.
//!
//! A failure may also be the machine's: a signal from outside, no memory, no processes. So a job that failed is tried again while
//! no other runs. Only a failure that repeats, and that an input can cause, is one of the job ([`JobFailure`]).
//!
//! Messages go over pipes, see [`message`]; pieces of results, which may be large, through shared memory, see [`pieces`].
//! [`help()`] is the helper's side.

use crate::{Context, PARENT_VARIABLE, StageError};
use message::{Inbox, JOB, PIECE, PLACED, RESULT, TooLong, write_message};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use pieces::PieceReader;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

mod help;
mod message;
mod pieces;
mod spawn;

pub(crate) use help::help;

/// The argument that makes a worker a helper.
pub(crate) const HELPER_FLAG: &str = "--helper";

/// Maximum processor time between two pieces.
const PIECE_CPU_SECS: u64 = 60;

/// Maximum wall time per second of processor time, on a busy machine.
const WALL_FACTOR: u64 = 10;

/// More than any stream lasts: a hundred years.
const ENDLESS_SECS: u64 = 100 * 365 * 86_400;

/// Time between two checks whether the request was cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a helper that has closed its output may take to end. The system frees its memory in this time.
const EXIT_TIME: Duration = Duration::from_secs(10);

/// Time between two checks whether it has ended.
const EXIT_INTERVAL: Duration = Duration::from_millis(2);

/// Takes a piece of a job's result.
pub type SendPiece<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// Work that a helper does. Its stage defines the format of its input and its result.
#[derive(Clone, Copy)]
pub struct Job {
    /// The argument after `--helper`.
    pub name: &'static str,
    /// Does the job. An error means that a piece could not be sent.
    pub run: fn(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>>,
}

/// What a helper may use for one job; beyond it, the helper is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// Address space, in MiB.
    pub memory_mb: u64,
    /// Processor time per job.
    pub cpu_secs: u64,
}

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelperFailure {
    /// It exceeded its processor time.
    OutOfTime {
        /// [`JobLimits::cpu_secs`].
        cpu_secs: u64,
    },
    /// It sent nothing and used no processor time.
    Hung {
        /// Time without a message.
        wall_secs: u64,
    },
    /// It was ended by a signal.
    Crashed {
        /// Number of the signal.
        signal: i32,
    },
    /// It exited.
    Ended {
        /// The exit code.
        code: i32,
    },
    /// It could not be started.
    NotStarted {
        /// The number of the system's error, 0 if unknown.
        errno: i32,
    },
}

/// Who is to blame for a job without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFailure {
    /// Its input: the failure repeated itself.
    OfInput(HelperFailure),
    /// The machine: the failure did not repeat itself, or no input can cause it. It must not be recorded as a property of the input.
    OfMachine(HelperFailure),
}

/// The helpers of a running stage; threads share them.
pub struct Helpers<'a> {
    context: &'a Context,
    job: Job,
    limits: JobLimits,
    /// Whether a job may wait for its input without a limit.
    waits: bool,
    idle: Mutex<Vec<Helper>>,
    /// Held by each running job; exclusive for one that is tried again.
    turn: RwLock<()>,
}

struct Helper {
    child: Child,
    jobs: ChildStdin,
    replies: Inbox<ChildStdout>,
    pieces: PieceReader,
}

impl<'a> Helpers<'a> {
    /// Returns helpers for a job. They are started on demand.
    pub fn new(context: &'a Context, job: Job, limits: JobLimits) -> Self {
        Self { context, job, limits, waits: false, idle: Mutex::default(), turn: RwLock::default() }
    }

    /// Returns helpers for jobs that read a stream. They may wait and run without end; [`JobLimits::cpu_secs`] has no effect.
    pub fn of_streams(context: &'a Context, job: Job, memory_mb: u64) -> Self {
        Self { waits: true, ..Self::new(context, job, JobLimits { memory_mb, cpu_secs: ENDLESS_SECS }) }
    }

    /// Does a job once, and passes its pieces to `take`: a stream can't be read again.
    pub fn run_once(
        &self,
        job: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), StageError>,
    ) -> Result<Result<Vec<u8>, HelperFailure>, StageError> {
        self.attempt(job, take)
    }

    /// Does a job, and returns its result with what `take` made of its pieces, starting from `new`. A job that fails is tried again
    /// from the start.
    ///
    /// If the stage does not run in a worker, as in tests, the job runs in this process and without limits.
    pub fn run<T>(
        &self,
        job: &[u8],
        new: impl Fn() -> T,
        take: impl Fn(&mut T, &[u8]) -> Result<(), StageError>,
    ) -> Result<(T, Result<Vec<u8>, JobFailure>), StageError> {
        let attempt = || {
            let mut pieces = new();
            let result = self.attempt(job, &mut |piece| take(&mut pieces, piece))?;
            Ok::<_, StageError>((pieces, result))
        };
        let (pieces, first) = {
            let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
            attempt()?
        };
        let first = match first {
            Ok(result) => return Ok((pieces, Ok(result))),
            // Processor time does not depend on what else the machine does.
            Err(failure @ HelperFailure::OutOfTime { .. }) => return Ok((pieces, Err(JobFailure::OfInput(failure)))),
            Err(failure) => failure,
        };
        self.context.check_cancelled()?;
        let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        let (pieces, second) = attempt()?;
        self.context.check_cancelled()?;
        Ok((pieces, second.map_err(|second| first.repeated_as(second))))
    }

    /// Does a job once.
    fn attempt(
        &self,
        job: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), StageError>,
    ) -> Result<Result<Vec<u8>, HelperFailure>, StageError> {
        let Some(program) = self.context.program() else {
            let mut refused = None;
            let send: SendPiece = &mut |piece| {
                take(piece).map_err(|error| {
                    refused = Some(error);
                    io::ErrorKind::Other.into()
                })
            };
            let result = (self.job.run)(job, send);
            return refused.map_or_else(|| Ok(Ok(result?)), Err);
        };
        let mut helper = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut helper) = idle else {
                match Helper::start(program, self.job, self.limits) {
                    Ok(helper) => break helper,
                    Err(error) => {
                        return Ok(Err(HelperFailure::NotStarted { errno: error.raw_os_error().unwrap_or_default() }));
                    }
                }
            };
            // A helper that was killed while it was idle says nothing about this job.
            if !helper.hung_up()? {
                break helper;
            }
        };
        // On any error the helper is dropped, which kills it.
        match self.follow(&mut helper, job, take)? {
            Some(result) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(helper);
                Ok(Ok(result))
            }
            None => Ok(Err(self.failure(helper.end()?))),
        }
    }

    /// Returns a job's result; `None` if its helper ended or must be ended.
    fn follow(
        &self,
        helper: &mut Helper,
        job: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), StageError>,
    ) -> Result<Option<Vec<u8>>, StageError> {
        if write_message(&mut helper.jobs, JOB, job).is_err() {
            return Ok(None);
        }
        while self.wait_for_message(helper)? {
            match helper.replies.take_message() {
                Some((PIECE, piece)) => take(piece)?,
                Some((PLACED, place)) => match helper.pieces.read(place, &mut helper.jobs) {
                    Some(piece) => take(piece)?,
                    None => break,
                },
                Some((RESULT, result)) => return Ok(Some(result.to_vec())),
                _ => break,
            }
        }
        Ok(None)
    }

    /// Returns whether a message has arrived.
    fn wait_for_message(&self, helper: &mut Helper) -> Result<bool, StageError> {
        let wall_secs = if self.waits { ENDLESS_SECS } else { self.wall_secs() };
        let deadline = Instant::now() + Duration::from_secs(wall_secs);
        loop {
            match helper.replies.missing() {
                Ok(0) => return Ok(true),
                Ok(_) => (),
                Err(TooLong) => return Ok(false),
            }
            self.context.check_cancelled()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let wait = PollTimeout::try_from(left.min(CANCEL_INTERVAL)).unwrap_or(PollTimeout::ZERO);
            let mut ready = [PollFd::new(helper.replies.pipe().as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, wait) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => (),
                Ok(_) if helper.replies.read()? == 0 => return Ok(false),
                Ok(_) => (),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    fn wall_secs(&self) -> u64 {
        WALL_FACTOR * self.limits.cpu_secs.min(PIECE_CPU_SECS)
    }

    fn failure(&self, end: End) -> HelperFailure {
        match end {
            End::Killed => HelperFailure::Hung { wall_secs: self.wall_secs() },
            End::Itself(status) => match status.signal() {
                Some(signal) if signal == Signal::SIGXCPU as i32 => {
                    HelperFailure::OutOfTime { cpu_secs: self.limits.cpu_secs }
                }
                Some(signal) => HelperFailure::Crashed { signal },
                None => HelperFailure::Ended { code: status.code().unwrap_or_default() },
            },
        }
    }
}

impl HelperFailure {
    /// Returns who is to blame for this failure of a job and then `second`, when it was alone.
    fn repeated_as(self, second: Self) -> JobFailure {
        match second {
            Self::OutOfTime { .. } => JobFailure::OfInput(second),
            Self::Hung { .. } | Self::Crashed { .. } | Self::Ended { .. }
                if second == self && second.has_input_as_cause() =>
            {
                JobFailure::OfInput(second)
            }
            Self::Hung { .. } | Self::Crashed { .. } | Self::Ended { .. } | Self::NotStarted { .. } => {
                JobFailure::OfMachine(second)
            }
        }
    }

    /// Returns whether the input of a job can cause the failure. A program does not send itself the other signals: the system
    /// does if memory runs out, or a user.
    fn has_input_as_cause(self) -> bool {
        use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
        const OF_PROGRAM: [Signal; 9] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ];
        match self {
            Self::OutOfTime { .. } | Self::Hung { .. } | Self::Ended { .. } => true,
            Self::Crashed { signal } => OF_PROGRAM.iter().any(|of_program| *of_program as i32 == signal),
            Self::NotStarted { .. } => false,
        }
    }
}

impl fmt::Display for HelperFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime { cpu_secs } => {
                write!(f, "it took more than {cpu_secs} s of processor time, or {PIECE_CPU_SECS} s for one frame")
            }
            Self::Hung { wall_secs } => write!(f, "no response for {wall_secs} s"),
            Self::Crashed { signal } => {
                let name = Signal::try_from(*signal).map_or("an unknown signal", Signal::as_str);
                write!(f, "the decoder crashed ({name})")
            }
            Self::Ended { code } => write!(f, "the decoder exited with code {code}"),
            Self::NotStarted { errno } => {
                write!(f, "the decoder can't be started: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

/// How a helper ended.
enum End {
    Itself(ExitStatus),
    Killed,
}

impl Helper {
    fn start(program: &Path, job: Job, limits: JobLimits) -> io::Result<Self> {
        let pieces = PieceReader::new()?;
        let numbers = [limits.memory_mb.to_string(), limits.cpu_secs.to_string(), pieces.descriptor().to_string()];
        let mut command = Command::new(program);
        command.args([HELPER_FLAG, job.name]).args(numbers);
        command.env(PARENT_VARIABLE, std::process::id().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn::spawn(command)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(jobs), Some(replies)) => Ok(Self { child, jobs, replies: Inbox::new(replies), pieces }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Returns how it ended, after killing it if it has not.
    fn end(&mut self) -> io::Result<End> {
        let deadline = Instant::now() + EXIT_TIME;
        // It closes its output a moment before it ends; one that only closes its output never ends by itself.
        while self.hung_up()? && Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(End::Itself(status));
            }
            std::thread::sleep(EXIT_INTERVAL);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(End::Killed)
    }

    /// Returns whether it has closed its output.
    fn hung_up(&mut self) -> io::Result<bool> {
        let mut closed = [PollFd::new(self.replies.pipe().as_fd(), PollFlags::empty())];
        poll(&mut closed, PollTimeout::ZERO)?;
        Ok(closed[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
