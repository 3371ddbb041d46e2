//! A network as data: nodes in topological order, each an [`Op`] with named parameters and a static shape.
//!
//! Nothing here computes. `pipe-learn` runs a [`Graph`] on libtorch, [`onnx`] writes it for other engines, and sizes,
//! FLOPs and the digest in the training key are functions of it. Build one with [`Builder`].

mod builder;
mod error;
pub mod onnx;
mod passes;
mod shape;
mod summary;

pub use builder::{BatchNormParams, Builder, ClipShape, ConvParams, PoolParams};
pub use error::{GraphError, ShapeError};
pub use passes::fold_batch_norm;

use serde::{Deserialize, Serialize};

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// What it is, such as `tsm_resnet18`.
    pub name: String,
    /// In topological order; the first is the only [`Op::Input`].
    pub nodes: Vec<Node>,
    /// All tensors that the nodes name, in the order of their first use.
    pub params: Vec<Param>,
    /// The logits, `[N, K]`.
    pub output: NodeId,
    /// Names of the parameters of the classifier, which are made anew for other classes.
    pub head: Vec<ParamId>,
}

/// A node's position in [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub usize);

/// A parameter's position in [`Graph::params`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParamId(pub usize);

/// A value computed from others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique; follows the published checkpoint's names, such as `layer1.0.conv1`.
    pub name: String,
    /// What is computed.
    pub op: Op,
    /// From what.
    pub inputs: Vec<NodeId>,
    /// Of the result.
    pub shape: Shape,
}

/// A shape whose first axis is a multiple of the batch: `[N * per_sample, dims…]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows for each sample of the batch: 1, or `T` where frames are folded into the batch.
    pub per_sample: usize,
    /// The other axes, channels first.
    pub dims: Vec<usize>,
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// The batch, `[N, C, T, H, W]`, normalised.
    Input,
    /// `[N, C, T, H, W]` → `[N * T, C, H, W]`.
    FramesToBatch,
    /// Convolution over as many axes as `stride` has: 2 or 3.
    Conv {
        /// `[out, in / groups, kernel…]`.
        weight: ParamId,
        /// `[out]`.
        bias: Option<ParamId>,
        /// By axis.
        stride: Vec<usize>,
        /// By axis, both sides.
        padding: Vec<usize>,
        /// Groups of channels.
        groups: usize,
    },
    /// Batch normalisation over axis 1.
    BatchNorm {
        /// `[C]`.
        weight: ParamId,
        /// `[C]`.
        bias: ParamId,
        /// `[C]`, a buffer.
        running_mean: ParamId,
        /// `[C]`, a buffer.
        running_var: ParamId,
        /// Added to the variance.
        eps: f64,
        /// Share of the new value in the running ones.
        momentum: f64,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// Maximum over windows.
    MaxPool {
        /// By axis: 2 or 3.
        kernel: Vec<usize>,
        /// By axis.
        stride: Vec<usize>,
        /// By axis, both sides.
        padding: Vec<usize>,
    },
    /// Mean over all axes but the first two: `[M, C, …]` → `[M, C]`.
    GlobalAvgPool,
    /// Mean over the frames of a sample: `[N * T, C]` → `[N, C]`.
    SegmentMean,
    /// `x Wᵀ + b`.
    Linear {
        /// `[out, in]`.
        weight: ParamId,
        /// `[out]`.
        bias: ParamId,
    },
    /// Sum of two values of one shape.
    Add,
    /// Zeroes a share of the values while training.
    Dropout {
        /// Which share.
        ratio: f64,
    },
    /// Temporal shift (TSM) of `[N * T, C, H, W]`: of `C / shift_div` channels frame `t` takes those of `t + 1`, of as many those of
    /// `t - 1`; zeros come in at the ends.
    TemporalShift {
        /// `T`.
        frames: usize,
        /// One channel in so many moves in each direction.
        shift_div: usize,
    },
}

/// A tensor of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// As in the published checkpoint, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
    /// How it starts.
    pub init: Init,
}

/// What a tensor is, for weight decay and freezing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Of a convolution or linear layer.
    Weight,
    /// Of a convolution or linear layer.
    Bias,
    /// Scale or offset of a normalisation.
    Norm,
    /// Running statistics: no gradient.
    Buffer,
}

/// How a tensor starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Init {
    /// All one value.
    Constant(f64),
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// He's: normal with `std = sqrt(2 / fan_out)`, where `fan_out` is all of the shape but its second axis, as PyTorch counts it.
    KaimingFanOut,
}
