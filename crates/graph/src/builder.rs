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
        let bias = match bias {
            true => Some(self.param(name, "bias", vec![out_channels], Role::Bias, Init::Constant(0.0))?),
            false => None,
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
