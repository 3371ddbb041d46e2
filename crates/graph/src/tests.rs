//! What the tests of several files share, and the tests of a whole small graph.

use crate::ops::{
    batch_norm::BatchNorm, conv::ConvParams, dropout::Dropout, frames_to_batch::FramesToBatch,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, relu::Relu, relu6::Relu6, segment_mean::SegmentMean,
    temporal_shift::TemporalShiftParams,
};
use crate::{
    Builder, ClipShape, Graph, GraphError, Init, NodeId, NodeParam, Op, Param, ParamId, Role, Shape, ShapeError,
};

pub(crate) const CLIP: ClipShape = ClipShape { channels: 4, frames: 8, height: 9, width: 12 };

/// Builds on frames, `[N * 8, 4, 9, 12]`.
fn on_frames<T>(build: impl FnOnce(&mut Builder, NodeId) -> Result<T, GraphError>) -> Result<T, GraphError> {
    let mut g = Builder::new("test", CLIP)?;
    let x = g.node("frames", g.input(), FramesToBatch)?;
    build(&mut g, x)
}

/// Checks the shape of a node built on frames, `[N * 8, 4, 9, 12]`.
pub(crate) fn check_shape(
    build: impl FnOnce(&mut Builder, NodeId) -> Result<NodeId, GraphError>,
    per_sample: usize,
    dims: &[usize],
) {
    let shape = on_frames(|g, x| build(g, x).and_then(|y| g.shape(y).cloned())).expect("it fits");
    assert_eq!(shape, Shape { per_sample, dims: dims.to_vec() });
}

/// Checks the shape of a node that is the same for all samples.
pub(crate) fn check_table(build: impl FnOnce(&mut Builder) -> Result<NodeId, GraphError>, dims: &[usize]) {
    check_shape(|g, _| build(g), 0, dims);
}

/// Checks that a node can't be built on frames, and the end of the error message.
pub(crate) fn check_error(build: impl FnOnce(&mut Builder, NodeId) -> Result<NodeId, GraphError>, expect: &str) {
    let error = on_frames(build).expect_err("it does not fit");
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    let message = format!("{error}{}", cause.unwrap_or_default());
    assert!(message.ends_with(expect), "{message}");
}

/// One convolution, normalised, shifted and classified.
pub(crate) fn tiny() -> Graph {
    let build = || {
        let mut g = Builder::new("tiny", ClipShape { channels: 1, frames: 2, height: 4, width: 4 })?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let conv = ConvParams { out_channels: 2, kernel: [3; 2], padding: [1; 2], bias: true, ..ConvParams::default() };
        let x = g.node("conv1", x, conv)?;
        let x = g.node("bn1", x, BatchNorm::default())?;
        let x = g.node("relu", x, Relu6)?;
        let x = g.node("shift", x, TemporalShiftParams { shift_div: 2 })?;
        let x = g.node("avgpool", x, GlobalAvgPool)?;
        let x = g.node("consensus", x, SegmentMean)?;
        let x = g.node("dropout", x, Dropout { ratio: 0.5 })?;
        let x = g.node("fc", x, LinearParams { out_features: 5, init: Init::Normal { std: 0.01 }, bias: true })?;
        g.finish(x, x)
    };
    build().expect("the network fits the clip")
}

#[test]
fn the_builder_rejects_unknown_inputs_and_duplicate_names() {
    check_error(|g, x| g.node("frames", x, Relu), "the name `frames` is used twice");
    check_error(|g, _| g.node("r", NodeId(7), Relu), "node 7 is used before it is defined");
    check_error(|g, x| g.node("f", x, FramesToBatch), "expected 4 axes after the batch, found [4, 9, 12]");
    assert!(Builder::new("test", ClipShape { height: 0, ..CLIP }).is_err());
    assert!(Builder::new("test", ClipShape { height: usize::MAX, ..CLIP }).is_err());
}

#[test]
fn a_graph_ends_with_logits_of_a_classifier() {
    type End = fn(&mut Builder, NodeId, NodeId) -> Result<(NodeId, NodeId), GraphError>;
    let graph = |end: End| {
        let mut g = Builder::new("test", CLIP)?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let pooled = g.node("a", x, GlobalAvgPool)?;
        let fc = g.node("fc", pooled, LinearParams { out_features: 3, init: Init::Constant(0.0), bias: true })?;
        let (output, classifier) = end(&mut g, pooled, fc)?;
        g.finish(output, classifier)
    };
    let rows = graph(|_, _, fc| Ok((fc, fc)));
    assert_eq!(rows, Err(GraphError::Output { node: "fc".into(), rows: 8, dims: vec![3] }));
    let head = graph(|g, pooled, _| g.node("m", pooled, SegmentMean).map(|x| (x, pooled)));
    assert_eq!(head, Err(GraphError::Head { node: "a".into() }));
    let graph = graph(|g, _, fc| g.node("m", fc, SegmentMean).map(|x| (x, fc))).expect("logits of a linear layer");
    let head: Vec<&str> = graph.head.iter().map(|id| graph.params[id.0].name.as_str()).collect();
    assert_eq!(head, ["fc.weight", "fc.bias"]);
    assert_eq!(graph.check(), Ok(()));
}

