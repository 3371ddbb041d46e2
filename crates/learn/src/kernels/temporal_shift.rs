//! The kernel of [`TemporalShift`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::temporal_shift::TemporalShift;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &TemporalShift, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    shift(x, op.frames, op.moved(x.size().get(1).map_or(0, |size| *size as usize)))
}

/// Shifts by concatenation: `moved` channels come from the next frame and from the one before.
///
/// # Shapes
/// - `x` and returns: `[N * T, C, H, W]`
fn shift(x: &Tensor, frames: usize, moved: [usize; 2]) -> Result<Tensor, TchError> {
    let size = x.size();
    let [frames, channels] = [frames as i64, size[1]];
    let [next, previous] = moved.map(|count| count as i64);
    // If `x` has the layout of channels-last images, then [N, C, T, H, W] has the layout of channels-last video and keeps it.
    let clip = x.f_view([-1, frames, channels, size[2], size[3]].as_slice())?.f_permute([0, 2, 1, 3, 4])?;
    let (earlier, later) = (clip.f_narrow(1, 0, next)?, clip.f_narrow(1, next, previous)?);
    let zeros = |x: &Tensor| x.f_narrow(2, 0, 1)?.f_zeros_like();
    let earlier = Tensor::f_cat(&[&earlier.f_narrow(2, 1, frames - 1)?, &zeros(&earlier)?], 2)?;
    let later = Tensor::f_cat(&[&zeros(&later)?, &later.f_narrow(2, 0, frames - 1)?], 2)?;
    let rest = clip.f_narrow(1, next + previous, channels - next - previous)?;
    Tensor::f_cat(&[earlier, later, rest], 1)?.f_permute([0, 2, 1, 3, 4])?.f_reshape(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn values_equal_those_of_mmaction2() {
        // 3 frames of 4 channels, one of which moves in each direction.
        let x = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4, 1, 1]);
        let y = shift(&x, 3, [1, 1]).expect("shifted");
        let values = Vec::<f32>::try_from(y.reshape([-1])).expect("values");
        assert_eq!(values, [4.0, 0.0, 2.0, 3.0, 8.0, 1.0, 6.0, 7.0, 0.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn other_numbers_of_channels_move() {
        let x = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3, 1, 1]);
        let moved =
            |counts| Vec::<f32>::try_from(shift(&x, 2, counts).expect("shifted").reshape([-1])).expect("values");
        assert_eq!(moved([2, 0]), [3.0, 4.0, 2.0, 0.0, 0.0, 5.0]);
        assert_eq!(moved([0, 1]), [0.0, 1.0, 2.0, 0.0, 4.0, 5.0]);
        assert_eq!(moved([0, 0]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn samples_do_not_mix() {
        let x = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4, 1, 1]);
        let batch = Tensor::cat(&[&x, &(&x + 100.0)], 0);
        let alone = shift(&(&x + 100.0), 3, [1, 1]).expect("shifted");
        let in_batch = shift(&batch, 3, [1, 1]).expect("shifted").narrow(0, 3, 3);
        assert_eq!(alone, in_batch);
    }
}
