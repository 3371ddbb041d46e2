//! [`Operands`]: the inputs and tensors of one node, as an op sees them.

use crate::{Param, Shape, ShapeError};

/// The inputs and tensors of one node.
pub(crate) struct Operands<'a> {
    pub(crate) inputs: Vec<&'a Shape>,
    pub(crate) params: Vec<(&'static str, &'a Param)>,
}

impl<'a> Operands<'a> {
    /// Returns the inputs of an op that takes exactly `COUNT`, none of them a table.
    pub(crate) fn inputs<const COUNT: usize>(&self) -> Result<[&'a Shape; COUNT], ShapeError> {
        let inputs = self.inputs_or_tables()?;
        match inputs.iter().find(|shape| shape.is_table()) {
            Some(shape) => Err(ShapeError::Table { dims: shape.dims.clone() }),
            None => Ok(inputs),
        }
    }

    /// Returns the inputs of an op that takes exactly `COUNT`.
    pub(crate) fn inputs_or_tables<const COUNT: usize>(&self) -> Result<[&'a Shape; COUNT], ShapeError> {
        let found = self.inputs.len();
        self.inputs.as_slice().try_into().map_err(|_| ShapeError::Inputs { expected: COUNT, found })
    }

    /// Returns the tensor in a slot that must be filled.
    pub(crate) fn param(&self, slot: &'static str) -> Result<&'a Param, ShapeError> {
        self.optional(slot).ok_or(ShapeError::MissingTensor { slot })
    }

    /// Returns the tensor in a slot that may be empty.
    pub(crate) fn optional(&self, slot: &str) -> Option<&'a Param> {
        self.params.iter().find(|(name, _)| *name == slot).map(|(_, param)| *param)
    }
}
