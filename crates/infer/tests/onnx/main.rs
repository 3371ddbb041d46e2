//! Files of `pipe_graph::onnx`, run on every engine: single ops against values computed by hand, every network of the zoo, and errors.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

mod engines;
mod hostile;
mod networks;
mod ops;
mod positions;

use pipe_graph::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams, segment_mean::SegmentMean};
use pipe_graph::{Builder, ClipShape, Graph, Init, NodeId, Param, onnx};
use pipe_infer::{Engine, InferenceEngine, Libraries, ModelFile, Session, SessionOptions, load};
use std::collections::BTreeMap;

/// Returns every engine of this machine. A test that gets none was skipped visibly.
pub(crate) fn engines() -> Vec<Box<dyn Engine>> {
    let found = InferenceEngine::ALL.into_iter().filter_map(|engine| {
        let library = match engine {
            InferenceEngine::OnnxRuntime => pipe_testkit::onnx_runtime(),
            InferenceEngine::OpenVino => pipe_testkit::openvino(),
        }?;
        let libraries = Libraries { onnx_runtime: library.clone(), openvino: library };
        Some(load(engine, &libraries).expect("the engine loads"))
    });
    found.collect()
}

pub(crate) fn open(engine: &dyn Engine, bytes: Vec<u8>) -> Box<dyn Session> {
    let model = ModelFile::from_bytes(bytes).expect("a model");
    engine.open(&model, SessionOptions::threads(1)).expect("the model opens")
}

pub(crate) fn clip(channels: usize, frames: usize, height: usize, width: usize) -> ClipShape {
    ClipShape { channels, frames, height, width }
}

pub(crate) fn session(engine: &dyn Engine, graph: &Graph, tensors: &[(&str, &[f32])]) -> Box<dyn Session> {
    let tensor = |param: &Param| {
        let found = tensors.iter().find(|(name, _)| *name == param.name);
        found.map(|(_, values)| values.to_vec())
    };
    let bytes = onnx::write(graph, tensor, &BTreeMap::new()).expect("the graph is written");
    open(engine, bytes)
}

/// Ends a graph at `output`, whatever its shape.
pub(crate) fn until_here(mut g: Builder, output: NodeId) -> Graph {
    // The builder accepts only logits as the end, so a classifier is appended and removed again.
    let mut x = g.node("end.pool", output, GlobalAvgPool).expect("the value has pixels");
    if g.shape(x).expect("the node exists").per_sample != 1 {
        x = g.node("end.mean", x, SegmentMean).expect("frames");
    }
    let x =
        g.node("end.fc", x, LinearParams { out_features: 1, init: Init::Constant(0.0), bias: true }).expect("features");
    let mut graph = g.finish(x, x).expect("logits");
    graph.nodes.truncate(output.0 + 1);
    graph.params.retain(|param| !param.name.starts_with("end."));
    graph.head.clear();
    graph.output = output;
    graph
}

pub(crate) fn check(found: &(Vec<i64>, Vec<f32>), shape: &[i64], expect: &[f32]) {
    assert_eq!(found.0, shape);
    let close = |(found, expect): (&f32, &f32)| (found - expect).abs() <= 1e-5 * expect.abs().max(1.0);
    assert!(
        found.1.len() == expect.len() && found.1.iter().zip(expect).all(close),
        "{:?}, expected {expect:?}",
        found.1
    );
}