#[test]
fn check_finds_every_change() {
    let check = |change: fn(&mut Graph), expect: GraphError| {
        let mut graph = tiny();
        assert_eq!(graph.check(), Ok(()));
        change(&mut graph);
        assert_eq!(graph.check(), Err(expect));
    };
    let wrong = |node: &str, source| GraphError::Shape { node: node.into(), source };
    check(|g| g.nodes[1].name = "clip".into(), GraphError::DuplicateName { name: "clip".into() });
    check(|g| g.params[1].name = "fc.bias".into(), GraphError::DuplicateName { name: "fc.bias".into() });
    check(|g| g.nodes[1].inputs = vec![NodeId(1)], GraphError::UnknownNode { id: NodeId(1) });
    check(|g| g.output = NodeId(99), GraphError::UnknownNode { id: NodeId(99) });
    check(|g| g.head = vec![ParamId(99)], GraphError::UnknownParam { id: ParamId(99) });
    check(|g| g.params.truncate(1), GraphError::UnknownParam { id: ParamId(1) });
    check(|g| g.nodes[1].op = g.nodes[0].op.clone(), GraphError::Input { node: "frames".into() });
    check(|g| g.nodes.remove(0).shape.dims.clear(), GraphError::Input { node: "frames".into() });
    check(|g| g.nodes[1].inputs.clear(), wrong("frames", ShapeError::Inputs { expected: 1, found: 0 }));
    check(
        |g| g.nodes[0].shape.per_sample = 2,
        GraphError::WrongShape { node: "clip".into(), expected: vec![1, 1, 2, 4, 4], found: vec![2, 1, 2, 4, 4] },
    );
    check(
        |g| g.params[0].shape = vec![2, 3, 3],
        wrong(
            "conv1",
            ShapeError::Param { name: "conv1.weight".into(), expected: vec![2, 1, 3], found: vec![2, 3, 3] },
        ),
    );
    check(
        |g| g.nodes[2].shape.dims[0] = 3,
        GraphError::WrongShape { node: "conv1".into(), expected: vec![2, 2, 4, 4], found: vec![2, 3, 4, 4] },
    );
    let huge = Param { name: "huge".into(), shape: vec![1 << 40; 2], role: Role::Weight, init: Init::Constant(0.0) };
    let mut graph = tiny();
    graph.params.push(huge);
    assert_eq!(graph.check(), Err(wrong("huge", ShapeError::TooLarge { limit: 1 << 31 })));
}

#[test]
fn check_finds_tensors_in_wrong_slots() {
    let check = |node: usize, change: fn(&mut Vec<NodeParam>), expect: ShapeError| {
        let mut graph = tiny();
        change(&mut graph.nodes[node].params);
        let node = graph.nodes[node].name.clone();
        assert_eq!(graph.check(), Err(GraphError::Shape { node, source: expect }));
    };
    check(2, |params| params.remove(0).id.0 = 0, ShapeError::MissingTensor { slot: "weight" });
    check(3, |params| params.truncate(3), ShapeError::MissingTensor { slot: "running_var" });
    check(3, |params| params.swap(0, 1), ShapeError::UnexpectedTensor { slot: "weight" });
    check(2, |params| params[1].slot = "weight", ShapeError::UnexpectedTensor { slot: "weight" });
    check(
        4,
        |params| params.push(NodeParam { slot: "weight", id: ParamId(0) }),
        ShapeError::UnexpectedTensor { slot: "weight" },
    );
}

#[test]
fn totals_equal_those_computed_by_hand() {
    let graph = tiny();
    // Convolution 2 * 9 + 2, normalisation 2 + 2 (without running statistics), classifier 5 * 2 + 5.
    assert_eq!(graph.num_params(), 20 + 4 + 15);
    // Two frames of 16 pixels, 2 filters of 9 values; then 5 classes of 2 features.
    assert_eq!(graph.macs(), 2 * 16 * 2 * 9 + 5 * 2);
}

#[test]
fn the_digest_is_pinned() {
    // A change means that trained networks are not found again; it must be on purpose.
    assert_eq!(tiny().digest().to_hex().as_str(), "cfa606e3be16fa96017c8bade3304169442a328fea0bf0920c9a17d0d25c1e92");
}

#[test]
fn the_digest_depends_on_every_part() {
    let check = |change: fn(&mut Graph)| {
        let mut graph = tiny();
        change(&mut graph);
        assert_ne!(graph.digest(), tiny().digest());
    };
    check(|g| g.name.push('2'));
    check(|g| g.nodes[2].name.push('2'));
    check(|g| g.nodes[2].shape.dims[0] += 1);
    check(|g| g.nodes[2].params.truncate(1));
    check(|g| g.nodes[3].inputs[0] = NodeId(1));
    check(|g| g.nodes[4].op = Op::Relu(Relu));
    check(|g| g.nodes[8].op = Op::Dropout(Dropout { ratio: 0.4 }));
    check(|g| g.params[0].init = Init::Constant(0.0));
    check(|g| g.params[0].role = Role::Norm);
    check(|g| g.head.clear());
    check(|g| g.output.0 -= 1);
    assert_eq!(tiny().digest(), tiny().digest());
}
