//! [`normalise`]: the pixels of a batch to what a network sees.

use crate::{Batch, ClipSize};

/// Fills `values` with `(pixel - mean) / std`, by channel.
///
/// # Shapes
/// - `batch.pixels`: `[N, T, H, W, 3]`
/// - `values`: `[N, 3, T, H, W]`
pub fn normalise(batch: &Batch, size: ClipSize, mean: [f32; 3], std: [f32; 3], values: &mut Vec<f32>) {
    let channel_len = size.frames * size.height * size.width;
    values.resize(batch.pixels.len(), 0.0);
    let clips = batch.pixels.chunks_exact(3 * channel_len);
    for (pixels, values) in clips.zip(values.chunks_exact_mut(3 * channel_len)) {
        channels(pixels.as_chunks().0, values, mean, std);
    }
}

/// Does so for a clip, with the widest instructions that there are; the numbers are the same with any.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a function for AVX2 is called where there is AVX2"))]
fn channels(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return unsafe { channels_avx2(pixels, values, mean, std) };
    }
    channels_of(pixels, values, mean, std);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn channels_avx2(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    channels_of(pixels, values, mean, std);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled for the instructions of its caller")]
fn channels_of(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    let (red, others) = values.split_at_mut(pixels.len());
    let (green, blue) = others.split_at_mut(pixels.len());
    for (((pixel, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
        *red = (f32::from(pixel[0]) - mean[0]) / std[0];
        *green = (f32::from(pixel[1]) - mean[1]) / std[1];
        *blue = (f32::from(pixel[2]) - mean[2]) / std[2];
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
