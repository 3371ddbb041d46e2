//! Temporary files of targets, in memory where the machine has `/dev/shm`.

use std::path::Path;
use tempfile::TempDir;

/// Creates a temporary folder, which is deleted when dropped.
pub(crate) fn folder() -> TempDir {
    let folder = if Path::new("/dev/shm").is_dir() { tempfile::tempdir_in("/dev/shm") } else { tempfile::tempdir() };
    folder.expect("a temporary folder can be created")
}
