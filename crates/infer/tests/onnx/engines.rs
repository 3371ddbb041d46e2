//! What every engine must do: versions, sessions and errors.

use crate::{clip, engines, open, session};
use pipe_graph::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams};
use pipe_graph::{Builder, Graph, GraphError, Init, onnx};
use pipe_infer::{
    Engine, ExecutionProvider, InferError, InferenceEngine, InferencePrecision, Libraries, ModelFile, ModelFileError,
    SessionOptions, load,
};
use std::collections::BTreeMap;

pub(crate) fn tiny() -> Graph {
    let mut g = Builder::new("tiny", clip(1, 1, 1, 1)).expect("a clip");
    let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
    let fc =
        g.node("fc", x, LinearParams { out_features: 1, init: Init::Constant(1.0), bias: true }).expect("features");
    g.finish(fc, fc).expect("logits")
}

pub(crate) fn tiny_bytes(metadata: &BTreeMap<String, String>) -> Vec<u8> {
    onnx::write(&tiny(), |param| Some(vec![1.0; param.len()]), metadata).expect("it is written")
}

fn suite(engine: &dyn Engine) {
    let parts: Vec<&str> = engine.version().split('.').collect();
    assert!(parts.len() >= 2 && parts.iter().all(|part| part.parse::<u32>().is_ok()), "{}", engine.version());
    assert_eq!(engine.title(), format!("{} {}", engine.kind().name(), engine.version()));

    // y = 2x + 1, for any number of clips, in one session.
    let mut session = session(engine, &tiny(), &[("fc.weight", &[2.0]), ("fc.bias", &[1.0])]);
    for clips in [1, 3, 2] {
        let data: Vec<f32> = (0..clips).map(|clip| clip as f32).collect();
        let expect: Vec<f32> = data.iter().map(|x| 2.0 * x + 1.0).collect();
        let found = session.run("clip", [clips, 1, 1, 1, 1], data).expect("it runs");
        assert_eq!(found, (vec![clips as i64, 1], expect), "{}", engine.title());
    }

    let mut run = |name: &str, shape, length| session.run(name, shape, vec![0.0; length]);
    assert!(matches!(run("clip", [1; 5], 2), Err(InferError::InputLength { found: 2, .. })));
    assert!(matches!(run("clip", [usize::MAX; 5], 2), Err(InferError::InputLength { .. })));
    assert!(matches!(run("image", [1; 5], 1), Err(InferError::Run { .. })));
    assert!(matches!(run("clip", [1, 3, 1, 1, 1], 3), Err(InferError::Run { .. })));
    assert!(run("clip", [1; 5], 1).is_ok(), "the session can still be used");

    for provider in [ExecutionProvider::Cuda, ExecutionProvider::TensorRt] {
        let model = ModelFile::from_bytes(tiny_bytes(&BTreeMap::new())).expect("a model");
        match engine.open(&model, SessionOptions { provider, ..SessionOptions::threads(1) }) {
            // A machine with a GPU.
            Ok(session) => assert_eq!(session.settings()["execution_provider"], provider.name()),
            Err(error @ InferError::Provider { .. }) => {
                assert!(error.to_string().contains(provider.name()), "{error}");
                assert!(error.help().is_some_and(|help| help.contains("cpu")));
            }
            Err(InferError::Model { .. }) => {} // built with the provider, without its libraries or a GPU
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn every_engine_passes_the_suite() {
    for engine in engines() {
        suite(engine.as_ref());
    }
}

#[test]
fn openvino_computes_in_f32() {
    let Some(engine) = engines().into_iter().find(|engine| engine.kind() == InferenceEngine::OpenVino) else { return };
    let session = open(engine.as_ref(), tiny_bytes(&BTreeMap::new()));
    assert_eq!(session.settings()["INFERENCE_PRECISION_HINT"], "f32");
}

#[test]
fn bfloat16_is_computed_or_refused() {
    let options = SessionOptions { precision: InferencePrecision::Bfloat16, ..SessionOptions::threads(1) };
    for engine in engines() {
        let model = ModelFile::from_bytes(tiny_bytes(&BTreeMap::new())).expect("a model");
        match engine.open(&model, options) {
            Ok(mut session) => {
                assert_eq!(session.settings()["INFERENCE_PRECISION_HINT"], "bf16");
                // y = x + 1; above 2, bfloat16 has steps of 1/64.
                let (_, values) = session.run("clip", [1; 5], vec![1.0 + 1.0 / 512.0]).expect("it runs");
                assert!((values[0] - 2.0).abs() <= 1.0 / 64.0, "{values:?}");
                assert_eq!(engine.title_in(options.precision), format!("{} in bfloat16", engine.title()));
            }
            Err(error @ InferError::Precision { .. }) => {
                let (text, other) = match engine.kind() {
                    InferenceEngine::OnnxRuntime => ("only in the precision of the file", "`openvino`"),
                    InferenceEngine::OpenVino => ("on this processor", "`float32`"),
                };
                assert!(
                    error.to_string().contains("does not compute in bfloat16") && error.to_string().ends_with(text)
                );
                assert!(error.help().is_some_and(|help| help.contains(other)));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn metadata_is_read_back() {
    let metadata: BTreeMap<String, String> =
        [("classes", "[\"jump\",\"läuft\"]"), ("empty", "")].map(|(key, value)| (key.into(), value.into())).into();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, tiny_bytes(&metadata)).expect("the file is written");
    let model = ModelFile::read(&file).expect("a model");
    assert_eq!(model.metadata(), &metadata);
    assert_eq!((model.input().name.as_str(), model.outputs()[0].name.as_str(), model.opset()), ("clip", "logits", 17));
    assert_eq!(model.input().shape_text(), "[N, 1, 1, 1, 1]");
}

#[test]
fn another_library_of_the_same_engine_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other.so");
    std::fs::write(&other, "not a library").expect("the file is written");
    let libraries = Libraries { onnx_runtime: other.clone(), openvino: other };
    for engine in engines() {
        let error = load(engine.kind(), &libraries).expect_err("another file");
        assert!(matches!(error, InferError::OtherLibrary { .. }), "{error:?}");
        // A failed second load does not change the first.
        suite(engine.as_ref());
    }
}

#[test]
fn a_missing_model_is_an_error() {
    let error = ModelFile::read("no/such/model.onnx".as_ref()).expect_err("missing");
    assert!(matches!(error, ModelFileError::Read { .. }));
    assert_eq!(error.to_string(), "the model no/such/model.onnx can't be read");
}

#[test]
fn missing_and_misshapen_weights_are_errors() {
    let none = onnx::write(&tiny(), |_| None, &BTreeMap::new());
    assert_eq!(none, Err(GraphError::MissingTensor { name: "fc.weight".into() }));
    let long = onnx::write(&tiny(), |_| Some(vec![0.0; 2]), &BTreeMap::new());
    assert_eq!(long, Err(GraphError::TensorLength { name: "fc.weight".into(), expected: 1, found: 2 }));
}
