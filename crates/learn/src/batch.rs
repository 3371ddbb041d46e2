//! [`Normalisation`]: from the pixels of clips to the input of a network.

use crate::error::{At, LearnError};
use pipe_clips::{Batch, ClipSize};
use pipe_schemas::networks::DataPreprocessor;
use tch::{Device, Kind, TchError, Tensor};

/// Normalises pixels: `(x - mean) / std` per channel.
#[derive(Debug)]
pub struct Normalisation {
    mean: [f32; 3],
    std: [f32; 3],
}

impl Normalisation {
    /// Returns the normalisation of a model.
    pub fn new(params: &DataPreprocessor) -> Self {
        Self { mean: params.mean.map(|value| value as f32), std: params.std.map(|value| value as f32) }
    }

    /// Normalises a batch.
    ///
    /// # Shapes
    /// - `batch.pixels`: `[N, T, H, W, 3]`
    /// - returns: `[N, 3, T, H, W]`, with channels last in memory, as the pixels are and as convolutions are fastest
    pub fn clips(&self, batch: &Batch, size: ClipSize) -> Result<Tensor, LearnError> {
        self.clips_on(batch, size, Device::Cpu)
    }

    /// Does the same on a device. The bytes of the pixels are copied, a quarter of the size of the result.
    pub(crate) fn clips_on(&self, batch: &Batch, size: ClipSize, device: Device) -> Result<Tensor, LearnError> {
        let shape = [batch.num_clips, size.frames, size.height, size.width, 3].map(|dim| dim as i64);
        let normalise = || {
            let bytes = Tensor::f_from_data_size(&batch.pixels, &shape, Kind::Uint8)?;
            let mut pixels = copied_to(&bytes, device)?.f_to_kind(Kind::Float)?;
            let mut centred = pixels.f_sub_(&Tensor::from_slice(&self.mean).f_to_device(device)?)?;
            centred.f_div_(&Tensor::from_slice(&self.std).f_to_device(device)?)?.f_permute([0, 4, 1, 2, 3])
        };
        normalise().at("the normalisation of pixels")
    }

    /// Returns the values of [`Self::clips`] in row-major order, for other runtimes.
    pub fn values(&self, batch: &Batch, size: ClipSize) -> Vec<f32> {
        let mut values = Vec::new();
        pipe_clips::normalise(batch, size, self.mean, self.std, &mut values);
        values
    }
}

/// Copies a tensor to a device. To a GPU, the copy is made while the processor goes on, from memory that is never paged out.
fn copied_to(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    match device {
        Device::Cuda(_) => tensor.f_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false),
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(tensor.shallow_clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_move_to_the_front() {
        let params = DataPreprocessor { mean: [1.0, 2.0, 3.0], std: [1.0, 2.0, 4.0] };
        // One clip of 1 frame, 1 row, 2 columns.
        let batch = Batch { pixels: vec![1, 4, 11, 2, 6, 3], num_clips: 1, ..Batch::default() };
        let (normalisation, size) = (Normalisation::new(&params), ClipSize { frames: 1, height: 1, width: 2 });
        assert_eq!(normalisation.clips(&batch, size).expect("clips").size(), [1, 3, 1, 1, 2]);
        assert_eq!(normalisation.values(&batch, size), [0.0, 1.0, 1.0, 2.0, 2.0, 0.0]);
    }
}
