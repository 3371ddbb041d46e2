//! [`GraphError`] and [`ShapeError`]: the errors of building, checking, rewriting and writing a network.

use crate::id::{NodeId, ParamId};

/// Why a network can't be built, rewritten or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum GraphError {
    /// A node does not fit its inputs or tensors.
    #[error("node `{node}` can't be built")]
    Shape {
        /// The name of the node, or of a tensor that is too large.
        node: String,
        #[source]
        source: ShapeError,
    },
    /// Two nodes, two tensors, or two values of an ONNX file have the same name.
    #[error("the name `{name}` is used twice")]
    DuplicateName { name: String },
    /// A node reads a node that does not exist or comes later.
    #[error("node {} is used before it is defined", id.0)]
    UnknownNode {
        /// The node that is read.
        id: NodeId,
    },
    /// A node reads a tensor that does not exist.
    #[error("tensor {} does not exist", id.0)]
    UnknownParam {
        /// The tensor that is read.
        id: ParamId,
    },
    /// The first node is not the input, or another node is one.
    #[error("node `{node}` breaks the rule that the first node is the only input, `[N, C, T, H, W]`")]
    Input { node: String },
    /// The output is not `[N, K]`.
    #[error("the output `{node}` has {rows} rows per sample and axes {dims:?}, expected one row of classes")]
    Output { node: String, rows: usize, dims: Vec<usize> },
    /// The classifier has nothing to train.
    #[error("the classifier `{node}` has no tensors")]
    Head { node: String },
    /// The shape of a node is not the one that follows from its inputs.
    #[error("node `{node}` has shape {found:?}, but its inputs give {expected:?}")]
    WrongShape {
        node: String,
        /// The axes that follow from the inputs, rows per sample first.
        expected: Vec<usize>,
        /// The axes of the node, rows per sample first.
        found: Vec<usize>,
    },
    /// A tensor has no values.
    #[error("the tensor `{name}` has no values")]
    MissingTensor { name: String },
    /// The number of values does not match the shape.
    #[error("the tensor `{name}` has {found} values, but its shape needs {expected}")]
    TensorLength {
        name: String,
        /// The number that the shape needs.
        expected: usize,
        found: usize,
    },
    /// ONNX files are protobuf messages, which are limited to 2 GB.
    #[error("the ONNX file needs {size_bytes} bytes, but the format is limited to {limit_bytes}")]
    TooLargeForOnnx { size_bytes: u64, limit_bytes: u64 },
    /// A layer that is to stay in floating point does not exist.
    #[error("`{name}` is not the name of a convolution or linear layer")]
    UnknownLayer { name: String },
    /// All convolutions and linear layers stay in floating point.
    #[error("nothing can be quantised: {}", float_layers(float))]
    NothingToQuantize {
        /// The layers, and why they stay.
        float: Vec<(String, &'static str)>,
    },
    /// Channels are to be removed from a layer that does not exist, or that is not the first of its group.
    #[error("`{name}` is not the name of a group of channels")]
    UnknownGroup { name: String },
    /// A channel to be removed does not exist, or is removed twice.
    #[error("channel {unit} of `{name}` can't be removed, or is removed twice: the group has {num_units} channels")]
    UnknownUnit { name: String, unit: usize, num_units: usize },
    /// Nothing would be left of a group.
    #[error("all channels of `{name}` are to be removed")]
    EmptyGroup { name: String },
}

/// Maximum number of layers that an error names.
const MAX_NAMED: usize = 5;

