//! [`normalise`]: the pixels of a batch become the input of a network.

use crate::{Batch, ClipSize};
use pipe_pixels::normalise_channels;

/// Fills `values` with `(pixel - mean) / std` per channel.
///
/// # Shapes
/// - `batch.pixels`: `[N, T, H, W, 3]`
/// - `values`: `[N, 3, T, H, W]`
pub fn normalise(batch: &Batch, size: ClipSize, mean: [f32; 3], std: [f32; 3], values: &mut Vec<f32>) {
    let channel_len = size.frames * size.height * size.width;
    values.resize(batch.pixels.len(), 0.0);
    let clips = batch.pixels.chunks_exact(3 * channel_len);
    for (pixels, values) in clips.zip(values.chunks_exact_mut(3 * channel_len)) {
        normalise_channels(pixels.as_chunks().0, values, mean, std);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_move_to_the_front() {
        // Two clips of 1 frame, 1 row, 2 columns.
        let pixels = vec![1, 4, 11, 2, 6, 3, 1, 2, 3, 4, 5, 6];
        let batch = Batch { pixels, num_clips: 2, ..Batch::default() };
        let mut values = Vec::new();
        let size = ClipSize { frames: 1, height: 1, width: 2 };
        normalise(&batch, size, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0], &mut values);
        assert_eq!(values, [0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 3.0, 0.0, 1.5, 0.0, 0.75]);
    }
}
