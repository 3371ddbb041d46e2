//! A process whose first library is none: an error, not the panic of `ort`.

use pipe_infer::{InferError, Runtime};

#[test]
fn a_text_file_is_no_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("libonnxruntime.so");
    std::fs::write(&file, "no library").expect("the file is written");
    assert!(
        matches!(Runtime::load(&file), Err(InferError::NotALibrary { path, .. }) if path.ends_with("libonnxruntime.so"))
    );
}
