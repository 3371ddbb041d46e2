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

    /// Returns the initial values if they follow from the shape, and `None` if they are random.
    pub fn fixed_values(&self) -> Option<Vec<f32>> {
        match self.init {
            Init::Constant(value) => Some(vec![value as f32; self.len()]),
            Init::SinCos => Some(sin_cos(&self.shape)),
            Init::Normal { .. } | Init::KaimingFanOut => None,
        }
    }

    /// Returns whether the tensor has no values, which [`Graph::check`](crate::Graph::check) rejects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns [`Init::SinCos`] for a table `[…, P, D]`.
fn sin_cos(shape: &[usize]) -> Vec<f32> {
    let [.., positions, features] = *shape else { return vec![0.0; shape.iter().product()] };
    let value = |index: usize| {
        let (position, feature) = (index / features % positions, index % features);
        let angle = position as f64 / 10_000_f64.powf((feature / 2 * 2) as f64 / features as f64);
        if feature.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    (0..shape.iter().product()).map(|index| value(index) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_and_cosines_alternate() {
        let param = Param { name: "pos_embed".into(), shape: vec![1, 3, 4], role: Role::Buffer, init: Init::SinCos };
        let table = param.fixed_values().expect("a table");
        let (slow, fast) = (0.01_f64, 1.0_f64);
        for position in 0..3 {
            let angles = [fast, slow].map(|frequency| frequency * position as f64);
            let expect = [angles[0].sin(), angles[0].cos(), angles[1].sin(), angles[1].cos()];
            assert_eq!(table[4 * position..][..4], expect.map(|value| value as f32));
        }
    }
}
