//! Why a network of the zoo can't be built.

use pipe_graph::GraphError;

/// Why a network of the zoo can't be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The number of classes asked for is not the number in the labels.
    #[error("`cls_head.num_classes` is {asked}, the labels have {found} classes")]
    NumClasses {
        /// In the parameters.
        asked: usize,
        /// In the labels.
        found: usize,
    },
    /// The network does not fit clips of this shape.
    #[error("{name} does not fit clips of {frames} frames of {width}x{height} px")]
    Graph {
        /// Of the network.
        name: String,
        /// Of a sample.
        frames: usize,
        /// Of a frame.
        width: usize,
        /// Of a frame.
        height: usize,
        /// What does not fit.
        #[source]
        source: Box<GraphError>,
    },
}
