//! [`Operation`]: what the file of an op implements. [`Layer`]: what [`Builder::node`](crate::Builder::node) takes.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::{Init, Role, Shape, ShapeError};

/// An op: its tensors, the shape of its result, its channels, its cost, and its ONNX nodes.
///
/// The attributes of an op are the fields of its struct. They are serialised into the digest of the graph, see `digest.rs`.
pub(crate) trait Operation {
    /// Returns the names of all tensors that the op can have, required and optional, in the order of [`Node::params`].
    ///
    /// [`Node::params`]: crate::Node::params
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the tensors to create when the op is built on inputs of these shapes.
    ///
    /// If the tensors depend on more than attributes and inputs, for example on the number of filters, implement [`Layer`] for a
    /// struct of parameters and leave this method out.
    fn tensors(&self, _inputs: &[&Shape]) -> Result<Vec<TensorSpec>, ShapeError> {
        Ok(Vec::new())
    }

    /// Checks inputs, tensors and attributes, and returns the shape of the result.
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError>;

    /// Returns the axes of the result, rows per sample first, and labels the tensors: which channels of inputs, tensors and result are
    /// the same, and which the op needs whole.
    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis>;

    /// Adapts the attributes that depend on the channels, such as the number of heads, after channels were removed.
    ///
    /// It has no default: some wrong attributes fit the new shapes, so that [`Graph::check`](crate::Graph::check) can't find them.
    fn keep_channels(&mut self, kept: &KeptChannels<'_>);

    /// Returns whether all values of the result are values of the first input, or zeros. Both then have the same scale in 8 bits.
    ///
    /// If an op leaves it out, its result gets a scale of its own, which is correct and only slower.
    fn keeps_values(&self) -> bool {
        false
    }

    /// Returns the multiply-adds for one sample. Only sums of products count, as in the figures that torchvision and MMAction2
    /// publish as FLOPs: biases, normalisations, activations, poolings and sums are 0.
    fn macs(&self, operands: &Operands<'_>, output: &Shape) -> u64;

    /// Returns whether the op returns its input unchanged outside of training. Such an op has no node in an ONNX file.
    fn is_identity_at_inference(&self) -> bool {
        false
    }

    /// Writes the ONNX nodes of the op.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>);
}

/// What a [`Builder`](crate::Builder) appends as one node: an op together with the tensors to create for it.
///
/// Every op is a layer. For some ops, a struct of parameters is a layer as well, such as `ConvParams` for `Conv`.
pub trait Layer {
    /// The op of the node.
    type Op;

    /// Returns the op and its tensors for inputs of these shapes.
    ///
    /// # Errors
    /// [`ShapeError`] if the tensors can't be derived from the inputs.
    fn resolve(self, inputs: &[&Shape]) -> Result<(Self::Op, Vec<TensorSpec>), ShapeError>;
}

/// A tensor to create.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// The tensor's name within the op; the full name is `NODE.SLOT`.
    pub slot: &'static str,
    /// The sizes of all axes.
    pub shape: Vec<usize>,
    /// The role of the tensor.
    pub role: Role,
    /// The initial values.
    pub init: Init,
}

impl<T: Operation> Layer for T {
    type Op = T;

    fn resolve(self, inputs: &[&Shape]) -> Result<(T, Vec<TensorSpec>), ShapeError> {
        let tensors = self.tensors(inputs)?;
        Ok((self, tensors))
    }
}
