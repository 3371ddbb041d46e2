//! Every Rust file is formatted. `cargo fmt` does not see the modules that a macro declares, such as the ops of `pipe-graph`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns all Rust files under a folder, without build outputs.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let is_output = entry.file_name().is_some_and(|name| name == "target");
        if entry.is_dir() && !is_output {
            rust_files(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
}

#[test]
fn every_file_is_formatted() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the repository");
    let mut files = Vec::new();
    for folder in ["cache", "crates", "schemas", "src", "stages", "tests", "workers", "xtask"] {
        rust_files(&repository.join(folder), &mut files);
    }
    let output = Command::new("rustfmt").args(["--edition", "2024", "--check", "-l"]).args(&files).output();
    let output = output.expect("rustfmt starts; it is part of the toolchain");
    let unformatted = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "run `rustfmt --edition 2024` on these files:\n{unformatted}");
}
