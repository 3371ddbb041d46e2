//! [`Param`]: the description of a tensor of the network; the values are elsewhere.

use serde::Serialize;

/// A tensor of the network: a trained parameter or a buffer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Param {
    /// The name in the published checkpoint, such as `layer1.0.conv1.weight`; unique in the graph.
    pub name: String,
    /// The sizes of all axes, in PyTorch's order.
    pub shape: Vec<usize>,
    /// Decides about weight decay, gradients and freezing.
    pub role: Role,
    /// The initial values when no checkpoint is loaded.
    pub init: Init,
}

/// The role of a tensor in its op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Role {
    /// The weight of a convolution or linear layer.
    Weight,
    /// The bias of a convolution or linear layer.
    Bias,
    /// The scale or offset of a normalisation.
    Norm,
    /// Running statistics: no gradient.
    Buffer,
}

/// The initial values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Init {
    /// The same value everywhere.
    Constant(f64),
    /// A normal distribution with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// He initialisation (PyTorch's `kaiming_normal_` with `mode="fan_out"`): a normal distribution with `std = sqrt(2 / fan_out)`,
    /// where `fan_out` is the product of all axes except the second.
    KaimingFanOut,
    /// The sine and cosine table of Vaswani et al. 2017 for the second-last axis, with the features on the last one: position `p` has
    /// `sin(p ω)` at even features `i` and `cos(p ω)` at odd ones, with `ω = 10000^(-2 ⌊i/2⌋ / D)`.
    SinCos,
}

impl Param {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether the tensor has no values, which [`Graph::check`](crate::Graph::check) rejects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
