//! The kernel of [`BatchNorm`].

use super::call::Call;
use super::precision::Precision;
use crate::batch_norm::{Tail, fused_batch_norm};
use crate::c10d::BatchNormCall;
use pipe_graph::ops::batch_norm::BatchNorm;
use tch::{TchError, Tensor};

/// The statistics and tensors stay in 32 bits: libtorch computes with them in 32 bits whatever the input has.
pub(super) const PRECISION: Precision = Precision::Any;

/// In training, normalises with the statistics of the batch and updates the running ones in place.
pub(super) fn forward(op: &BatchNorm, call: &Call<'_>) -> Result<Tensor, TchError> {
    let Some(step) = call.training else { return libtorch(op, call) };
    match call.sync_bn {
        Some(group) => group.batch_norm(arguments(op, call, step.piece.counts)?),
        None => match with_tail(op, call, Tail::NOTHING)? {
            Some(value) => Ok(value),
            None => libtorch(op, call),
        },
    }
}

/// Computes a batch normalisation in training with what follows it; `None` if that is done one by one.
pub(super) fn with_tail(op: &BatchNorm, call: &Call<'_>, tail: Tail<'_>) -> Result<Option<Tensor>, TchError> {
    if call.training.is_none() || call.sync_bn.is_some() {
        return Ok(None);
    }
    fused_batch_norm(arguments(op, call, true)?, tail)
}

fn libtorch(op: &BatchNorm, call: &Call<'_>) -> Result<Tensor, TchError> {
    let BatchNormCall { x, weight, bias, running_mean, running_var, momentum, eps, .. } = arguments(op, call, true)?;
    let training = call.training.is_some();
    x.f_batch_norm(Some(weight), Some(bias), Some(running_mean), Some(running_var), training, momentum, eps, false)
}

fn arguments<'a>(op: &BatchNorm, call: &Call<'a>, contributes: bool) -> Result<BatchNormCall<'a>, TchError> {
    let [x] = call.inputs()?;
    let (weight, bias) = (call.param("weight")?, call.param("bias")?);
    let (running_mean, running_var) = (call.param("running_mean")?, call.param("running_var")?);
    let BatchNorm { momentum, eps, .. } = *op;
    Ok(BatchNormCall { x, weight, bias, running_mean, running_var, momentum, eps, contributes })
}
