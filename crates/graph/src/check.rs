//! [`Graph::check`]: the rules that every graph satisfies.

use crate::operands::Operands;
use crate::shape::check_size;
use crate::{Graph, GraphError, Node, NodeId, NodeParam, Op, Param, Shape, ShapeError};
use std::collections::BTreeSet;

impl Graph {
    /// Checks a graph that was changed after it was built: names, order, tensors and every shape.
    ///
    /// # Errors
    /// The first rule that is broken, as any variant of [`GraphError`] that concerns a node or tensor.
    pub fn check(&self) -> Result<(), GraphError> {
        check_unique(self.params.iter().map(|param| &param.name))?;
        check_unique(self.nodes.iter().map(|node| &node.name))?;
        for param in &self.params {
            check_size(&param.shape).map_err(|source| GraphError::Shape { node: param.name.clone(), source })?;
        }
        for (position, node) in self.nodes.iter().enumerate() {
            if (position == 0) != matches!(node.op, Op::Input(_)) {
                return Err(GraphError::Input { node: node.name.clone() });
            }
            let expected = infer_node(node, &self.nodes[..position], &self.params)?;
            if expected != node.shape {
                let (expected, found) = (expected.axes(), node.shape.axes());
                return Err(GraphError::WrongShape { node: node.name.clone(), expected, found });
            }
        }
        for id in [self.output].into_iter().chain(self.auxiliary.map(|auxiliary| auxiliary.output)) {
            if id.0 >= self.nodes.len() {
                return Err(GraphError::UnknownNode { id });
            }
        }
        match self.head.iter().find(|id| id.0 >= self.params.len()) {
            Some(&id) => Err(GraphError::UnknownParam { id }),
            None => Ok(()),
        }
    }
}

fn check_unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), GraphError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(GraphError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

/// Returns the shape of a node's result. The node may read the nodes of `before`.
pub(crate) fn infer_node(node: &Node, before: &[Node], params: &[Param]) -> Result<Shape, GraphError> {
    let operands = operands(node, before, params)?;
    let shape = check_slots(node).and_then(|()| {
        let shape = node.op.operation().infer(&operands)?;
        check_size(&shape.axes())?;
        Ok(shape)
    });
    shape.map_err(|source| GraphError::Shape { node: node.name.clone(), source })
}

/// Looks up the inputs and tensors of a node.
pub(crate) fn operands<'a>(node: &Node, before: &'a [Node], params: &'a [Param]) -> Result<Operands<'a>, GraphError> {
    let input = |id: &NodeId| before.get(id.0).map(|node| &node.shape).ok_or(GraphError::UnknownNode { id: *id });
    let param = |param: &NodeParam| {
        let found = params.get(param.id.0).ok_or(GraphError::UnknownParam { id: param.id })?;
        Ok((param.slot, found))
    };
    Ok(Operands {
        inputs: node.inputs.iter().map(input).collect::<Result<_, _>>()?,
        params: node.params.iter().map(param).collect::<Result<_, _>>()?,
    })
}

/// Checks that the tensors of a node are in slots of its op, in their order, and each slot at most once.
fn check_slots(node: &Node) -> Result<(), ShapeError> {
    let mut free = node.op.slots().iter();
    for NodeParam { slot, .. } in &node.params {
        if !free.any(|name| name == slot) {
            return Err(ShapeError::UnexpectedTensor { slot });
        }
    }
    Ok(())
}
