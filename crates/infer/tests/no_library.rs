//! A file that is not a library, loaded first in a process. `ort` would panic; `Runtime` returns an error.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_infer::{InferError, Runtime};

#[test]
fn a_text_file_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("libonnxruntime.so");
    std::fs::write(&file, "not a library").expect("the file is written");
    assert!(
        matches!(Runtime::load(&file), Err(InferError::NotALibrary { path, .. }) if path.ends_with("libonnxruntime.so"))
    );
}
