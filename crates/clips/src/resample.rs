//! [`Resampler`]: cuts, scales and mirrors a frame in one pass.
//!
//! Bilinear between pixel centres, without a wider kernel for smaller results, as OpenCV's `INTER_LINEAR`. Rows are blended
//! with 15 bits to the right of the point, columns with 14; the result is within a rounding of the exact one. All is done
//! in whole numbers, so that it does not depend on the processor.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "functions for AVX2 are called where there is AVX2"))]

/// Levels between two rows: a level times this.
const ROW_BITS: u32 = 7;

/// The weight of a whole row.
const ROW_ONE: i32 = 1 << 15;

/// The weight of a whole column.
const COLUMN_BITS: u32 = 14;

/// What a result is divided by.
const BITS: u32 = ROW_BITS + COLUMN_BITS;

/// Values that are read at once where a pixel and the next one are wanted.
const LANE: usize = 8;

/// Scales frames; one for each thread.
#[derive(Default)]
pub(crate) struct Resampler {
    /// Of the result.
    columns: Vec<Tap>,
    /// Two blended rows, and then their last pixel once more.
    row: Vec<i16>,
}

/// Where a column of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tap {
    /// The value of the left pixel's red.
    at: usize,
    /// Weights of the left pixel and the next one.
    weights: [i16; 2],
}

/// A position between two neighbours.
struct Between {
    /// The one before.
    first: usize,
    /// How far it is from there to the next one, below 1.
    share: f64,
}

/// Returns where the middle of pixel `number` of a result lies, whose pixels are `scale` wide and begin at `start`.
fn between(number: usize, start: f64, scale: f64, limit: usize) -> Between {
    let position = (start + (number as f64 + 0.5) * scale - 0.5).clamp(0.0, (limit - 1) as f64);
    Between { first: position as usize, share: position.fract() }
}

impl Resampler {
    /// Writes the box `crop` (left, top, width and height) of `pixels`, which are `size` (width and height), to `out`, which
    /// is `out_width` wide. All are `[H, W, 3]`.
    pub(crate) fn resample(
        &mut self,
        pixels: &[u8],
        size: (usize, usize),
        crop: [f64; 4],
        out: &mut [u8],
        out_width: usize,
        flip: bool,
    ) {
        let ((width, height), row_bytes) = (size, 3 * size.0);
        let out_height = out.len() / (3 * out_width);
        let (scale_x, scale_y) = (crop[2] / out_width as f64, crop[3] / out_height as f64);
        let column = |number: usize| {
            let number = if flip { out_width - 1 - number } else { number };
            let Between { first, share } = between(number, crop[0], scale_x, width);
            let next = (share * f64::from(1 << COLUMN_BITS)).round() as i16;
            Tap { at: 3 * first, weights: [(1 << COLUMN_BITS) - next, next] }
        };
        self.columns.clear();
        self.columns.extend((0..out_width).map(column));
        self.row.resize(row_bytes + LANE, 0);
        for (number, out) in out.chunks_exact_mut(3 * out_width).enumerate() {
            let Between { first, share } = between(number, crop[1], scale_y, height);
            let row = |number: usize| &pixels[number * row_bytes..(number + 1) * row_bytes];
            let next = (share * f64::from(ROW_ONE)).round() as i32;
            self.scale_row(row(first), row((first + 1).min(height - 1)), next, out);
        }
    }

