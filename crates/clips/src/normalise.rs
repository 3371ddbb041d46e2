//! [`normalise`]: the pixels of a batch to what a network sees.

use crate::{Batch, ClipSize};

/// Fills `values` with `(pixel - mean) / std`, by channel.
///
/// # Shapes
/// - `batch.pixels`: `[N, T, H, W, 3]`
/// - `values`: `[N, 3, T, H, W]`
pub fn normalise(batch: &Batch, size: ClipSize, mean: [f32; 3], std: [f32; 3], values: &mut Vec<f32>) {
    let tables: [[f32; 256]; 3] =
        std::array::from_fn(|channel| std::array::from_fn(|level| (level as f32 - mean[channel]) / std[channel]));
    let channel_len = size.frames * size.height * size.width;
    values.resize(batch.pixels.len(), 0.0);
    let clips = batch.pixels.chunks_exact(3 * channel_len);
    for (pixels, values) in clips.zip(values.chunks_exact_mut(3 * channel_len)) {
        let (red, others) = values.split_at_mut(channel_len);
        let (green, blue) = others.split_at_mut(channel_len);
        for (((pixel, red), green), blue) in pixels.as_chunks::<3>().0.iter().zip(red).zip(green).zip(blue) {
            *red = tables[0][usize::from(pixel[0])];
            *green = tables[1][usize::from(pixel[1])];
            *blue = tables[2][usize::from(pixel[2])];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_move_to_the_front() {
        // Two clips of 1 frame, 1 row, 2 columns.
        let pixels = vec![1, 4, 11, 2, 6, 3, 1, 2, 3, 4, 5, 6];
        let batch = Batch { pixels, class_indices: vec![0; 2], num_clips: 2, rows: 0..2 };
        let mut values = Vec::new();
        let size = ClipSize { frames: 1, height: 1, width: 2 };
        normalise(&batch, size, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0], &mut values);
        assert_eq!(values, [0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 3.0, 0.0, 1.5, 0.0, 0.75]);
    }
}
