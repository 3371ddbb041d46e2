//! The kernels: one function `forward` per op, each in the file of its op. Start at [`run`].

mod call;

pub(crate) use call::Call;
pub use call::TrainingStep;

use pipe_graph::Op;
use tch::{TchError, Tensor};

/// Declares the module of each kernel, and [`run`].
macro_rules! define_kernels {
    ($($module:ident::$name:ident,)*) => {
        $(mod $module;)*

        /// Computes the result of a node.
        pub(crate) fn run(call: &Call<'_>) -> Result<Tensor, TchError> {
            match &call.node.op {
                $(Op::$name(op) => $module::forward(op, call),)*
            }
        }
    };
}

define_kernels! {
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
