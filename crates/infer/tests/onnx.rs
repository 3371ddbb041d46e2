//! What `pipe_graph::onnx` writes, run on ONNX Runtime and compared with values worked out by hand.

use pipe_graph::{
    BatchNormParams, Builder, ClipShape, ConvParams, Graph, GraphError, Init, Node, NodeId, Op, Param, PoolParams,
    Shape, fold_batch_norm, onnx,
};
use pipe_infer::{InferError, Runtime, Session};
use pipe_schemas::networks::{Backbone, ModelParams, ResNetDepth};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The library of `ORT_DYLIB_PATH`, or the one that `cargo xtask setup` unpacked.
fn library() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    if let Some(library) = path("ORT_DYLIB_PATH") {
        return Some(library);
    }
    let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?.join("pipe");
    let files = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let starts_with =
        |path: &Path, start: &str| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let folders = files(&cache).into_iter().filter(|folder| starts_with(folder, "onnxruntime-"));
    folders.flat_map(|folder| files(&folder)).filter(|file| starts_with(file, "libonnxruntime.so")).max()
}

fn runtime() -> Option<Runtime> {
    let Some(library) = library() else {
        pipe_testkit::skip("no ONNX Runtime, which `cargo xtask setup` brings");
        return None;
    };
    Some(Runtime::load(&library).expect("ONNX Runtime loads"))
}

fn clip(channels: usize, frames: usize, height: usize, width: usize) -> ClipShape {
    ClipShape { channels, frames, height, width }
}

fn session(runtime: &Runtime, graph: &Graph, tensors: &[(&str, &[f32])]) -> Session {
    let tensor = |param: &Param| {
        let found = tensors.iter().find(|(name, _)| *name == param.name);
        found.map(|(_, values)| values.to_vec())
    };
    let bytes = onnx::write(graph, tensor, &BTreeMap::new()).expect("the graph is written");
    runtime.session_from_bytes(&bytes, 1).expect("the model opens")
}

/// Stops the graph at its last node, whatever its shape.
fn until_here(g: Builder, output: NodeId) -> Graph {
    // The builder ends only with logits, so that no network ends anywhere else by mistake.
    let mut g = g;
    let x = g.global_avg_pool("end.pool", output).expect("the value has pixels");
    let x =
        if g.shape(x).expect("just made").per_sample == 1 { x } else { g.segment_mean("end.mean", x).expect("frames") };
    let x = g.linear("end.fc", x, 1, Init::Constant(0.0)).expect("features");
    let mut graph = g.finish(x, x).expect("logits");
    graph.nodes.truncate(output.0 + 1);
    graph.params.retain(|param| !param.name.starts_with("end."));
    graph.head.clear();
    graph.output = output;
    graph
}

fn check(found: &(Vec<i64>, Vec<f32>), shape: &[i64], expect: &[f32]) {
    assert_eq!(found.0, shape);
    let close = |(found, expect): (&f32, &f32)| (found - expect).abs() <= 1e-5 * expect.abs().max(1.0);
    assert!(
        found.1.len() == expect.len() && found.1.iter().zip(expect).all(close),
        "{:?}, expected {expect:?}",
        found.1
    );
}

/// Puts frames of channels, as people write them, in the order `[C, T]`.
fn channels_first<const C: usize>(frames: &[[f32; C]]) -> Vec<f32> {
    (0..C).flat_map(|channel| frames.iter().map(move |frame| frame[channel])).collect()
}

#[test]
fn temporal_shift_moves_one_channel_back_and_one_on() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("shift", clip(4, 3, 1, 1)).expect("a clip");
    let x = g.frames_to_batch("frames", g.input()).expect("frames");
    let x = g.temporal_shift("shift", x, 4).expect("a shift");
    let graph = until_here(g, x);
    let mut session = session(&runtime, &graph, &[]);

    // As MMAction2's TSM gives it. A second sample shows that nothing leaks from one to the next.
    let first = [[0., 1., 2., 3.], [4., 5., 6., 7.], [8., 9., 10., 11.]];
    let second = first.map(|frame| frame.map(|value| value + 100.0));
    let data = [channels_first(&first), channels_first(&second)].concat();
    let expect: Vec<f32> = [
        [4., 0., 2., 3.],
        [8., 1., 6., 7.],
        [0., 5., 10., 11.],
        [104., 0., 102., 103.],
        [108., 101., 106., 107.],
        [0., 105., 110., 111.],
    ]
    .concat();
    check(&session.run("clip", [2, 4, 3, 1, 1], data).expect("it runs"), &[6, 4, 1, 1], &expect);
}

