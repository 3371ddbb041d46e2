//! [`Resizer`]: crops, scales and mirrors an image of bytes, bilinear, in fixed point.
//!
//! One definition serves planes (`C` = 1) and RGB (`C` = 3). A target sample is the weighted sum of source samples, first
//! down the columns into a row of 16-bit levels with [`ROW_BITS`] fractional bits, then along that row. Weights have
//! [`WEIGHT_BITS`] bits; products of two taps are rounded as `pmulhrsw` rounds them, sums of more taps are exact. The result is
//! within 0.55 of the exact value, and the same with every instruction set, which the tests check.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "functions for an instruction set are called where it is detected")
)]

use crate::axis::{Axis, Filter, Span, WEIGHT_BITS};
use crate::simd::SimdLevel;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod tests;

/// Fractional bits of the levels between the two steps.
const ROW_BITS: u32 = 6;

/// The shift in [`scaled`].
const PRODUCT_BITS: u32 = 15;

/// How far bytes are shifted to the left, so that [`scaled`] returns levels with [`ROW_BITS`] fractional bits.
const BYTE_BITS: u32 = PRODUCT_BITS - WEIGHT_BITS + ROW_BITS;

/// The shift from the sum of two scaled levels to a byte.
const PAIR_BITS: u32 = WEIGHT_BITS + ROW_BITS - PRODUCT_BITS;

/// The shift from a sum of products along a row to a byte.
const SUM_BITS: u32 = WEIGHT_BITS + ROW_BITS;

/// How many levels beyond the last one may be read.
const PADDING: usize = 64;

/// Which part of an image is scaled to which size, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resize {
    /// Width and height of the source, in pixels.
    pub source: (usize, usize),
    /// Left edge, top edge, width and height of the part that is scaled, in pixels of the source.
    pub region: [f64; 4],
    /// Width and height of the target, in pixels.
    pub target: (usize, usize),
    /// Whether the target is mirrored left and right.
    pub mirrored: bool,
    /// Which source pixels contribute to a target pixel.
    pub filter: Filter,
    /// The change of levels that is applied in the same pass.
    pub level_map: LevelMap,
}

/// A linear map of levels: `level * gain + offset`, clamped to 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelMap {
    /// Below 2.
    pub gain: f64,
    /// Between -256 and 256.
    pub offset: f64,
}

impl LevelMap {
    /// Keeps levels as they are.
    pub const IDENTITY: Self = Self { gain: 1.0, offset: 0.0 };
}

/// Resizes images of `C` interleaved channels. Weights are computed again only when the [`Resize`] changes.
pub struct Resizer<const C: usize> {
    simd: SimdLevel,
    plan: Option<(Resize, Plan<C>)>,
    row: Vec<i16>,
}

/// A source image in memory.
#[derive(Clone, Copy)]
struct Image<'a> {
    data: &'a [u8],
    /// Bytes from one row to the next.
    stride: usize,
    height: usize,
}

impl Image<'_> {
    /// Returns the bytes `range` of a row; the last row is repeated.
    #[inline]
    fn row(&self, number: usize, range: &Range<usize>) -> &[u8] {
        let start = number.min(self.height - 1) * self.stride;
        &self.data[start + range.start..start + range.end]
    }
}

/// Everything that follows from a [`Resize`].
struct Plan<const C: usize> {
    down: Axis,
    along: Axis,
    /// Bytes of a source row that are read.
    used: Range<usize>,
    /// Added to the levels of a row.
    offset: i16,
    #[cfg(target_arch = "x86_64")]
    avx2: avx2::Columns,
    /// `None` where the steps of AVX2 serve.
    #[cfg(target_arch = "x86_64")]
    avx512: Option<avx512::Columns>,
}

impl<const C: usize> Default for Resizer<C> {
    fn default() -> Self {
        Self::with_simd(SimdLevel::detect())
    }
}

impl<const C: usize> Resizer<C> {
    /// Returns a resizer that uses the given instructions.
    pub(crate) fn with_simd(simd: SimdLevel) -> Self {
        Self { simd, plan: None, row: Vec::new() }
    }

    /// Resizes an image. Strides are the bytes from one row to the next.
    ///
    /// # Shapes
    /// - `source`: `[H, W, C]` of size `resize.source`, with rows `source_stride` bytes apart
    /// - `target`: `[H, W, C]` of size `resize.target`, with rows `target_stride` bytes apart
    pub fn resize(
        &mut self,
        (source, source_stride): (&[u8], usize),
        resize: &Resize,
        (target, target_stride): (&mut [u8], usize),
    ) {
        let plan = match &mut self.plan {
            Some((planned, plan)) if planned == resize => plan,
            other => &mut other.insert((*resize, Plan::new(resize))).1,
        };
        let image = Image { data: source, stride: source_stride, height: resize.source.1 };
        // Vectors are read beyond the last level, which does not change the result.
        self.row.resize(C * (resize.source.0 + plan.along.taps) + PADDING, 0);
        for (number, line) in target.chunks_mut(target_stride).take(resize.target.1).enumerate() {
            plan.line(self.simd, image, number, &mut self.row, &mut line[..C * resize.target.0]);
        }
    }
}

