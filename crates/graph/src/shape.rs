//! The shape of each operation's result, and what its inputs and tensors must be for that. [`infer`] is the only place that
//! knows; the builder and [`Graph::check`] both ask it.

use crate::{Graph, GraphError, Node, NodeId, Op, Param, ParamId, Shape, ShapeError};
use std::collections::BTreeSet;

/// The most values that a tensor, or a node's result for one sample, may have: 8 GiB of f32.
const MAX_VALUES: usize = 1 << 31;

impl Shape {
    /// Returns how many values there are for each sample of the batch.
    pub fn values_per_sample(&self) -> usize {
        self.per_sample * self.dims.iter().product::<usize>()
    }

    /// Returns rows a sample, then the other axes, for messages.
    pub(crate) fn axes(&self) -> Vec<usize> {
        [self.per_sample].iter().chain(&self.dims).copied().collect()
    }
}

impl Param {
    /// Returns how many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether it has no values, which a checked graph's never are.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Op {
    /// Returns the tensors it uses, weight first.
    pub fn params(&self) -> Vec<ParamId> {
        match self {
            Self::Conv { weight, bias, .. } => [Some(*weight), *bias].into_iter().flatten().collect(),
            Self::BatchNorm { weight, bias, running_mean, running_var, .. } => {
                vec![*weight, *bias, *running_mean, *running_var]
            }
            Self::Linear { weight, bias } => vec![*weight, *bias],
            Self::Input
            | Self::FramesToBatch
            | Self::Relu
            | Self::Relu6
            | Self::MaxPool { .. }
            | Self::GlobalAvgPool
            | Self::SegmentMean
            | Self::Add
            | Self::Dropout { .. }
            | Self::TemporalShift { .. } => Vec::new(),
        }
    }
}

