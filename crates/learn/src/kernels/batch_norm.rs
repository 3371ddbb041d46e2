//! The kernel of [`BatchNorm`].

use super::call::Call;
use super::precision::Precision;
use crate::c10d::BatchNormCall;
use pipe_graph::ops::batch_norm::BatchNorm;
use tch::{TchError, Tensor};

/// The statistics and tensors stay in 32 bits: libtorch computes with them in 32 bits whatever the input has.
pub(super) const PRECISION: Precision = Precision::Any;

/// In training, normalises with the statistics of the batch and updates the running ones in place.
pub(super) fn forward(op: &BatchNorm, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (weight, bias) = (call.param("weight")?, call.param("bias")?);
    let (mean, var) = (call.param("running_mean")?, call.param("running_var")?);
    if let (Some(group), Some(step)) = (call.sync_bn, call.training) {
        let (momentum, eps, contributes) = (op.momentum, op.eps, step.piece.counts);
        let (running_mean, running_var) = (mean, var);
        return group.batch_norm(BatchNormCall {
            x,
            weight,
            bias,
            running_mean,
            running_var,
            momentum,
            eps,
            contributes,
        });
    }
    let training = call.training.is_some();
    x.f_batch_norm(Some(weight), Some(bias), Some(mean), Some(var), training, op.momentum, op.eps, false)
}
