//! Conversions between the tensors of libtorch and those of `pipe-weights`.

use tch::{Device, TchError, Tensor};

/// Converts sizes to those of libtorch.
pub(crate) fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|dim| *dim as i64).collect()
}

/// Returns a copy with memory of its own.
pub(crate) fn copy_of(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut copy = tensor.detach().f_zeros_like()?;
    copy.f_copy_(&tensor.detach())?;
    Ok(copy)
}

/// Copies a tensor of f32 to plain memory.
pub(crate) fn to_weights(tensor: &Tensor) -> pipe_weights::Tensor {
    let shape = tensor.size().into_iter().map(|dim| dim as usize).collect();
    let mut values = vec![0f32; tensor.numel()];
    tensor.detach().to_device(Device::Cpu).contiguous().copy_data(&mut values, tensor.numel());
    pipe_weights::Tensor::from_f32(shape, &values)
}

/// Overwrites a tensor with values of the same shape.
pub(crate) fn copy_into(tensor: &mut Tensor, values: &pipe_weights::Tensor) {
    let values = Tensor::from_slice(&values.to_f32()).view(tensor.size().as_slice());
    tch::no_grad(|| tensor.copy_(&values));
}
