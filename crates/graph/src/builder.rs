//! Builds a [`Graph`] node by node. Each method appends a node, checks it against its input, and returns its id.

use crate::shape::{check_size, infer_node};
use crate::{Graph, GraphError, Init, Node, NodeId, Op, Param, ParamId, Role, Shape, ShapeError};
use std::collections::BTreeSet;

/// A graph that is being built.
///
/// ```
/// use pipe_graph::{Builder, ClipShape, ConvParams, Init};
///
/// let mut g = Builder::new("tiny", ClipShape { channels: 3, frames: 8, height: 32, width: 32 })?;
/// let x = g.frames_to_batch("frames", g.input())?; // [N * 8, 3, 32, 32]
/// let x = g.conv("conv1", x, ConvParams { out_channels: 16, kernel: [3; 2], padding: [1; 2], ..ConvParams::default() })?;
/// let x = g.relu("relu", x)?;
/// let x = g.global_avg_pool("avgpool", x)?; // [N * 8, 16]
/// let x = g.segment_mean("consensus", x)?; // [N, 16]
/// let x = g.linear("fc", x, 5, Init::Normal { std: 0.01 })?; // [N, 5]
/// let graph = g.finish(x, x)?;
/// assert_eq!(graph.params[0].name, "conv1.weight");
/// # Ok::<(), pipe_graph::GraphError>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    name: String,
    nodes: Vec<Node>,
    params: Vec<Param>,
    names: BTreeSet<String>,
}

/// What a network is shown: `[C, T, H, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipShape {
    /// Colours.
    pub channels: usize,
    /// Frames of a sample, all clips and crops together for networks that see single frames.
    pub frames: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
}

/// A convolution over `D` axes, 2 or 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvParams<const D: usize> {
    /// Filters.
    pub out_channels: usize,
    /// By axis.
    pub kernel: [usize; D],
    /// By axis.
    pub stride: [usize; D],
    /// By axis, both sides.
    pub padding: [usize; D],
    /// Groups of channels that don't see each other.
    pub groups: usize,
    /// Whether each filter adds a constant.
    pub bias: bool,
}

/// A pooling over `D` axes, 2 or 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolParams<const D: usize> {
    /// By axis.
    pub kernel: [usize; D],
    /// By axis.
    pub stride: [usize; D],
    /// By axis, both sides; at most half of the kernel.
    pub padding: [usize; D],
}

/// A batch normalisation; the default is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormParams {
    /// Added to the variance.
    pub eps: f64,
    /// Share of the new value in the running ones.
    pub momentum: f64,
}

/// One filter of size 1.
impl<const D: usize> Default for ConvParams<D> {
    fn default() -> Self {
        Self { out_channels: 1, kernel: [1; D], stride: [1; D], padding: [0; D], groups: 1, bias: false }
    }
}

impl Default for BatchNormParams {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1 }
    }
}

impl Builder {
    /// Starts a graph with its input, `[N, C, T, H, W]`.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if an axis is 0 or the clip is too large.
    pub fn new(name: &str, clip: ClipShape) -> Result<Self, GraphError> {
        let input = "clip".to_owned();
        let dims = vec![clip.channels, clip.frames, clip.height, clip.width];
        check_size(&dims).map_err(|source| GraphError::Shape { node: input.clone(), source })?;
        let names = BTreeSet::from([input.clone()]);
        let node = Node { name: input, op: Op::Input, inputs: Vec::new(), shape: Shape { per_sample: 1, dims } };
        Ok(Self { name: name.to_owned(), nodes: vec![node], params: Vec::new(), names })
    }

    /// Returns the input, `[N, C, T, H, W]`.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Returns the shape of a node's result.
    pub fn shape(&self, x: NodeId) -> Result<&Shape, GraphError> {
        self.nodes.get(x.0).map(|node| &node.shape).ok_or(GraphError::UnknownNode { id: x })
    }

    /// Returns the channels of a node's result.
    pub fn channels(&self, x: NodeId) -> Result<usize, GraphError> {
        Ok(self.shape(x)?.dims.first().copied().unwrap_or(0))
    }

