//! [`Normalisation`]: pixels to what a network sees.

use crate::error::{At, LearnError};
use pipe_clips::{Batch, ClipSize};
use pipe_schemas::stages::train::DataPreprocessor;
use tch::{Kind, Tensor};

/// Turns pixels into numbers: `(x - mean) / std` by channel.
#[derive(Debug)]
pub struct Normalisation {
    /// `[3]`.
    mean: Tensor,
    /// `[3]`.
    std: Tensor,
}

impl Normalisation {
    /// Makes it from a model's parameters.
    pub fn new(params: &DataPreprocessor) -> Self {
        let tensor = |values: [f64; 3]| Tensor::from_slice(&values.map(|value| value as f32));
        Self { mean: tensor(params.mean), std: tensor(params.std) }
    }

    /// Normalises a batch.
    ///
    /// # Shapes
    /// - `batch.pixels`: `[N, T, H, W, 3]`
    /// - returns: `[N, 3, T, H, W]`, channels last in memory, as the pixels are and as convolutions like it
    pub fn clips(&self, batch: &Batch, size: ClipSize) -> Result<Tensor, LearnError> {
        let shape = [batch.num_clips, size.frames, size.height, size.width, 3].map(|dim| dim as i64);
        let normalise = || {
            let pixels = Tensor::f_from_data_size(&batch.pixels, &shape, Kind::Uint8)?.f_to_kind(Kind::Float)?;
            pixels.f_sub(&self.mean)?.f_div(&self.std)?.f_permute([0, 4, 1, 2, 3])
        };
        normalise().at("the normalisation of pixels")
    }

    /// Returns what [`Self::clips`] returns as plain values, row-major; for other runtimes.
    pub fn values(&self, batch: &Batch, size: ClipSize) -> Result<Vec<f32>, LearnError> {
        let clips = self.clips(batch, size)?;
        let mut values = vec![0f32; clips.numel()];
        let copied = clips.f_contiguous().and_then(|clips| clips.f_copy_data(&mut values, clips.numel()));
        copied.at("the normalisation of pixels")?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_move_to_the_front() {
        let params = DataPreprocessor { mean: [1.0, 2.0, 3.0], std: [1.0, 2.0, 4.0] };
        // One clip of 1 frame, 1 row, 2 columns.
        let batch = Batch { pixels: vec![1, 4, 11, 2, 6, 3], class_indices: vec![0], num_clips: 1, rows: 0..1 };
        let (normalisation, size) = (Normalisation::new(&params), ClipSize { frames: 1, height: 1, width: 2 });
        assert_eq!(normalisation.clips(&batch, size).expect("clips").size(), [1, 3, 1, 1, 2]);
        assert_eq!(normalisation.values(&batch, size).expect("values"), [0.0, 1.0, 1.0, 2.0, 2.0, 0.0]);
    }
}
