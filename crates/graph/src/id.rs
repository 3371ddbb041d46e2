//! The ids of nodes and tensors.

use serde::Serialize;

/// The position of a node in [`Graph::nodes`](crate::Graph::nodes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NodeId(pub usize);

/// The position of a tensor in [`Graph::params`](crate::Graph::params).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ParamId(pub usize);

/// One input for the many ops that have one.
impl AsRef<[NodeId]> for NodeId {
    fn as_ref(&self) -> &[NodeId] {
        std::slice::from_ref(self)
    }
}
