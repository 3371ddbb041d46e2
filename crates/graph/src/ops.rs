//! The ops, one file each: attributes, tensors, shape inference, channels, cost and ONNX nodes.
//!
//! An op is a struct that implements `Operation`, and a variant of [`Op`]. To add one, write `ops/NAME.rs` (`relu.rs` is the shortest
//! example, `conv.rs` has tensors) and add a line to the list at the end of this file. The compiler then asks for the methods of
//! `Operation` and for the kernel in `pipe-learn`.

use crate::operation::Operation;
use serde_json::{Value, json};

/// Declares the module of each op, and [`Op`] as the enum over their structs.
macro_rules! define_ops {
    ($($module:ident::$name:ident,)*) => {
        $(pub mod $module;)*

        /// What a node computes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($module), "`](mod@", stringify!($module), ").")] $name($module::$name),)*
        }

        impl Op {
            /// Returns the name of the op, such as `Conv`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Returns the fields of the op's struct, or `null` if it has none.
            pub(crate) fn attributes(&self) -> Value {
                match self { $(Self::$name(op) => json!(op),)* }
            }

            pub(crate) fn operation(&self) -> &dyn Operation {
                match self { $(Self::$name(op) => op,)* }
            }

            pub(crate) fn operation_mut(&mut self) -> &mut dyn Operation {
                match self { $(Self::$name(op) => op,)* }
            }
        }

        $(impl From<$module::$name> for Op {
            fn from(op: $module::$name) -> Self {
                Self::$name(op)
            }
        })*
    };
}

impl Op {
    /// Returns the names of all tensors that the op can have, required and optional, in order.
    pub fn slots(&self) -> &'static [&'static str] {
        self.operation().slots()
    }
}

define_ops! {
    input::Input,
    frames_to_batch::FramesToBatch,
    conv::Conv,
    batch_norm::BatchNorm,
    relu::Relu,
    relu6::Relu6,
    max_pool::MaxPool,
    global_avg_pool::GlobalAvgPool,
    segment_mean::SegmentMean,
    linear::Linear,
    add::Add,
    dropout::Dropout,
    temporal_shift::TemporalShift,
    avg_pool::AvgPool,
    concat::Concat,
    mul::Mul,
    mean::Mean,
    sigmoid::Sigmoid,
    swish::Swish,
    frame_select::FrameSelect,
    flatten::Flatten,
    recurrent::Recurrent,
    table::Table,
    reshape::Reshape,
    permute::Permute,
    slice::Slice,
    pad::Pad,
    roll::Roll,
    expand::Expand,
    resize::Resize,
    layer_norm::LayerNorm,
    gelu::Gelu,
    attention::Attention,
    drop_path::DropPath,
    channel_affine::ChannelAffine,
    rel_pos_bias::RelPosBias,
    window_mask::WindowMask,
    decomposed_rel_pos::DecomposedRelPos,
    rotary::Rotary,
}
