//! Exit codes; the README lists them.

use std::process::ExitCode;

/// How `pipe` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Success.
    Ok = 0,
    /// A stage, a file or a connection failed; no video was predicted; or `pipe model diff`, `pipe model verify` or `pipe cache verify` found
    /// a difference or a fault.
    Failed = 1,
    /// The arguments or the pipeline file are wrong and nothing ran, or `pipe check` found mistakes in the lists. Clap exits with
    /// this code, too.
    BadInput = 2,
    /// The user stopped the run.
    Cancelled = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
