//! Networks as data: a [`Graph`] lists the nodes of a network in topological order, and nothing in this crate runs one.
//!
//! Each [`Node`] has an [`Op`], its inputs, its tensors by slot, and a shape that is static except for the batch axis. Build a
//! graph with [`Builder`]; [`ops`] has one file per op. `pipe-learn` runs a graph on libtorch and [`onnx`] writes it for other
//! engines. The number of parameters, the multiply-adds and the digest in the training key are functions of the graph.

#![warn(clippy::wildcard_enum_match_arm)]

mod builder;
mod channels;
mod check;
mod digest;
mod error;
mod graph;
mod id;
pub mod onnx;
mod operands;
mod operation;
pub mod ops;
mod param;
pub mod passes;
mod shape;
mod summary;

pub use builder::Builder;
pub use error::{GraphError, ShapeError};
pub use graph::{Auxiliary, Graph, Node, NodeParam};
pub use id::{NodeId, ParamId};
pub use operation::{Layer, TensorSpec};
pub use ops::Op;
pub use param::{Init, Param, Role};
pub use shape::{ClipShape, Shape};

#[cfg(test)]
mod tests;
