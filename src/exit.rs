//! Exit codes; the README lists them.

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

impl Code {
    /// Ends the process with this code, without what is registered for its end: the allocator would return all memory piece by piece,
    /// up to a fifth of the time of a run with nothing to do. The kernel takes it at once.
    #[expect(unsafe_code, reason = "the standard library always runs what is registered for the end of a process")]
    pub(crate) fn end_process(self) -> ! {
        // SAFETY: `_exit` accepts every status and does not return. What was written to stdout is flushed before; see `render::finish`.
        unsafe { nix::libc::_exit(self as i32) }
    }
}
