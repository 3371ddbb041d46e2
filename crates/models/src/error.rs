//! [`ModelError`]: why a network of the zoo can't be built.

use pipe_graph::GraphError;

/// Why a network of the zoo can't be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The parameters set another number of classes than the labels have.
    #[error("`cls_head.num_classes` is {asked}, but the labels have {found} classes")]
    NumClasses {
        /// The number in the parameters.
        asked: usize,
        /// The number in the labels.
        found: usize,
    },
    /// The network does not fit clips of this shape.
    #[error("{name} does not fit clips of {frames} frame{} of {width}x{height} px", if *frames == 1 { "" } else { "s" })]
    Graph {
        /// The network and its size.
        name: String,
        /// The frames of a sample.
        frames: usize,
        /// The width of a frame in pixels.
        width: usize,
        /// The height of a frame in pixels.
        height: usize,
        /// What does not fit.
        #[source]
        source: Box<GraphError>,
    },
}