fn float_layers(float: &[(String, &'static str)]) -> String {
    if float.is_empty() {
        return "the network has no convolution or linear layer".to_owned();
    }
    let named = float.iter().take(MAX_NAMED).map(|(name, reason)| format!("`{name}` stays, because {reason}"));
    named.collect::<Vec<_>>().join("; ")
}

/// Why an op does not fit its inputs or tensors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ShapeError {
    /// Wrong number of inputs.
    #[error("expected {expected} input{}, found {found}", plural(*expected))]
    Inputs {
        /// The number that the op takes.
        expected: usize,
        /// The number that the node has.
        found: usize,
    },
    /// Wrong number of axes.
    #[error("expected {expected} {} after the batch, found {found:?}", if *expected == 1 { "axis" } else { "axes" })]
    Rank {
        /// The number that the op takes, channels included.
        expected: usize,
        found: Vec<usize>,
    },
    /// An input has another shape than its op needs.
    #[error("the input has the axes {found:?}, expected {expected:?}")]
    Input {
        /// The axes that the op takes, rows per sample first.
        expected: Vec<usize>,
        /// The axes of the input, rows per sample first.
        found: Vec<usize>,
    },
    /// Frames are folded into the batch where they must not be, or the reverse.
    #[error("expected {expected} row{} per sample, found {found}", plural(*expected))]
    Rows {
        /// The number that the op takes.
        expected: usize,
        /// The number that the input has.
        found: usize,
    },
    /// An op that works on samples was given a table, which has no batch axis.
    #[error("a table of {dims:?} can't be used here, it has no batch axis")]
    Table { dims: Vec<usize> },
    /// An op that works on tables was given a value with a batch axis.
    #[error("expected a table, found {found:?} for each sample")]
    NoTable {
        /// The axes of the value, rows per sample first.
        found: Vec<usize>,
    },
    /// The number of constants is not the number of channels.
    #[error("{found} constant{} for {channels} channel{}", plural(*found), plural(*channels))]
    Constants { channels: usize, found: usize },
    /// A reshape changes the number of values.
    #[error("{found:?} can't be reshaped to {expected:?}")]
    Reshape {
        /// The axes of the input, rows per sample first.
        found: Vec<usize>,
        /// The axes asked for, rows per sample first.
        expected: Vec<usize>,
    },
    /// A list of axes is not an order of the input's axes.
    #[error("{axes:?} is not an order of the axes of {found:?}")]
    Axes {
        /// The list that was given.
        axes: Vec<usize>,
        found: Vec<usize>,
    },
    /// A slice reaches beyond its axis, or is empty.
    #[error("a slice from {start} to {end} does not fit into an axis of {size}")]
    Slice {
        start: usize,
        /// The position after the last one.
        end: usize,
        size: usize,
    },
    /// Queries, keys, values or biases of an attention do not fit each other.
    #[error("attention of {heads} head{} does not fit queries {query:?}, keys {key:?} and {what} {other:?}", plural(*heads))]
    Attention {
        heads: usize,
        query: Vec<usize>,
        key: Vec<usize>,
        /// The other operand: `values` or `a bias`.
        what: &'static str,
        other: Vec<usize>,
    },
    /// A window is larger than the padded input.
    #[error("a window of {window} is larger than the padded input of {padded} on axis {axis}")]
    TooSmall {
        /// The axis after the channels, from 0.
        axis: usize,
        window: usize,
        /// The size of the input with its padding.
        padded: usize,
    },
    /// A size, stride or count is 0.
    #[error("{what} is 0")]
    Zero {
        /// The quantity, with its article.
        what: &'static str,
    },
    /// With padding of more than half of a pooling window, some windows would see only padding.
    #[error("padding of {padding} is more than half of the window of {window}")]
    PoolPadding { padding: usize, window: usize },
    /// The number of channels is not a multiple of the number of groups.
    #[error("{channels} channels can't be split into {groups} groups")]
    Groups {
        /// The number of input or output channels.
        channels: usize,
        groups: usize,
    },
    /// A required tensor is missing.
    #[error("the tensor `{slot}` is missing")]
    MissingTensor { slot: &'static str },
    /// A tensor is in a slot that the op does not have, or in the wrong order.
    #[error("the tensor `{slot}` is not one of the op, or not in its order")]
    UnexpectedTensor { slot: &'static str },
    /// A tensor has the wrong shape.
    #[error("the tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Param {
        name: String,
        /// The shape that the op needs.
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// The inputs of a sum have different shapes.
    #[error("can't add {left:?} and {right:?}")]
    Unequal {
        /// The axes of the first input, rows per sample first.
        left: Vec<usize>,
        /// The axes of the second input, rows per sample first.
        right: Vec<usize>,
    },
    /// The factors of a product have shapes that can't be matched.
    #[error("can't multiply {left:?} by {right:?}")]
    Product {
        /// The axes of the first input, rows per sample first.
        left: Vec<usize>,
        /// The axes of the second input, rows per sample first.
        right: Vec<usize>,
    },
    /// The inputs of a concatenation differ on another axis.
    #[error("can't concatenate {left:?} and {right:?} along axis {axis} after the batch")]
    Concat {
        /// The axes of the first input, rows per sample first.
        left: Vec<usize>,
        /// The axes of another input, rows per sample first.
        right: Vec<usize>,
        /// The axis that grows, counted from 0 after the batch.
        axis: usize,
    },
    /// A frame that the clip does not have.
    #[error("frame {frame} does not exist in a clip of {frames} frames")]
    NoSuchFrame {
        /// The position, from 0.
        frame: usize,
        frames: usize,
    },
    /// The network does not take clips of this length.
    #[error("a clip of {frames} frames does not fit; the number of frames must be a multiple of {multiple_of}")]
    Frames {
        frames: usize,
        /// The divisor of all lengths that fit.
        multiple_of: usize,
    },
    /// A number is outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Range { what: &'static str, found: f64, expected: &'static str },
    /// A size of the clip or of a parameter does not fit the network.
    #[error("{what} is {found}, but the network takes {expected}")]
    Size {
        /// The quantity, with its article.
        what: &'static str,
        found: usize,
        /// The sizes that fit, and the parameters that they follow from.
        expected: String,
    },
    /// A temporal shift moves no channel.
    #[error("a `shift_div` of {shift_div} moves none of {channels} channels; choose at most {channels}")]
    NothingShifts { channels: usize, shift_div: usize },
    /// A tensor or result is too large for any machine.
    #[error("more than {limit} values")]
    TooLarge { limit: usize },
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