impl<const C: usize> Plan<C> {
    fn new(resize: &Resize) -> Self {
        let ([left, top, width, height], (source, target)) = (resize.region, (resize.source, resize.target));
        let along = Span { source: source.0, start: left, length: width, target: target.0, mirrored: resize.mirrored };
        let down = Span { source: source.1, start: top, length: height, target: target.1, mirrored: false };
        let along = Axis::new(along, resize.filter, 1.0);
        let used = along.used(source.0);
        Self {
            down: Axis::new(down, resize.filter, resize.level_map.gain),
            used: C * used.start..C * used.end,
            offset: (resize.level_map.offset * f64::from(1 << ROW_BITS)).round() as i16,
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Columns::new::<C>(&along),
            #[cfg(target_arch = "x86_64")]
            avx512: avx512::Columns::new::<C>(&along),
            along,
        }
    }

    /// Makes one row of the target.
    fn line(&self, simd: SimdLevel, image: Image, number: usize, row: &mut [i16], out: &mut [u8]) {
        let (first, weights) = (self.down.starts[number], self.down.weights(number));
        let levels = &mut row[self.used.start..];
        match simd {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is only detected on a processor with AVX2.
            SimdLevel::Avx2 => unsafe {
                avx2::down((image, &self.used), (first, weights), self.offset, levels);
                self.avx2.along::<C>(row, &self.along, out);
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is only detected on a processor with AVX2, AVX-512F and AVX-512BW.
            SimdLevel::Avx512 => unsafe {
                avx512::down((image, &self.used), (first, weights), self.offset, levels);
                match &self.avx512 {
                    Some(groups) => groups.along(row, out),
                    None => self.avx2.along::<C>(row, &self.along, out),
                }
            },
            SimdLevel::Portable => {
                down(image, &self.used, first, weights, self.offset, &mut levels[..self.used.len()]);
                along::<C>(row, &self.along, 0, out);
            }
        }
    }
}

/// Returns a weighted level, rounded to 16 bits as `pmulhrsw` rounds.
fn scaled(level: i16, weight: i16) -> i16 {
    ((i32::from(level) * i32::from(weight) + (1 << (PRODUCT_BITS - 1))) >> PRODUCT_BITS) as i16
}

/// Blends source rows, from `first` on, into the levels of one row.
fn down(image: Image, used: &Range<usize>, first: usize, weights: &[i16], offset: i16, levels: &mut [i16]) {
    levels.fill(offset);
    for (&weight, number) in weights.iter().zip(first..) {
        for (level, &byte) in levels.iter_mut().zip(image.row(number, used)) {
            *level += scaled(i16::from(byte) << BYTE_BITS, weight);
        }
    }
}

/// Calls `blend` with the bytes of two source rows at a time and the levels that they contribute to, `W` columns at once, and
/// with whether these rows are the first. Levels are written up to a multiple of `W`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled for the instructions of its caller")]
fn each_pair_of_rows<const W: usize>(
    (image, used): (Image, &Range<usize>),
    (first, weights): (usize, &[i16]),
    levels: &mut [i16],
    mut blend: impl FnMut([i16; 2], [&[u8; W]; 2], &mut [i16; W], bool),
) {
    for (&pair, number) in weights.as_chunks::<2>().0.iter().zip((first..).step_by(2)) {
        let (upper, upper_rest) = image.row(number, used).as_chunks();
        let (lower, lower_rest) = image.row(number + 1, used).as_chunks();
        let mut levels = levels.as_chunks_mut().0.iter_mut();
        for ((upper, lower), levels) in upper.iter().zip(lower).zip(&mut levels) {
            blend(pair, [upper, lower], levels, number == first);
        }
        if let (false, Some(levels)) = (upper_rest.is_empty(), levels.next()) {
            let mut rest = [[0; W]; 2];
            rest[0][..upper_rest.len()].copy_from_slice(upper_rest);
            rest[1][..lower_rest.len()].copy_from_slice(lower_rest);
            blend(pair, rest.each_ref(), levels, number == first);
        }
    }
}

/// Makes the bytes of a target row, from the column `first` on.
fn along<const C: usize>(row: &[i16], axis: &Axis, first: usize, out: &mut [u8]) {
    let rounded = |sum: i32, bits: u32| ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8;
    let (starts, weights) = (&axis.starts[first..], &axis.weights[first * axis.taps..]);
    let pixels = out.as_chunks_mut::<C>().0.iter_mut().zip(starts);
    if axis.taps == 2 {
        for ((pixel, &start), &[left, right]) in pixels.zip(weights.as_chunks().0) {
            let levels = &row[C * start..][..2 * C];
            for (channel, byte) in pixel.iter_mut().enumerate() {
                let sum = scaled(levels[channel], left) + scaled(levels[C + channel], right);
                *byte = rounded(i32::from(sum), PAIR_BITS);
            }
        }
        return;
    }
    for ((pixel, &start), weights) in pixels.zip(weights.chunks_exact(axis.taps)) {
        for (channel, byte) in pixel.iter_mut().enumerate() {
            let levels = row[C * start + channel..].iter().step_by(C);
            let products = weights.iter().zip(levels).map(|(&weight, &level)| i32::from(weight) * i32::from(level));
            *byte = rounded(products.sum(), SUM_BITS);
        }
    }
}
