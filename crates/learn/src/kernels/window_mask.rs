//! The kernel of [`WindowMask`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::window_mask::WindowMask;
use tch::{Device, Kind, TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &WindowMask, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [] = call.inputs()?;
    mask(op, call.device)
}

/// Returns the mask, `[windows, 1, L, L]`.
fn mask(op: &WindowMask, device: Device) -> Result<Tensor, TchError> {
    let len = op.window.iter().product::<usize>() as i64;
    let regions = Tensor::f_from_slice(&op.regions())?.f_to_device(device)?.f_view([-1, 1, len, 1])?;
    let apart = regions.f_ne_tensor(&regions.f_transpose(2, 3)?)?;
    apart.f_to_kind(Kind::Float)?.f_mul_scalar_(WindowMask::APART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_different_regions_are_apart() {
        // The second window has the regions 1, 1 and 2.
        let op = WindowMask { size: [1, 1, 6], window: [1, 1, 3], shift: [0, 0, 1] };
        let y = mask(&op, Device::Cpu).expect("a mask");
        assert_eq!(y.size(), [2, 1, 3, 3]);
        let values = Vec::<f32>::try_from(y.reshape([-1])).expect("values");
        assert_eq!(values[..9], [0.0; 9]);
        assert_eq!(values[9..], [0.0, 0.0, -100.0, 0.0, 0.0, -100.0, -100.0, -100.0, 0.0]);
    }
}
