//! [`restart_with_settings`]: settings of OpenMP and of the allocator that must be there before libtorch is loaded.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Environment variables that are read when a program starts.
///
/// - Threads of OpenMP sleep while they wait for each other. By default they spin, which is several times slower as soon as anything
///   else runs on the machine.
/// - glibc keeps the memory of tensors that were freed for the next ones. By default it maps large blocks and returns them to the system,
///   which clears each page again for the next one. No limit on sizes keeps all of them, because glibc accepts none above 32 MiB; so no
///   block is mapped at all.
const SETTINGS: [(&str, &str); 4] = [
    ("OMP_WAIT_POLICY", "passive"),
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Restarts this program with the environment variables of [`SETTINGS`] that are not set. Call it first in `main`.
pub fn restart_with_settings() {
    let missing: Vec<_> = SETTINGS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // `exec` returns only if it fails. The work can be done without it.
        let _ = Command::new(program).args(std::env::args_os().skip(1)).envs(missing).exec();
    }
}
