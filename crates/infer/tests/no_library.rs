//! Files that are not libraries, loaded first in a process. `ort` and `openvino` would panic; [`load`] returns an error.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_infer::{InferError, InferenceEngine, Libraries, load};

#[test]
fn a_text_file_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("library.so");
    std::fs::write(&file, "not a library").expect("the file is written");
    let libraries = Libraries { onnx_runtime: file.clone(), openvino: file };
    for engine in InferenceEngine::ALL {
        let error = load(engine, &libraries).expect_err("not a library");
        assert!(matches!(&error, InferError::NotALibrary { path, .. } if path.ends_with("library.so")), "{error:?}");
        assert!(error.help().is_some_and(|help| help.contains("cargo xtask setup")));
    }
}

#[test]
fn a_library_of_something_else_is_an_error() {
    let library = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"].map(std::path::PathBuf::from);
    let Some(library) = library.into_iter().find(|library| library.exists()) else {
        return pipe_testkit::skip("no C library at the usual places");
    };
    let libraries = Libraries { onnx_runtime: library.clone(), openvino: library };
    for engine in InferenceEngine::ALL {
        let error = load(engine, &libraries).expect_err("the C library");
        assert!(matches!(error, InferError::NotALibrary { .. }), "{error:?}");
    }
}

#[test]
fn a_missing_library_is_an_error_with_a_remedy() {
    let missing = std::path::PathBuf::from("/no/such/library.so");
    let libraries = Libraries { onnx_runtime: missing.clone(), openvino: missing };
    let check = |engine, expect: &str, variable: &str| {
        let error = load(engine, &libraries).expect_err("missing");
        assert_eq!(error.to_string(), expect);
        assert!(error.help().is_some_and(|help| help.contains(variable)), "{:?}", error.help());
    };
    check(InferenceEngine::OnnxRuntime, "ONNX Runtime not found at /no/such/library.so", "ORT_DYLIB_PATH");
    check(InferenceEngine::OpenVino, "OpenVINO not found at /no/such/library.so", "OPENVINO_C_DYLIB_PATH");
}