    /// Blends two rows and scales the result.
    fn scale_row(&mut self, first: &[u8], second: &[u8], weight: i32, out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return unsafe { avx2::scale_row(first, second, weight, &mut self.row, &self.columns, out) };
        }
        blend_rows(first, second, weight, &mut self.row);
        scale_columns(&self.row, &self.columns, out);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled for the instructions of its caller")]
fn blend_rows(first: &[u8], second: &[u8], weight: i32, row: &mut [i16]) {
    for ((value, first), second) in row.iter_mut().zip(first).zip(second) {
        let (first, second) = (i32::from(*first) << ROW_BITS, i32::from(*second) << ROW_BITS);
        // Nothing wraps: 255 << 7 times 1 << 15 has 30 bits. But checks for it would keep this from being done in parallel.
        let more = second.wrapping_sub(first).wrapping_mul(weight).wrapping_add(ROW_ONE / 2) >> 15;
        *value = first.wrapping_add(more) as i16;
    }
    let width = first.len();
    row.copy_within(width - 3..width, width);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled for the instructions of its caller")]
fn scale_columns(row: &[i16], columns: &[Tap], out: &mut [u8]) {
    for (tap, pixel) in columns.iter().zip(out.as_chunks_mut::<3>().0) {
        let two = &row[tap.at..tap.at + 6];
        let [left, right] = tap.weights.map(i32::from);
        *pixel = std::array::from_fn(|channel| {
            let (first, second) = (i32::from(two[channel]), i32::from(two[channel + 3]));
            ((first * left + second * right + (1 << (BITS - 1))) >> BITS) as u8
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{BITS, LANE, Tap, blend_rows, scale_columns};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
        _mm_unpacklo_epi32, _mm256_add_epi32, _mm256_broadcastsi128_si256, _mm256_castsi256_si128,
        _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_packs_epi32, _mm256_packus_epi16, _mm256_set_m128i,
        _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_srai_epi32,
    };

    #[target_feature(enable = "avx2")]
    pub(super) fn scale_row(
        first: &[u8],
        second: &[u8],
        weight: i32,
        row: &mut [i16],
        columns: &[Tap],
        out: &mut [u8],
    ) {
        blend_rows(first, second, weight, row);
        let (fours, rest) = columns.as_chunks::<4>();
        for (number, taps) in fours.iter().enumerate() {
            let (one, two) = (pair(row, &taps[0], &taps[1]), pair(row, &taps[2], &taps[3]));
            // [r0 g0 b0 _ r2 g2 b2 _ | r1 g1 b1 _ r3 g3 b3 _]
            let levels = _mm256_packs_epi32(one, two);
            let bytes = _mm256_packus_epi16(levels, levels);
            let pixels = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
            let close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
            store(_mm_shuffle_epi8(pixels, close), &mut out[12 * number..]);
        }
        scale_columns(row, rest, &mut out[12 * fours.len()..]);
    }

    /// Stores 12 bytes. Where there is room, 4 more are overwritten, which are yet to be stored.
    #[target_feature(enable = "avx2")]
    fn store(bytes: __m128i, out: &mut [u8]) {
        if let Some(place) = out.get_mut(..16) {
            unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), bytes) };
        } else {
            let mut stored = [0; 16];
            unsafe { _mm_storeu_si128(stored.as_mut_ptr().cast(), bytes) };
            out[..12].copy_from_slice(&stored[..12]);
        }
    }

    /// Returns two pixels of the result: `[r0 g0 b0 _ | r1 g1 b1 _]`.
    #[target_feature(enable = "avx2")]
    fn pair(row: &[i16], first: &Tap, second: &Tap) -> __m256i {
        let values = _mm256_set_m128i(load(row, second), load(row, first));
        let weights = _mm256_set_m128i(weights(second), weights(first));
        // Each channel of a pixel beside that of the next one.
        let beside = _mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1);
        let values = _mm256_shuffle_epi8(values, _mm256_broadcastsi128_si256(beside));
        let sums = _mm256_add_epi32(_mm256_madd_epi16(values, weights), _mm256_set1_epi32(1 << (BITS - 1)));
        _mm256_srai_epi32::<{ BITS as i32 }>(sums)
    }