#[test]
fn temporal_shift_of_all_channels_leaves_no_rest() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("shift", clip(2, 2, 1, 1)).expect("a clip");
    let x = g.frames_to_batch("frames", g.input()).expect("frames");
    let x = g.temporal_shift("shift", x, 2).expect("a shift");
    let mut session = session(&runtime, &until_here(g, x), &[]);
    let data = channels_first(&[[1., 2.], [3., 4.]]);
    check(&session.run("clip", [1, 2, 2, 1, 1], data).expect("it runs"), &[2, 2, 1, 1], &[3., 0., 0., 2.]);
}

#[test]
fn frames_are_normalised_averaged_and_classified() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("tsn", clip(1, 2, 1, 2)).expect("a clip");
    let x = g.frames_to_batch("frames", g.input()).expect("frames");
    let x = g.conv("conv1", x, ConvParams::<2> { out_channels: 2, ..ConvParams::default() }).expect("a convolution");
    let x = g.batch_norm("bn1", x, BatchNormParams { eps: 1.0, ..BatchNormParams::default() }).expect("a norm");
    let x = g.relu6("relu", x).expect("a cut");
    let x = g.global_avg_pool("avgpool", x).expect("pixels");
    let x = g.segment_mean("consensus", x).expect("frames");
    let x = g.dropout("dropout", x, 0.5).expect("a share");
    let fc = g.linear("fc", x, 2, Init::Normal { std: 0.01 }).expect("features");
    let graph = g.finish(fc, fc).expect("logits");
    let tensors: [(&str, &[f32]); 7] = [
        ("conv1.weight", &[2.0, -1.0]),
        ("bn1.weight", &[1.0, 4.0]),
        ("bn1.bias", &[0.5, 1.0]),
        ("bn1.running_mean", &[1.0, 0.0]),
        ("bn1.running_var", &[0.0, 3.0]), // With `eps` a deviation of 1 and of 2.
        ("fc.weight", &[1.0, 2.0, 3.0, -1.0]),
        ("fc.bias", &[10.0, 20.0]),
    ];
    let mut session = session(&runtime, &graph, &tensors);
    // Channel 0: 2x - 0.5 of 1, 2, 3, 9 → 1.5, 3.5, 5.5, 6 (cut); frames 2.5 and 5.75, mean 4.125.
    // Channel 1: 1 - 2x → all below 0, so 0.
    let expect = [4.125 + 10.0, 3.0 * 4.125 + 20.0];
    check(&session.run("clip", [1, 1, 2, 1, 2], vec![1., 2., 3., 9.]).expect("it runs"), &[1, 2], &expect);
    // Channel 1 at x = -1: 1 + 2 = 3 on all four pixels; channel 0: -2.5, so 0.
    let data = vec![1., 2., 3., 9., -1., -1., -1., -1.];
    let expect = [expect[0], expect[1], 6.0 + 10.0, -3.0 + 20.0];
    check(&session.run("clip", [2, 1, 2, 1, 2], data).expect("it runs"), &[2, 2], &expect);
}

#[test]
fn windows_slide_over_three_axes() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("r3d", clip(1, 2, 2, 3)).expect("a clip");
    let params = ConvParams {
        out_channels: 1,
        kernel: [2, 1, 3],
        stride: [1, 1, 2],
        padding: [0, 0, 1],
        bias: true,
        ..ConvParams::default()
    };
    let x = g.conv("conv", g.input(), params).expect("a convolution"); // [N, 1, 1, 2, 2]
    let pool = PoolParams { kernel: [1, 2, 1], stride: [1, 1, 1], padding: [0; 3] };
    let pooled = g.max_pool("pool", x, pool).expect("a pooling"); // [N, 1, 1, 1, 2]
    let x = g.add("add", pooled, pooled).expect("a sum");
    let x = g.relu("relu", x).expect("a cut");
    let tensors: [(&str, &[f32]); 2] = [("conv.weight", &[1., 2., 3., 0., 0., 1.]), ("conv.bias", &[-20.0])];
    let mut session = session(&runtime, &until_here(g, x), &tensors);
    // Frame 0: [1 2 3; 4 5 6], frame 1: [7 8 9; 10 11 12], zeros left and right.
    // Row 0: 2*1 + 3*2 + 8 = 16 and 1*2 + 2*3 + 0 = 8; row 1: 2*4 + 3*5 + 11 = 34 and 1*5 + 2*6 + 0 = 17; all less 20.
    // Maxima over rows: 14 and -3; doubled and cut: 28 and 0.
    let data = (1..=12_u8).map(f32::from).collect();
    check(&session.run("clip", [1, 1, 2, 2, 3], data).expect("it runs"), &[1, 1, 1, 1, 2], &[28., 0.]);
}

