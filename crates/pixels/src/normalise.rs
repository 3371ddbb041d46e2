//! [`normalise_channels`]: interleaved RGB bytes become planes of floats.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "functions for an instruction set are called where it is detected")
)]

use crate::simd::SimdLevel;

/// Fills `values` with `(pixel - mean) / std` per channel, and moves channels to the front.
///
/// # Shapes
/// - `pixels`: `[T * H * W, 3]`
/// - `values`: `[3, T * H * W]`
pub fn normalise_channels(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    with_simd(SimdLevel::detect(), pixels, values, mean, std);
}

fn with_simd(simd: SimdLevel, pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    match simd {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this level is only detected on a processor with AVX2.
        SimdLevel::Avx2 => unsafe { avx2(pixels, values, mean, std) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this level is only detected on a processor with AVX-512F and AVX-512BW.
        SimdLevel::Avx512 => unsafe { avx512(pixels, values, mean, std) },
        SimdLevel::Portable => portable(pixels, values, mean, std),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    portable(pixels, values, mean, std);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn avx512(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
    portable(pixels, values, mean, std);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled again for the instructions of its caller")]
fn portable(pixels: &[[u8; 3]], values: &mut [f32], mean: [f32; 3], std: [f32; 3]) {
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
    fn every_instruction_set_gives_the_same_floats() {
        let pixels: Vec<[u8; 3]> = (0..=255).map(|level| [level, 255 - level, level / 2]).collect();
        let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
        let run = |simd| {
            let mut values = vec![0.0; 3 * pixels.len()];
            with_simd(simd, &pixels, &mut values, mean, std);
            values
        };
        let expect = run(SimdLevel::Portable);
        assert!((expect[2 * 256 + 200] - (100.0 - mean[2]) / std[2]).abs() < 1e-6);
        for &simd in SimdLevel::available() {
            assert_eq!(run(simd), expect, "{simd:?}");
        }
    }
}
