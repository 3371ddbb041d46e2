//! The kernels: one function per op, each in the file of its op. Start at [`run`].

mod add;
mod batch_norm;
mod call;
mod conv;
mod dropout;
mod frames_to_batch;
mod global_avg_pool;
mod input;
mod linear;
mod max_pool;
mod relu;
mod relu6;
mod segment_mean;
mod temporal_shift;

pub(crate) use call::Call;
pub use call::TrainingStep;

use pipe_graph::Op;
use tch::{TchError, Tensor};

/// Computes the result of a node.
pub(crate) fn run(call: &Call<'_>) -> Result<Tensor, TchError> {
    match &call.node.op {
        Op::Input(_) => input::forward(call),
        Op::FramesToBatch(_) => frames_to_batch::forward(call),
        Op::Conv(op) => conv::forward(op, call),
        Op::BatchNorm(op) => batch_norm::forward(op, call),
        Op::Relu(_) => relu::forward(call),
        Op::Relu6(_) => relu6::forward(call),
        Op::MaxPool(op) => max_pool::forward(op, call),
        Op::GlobalAvgPool(_) => global_avg_pool::forward(call),
        Op::SegmentMean(_) => segment_mean::forward(call),
        Op::Linear(_) => linear::forward(call),
        Op::Add(_) => add::forward(call),
        Op::Dropout(op) => dropout::forward(op, call),
        Op::TemporalShift(op) => temporal_shift::forward(op, call),
    }
}
