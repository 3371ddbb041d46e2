//! What can be wrong with a network.

use crate::{NodeId, ParamId};

/// Why a network can't be built, checked or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// A node does not fit its inputs.
    #[error("node `{node}` does not fit its input")]
    Shape {
        /// Its name.
        node: String,
        /// What does not fit.
        #[source]
        source: ShapeError,
    },
    /// Two nodes, or two tensors, of one name.
    #[error("the name `{name}` is used twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A node that the network does not have, or that comes later.
    #[error("node {} is used before it is made", id.0)]
    UnknownNode {
        /// Its position.
        id: NodeId,
    },
    /// A tensor that the network does not have.
    #[error("tensor {} does not exist", id.0)]
    UnknownParam {
        /// Its position.
        id: ParamId,
    },
    /// A network has one input, and it comes first.
    #[error("node `{node}` breaks the rule that the first node is the only input, `[N, C, T, H, W]`")]
    Input {
        /// The node in the wrong place.
        node: String,
    },
    /// Logits are `[N, K]`.
    #[error("the output `{node}` has {rows} rows a sample and axes {dims:?}, expected one row of classes")]
    Output {
        /// The node.
        node: String,
        /// Rows for each sample.
        rows: usize,
        /// The other axes.
        dims: Vec<usize>,
    },
    /// The classifier is a linear layer.
    #[error("the classifier `{node}` is no linear layer")]
    Head {
        /// The node.
        node: String,
    },
    /// The shape written down is not the one that follows from the inputs.
    #[error("node `{node}` says {found:?}, but its inputs give {expected:?}")]
    WrongShape {
        /// The node.
        node: String,
        /// Axes that follow from the inputs, rows a sample first.
        expected: Vec<usize>,
        /// Axes written down, rows a sample first.
        found: Vec<usize>,
    },
    /// No values for a tensor.
    #[error("no values for the tensor `{name}`")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// Values that are not as many as the shape says.
    #[error("the tensor `{name}` has {found} values, its shape says {expected}")]
    TensorLength {
        /// Its name.
        name: String,
        /// As the shape says.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// ONNX files are protobuf messages, which end at 2 GB.
    #[error("the ONNX file would have {size_bytes} bytes, the format allows {limit_bytes}")]
    TooLargeForOnnx {
        /// What would be written.
        size_bytes: u64,
        /// The most that can be.
        limit_bytes: u64,
    },
}

/// Why an operation does not fit its inputs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ShapeError {
    /// Too many or too few inputs.
    #[error("it takes {expected} inputs, found {found}")]
    Inputs {
        /// As the operation says.
        expected: usize,
        /// As the node says.
        found: usize,
    },
    /// Too many or too few axes.
    #[error("it takes {expected} axes a row, found {found:?}")]
    Rank {
        /// As the operation says, channels included.
        expected: usize,
        /// The input's axes.
        found: Vec<usize>,
    },
    /// Frames are, or are not, folded into the batch.
    #[error("it takes {expected} rows a sample, found {found}")]
    Rows {
        /// As the operation says.
        expected: usize,
        /// The input's.
        found: usize,
    },
    /// A window that is larger than the padded input.
    #[error("a window of {window} is larger than the padded input of {padded} on axis {axis}")]
    TooSmall {
        /// Among the axes after the channels, from 0.
        axis: usize,
        /// Size of the window.
        window: usize,
        /// Size of the input with its padding.
        padded: usize,
    },
    /// A size, stride or count of 0.
    #[error("{what} is 0")]
    Zero {
        /// What is 0.
        what: &'static str,
    },
    /// Padding by more than half of a pooling window: some windows would hold nothing.
    #[error("padding of {padding} is more than half of the window of {window}")]
    PoolPadding {
        /// Both sides.
        padding: usize,
        /// Size of the window.
        window: usize,
    },
    /// Channels that groups don't divide.
    #[error("{channels} channels can't be split into {groups} groups")]
    Groups {
        /// In or out.
        channels: usize,
        /// How many groups.
        groups: usize,
    },
    /// A tensor that has another shape than the operation needs.
    #[error("the tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Param {
        /// Its name.
        name: String,
        /// As the operation needs.
        expected: Vec<usize>,
        /// As it is.
        found: Vec<usize>,
    },
    /// Two values of different shapes.
    #[error("{left:?} and {right:?} can't be added")]
    Unequal {
        /// Axes of the first, rows a sample first.
        left: Vec<usize>,
        /// Axes of the second, rows a sample first.
        right: Vec<usize>,
    },
    /// A number outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// No channel would move.
    #[error("of {channels} channels one in {shift_div} is none; choose a `shift_div` of at most {channels}")]
    NothingShifts {
        /// Of the input.
        channels: usize,
        /// As asked.
        shift_div: usize,
    },
    /// More values than any machine holds.
    #[error("it has more than {limit} values")]
    TooLarge {
        /// The most that are allowed.
        limit: usize,
    },
}