#[test]
fn groups_do_not_see_each_other() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("depthwise", clip(2, 1, 1, 1)).expect("a clip");
    let x = g.frames_to_batch("frames", g.input()).expect("frames");
    let x =
        g.conv("conv", x, ConvParams::<2> { out_channels: 2, groups: 2, ..ConvParams::default() }).expect("channels");
    let mut session = session(&runtime, &until_here(g, x), &[("conv.weight", &[10., 100.])]);
    check(&session.run("clip", [1, 2, 1, 1, 1], vec![1., 2.]).expect("it runs"), &[1, 2, 1, 1], &[10., 200.]);
}

#[test]
fn a_dropout_at_the_end_is_no_node() {
    let Some(runtime) = runtime() else { return };
    let mut g = Builder::new("dropouts", clip(1, 1, 1, 1)).expect("a clip");
    let x = g.global_avg_pool("pool", g.input()).expect("pixels");
    let fc = g.linear("fc", x, 1, Init::Constant(1.0)).expect("features");
    let x = g.dropout("dropout1", fc, 0.5).expect("a share");
    let x = g.dropout("dropout2", x, 0.5).expect("a share");
    let graph = g.finish(x, fc).expect("logits");
    let mut session = session(&runtime, &graph, &[("fc.weight", &[3.0]), ("fc.bias", &[1.0])]);
    check(&session.run("clip", [1; 5], vec![2.0]).expect("it runs"), &[1, 1], &[7.0]);
}

#[test]
fn nothing_at_all_is_the_identity() {
    let Some(runtime) = runtime() else { return };
    let shape = Shape { per_sample: 1, dims: vec![1, 1, 1, 2] };
    let input = Node { name: "clip".into(), op: Op::Input, inputs: Vec::new(), shape: shape.clone() };
    let dropout = Node { name: "dropout".into(), op: Op::Dropout { ratio: 0.5 }, inputs: vec![NodeId(0)], shape };
    let graph = Graph {
        name: "nothing".into(),
        nodes: vec![input, dropout],
        params: Vec::new(),
        output: NodeId(1),
        head: Vec::new(),
    };
    let mut session = session(&runtime, &graph, &[]);
    check(&session.run("clip", [1, 1, 1, 1, 2], vec![5., 6.]).expect("it runs"), &[1, 1, 1, 1, 2], &[5., 6.]);
}

/// A generator of its own, so that values never change: about uniform in ±0.5.
fn noise(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
    };
    (0..length).map(|_| next()).collect()
}

/// Weights that keep activations within bounds.
fn some_weights(graph: &Graph) -> impl Fn(&Param) -> Option<Vec<f32>> {
    let position = |param: &Param| graph.params.iter().position(|other| other.name == param.name);
    let seeds: BTreeMap<String, usize> =
        graph.params.iter().filter_map(|param| Some((param.name.clone(), position(param)?))).collect();
    move |param| {
        let values = noise(param.len(), *seeds.get(&param.name)? as u32 + 1);
        let fan_in: usize = param.shape.iter().skip(1).product();
        Some(match param.init {
            Init::Constant(constant) => values.into_iter().map(|value| value * 0.2 + constant as f32).collect(),
            _ => values.into_iter().map(|value| value * 3.4 / (fan_in as f32).sqrt()).collect(),
        })
    }
}