    /// Folds frames into the batch: `[N, C, T, H, W]` → `[N * T, C, H, W]`.
    pub fn frames_to_batch(&mut self, name: &str, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::FramesToBatch, &[x])
    }

    /// Convolves: `[M, C, …]` → `[M, out_channels, …]`. Its tensors are `name.weight` and, if asked for, `name.bias`.
    pub fn conv<const D: usize>(&mut self, name: &str, x: NodeId, params: ConvParams<D>) -> Result<NodeId, GraphError> {
        let ConvParams { out_channels, kernel, stride, padding, groups, bias } = params;
        let in_channels = self.channels(x)?;
        if groups == 0 {
            let source = ShapeError::Zero { what: "the number of groups" };
            return Err(GraphError::Shape { node: name.to_owned(), source });
        }
        let shape = [out_channels, in_channels / groups].into_iter().chain(kernel).collect();
        let weight = self.param(name, "weight", shape, Role::Weight, Init::KaimingFanOut)?;
        let bias = if bias {
            Some(self.param(name, "bias", vec![out_channels], Role::Bias, Init::Constant(0.0))?)
        } else {
            None
        };
        let op = Op::Conv { weight, bias, stride: stride.to_vec(), padding: padding.to_vec(), groups };
        self.push(name, op, &[x])
    }

    /// Normalises each channel. Its tensors are `name.weight`, `.bias`, `.running_mean` and `.running_var`.
    pub fn batch_norm(&mut self, name: &str, x: NodeId, params: BatchNormParams) -> Result<NodeId, GraphError> {
        let channels = self.channels(x)?;
        let mut tensor = |suffix, role, start| self.param(name, suffix, vec![channels], role, Init::Constant(start));
        let weight = tensor("weight", Role::Norm, 1.0)?;
        let bias = tensor("bias", Role::Norm, 0.0)?;
        let running_mean = tensor("running_mean", Role::Buffer, 0.0)?;
        let running_var = tensor("running_var", Role::Buffer, 1.0)?;
        let BatchNormParams { eps, momentum } = params;
        self.push(name, Op::BatchNorm { weight, bias, running_mean, running_var, eps, momentum }, &[x])
    }

    /// Cuts off at 0.
    pub fn relu(&mut self, name: &str, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::Relu, &[x])
    }

    /// Cuts off at 0 and 6.
    pub fn relu6(&mut self, name: &str, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::Relu6, &[x])
    }

    /// Takes the maximum of windows: `[M, C, …]` → `[M, C, …]`.
    pub fn max_pool<const D: usize>(
        &mut self,
        name: &str,
        x: NodeId,
        params: PoolParams<D>,
    ) -> Result<NodeId, GraphError> {
        let PoolParams { kernel, stride, padding } = params;
        let op = Op::MaxPool { kernel: kernel.to_vec(), stride: stride.to_vec(), padding: padding.to_vec() };
        self.push(name, op, &[x])
    }

    /// Takes the mean over all axes but the first two: `[M, C, …]` → `[M, C]`.
    pub fn global_avg_pool(&mut self, name: &str, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::GlobalAvgPool, &[x])
    }

    /// Takes the mean over a sample's frames: `[N * T, C]` → `[N, C]`.
    pub fn segment_mean(&mut self, name: &str, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::SegmentMean, &[x])
    }

    /// Multiplies with a matrix: `[M, in]` → `[M, out]`. Its tensors are `name.weight`, which starts as `init`, and `name.bias`.
    pub fn linear(&mut self, name: &str, x: NodeId, out: usize, init: Init) -> Result<NodeId, GraphError> {
        let features = self.channels(x)?;
        let weight = self.param(name, "weight", vec![out, features], Role::Weight, init)?;
        let bias = self.param(name, "bias", vec![out], Role::Bias, Init::Constant(0.0))?;
        self.push(name, Op::Linear { weight, bias }, &[x])
    }

    /// Adds two values of one shape.
    pub fn add(&mut self, name: &str, left: NodeId, right: NodeId) -> Result<NodeId, GraphError> {
        self.push(name, Op::Add, &[left, right])
    }

    /// Zeroes a share of the values while training.
    pub fn dropout(&mut self, name: &str, x: NodeId, ratio: f64) -> Result<NodeId, GraphError> {
        self.push(name, Op::Dropout { ratio }, &[x])
    }

    /// Shifts one channel in `shift_div` to the frame before, and as many to the frame after: `[N * T, C, H, W]`.
    pub fn temporal_shift(&mut self, name: &str, x: NodeId, shift_div: usize) -> Result<NodeId, GraphError> {
        let frames = self.shape(x)?.per_sample;
        self.push(name, Op::TemporalShift { frames, shift_div }, &[x])
    }

    /// Ends the graph.
    ///
    /// # Errors
    /// [`GraphError::Output`] if `output` is not `[N, K]`, [`GraphError::Head`] if `classifier` is no linear layer.
    pub fn finish(self, output: NodeId, classifier: NodeId) -> Result<Graph, GraphError> {
        let get = |id: NodeId| self.nodes.get(id.0).ok_or(GraphError::UnknownNode { id });
        let (last, classifier) = (get(output)?, get(classifier)?);
        if last.shape.per_sample != 1 || last.shape.dims.len() != 1 {
            let Shape { per_sample: rows, dims } = last.shape.clone();
            return Err(GraphError::Output { node: last.name.clone(), rows, dims });
        }
        if !matches!(classifier.op, Op::Linear { .. }) {
            return Err(GraphError::Head { node: classifier.name.clone() });
        }
        let head = classifier.op.params();
        Ok(Graph { name: self.name, nodes: self.nodes, params: self.params, output, head })
    }

    fn param(
        &mut self,
        node: &str,
        suffix: &str,
        shape: Vec<usize>,
        role: Role,
        init: Init,
    ) -> Result<ParamId, GraphError> {
        check_size(&shape).map_err(|source| GraphError::Shape { node: node.to_owned(), source })?;
        let name = format!("{node}.{suffix}");
        self.take_name(&name)?;
        self.params.push(Param { name, shape, role, init });
        Ok(ParamId(self.params.len() - 1))
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let shape = Shape { per_sample: 1, dims: Vec::new() };
        let mut node = Node { name: name.to_owned(), op, inputs: inputs.to_vec(), shape };
        node.shape = infer_node(&node, &self.nodes, &self.params)?;
        self.take_name(name)?;
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    fn take_name(&mut self, name: &str) -> Result<(), GraphError> {
        if self.names.insert(name.to_owned()) {
            return Ok(());
        }
        Err(GraphError::DuplicateName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIP: ClipShape = ClipShape { channels: 4, frames: 8, height: 9, width: 12 };

    /// Builds on frames, `[N * 8, 4, 9, 12]`.
    fn on_frames<T>(build: impl FnOnce(&mut Builder, NodeId) -> Result<T, GraphError>) -> Result<T, GraphError> {
        let mut g = Builder::new("test", CLIP)?;
        let x = g.frames_to_batch("frames", g.input())?;
        build(&mut g, x)
    }

    #[test]
    fn shapes_follow_from_the_input() {
        let check = |build: fn(&mut Builder, NodeId) -> Result<NodeId, GraphError>, per_sample, dims: &[usize]| {
            let shape = on_frames(|g, x| build(g, x).and_then(|y| g.shape(y).cloned())).expect("it fits");
            assert_eq!(shape, Shape { per_sample, dims: dims.to_vec() });
        };
        let conv = ConvParams::<2>::default();
        check(|_, x| Ok(x), 8, &[4, 9, 12]);
        check(|g, x| g.conv("c", x, ConvParams::<2> { out_channels: 5, ..ConvParams::default() }), 8, &[5, 9, 12]);
        check(|g, x| g.conv("c", x, ConvParams { kernel: [3, 5], ..ConvParams::default() }), 8, &[1, 7, 8]);
        check(
            |g, x| {
                g.conv("c", x, ConvParams { kernel: [7; 2], stride: [2; 2], padding: [3; 2], ..ConvParams::default() })
            },
            8,
            &[1, 5, 6],
        );
        check(|g, x| g.max_pool("p", x, PoolParams { kernel: [3; 2], stride: [2; 2], padding: [1; 2] }), 8, &[4, 5, 6]);
        check(|g, x| g.temporal_shift("s", x, 4), 8, &[4, 9, 12]);
        check(|g, x| g.global_avg_pool("a", x), 8, &[4]);
        check(|g, x| g.global_avg_pool("a", x).and_then(|x| g.segment_mean("m", x)), 1, &[4]);
        check(|g, x| g.global_avg_pool("a", x).and_then(|x| g.linear("l", x, 3, Init::Constant(0.0))), 8, &[3]);
        check(
            |g, _| g.conv("c", g.input(), ConvParams { kernel: [3, 1, 1], ..ConvParams::default() }),
            1,
            &[1, 6, 9, 12],
        );
        assert_eq!(
            conv,
            ConvParams { out_channels: 1, kernel: [1, 1], stride: [1, 1], padding: [0, 0], groups: 1, bias: false }
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let check = |build: fn(&mut Builder, NodeId) -> Result<NodeId, GraphError>, expect: &str| {
            let error = on_frames(build).expect_err("it does not fit");
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            assert_eq!(format!("{error}{}", cause.unwrap_or_default()), expect);
        };
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [3, 13], ..ConvParams::default() }),
            "node `c` does not fit its input: a window of 13 is larger than the padded input of 12 on axis 1",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [1; 3], ..ConvParams::default() }),
            "node `c` does not fit its input: it takes 4 axes a row, found [4, 9, 12]",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [1; 2], groups: 3, ..ConvParams::default() }),
            "node `c` does not fit its input: 4 channels can't be split into 3 groups",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [1; 2], groups: 0, ..ConvParams::default() }),
            "node `c` does not fit its input: the number of groups is 0",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [1; 2], stride: [1, 0], ..ConvParams::default() }),
            "node `c` does not fit its input: the stride is 0",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [0, 1], ..ConvParams::default() }),
            "node `c` does not fit its input: an axis is 0",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { out_channels: usize::MAX, kernel: [1; 2], ..ConvParams::default() }),
            "node `c` does not fit its input: it has more than 2147483648 values",
        );
        check(
            |g, x| g.conv("c", x, ConvParams { kernel: [1; 2], padding: [usize::MAX; 2], ..ConvParams::default() }),
            "node `c` does not fit its input: it has more than 2147483648 values",
        );
        check(
            |g, x| g.max_pool("p", x, PoolParams { kernel: [2; 2], stride: [2; 2], padding: [2; 2] }),
            "node `p` does not fit its input: padding of 2 is more than half of the window of 2",
        );
        check(
            |g, x| g.linear("l", x, 3, Init::Constant(0.0)),
            "node `l` does not fit its input: it takes 1 axes a row, found [4, 9, 12]",
        );
        check(
            |g, x| g.segment_mean("m", x),
            "node `m` does not fit its input: it takes 1 axes a row, found [4, 9, 12]",
        );
        check(
            |g, x| g.frames_to_batch("f", x),
            "node `f` does not fit its input: it takes 4 axes a row, found [4, 9, 12]",
        );
        check(
            |g, x| g.add("s", x, g.input()),
            "node `s` does not fit its input: [8, 4, 9, 12] and [1, 4, 8, 9, 12] can't be added",
        );
        check(
            |g, x| g.dropout("d", x, 1.0),
            "node `d` does not fit its input: ratio is 1, expected 0 or more, below 1",
        );
        check(
            |g, x| g.dropout("d", x, f64::NAN),
            "node `d` does not fit its input: ratio is NaN, expected 0 or more, below 1",
        );
        check(
            |g, x| g.batch_norm("b", x, BatchNormParams { eps: 0.0, ..BatchNormParams::default() }),
            "node `b` does not fit its input: eps is 0, expected a number above 0",
        );
        check(
            |g, x| g.temporal_shift("t", x, 5),
            "node `t` does not fit its input: of 4 channels one in 5 is none; choose a `shift_div` of at most 4",
        );
        check(
            |g, x| g.temporal_shift("t", x, 1),
            "node `t` does not fit its input: shift_div is 1, expected 2 or more",
        );
        check(|g, x| g.relu("frames", x), "the name `frames` is used twice");
        check(|g, _| g.relu("r", NodeId(7)), "node 7 is used before it is made");
        assert!(Builder::new("test", ClipShape { height: 0, ..CLIP }).is_err());
        assert!(Builder::new("test", ClipShape { height: usize::MAX, ..CLIP }).is_err());
    }

    #[test]
    fn a_graph_ends_with_logits_of_a_linear_layer() {
        type End = fn(&mut Builder, NodeId, NodeId) -> Result<(NodeId, NodeId), GraphError>;
        let graph = |end: End| {
            let mut g = Builder::new("test", CLIP)?;
            let x = g.frames_to_batch("frames", g.input())?;
            let pooled = g.global_avg_pool("a", x)?;
            let fc = g.linear("fc", pooled, 3, Init::Constant(0.0))?;
            let (output, classifier) = end(&mut g, pooled, fc)?;
            g.finish(output, classifier)
        };
        let rows = graph(|_, _, fc| Ok((fc, fc)));
        assert_eq!(rows, Err(GraphError::Output { node: "fc".into(), rows: 8, dims: vec![3] }));
        let head = graph(|g, pooled, _| g.segment_mean("m", pooled).map(|x| (x, pooled)));
        assert_eq!(head, Err(GraphError::Head { node: "a".into() }));
        let graph = graph(|g, _, fc| g.segment_mean("m", fc).map(|x| (x, fc))).expect("logits of a linear layer");
        let head: Vec<&str> = graph.head.iter().map(|id| graph.params[id.0].name.as_str()).collect();
        assert_eq!(head, ["fc.weight", "fc.bias"]);
        assert_eq!(graph.check(), Ok(()));
    }
}
