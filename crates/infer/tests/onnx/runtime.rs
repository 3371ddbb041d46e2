//! The runtime and its sessions: metadata, versions and errors.

use crate::{clip, runtime, session};
use pipe_graph::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams};
use pipe_graph::{Builder, Graph, GraphError, Init, onnx};
use pipe_infer::{InferError, Runtime};
use std::collections::BTreeMap;
use std::path::Path;

fn tiny() -> Graph {
    let mut g = Builder::new("tiny", clip(1, 1, 1, 1)).expect("a clip");
    let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
    let fc =
        g.node("fc", x, LinearParams { out_features: 1, init: Init::Constant(1.0), bias: true }).expect("features");
    g.finish(fc, fc).expect("logits")
}

#[test]
fn metadata_is_read_back() {
    let Some(runtime) = runtime() else { return };
    let metadata: BTreeMap<String, String> =
        [("classes", "[\"jump\",\"läuft\"]"), ("empty", "")].map(|(key, value)| (key.into(), value.into())).into();
    let bytes = onnx::write(&tiny(), |param| Some(vec![1.0; param.len()]), &metadata).expect("it is written");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, bytes).expect("the file is written");
    let session = runtime.session(&file, 1).expect("the model opens");
    assert_eq!(session.metadata().expect("readable"), metadata);
}

#[test]
fn the_version_comes_from_the_library() {
    let Some(runtime) = runtime() else { return };
    let version: Vec<u32> = runtime.version().split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(version.as_slice() >= [1, 24].as_slice(), "{}", runtime.version());
}

#[test]
fn a_file_that_is_not_a_model_is_an_error() {
    let Some(runtime) = runtime() else { return };
    for bytes in [b"".as_slice(), b"not a model", &[0xff; 100]] {
        assert!(matches!(runtime.session_from_bytes(bytes, 1), Err(InferError::Model { .. })), "{bytes:?}");
    }
    let missing = runtime.session(Path::new("no/such/model.onnx"), 1);
    assert!(matches!(missing, Err(InferError::Model { model, .. }) if model == "no/such/model.onnx"));
}

#[test]
fn an_input_that_does_not_fit_the_model_is_an_error() {
    let Some(runtime) = runtime() else { return };
    let mut session = session(&runtime, &tiny(), &[("fc.weight", &[1.0]), ("fc.bias", &[1.0])]);
    let mut run = |name: &str, shape, length| session.run(name, shape, vec![0.0; length]);
    assert!(matches!(run("clip", [1; 5], 2), Err(InferError::InputLength { found: 2, .. })));
    assert!(matches!(run("clip", [usize::MAX; 5], 2), Err(InferError::InputLength { .. })));
    assert!(matches!(run("image", [1; 5], 1), Err(InferError::Run { .. })));
    assert!(matches!(run("clip", [1, 3, 1, 1, 1], 3), Err(InferError::Run { .. })));
    assert!(run("clip", [1; 5], 1).is_ok());
}

#[test]
fn a_file_that_is_not_onnx_runtime_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("libonnxruntime.so");
    let Some(runtime) = runtime() else {
        assert!(matches!(Runtime::load(&missing), Err(InferError::LibraryMissing { path, .. }) if path == missing));
        return;
    };
    assert!(matches!(Runtime::load(&missing), Err(InferError::LibraryMissing { path, .. }) if path == missing));
    let other = folder.path().join("other.so");
    std::fs::write(&other, "not a library").expect("the file is written");
    assert!(matches!(Runtime::load(&other), Err(InferError::OtherLibrary { .. })));
    // A failed second load does not change the first.
    let again = Runtime::load(&pipe_testkit::onnx_runtime().expect("found before")).expect("it is loaded");
    assert_eq!(again.version(), runtime.version());
}

#[test]
fn missing_and_misshapen_weights_are_errors() {
    let none = onnx::write(&tiny(), |_| None, &BTreeMap::new());
    assert_eq!(none, Err(GraphError::MissingTensor { name: "fc.weight".into() }));
    let long = onnx::write(&tiny(), |_| Some(vec![0.0; 2]), &BTreeMap::new());
    assert_eq!(long, Err(GraphError::TensorLength { name: "fc.weight".into(), expected: 1, found: 2 }));
}
