//! [`Call`]: the arguments of a kernel.

use crate::{Piece, ProcessGroup};
use pipe_graph::{Node, Shape};
use tch::{Device, Kind, TchError, Tensor};

/// A step of training. The random draws of its nodes derive from it and the node's name, and from nothing else.
#[derive(Debug, Clone, Copy)]
pub struct TrainingStep {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u32,
    /// The step of the epoch, from 0.
    pub step: usize,
    /// The clips of the step that this process shows. Draws are made for the whole step, so that they do not depend on the pieces.
    pub piece: Piece,
}

/// The arguments of a kernel.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub(crate) node: &'a Node,
    /// The results of the nodes in `node.inputs`; the batch for the input node.
    pub(crate) inputs: Vec<&'a Tensor>,
    /// The shapes of the nodes in `node.inputs`.
    pub(crate) input_shapes: Vec<&'a Shape>,
    /// The tensors of the node by slot.
    pub(crate) params: Vec<(&'static str, &'a Tensor)>,
    /// `None` at inference.
    pub(crate) training: Option<TrainingStep>,
    /// The kind of 16 bits in mixed precision; `None` without it.
    pub(crate) low_precision: Option<Kind>,
    /// The processes whose batches have common statistics; `None` if each has its own.
    pub(crate) sync_bn: Option<&'a ProcessGroup>,
    /// Where the tensors of the network are; for ops without inputs.
    pub(crate) device: Device,
}

impl<'a> Call<'a> {
    /// Returns the inputs of an op that takes exactly `COUNT`.
    pub(crate) fn inputs<const COUNT: usize>(&self) -> Result<[&'a Tensor; COUNT], TchError> {
        let wrong_count = |_| TchError::Shape(format!("expected {COUNT} inputs, found {}", self.inputs.len()));
        self.inputs.as_slice().try_into().map_err(wrong_count)
    }

    /// Returns the tensor in a slot that must be filled.
    pub(crate) fn param(&self, slot: &str) -> Result<&'a Tensor, TchError> {
        self.optional(slot).ok_or_else(|| TchError::Shape(format!("the tensor `{slot}` is missing")))
    }

    /// Returns the tensor in a slot that may be empty.
    pub(crate) fn optional(&self, slot: &str) -> Option<&'a Tensor> {
        self.params.iter().find(|(name, _)| *name == slot).map(|(_, tensor)| *tensor)
    }

    /// Returns the tensors of all slots.
    pub(crate) fn params(&self) -> impl Iterator<Item = &'a Tensor> {
        self.params.iter().map(|(_, tensor)| *tensor)
    }
}
