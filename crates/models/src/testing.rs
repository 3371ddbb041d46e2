//! Checks that the tests of several families share.

use crate::build;
use pipe_graph::{ClipShape, Graph, Op};
use pipe_schemas::networks::{Backbone, ModelParams};

/// Builds a network.
pub(crate) fn graph(backbone: impl Into<Backbone>, clip: ClipShape, num_classes: usize) -> Graph {
    let params = ModelParams { backbone: backbone.into(), ..ModelParams::default() };
    build(&params, clip, num_classes).expect("the network fits the clip")
}

/// Checks the shape of a node, and that the output is `[N, K]`.
pub(crate) fn check_shape(
    backbone: impl Into<Backbone>,
    clip: ClipShape,
    node: &str,
    per_sample: usize,
    dims: &[usize],
) {
    let graph = graph(backbone, clip, 7);
    let found = &graph.nodes.iter().find(|found| found.name == node).expect("the node exists").shape;
    assert_eq!((found.per_sample, found.dims.as_slice()), (per_sample, dims), "{node} of {}", graph.name);
    let output = &graph.nodes[graph.output.0].shape;
    assert_eq!((output.per_sample, output.dims.as_slice()), (1, [7].as_slice()));
}

/// Checks the names of the nodes from the global pooling on.
pub(crate) fn check_tail(backbone: impl Into<Backbone>, clip: ClipShape, expect: &[&str]) {
    let graph = graph(backbone, clip, 7);
    let start = graph.nodes.iter().position(|node| node.name == "avgpool").expect("features are pooled");
    let found: Vec<&str> = graph.nodes[start..].iter().map(|node| node.name.as_str()).collect();
    assert_eq!(found, expect);
}

/// Checks that `shifted` is `plain` with temporal shift at these nodes: within the residual branch, and without parameters.
pub(crate) fn check_shifts(
    plain: impl Into<Backbone>,
    shifted: impl Into<Backbone>,
    clip: ClipShape,
    expect: &[String],
) {
    let (plain, shifted) = (graph(plain, clip, 7), graph(shifted, clip, 7));
    assert_eq!(plain.params, shifted.params);
    // TSM classifies every frame, TSN the mean of their features.
    let classifier = plain.params[plain.head[0].0].len() as u64;
    assert_eq!(plain.macs() + (clip.frames as u64 - 1) * classifier, shifted.macs());

    let shifts = shifted.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::TemporalShift(_)));
    let names: Vec<&String> = shifts.clone().map(|(_, node)| &node.name).collect();
    assert_eq!(names, expect.iter().collect::<Vec<_>>());
    for (position, node) in shifts {
        let mut readers = shifted.nodes.iter().filter(|reader| reader.inputs.iter().any(|id| id.0 == position));
        assert!(readers.all(|reader| matches!(reader.op, Op::Conv(_))), "{}", node.name);
    }
}

/// Checks the epsilon of each layer normalisation, by its name. Logits hardly show it.
pub(crate) fn check_eps(backbone: impl Into<Backbone>, clip: ClipShape, expect: impl Fn(&str) -> f64) {
    let graph = graph(backbone, clip, 7);
    let mut count = 0;
    for node in &graph.nodes {
        if let Op::LayerNorm(op) = &node.op {
            count += 1;
            assert_eq!(op.eps.to_bits(), expect(&node.name).to_bits(), "{}", node.name);
        }
    }
    assert!(count > 20, "{count} layer normalisations");
}

/// Checks that the network does not fit the clip, and a part of the error message.
pub(crate) fn check_error(backbone: impl Into<Backbone>, clip: ClipShape, num_classes: usize, expect: &str) {
    let params = ModelParams { backbone: backbone.into(), ..ModelParams::default() };
    let error = build(&params, clip, num_classes).expect_err("it does not fit");
    let mut chain = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    assert!(chain.contains(expect), "{chain}");
}