impl Graph {
    /// Checks a graph that did not come from the builder: names, order, and every shape.
    pub fn check(&self) -> Result<(), GraphError> {
        unique(self.params.iter().map(|param| &param.name))?;
        unique(self.nodes.iter().map(|node| &node.name))?;
        for param in &self.params {
            check_size(&param.shape).map_err(|source| GraphError::Shape { node: param.name.clone(), source })?;
        }
        for (position, node) in self.nodes.iter().enumerate() {
            if (position == 0) != (node.op == Op::Input) {
                return Err(GraphError::Input { node: node.name.clone() });
            }
            let expected = if position == 0 {
                check_input(node)?
            } else {
                infer_node(node, &self.nodes[..position], &self.params)?
            };
            if expected != node.shape {
                let (expected, found) = (expected.axes(), node.shape.axes());
                return Err(GraphError::WrongShape { node: node.name.clone(), expected, found });
            }
        }
        if self.output.0 >= self.nodes.len() {
            return Err(GraphError::UnknownNode { id: self.output });
        }
        match self.head.iter().find(|id| id.0 >= self.params.len()) {
            Some(&id) => Err(GraphError::UnknownParam { id }),
            None => Ok(()),
        }
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), GraphError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(GraphError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

fn check_input(node: &Node) -> Result<Shape, GraphError> {
    if node.shape.per_sample != 1 || node.shape.dims.len() != 4 || !node.inputs.is_empty() {
        return Err(GraphError::Input { node: node.name.clone() });
    }
    check_size(&node.shape.dims).map_err(|source| GraphError::Shape { node: node.name.clone(), source })?;
    Ok(node.shape.clone())
}

/// Returns the shape of a node's result. `before` are the nodes that it may use.
pub(crate) fn infer_node(node: &Node, before: &[Node], params: &[Param]) -> Result<Shape, GraphError> {
    let shape_of = |id: &NodeId| before.get(id.0).map(|node| &node.shape).ok_or(GraphError::UnknownNode { id: *id });
    let inputs = node.inputs.iter().map(shape_of).collect::<Result<Vec<_>, _>>()?;
    if let Some(id) = node.op.params().into_iter().find(|id| id.0 >= params.len()) {
        return Err(GraphError::UnknownParam { id });
    }
    infer(&node.op, &inputs, params).map_err(|source| GraphError::Shape { node: node.name.clone(), source })
}

/// Returns the shape of an operation's result; each [`ParamId`] in `op` is within `params`.
fn infer(op: &Op, inputs: &[&Shape], params: &[Param]) -> Result<Shape, ShapeError> {
    let expected = match op {
        Op::Input => 0,
        Op::Add => 2,
        _ => 1,
    };
    if inputs.len() != expected {
        return Err(ShapeError::Inputs { expected, found: inputs.len() });
    }
    let Some(&x) = inputs.first() else { return Err(ShapeError::Inputs { expected: 1, found: 0 }) };
    let shape = match op {
        Op::Input | Op::Relu | Op::Relu6 => x.clone(),
        Op::FramesToBatch => frames_to_batch(x)?,
        Op::Conv { .. } => conv(op, x, params)?,
        Op::BatchNorm { eps, momentum, .. } => {
            let channels = *x.dims.first().ok_or_else(|| rank(2, x))?;
            for id in op.params() {
                expect_param(&params[id.0], &[channels])?;
            }
            range("eps", *eps, *eps > 0.0 && eps.is_finite(), "a number above 0")?;
            range("momentum", *momentum, (0.0..=1.0).contains(momentum), "0 to 1")?;
            x.clone()
        }
        Op::MaxPool { kernel, stride, padding } => {
            if let Some((&padding, &window)) =
                padding.iter().zip(kernel).find(|(padding, window)| *padding * 2 > **window)
            {
                return Err(ShapeError::PoolPadding { padding, window });
            }
            let channels = *x.dims.first().ok_or_else(|| rank(kernel.len() + 1, x))?;
            windows(x, channels, kernel, stride, padding)?
        }
        Op::GlobalAvgPool => match x.dims.as_slice() {
            [channels, _, ..] => Shape { per_sample: x.per_sample, dims: vec![*channels] },
            _ => return Err(rank(3, x)),
        },
        Op::SegmentMean => match x.dims.as_slice() {
            [channels] => Shape { per_sample: 1, dims: vec![*channels] },
            _ => return Err(rank(1, x)),
        },
        Op::Linear { weight, bias } => linear(x, &params[weight.0], &params[bias.0])?,
        Op::Add => match inputs {
            [left, right] if left == right => x.clone(),
            _ => return Err(ShapeError::Unequal { left: x.axes(), right: inputs[1].axes() }),
        },
        Op::Dropout { ratio } => {
            range("ratio", *ratio, (0.0..1.0).contains(ratio), "0 or more, below 1")?;
            x.clone()
        }
        Op::TemporalShift { frames, shift_div } => temporal_shift(x, *frames, *shift_div)?,
    };
    check_size(&shape.axes())?;
    Ok(shape)
}

fn frames_to_batch(x: &Shape) -> Result<Shape, ShapeError> {
    let [channels, frames, height, width] = *x.dims.as_slice() else { return Err(rank(4, x)) };
    if x.per_sample != 1 {
        return Err(ShapeError::Rows { expected: 1, found: x.per_sample });
    }
    Ok(Shape { per_sample: frames, dims: vec![channels, height, width] })
}

fn conv(op: &Op, x: &Shape, params: &[Param]) -> Result<Shape, ShapeError> {
    let Op::Conv { weight, bias, stride, padding, groups } = op else {
        return Err(ShapeError::Zero { what: "the number of convolutions" });
    };
    let weight = &params[weight.0];
    let [out_channels, _, kernel @ ..] = weight.shape.as_slice() else {
        let expected = vec![0; stride.len() + 2];
        return Err(ShapeError::Param { name: weight.name.clone(), expected, found: weight.shape.clone() });
    };
    let in_channels = *x.dims.first().ok_or_else(|| rank(stride.len() + 1, x))?;
    if *groups == 0 {
        return Err(ShapeError::Zero { what: "the number of groups" });
    }
    for channels in [in_channels, *out_channels] {
        if !channels.is_multiple_of(*groups) {
            return Err(ShapeError::Groups { channels, groups: *groups });
        }
    }
    let expected: Vec<usize> = [*out_channels, in_channels / groups].iter().chain(kernel).copied().collect();
    expect_param(weight, &expected)?;
    if let Some(bias) = bias {
        expect_param(&params[bias.0], &[*out_channels])?;
    }
    windows(x, *out_channels, kernel, stride, padding)
}

/// Returns the shape after windows slid over all axes after the channels: `floor((size + 2 padding - window) / stride) + 1` each.
fn windows(
    x: &Shape,
    out_channels: usize,
    kernel: &[usize],
    stride: &[usize],
    padding: &[usize],
) -> Result<Shape, ShapeError> {
    let axes = kernel.len();
    if !(2..=3).contains(&axes) || [x.dims.len() - 1, stride.len(), padding.len()].iter().any(|found| *found != axes) {
        return Err(rank(axes + 1, x));
    }
    let mut dims = vec![out_channels];
    for axis in 0..axes {
        let (window, stride) = (kernel[axis], stride[axis]);
        for (what, size) in [("the window", window), ("the stride", stride)] {
            if size == 0 {
                return Err(ShapeError::Zero { what });
            }
        }
        let padded = padding[axis].saturating_mul(2).saturating_add(x.dims[axis + 1]);
        if padded < window {
            return Err(ShapeError::TooSmall { axis, window, padded });
        }
        dims.push((padded - window) / stride + 1);
    }
    Ok(Shape { per_sample: x.per_sample, dims })
}

fn linear(x: &Shape, weight: &Param, bias: &Param) -> Result<Shape, ShapeError> {
    let [features] = *x.dims.as_slice() else { return Err(rank(1, x)) };
    let out = weight.shape.first().copied().unwrap_or(0);
    expect_param(weight, &[out, features])?;
    expect_param(bias, &[out])?;
    Ok(Shape { per_sample: x.per_sample, dims: vec![out] })
}

fn temporal_shift(x: &Shape, frames: usize, shift_div: usize) -> Result<Shape, ShapeError> {
    let [channels, _, _] = *x.dims.as_slice() else { return Err(rank(3, x)) };
    if x.per_sample != frames {
        return Err(ShapeError::Rows { expected: frames, found: x.per_sample });
    }
    range("frames", frames as f64, frames >= 2, "2 or more")?;
    range("shift_div", shift_div as f64, shift_div >= 2, "2 or more")?;
    if channels < shift_div {
        return Err(ShapeError::NothingShifts { channels, shift_div });
    }
    Ok(x.clone())
}

fn rank(expected: usize, x: &Shape) -> ShapeError {
    ShapeError::Rank { expected, found: x.dims.clone() }
}

fn range(what: &'static str, found: f64, holds: bool, expected: &'static str) -> Result<(), ShapeError> {
    if holds { Ok(()) } else { Err(ShapeError::Range { what, found, expected }) }
}

fn expect_param(param: &Param, expected: &[usize]) -> Result<(), ShapeError> {
    if param.shape == expected {
        return Ok(());
    }
    Err(ShapeError::Param { name: param.name.clone(), expected: expected.to_vec(), found: param.shape.clone() })
}

/// Refuses a size of 0 and more values than [`MAX_VALUES`], so that later products can't overflow.
pub(crate) fn check_size(dims: &[usize]) -> Result<(), ShapeError> {
    if dims.contains(&0) {
        return Err(ShapeError::Zero { what: "an axis" });
    }
    let values = dims.iter().try_fold(1_usize, |values, size| values.checked_mul(*size));
    match values {
        Some(values) if values <= MAX_VALUES => Ok(()),
        _ => Err(ShapeError::TooLarge { limit: MAX_VALUES }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::tiny;
    use crate::{Init, Role};

    #[test]
    fn a_graph_that_was_changed_is_found_out() {
        let check = |change: fn(&mut Graph), expect: GraphError| {
            let mut graph = tiny();
            assert_eq!(graph.check(), Ok(()));
            change(&mut graph);
            assert_eq!(graph.check(), Err(expect));
        };
        check(|g| g.nodes[1].name = "clip".into(), GraphError::DuplicateName { name: "clip".into() });
        check(|g| g.params[1].name = "fc.bias".into(), GraphError::DuplicateName { name: "fc.bias".into() });
        check(|g| g.nodes[1].inputs = vec![NodeId(1)], GraphError::UnknownNode { id: NodeId(1) });
        check(|g| g.output = NodeId(99), GraphError::UnknownNode { id: NodeId(99) });
        check(|g| g.head = vec![ParamId(99)], GraphError::UnknownParam { id: ParamId(99) });
        check(|g| g.params.truncate(1), GraphError::UnknownParam { id: ParamId(1) });
        check(|g| g.nodes[1].op = Op::Input, GraphError::Input { node: "frames".into() });
        check(|g| g.nodes[0].shape.per_sample = 2, GraphError::Input { node: "clip".into() });
        check(|g| g.nodes.remove(0).shape.dims.clear(), GraphError::Input { node: "frames".into() });
        let wrong = |node: &str, source| GraphError::Shape { node: node.into(), source };
        check(|g| g.nodes[1].inputs.clear(), wrong("frames", ShapeError::Inputs { expected: 1, found: 0 }));
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
        let huge =
            Param { name: "huge".into(), shape: vec![1 << 40; 2], role: Role::Weight, init: Init::Constant(0.0) };
        let mut graph = tiny();
        graph.params.push(huge);
        assert_eq!(graph.check(), Err(wrong("huge", ShapeError::TooLarge { limit: 1 << 31 })));
    }
}