#[test]
fn every_network_of_the_zoo_runs() {
    let Some(runtime) = runtime() else { return };
    let check_network = |backbone: Backbone, sees_order: bool| {
        let params = ModelParams { backbone, ..ModelParams::default() };
        let (frames, size) = (4, 32);
        let graph = pipe_models::build(&params, clip(3, frames, size, size), 5).expect("the network fits");
        let bytes = onnx::write(&graph, some_weights(&graph), &BTreeMap::new()).expect("the network is written");
        let mut session = runtime.session_from_bytes(&bytes, 1).expect("the model opens");

        let (sample, plane) = (3 * frames * size * size, size * size);
        // Each frame is brighter than the one before, so that their order makes a difference.
        let brightness = |index: usize| (index / plane % frames) as f32;
        let first: Vec<f32> =
            noise(sample, 99).into_iter().enumerate().map(|(index, value)| value + brightness(index)).collect();
        let reversed: Vec<f32> =
            first.chunks(frames * plane).flat_map(|channel| channel.chunks(plane).rev()).flatten().copied().collect();
        let data = [first, reversed].concat();
        let (shape, logits) = session.run("clip", [2, 3, frames, size, size], data.clone()).expect("it runs");
        assert_eq!(shape, [2, 5], "{}", graph.name);
        assert!(logits.iter().all(|logit| logit.is_finite()), "{}: {logits:?}", graph.name);
        let spread = logits[..5].iter().fold(0.0_f32, |most, logit| most.max((logit - logits[0]).abs()));
        assert!(spread > 1e-3, "{}: {logits:?}", graph.name);
        let differ = (0..5).any(|class| (logits[class] - logits[class + 5]).abs() > 1e-4);
        assert_eq!(differ, sees_order, "{}: {logits:?}", graph.name);

        let weights = some_weights(&graph);
        let tensors = graph.params.iter().filter_map(|param| Some((param.name.clone(), weights(param)?))).collect();
        let (folded, tensors) = fold_batch_norm(&graph, &tensors).expect("the network folds");
        assert!(!folded.nodes.iter().any(|node| matches!(node.op, Op::BatchNorm { .. })));
        let bytes = onnx::write(&folded, |param| tensors.get(&param.name).cloned(), &BTreeMap::new());
        let mut session = runtime.session_from_bytes(&bytes.expect("it is written"), 1).expect("the model opens");
        check(&session.run("clip", [2, 3, frames, size, size], data).expect("it runs"), &[2, 5], &logits);
    };
    let [d18, d50] = [ResNetDepth::D18, ResNetDepth::D50];
    check_network(Backbone::ResNet { depth: d18, base_channels: 8 }, false);
    check_network(Backbone::ResNet { depth: d50, base_channels: 8 }, false);
    check_network(Backbone::ResNetTSM { depth: d18, base_channels: 8, shift_div: 8 }, true);
    check_network(Backbone::ResNetTSM { depth: d50, base_channels: 8, shift_div: 4 }, true);
    check_network(Backbone::MobileNetV2 {}, false);
    check_network(Backbone::MobileNetV2Tsm { shift_div: 8 }, true);
    check_network(Backbone::R3D { base_channels: 8 }, true);
}

fn tiny() -> Graph {
    let mut g = Builder::new("tiny", clip(1, 1, 1, 1)).expect("a clip");
    let x = g.global_avg_pool("pool", g.input()).expect("pixels");
    let fc = g.linear("fc", x, 1, Init::Constant(1.0)).expect("features");
    g.finish(fc, fc).expect("logits")
}

#[test]
fn metadata_comes_back() {
    let Some(runtime) = runtime() else { return };
    let metadata: BTreeMap<String, String> =
        [("classes", "[\"jump\",\"läuft\"]"), ("empty", "")].map(|(key, value)| (key.into(), value.into())).into();
    let bytes = onnx::write(&tiny(), |param| Some(vec![1.0; param.len()]), &metadata).expect("it is written");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, bytes).expect("the file is written");
    let session = runtime.session(&file, 1).expect("the model opens");
    assert_eq!(session.metadata().expect("it has some"), metadata);
}

#[test]
fn the_version_is_the_librarys() {
    let Some(runtime) = runtime() else { return };
    let version: Vec<u32> = runtime.version().split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(version.as_slice() >= [1, 24].as_slice(), "{}", runtime.version());
}

#[test]
fn what_is_no_model_is_an_error() {
    let Some(runtime) = runtime() else { return };
    for bytes in [b"".as_slice(), b"no model", &[0xff; 100]] {
        assert!(matches!(runtime.session_from_bytes(bytes, 1), Err(InferError::Model { .. })), "{bytes:?}");
    }
    let missing = runtime.session(Path::new("no/such/model.onnx"), 1);
    assert!(matches!(missing, Err(InferError::Model { model, .. }) if model == "no/such/model.onnx"));
}

#[test]
fn what_does_not_fit_the_model_is_an_error() {
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
fn what_is_no_runtime_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("libonnxruntime.so");
    let Some(runtime) = runtime() else {
        assert!(matches!(Runtime::load(&missing), Err(InferError::LibraryMissing { path, .. }) if path == missing));
        return;
    };
    assert!(matches!(Runtime::load(&missing), Err(InferError::LibraryMissing { path, .. }) if path == missing));
    let other = folder.path().join("other.so");
    std::fs::write(&other, "no library").expect("the file is written");
    assert!(matches!(Runtime::load(&other), Err(InferError::OtherLibrary { .. })));
    // A failed second load leaves the first as it was.
    let again = Runtime::load(&library().expect("it was there before")).expect("it is loaded");
    assert_eq!(again.version(), runtime.version());
}

#[test]
fn missing_and_misshapen_weights_are_errors() {
    let none = onnx::write(&tiny(), |_| None, &BTreeMap::new());
    assert_eq!(none, Err(GraphError::MissingTensor { name: "fc.weight".into() }));
    let long = onnx::write(&tiny(), |_| Some(vec![0.0; 2]), &BTreeMap::new());
    assert_eq!(long, Err(GraphError::TensorLength { name: "fc.weight".into(), expected: 1, found: 2 }));
}
