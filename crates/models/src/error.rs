//! [`ModelError`]: why a network of the zoo can't be built.

use pipe_graph::GraphError;

/// Why a network of the zoo can't be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ModelError {
    /// The parameters set another number of classes than the labels have.
    #[error("`cls_head.num_classes` is {asked}, but the labels have {found} classes")]
    NumClasses { asked: usize, found: usize },
    /// The network does not fit clips of this shape.
    #[error("{name} does not fit clips of {frames} frame{} of {width}x{height} px", if *frames == 1 { "" } else { "s" })]
    Graph {
        name: String,
        frames: usize,
        width: usize,
        height: usize,
        #[source]
        source: Box<GraphError>,
    },
    /// The removed channels are not those of this network.
    #[error("channels can't be removed from {name}")]
    Pruning {
        name: String,
        #[source]
        source: Box<GraphError>,
    },
}
