//! [`restart_with_settings`]: settings of OpenMP and of the allocator that must be there before libtorch is loaded.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Environment variables that are read when a program starts.
///
/// - Threads of OpenMP sleep while they wait for each other. By default they spin, which is several times slower as soon as anything
///   else runs on the machine.
/// - glibc keeps the memory of tensors that were freed for the next ones. By default it returns blocks of more than 128 KiB to the
///   system, which clears each page again when it is next used. 32 MiB is the largest threshold that glibc accepts; larger tensors
///   come from the heap as well, because no block is mapped.
const SETTINGS: [(&str, &str); 4] = [
    ("OMP_WAIT_POLICY", "passive"),
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Restarts this program with the environment variables of [`SETTINGS`] that are not set. Call it first in `main`.
pub fn restart_with_settings() {
    let missing = SETTINGS.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let settings = missing.into_iter().map(|(name, value)| (name, value));
        // `exec` returns only if it fails. The work can be done without it.
        let _ = Command::new(program).args(std::env::args_os().skip(1)).envs(settings).exec();
    }
}
