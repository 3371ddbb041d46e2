//! The kernels: one function `forward` per op, each in the file of its op. Start at [`run`].

mod call;
mod precision;

pub(crate) use attention::weights as attention_weights;
pub(crate) use call::Call;
pub use call::TrainingStep;
pub(crate) use precision::Precision;

use crate::batch_norm::Tail;
use crate::schedule::limits;
use pipe_graph::Op;
use tch::{Kind, TchError, Tensor};

/// Declares the module of each kernel, [`forward`] and [`precision()`].
macro_rules! define_kernels {
    ($($module:ident::$name:ident,)*) => {
        $(mod $module;)*

        fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
            match &call.node.op {
                $(Op::$name(op) => $module::forward(op, call),)*
            }
        }

        /// Returns what an op computes with in mixed precision.
        fn precision(op: &Op) -> Precision {
            match op {
                $(Op::$name(_) => $module::PRECISION,)*
            }
        }
    };
}

/// Computes the result of a node.
pub(crate) fn run(call: &Call<'_>) -> Result<Tensor, TchError> {
    let Some(low) = call.low_precision else { return forward(call) };
    match precision(&call.node.op) {
        Precision::Low => {
            let (inputs, params) = (converted(call.inputs.iter().copied(), low)?, converted(call.params(), low)?);
            let params = call.params.iter().map(|(slot, _)| *slot).zip(&params).collect();
            forward(&Call { inputs: inputs.iter().collect(), params, ..call.clone() })
        }
        Precision::Single => {
            let inputs = converted(call.inputs.iter().copied(), Kind::Float)?;
            forward(&Call { inputs: inputs.iter().collect(), ..call.clone() })
        }
        Precision::Any => forward(call),
    }
}

/// Computes a batch normalisation in training together with the other nodes of its turn: a sum with `residual`, an activation. Returns `None`
/// if they are computed one by one.
pub(crate) fn run_together(call: &Call<'_>, residual: Option<&Tensor>, last: &Op) -> Result<Option<Tensor>, TchError> {
    let Op::BatchNorm(op) = &call.node.op else { return Ok(None) };
    batch_norm::with_tail(op, call, Tail { residual, limits: limits(last).unwrap_or(Tail::NOTHING.limits) })
}

/// Converts floating-point tensors.
fn converted<'a>(tensors: impl Iterator<Item = &'a Tensor>, kind: Kind) -> Result<Vec<Tensor>, TchError> {
    tensors.map(|tensor| tensor.f_to_kind(kind)).collect()
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
