//! What tests need and a machine may lack: [`shared`] data beside the repository, and programs. [`skip`] says what is missing.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names the file to which [`skip`] appends. `cargo xtask test` sets it, and tells at its end what the file says.
const SKIPS: &str = "PIPE_TEST_SKIPS";

/// Returns the folder of this repository.
///
/// # Panics
/// If cargo did not start the test.
pub fn repository() -> PathBuf {
    // Asked at run time: the same build may serve several copies of the repository.
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("started by cargo"));
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    root.expect("a package of the repository").to_owned()
}

/// Returns a file or folder of the real data in `shared`, beside the repository. `None`, said aloud, where it is absent.
pub fn shared(path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = Path::new("shared").join(path);
    let found = repository().parent().and_then(|folder| folder.join(&path).canonicalize().ok());
    if found.is_none() {
        skip(&format!("there is no `{}` beside the repository", path.display()));
    }
    found
}

/// Says that a test, or the rest of it, does not run, and what it lacks.
///
/// # Panics
/// If the file that `cargo xtask test` names can't be written.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
pub fn skip(lacks: &str) {
    eprintln!("skipped: {lacks}");
    if let Some(file) = env::var_os(SKIPS) {
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
        // One write a line: tests of many processes share the file.
        file.write_all(format!("{lacks}\n").as_bytes()).expect("written");
    }
}
