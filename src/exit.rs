//! Exit codes; the README lists them.

use std::process::ExitCode;

/// How `pipe` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// All went well.
    Ok = 0,
    /// A stage failed, or something around it; or `pipe cache verify` found damage.
    Failed = 1,
    /// The pipeline file or the arguments are wrong, and nothing was run; or `pipe check` found mistakes. (Clap's code for bad arguments is the same.)
    BadInput = 2,
    /// The user stopped the run.
    Cancelled = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
