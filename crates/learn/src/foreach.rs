//! Operations on lists of tensors: one call of libtorch for all weights of a network, see `cpp/foreach.cpp`.

#![expect(unsafe_code, reason = "functions of C++")]

use crate::c10d::{check, last_error};
use std::ffi::{c_int, c_void};
use tch::{TchError, Tensor};

/// A list of tensors for C++.
#[repr(C)]
struct TensorList {
    tensors: *const *const c_void,
    len: usize,
}

unsafe extern "C" {
    fn pipe_foreach_norm(tensors: TensorList, p: f64) -> *mut c_void;
    fn pipe_foreach_mul(tensors: TensorList, factor: *const c_void) -> c_int;
    fn pipe_fused_sgd(
        weights: TensorList,
        gradients: TensorList,
        buffers: TensorList,
        lr: f64,
        weight_decay: f64,
        momentum: f64,
        dampening: f64,
        nesterov: c_int,
        is_first_step: c_int,
    ) -> c_int;
    fn pipe_fused_adam(
        weights: TensorList,
        gradients: TensorList,
        averages: TensorList,
        squares: TensorList,
        maxima: TensorList,
        step: f64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        is_decoupled: c_int,
    ) -> c_int;
}

/// The settings of a step of `torch.optim.SGD`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SgdStep {
    pub(crate) lr: f64,
    pub(crate) weight_decay: f64,
    pub(crate) momentum: f64,
    pub(crate) dampening: f64,
    pub(crate) nesterov: bool,
    /// Whether the buffers are overwritten.
    pub(crate) is_first: bool,
}

/// The settings of a step of `torch.optim.Adam` or `torch.optim.AdamW`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamStep {
    /// Number of the step, counted from 1.
    pub(crate) step: i64,
    pub(crate) lr: f64,
    pub(crate) betas: [f64; 2],
    pub(crate) eps: f64,
    pub(crate) weight_decay: f64,
    /// Whether the weight decay is that of `AdamW`.
    pub(crate) is_decoupled: bool,
}

/// Returns the p-norm of each tensor. There must be at least one.
pub(crate) fn norms(tensors: &[&Tensor], p: f64) -> Result<Tensor, TchError> {
    let tensors = pointers(tensors.iter().copied());
    // SAFETY: the list lives until the call returns, and a tensor of `tch` is a pointer to one of libtorch.
    let norms = unsafe { pipe_foreach_norm(list(&tensors), p) };
    if norms.is_null() {
        return Err(TchError::Torch(last_error()));
    }
    // SAFETY: it is a new tensor, which nothing else owns.
    Ok(unsafe { Tensor::from_ptr(norms.cast()) })
}

/// Multiplies each tensor by a factor without axes, in place.
pub(crate) fn multiply(tensors: &[&mut Tensor], factor: &Tensor) -> Result<(), TchError> {
    let tensors = pointers(tensors.iter().map(|tensor| &**tensor));
    // SAFETY: as in `norms`.
    done(unsafe { pipe_foreach_mul(list(&tensors), factor.as_ptr().cast()) })
}

/// Makes a step of SGD. `buffers` has none or one list, that of the momentum. Each tensor has the layout of its weight in memory.
pub(crate) fn sgd(
    step: SgdStep,
    weights: &mut [Tensor],
    gradients: &mut [Tensor],
    buffers: &mut [Vec<Tensor>],
) -> Result<(), TchError> {
    let SgdStep { lr, weight_decay, momentum, dampening, nesterov, is_first } = step;
    let [weights, gradients] = [&*weights, &*gradients].map(pointers);
    let buffers = buffers.first().map(pointers).unwrap_or_default();
    let (nesterov, is_first) = (c_int::from(nesterov), c_int::from(is_first));
    let [weights, gradients, buffers] = [&weights, &gradients, &buffers].map(|tensors| list(tensors));
    // SAFETY: as in `norms`.
    done(unsafe {
        pipe_fused_sgd(weights, gradients, buffers, lr, weight_decay, momentum, dampening, nesterov, is_first)
    })
}

/// Makes a step of Adam. `buffers` are lists of the averages, of those of squares and, with `amsgrad`, of their maxima. Each tensor has the
/// layout of its weight in memory.
pub(crate) fn adam(
    step: AdamStep,
    weights: &mut [Tensor],
    gradients: &mut [Tensor],
    buffers: &mut [Vec<Tensor>],
) -> Result<(), TchError> {
    let AdamStep { step, lr, betas: [beta1, beta2], eps, weight_decay, is_decoupled } = step;
    let [weights, gradients] = [&*weights, &*gradients].map(pointers);
    let [averages, squares, maxima] = [0, 1, 2].map(|at| buffers.get(at).map(pointers).unwrap_or_default());
    let [weights, gradients, averages, squares, maxima] =
        [&weights, &gradients, &averages, &squares, &maxima].map(|tensors| list(tensors));
    let (step, is_decoupled) = (step as f64, c_int::from(is_decoupled));
    // SAFETY: as in `norms`.
    done(unsafe {
        pipe_fused_adam(
            weights,
            gradients,
            averages,
            squares,
            maxima,
            step,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            is_decoupled,
        )
    })
}

fn pointers<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<*const c_void> {
    tensors.into_iter().map(|tensor| tensor.as_ptr().cast()).collect()
}

fn list(tensors: &[*const c_void]) -> TensorList {
    TensorList { tensors: tensors.as_ptr(), len: tensors.len() }
}

fn done(result: c_int) -> Result<(), TchError> {
    check(result).map_err(TchError::Torch)
}
