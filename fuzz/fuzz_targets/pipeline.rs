//! Arbitrary bytes as a pipeline file: the result is a plan, or problems with positions inside the text; never a panic or unbounded memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The file that the bytes are written to.
static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let file = folder.path().join("p.yaml");
    (folder, file)
});

fuzz_target!(|bytes: &[u8]| {
    let file = &FILE.1;
    std::fs::write(file, bytes).expect("written");
    let Err(problems) = pipe_engine::load(file, &[]) else { return };
    assert!(!problems.0.is_empty(), "an error without a problem");
    for problem in &problems.0 {
        let (offset, length) = problem.place.range();
        let text = &problem.place.source.text;
        assert!(text.is_char_boundary(offset) && text.is_char_boundary(offset + length), "{problem:?}");
        let (line, column) = problem.place.line_column();
        assert!(line >= 1 && column >= 1);
    }
});