    #[target_feature(enable = "avx2")]
    fn load(row: &[i16], tap: &Tap) -> __m128i {
        let values = &row[tap.at..tap.at + LANE];
        unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn weights(tap: &Tap) -> __m128i {
        let [left, right] = tap.weights.map(|weight| i32::from(weight as u16));
        _mm_set1_epi32(left | right << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;

    fn noise(bytes: usize, draws: &mut Draws) -> Vec<u8> {
        (0..bytes).map(|_| draws.bits() as u8).collect()
    }

    /// Checks against the definition, in floats.
    #[track_caller]
    fn check(size: (usize, usize), crop: [f64; 4], out_px: (usize, usize), flip: bool) {
        let mut draws = Draws::new(0, &["resample"]);
        let pixels = noise(3 * size.0 * size.1, &mut draws);
        let mut out = vec![0; 3 * out_px.0 * out_px.1];
        Resampler::default().resample(&pixels, size, crop, &mut out, out_px.0, flip);
        for (at, found) in out.as_chunks::<3>().0.iter().enumerate() {
            let column = if flip { out_px.0 - 1 - at % out_px.0 } else { at % out_px.0 };
            let place = |number: usize, start: f64, length: f64, out: usize, limit: usize| {
                (start + (number as f64 + 0.5) * length / out as f64 - 0.5).clamp(0.0, limit as f64 - 1.0)
            };
            let x = place(column, crop[0], crop[2], out_px.0, size.0);
            let y = place(at / out_px.0, crop[1], crop[3], out_px.1, size.1);
            let level = |x: f64, y: f64, channel: usize| {
                let (x, y) = ((x as usize).min(size.0 - 1), (y as usize).min(size.1 - 1));
                f64::from(pixels[3 * (y * size.0 + x) + channel])
            };
            for channel in 0..3 {
                let mix = |y: f64| level(x, y, channel) * (1.0 - x.fract()) + level(x + 1.0, y, channel) * x.fract();
                let exact = mix(y) * (1.0 - y.fract()) + mix(y + 1.0) * y.fract();
                let far = (f64::from(found[channel]) - exact).abs();
                assert!(far < 0.53, "pixel {at} of {out_px:?} is {found:?}, not {exact}");
            }
        }
    }

    #[test]
    fn pixels_are_those_of_the_definition() {
        for flip in [false, true] {
            check((64, 48), [3.25, 4.5, 50.5, 40.25], (31, 22), flip);
            check((64, 48), [0.0, 0.0, 64.0, 48.0], (100, 91), flip);
            check((341, 256), [17.3, 0.0, 200.1, 256.0], (224, 224), flip);
            check((1, 1), [0.0, 0.0, 1.0, 1.0], (5, 3), flip);
            check((2, 3), [0.0, 1.0, 2.0, 2.0], (1, 1), flip);
        }
    }

    #[test]
    fn whole_pixels_are_copied() {
        let mut draws = Draws::new(1, &["resample"]);
        let pixels = noise(3 * 20 * 10, &mut draws);
        let mut out = vec![0; 3 * 7 * 4];
        Resampler::default().resample(&pixels, (20, 10), [5.0, 3.0, 7.0, 4.0], &mut out, 7, false);
        let expect: Vec<u8> = (3..7).flat_map(|row| pixels[3 * (20 * row + 5)..3 * (20 * row + 12)].to_vec()).collect();
        assert_eq!(out, expect);
    }

    #[test]
    fn instructions_do_not_change_pixels() {
        let mut draws = Draws::new(2, &["resample"]);
        for width in 1..40 {
            let (first, second) = (noise(3 * width, &mut draws), noise(3 * width, &mut draws));
            let columns: Vec<Tap> = (0..23)
                .map(|_| {
                    let next = draws.below((1 << COLUMN_BITS) + 1) as i16;
                    let weights = [(1 << COLUMN_BITS) - next, next];
                    Tap { at: 3 * draws.below(width as u64) as usize, weights }
                })
                .collect();
            let weight = draws.below(ROW_ONE as u64 + 1) as i32;
            let row = vec![0; 3 * width + LANE];
            let mut resampler = Resampler { columns: columns.clone(), row: row.clone() };
            let (mut found, mut plain, mut row) = (vec![0; 3 * 23], vec![0; 3 * 23], row);
            resampler.scale_row(&first, &second, weight, &mut found);
            blend_rows(&first, &second, weight, &mut row);
            scale_columns(&row, &columns, &mut plain);
            assert_eq!(found, plain);
        }
    }
}
