//! [`Resizer`]: scales a plane of bytes, bilinear; where it shrinks, over all samples that become one.
//!
//! Down the columns into a row of finer levels, then along that row. A change of range comes with the first step, at no
//! cost. All is done in whole numbers, so that it does not depend on the processor.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "functions for AVX2 are called where there is AVX2"))]

/// Weights of the samples that become one add up to this many bits.
const WEIGHT_BITS: u32 = 14;

/// Levels of a row between the two steps: so many to a level of a byte, in bits.
const ROW_BITS: u32 = 6;

/// What a sum down a column is divided by.
const DOWN_BITS: u32 = WEIGHT_BITS - ROW_BITS;

/// What a sum along a row is divided by.
const ALONG_BITS: u32 = WEIGHT_BITS + ROW_BITS;

/// Levels that are read at once.
const LANE: usize = 8;

/// Scales planes of one shape after another; cheap as long as the shape stays.
#[derive(Default)]
pub(crate) struct Resizer {
    plan: Option<(Shape, Levels, Plan)>,
    row: Vec<i16>,
}

/// What a plane is and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    /// Width and height.
    pub(crate) from: (usize, usize),
    /// How much of it is shown, from the first sample.
    pub(crate) shown: (f64, f64),
    /// Width and height of the result.
    pub(crate) to: (usize, usize),
}

/// What becomes of each sample besides: it is multiplied, then added to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Levels {
    pub(crate) gain: f64,
    pub(crate) offset: f64,
}

impl Levels {
    /// Samples stay what they are.
    pub(crate) const SAME: Self = Self { gain: 1.0, offset: 0.0 };
}

/// A plane in memory.
#[derive(Clone, Copy)]
struct Plane<'a> {
    data: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl Plane<'_> {
    /// Returns a row, or the last one.
    #[inline]
    fn row(&self, number: usize) -> &[u8] {
        let start = number.min(self.height - 1) * self.stride;
        &self.data[start..start + self.width]
    }
}

struct Plan {
    down: Axis,
    along: Axis,
    /// Added to a sum down a column.
    offset: i32,
    groups: Option<Vec<Group>>,
}

/// Which samples become which, in one direction.
struct Axis {
    /// Samples that become one; even, at the end with a weight of 0.
    taps: usize,
    /// Of each sample of the result, the first of them.
    starts: Vec<usize>,
    /// `[result, taps]`.
    weights: Vec<i16>,
}

/// Neighbours in the result, each made of two samples.
struct Group {
    /// Of four neighbours each, the first level that is read; [`LANE`] are, and hold all that the four are made of.
    starts: [usize; 4],
    /// Which bytes of what is read become which pairs of levels: the first and the third four, the second and the fourth.
    pairs: [[u8; 32]; 2],
    /// In the same order.
    weights: [[i16; 16]; 2],
}

/// Neighbours of a [`Group`].
const GROUP: usize = 16;

impl Resizer {
    /// Writes a plane whose lines begin `stride` bytes apart to `target`, whose lines begin `target_stride` apart.
    pub(crate) fn resize(
        &mut self,
        (data, stride): (&[u8], usize),
        shape: Shape,
        levels: Levels,
        (target, target_stride): (&mut [u8], usize),
    ) {
        let plan = match &mut self.plan {
            Some((made_for, its_levels, plan)) if *made_for == shape && *its_levels == levels => plan,
            other => &mut other.insert((shape, levels, Plan::new(shape, levels))).2,
        };
        let plane = Plane { data, stride, width: shape.from.0, height: shape.from.1 };
        // Room to read beyond the last level, whatever lies there.
        self.row.resize(plane.width + plan.along.taps + LANE, 0);
        for (number, line) in target.chunks_mut(target_stride).take(shape.to.1).enumerate() {
            plan.line(plane, number, &mut self.row, &mut line[..shape.to.0]);
        }
    }
}

impl Plan {
    fn new(shape: Shape, levels: Levels) -> Self {
        let along = Axis::new(shape.from.0, shape.shown.0, shape.to.0, 1.0);
        Self {
            down: Axis::new(shape.from.1, shape.shown.1, shape.to.1, levels.gain),
            offset: fixed(levels.offset) + (1 << (DOWN_BITS - 1)),
            groups: groups(&along),
            along,
        }
    }

    /// Makes a line of the result.
    fn line(&self, plane: Plane, number: usize, row: &mut [i16], out: &mut [u8]) {
        let (start, weights) = (self.down.starts[number], self.down.weights(number));
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe {
                avx2::down(plane, start, weights, self.offset, row);
                match &self.groups {
                    Some(groups) => avx2::along_pairs(row, groups, out),
                    None => avx2::along(row, &self.along, out),
                }
            };
        }
        down(plane, start, weights, self.offset, 0, row);
        along(row, &self.along, 0, out);
    }
}

impl Axis {
    /// Returns how the first `shown` of `from` samples become `to`, with weights that add up to `gain`.
    fn new(from: usize, shown: f64, to: usize, gain: f64) -> Self {
        let scale = shown / to as f64;
        let reach = scale.max(1.0);
        let within = ((2.0 * reach).ceil() as usize).min(from);
        let taps = within.next_multiple_of(2);
        let mut axis = Self { taps, starts: Vec::with_capacity(to), weights: vec![0; taps * to] };
        let mut shares = vec![0.0; within];
        for (number, weights) in axis.weights.chunks_exact_mut(taps).enumerate() {
            let middle = (number as f64 + 0.5) * scale;
            let first = (middle - reach - 0.5).floor() + 1.0;
            let start = (first.max(0.0) as usize).min(from - within);
            for (at, share) in shares.iter_mut().enumerate() {
                *share = (1.0 - ((start + at) as f64 + 0.5 - middle).abs() / reach).max(0.0);
            }
            if shares.iter().all(|&share| share == 0.0) {
                // It lies beyond the last sample.
                shares[within - 1] = 1.0;
            }
            whole_weights(&shares, gain, weights);
            axis.starts.push(start);
        }
        axis
    }

    fn weights(&self, number: usize) -> &[i16] {
        &self.weights[number * self.taps..(number + 1) * self.taps]
    }
}

/// Makes weights of shares, so that their sum is exact: the largest takes what rounding leaves.
fn whole_weights(shares: &[f64], gain: f64, weights: &mut [i16]) {
    let all: f64 = shares.iter().sum();
    let mut left = fixed(gain);
    for (share, weight) in shares.iter().zip(&mut *weights) {
        *weight = fixed(share / all * gain) as i16;
        left -= i32::from(*weight);
    }
    if let Some(largest) = weights.iter_mut().max() {
        *largest += left as i16;
    }
}

fn fixed(value: f64) -> i32 {
    (value * f64::from(1 << WEIGHT_BITS)).round() as i32
}

/// Returns groups for a result's columns, the last of which ends with the line; none where one reaches too far, or the line
/// is shorter than one.
fn groups(axis: &Axis) -> Option<Vec<Group>> {
    let last = axis.starts.len().checked_sub(GROUP)?;
    if axis.taps != 2 {
        return None;
    }
    (0..last).step_by(GROUP).chain([last]).map(|first| Group::new(axis, first)).collect()
}

impl Group {
    fn new(axis: &Axis, first: usize) -> Option<Self> {
        let mut group = Self { starts: [0; 4], pairs: [[0; 32]; 2], weights: [[0; 16]; 2] };
        for four in 0..4 {
            let column = first + 4 * four;
            let start = axis.starts[column];
            group.starts[four] = start;
            for at in 0..4 {
                let level = axis.starts[column + at] - start;
                if level + 2 > LANE {
                    return None;
                }
                let byte = 2 * level as u8;
                let place = 4 * (four / 2) + at;
                group.pairs[four % 2][4 * place..][..4].copy_from_slice(&[byte, byte + 1, byte + 2, byte + 3]);
                group.weights[four % 2][2 * place..][..2].copy_from_slice(axis.weights(column + at));
            }
        }
        Some(group)
    }
}

/// Makes the levels of a row, from column `from` on.
fn down(plane: Plane, start: usize, weights: &[i16], offset: i32, from: usize, row: &mut [i16]) {
    for (column, level) in row.iter_mut().enumerate().take(plane.width).skip(from) {
        let products = weights.iter().zip(start..).map(|(&weight, number)| {
            let value = plane.row(number)[column];
            i32::from(weight) * i32::from(value)
        });
        *level = ((products.sum::<i32>() + offset) >> DOWN_BITS) as i16;
    }
}

/// Makes the samples of a line, from column `from` on.
fn along(row: &[i16], axis: &Axis, from: usize, out: &mut [u8]) {
    for (column, value) in out.iter_mut().enumerate().skip(from) {
        let levels = &row[axis.starts[column]..];
        let products = axis.weights(column).iter().zip(levels);
        let sum: i32 = products.map(|(&weight, &level)| i32::from(weight) * i32::from(level)).sum();
        *value = ((sum + (1 << (ALONG_BITS - 1))) >> ALONG_BITS).clamp(0, 255) as u8;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{ALONG_BITS, Axis, DOWN_BITS, GROUP, Group, LANE, Plane};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_madd_epi16, _mm_setzero_si128,
        _mm_shuffle_epi32, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_packs_epi32,
        _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set_m128i, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_srai_epi32, _mm256_storeu_si256,
    };

    /// Makes the order whole again that packing leaves: `[0, 2, 1, 3]`.
    const IN_ORDER: i32 = 0b11_01_10_00;

    #[target_feature(enable = "avx2")]
    pub(super) fn down(plane: Plane, start: usize, weights: &[i16], offset: i32, row: &mut [i16]) {
        let width = plane.width;
        if width < GROUP {
            return super::down(plane, start, weights, offset, 0, row);
        }
        let offset = _mm256_set1_epi32(offset);
        // The last columns are made with their neighbours once more, where the width is no multiple.
        let columns = || (0..width - GROUP).step_by(GROUP).chain([width - GROUP]);
        if let &[first, second] = weights {
            let (upper, lower, weights) = (plane.row(start), plane.row(start + 1), both(first, second));
            for column in columns() {
                let products = products(bytes(upper, column), bytes(lower, column), weights);
                store_levels(products.map(|product| _mm256_add_epi32(product, offset)), &mut row[column..]);
            }
            return;
        }
        let (pairs, _) = weights.as_chunks::<2>();
        for column in columns() {
            let mut sums = [offset; 2];
            for (&[first, second], number) in pairs.iter().zip((start..).step_by(2)) {
                let (upper, lower) = (bytes(plane.row(number), column), bytes(plane.row(number + 1), column));
                let products = products(upper, lower, both(first, second));
                sums = [_mm256_add_epi32(sums[0], products[0]), _mm256_add_epi32(sums[1], products[1])];
            }
            store_levels(sums, &mut row[column..]);
        }
    }

    #[target_feature(enable = "avx2")]
    fn both(first: i16, second: i16) -> __m256i {
        _mm256_set1_epi32(i32::from(first as u16) | i32::from(second) << 16)
    }

    /// Returns the sums of a group's products, one of each pair.
    #[target_feature(enable = "avx2")]
    fn products(upper: __m128i, lower: __m128i, weights: __m256i) -> [__m256i; 2] {
        let beside = [_mm_unpacklo_epi8(upper, lower), _mm_unpackhi_epi8(upper, lower)];
        beside.map(|beside| _mm256_madd_epi16(_mm256_cvtepu8_epi16(beside), weights))
    }

    #[target_feature(enable = "avx2")]
    fn store_levels(sums: [__m256i; 2], row: &mut [i16]) {
        let [first, second] = sums.map(|sum| _mm256_srai_epi32::<{ DOWN_BITS as i32 }>(sum));
        let levels = _mm256_permute4x64_epi64::<IN_ORDER>(_mm256_packs_epi32(first, second));
        let place = &mut row[..GROUP];
        // SAFETY: `place` has the length that is written.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), levels) };
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn along_pairs(row: &[i16], groups: &[Group], out: &mut [u8]) {
        let last = out.len() - GROUP;
        for (group, column) in groups.iter().zip((0..).step_by(GROUP)) {
            // [first four, second four | third, fourth]
            let levels = _mm256_packs_epi32(two_fours(row, group, 0), two_fours(row, group, 1));
            let bytes = _mm256_packus_epi16(levels, _mm256_setzero_si256());
            let bytes = _mm256_permute4x64_epi64::<IN_ORDER>(bytes);
            let place = &mut out[last.min(column)..][..GROUP];
            // SAFETY: `place` has the length that is written.
            unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), _mm256_castsi256_si128(bytes)) };
        }
    }

    /// Returns the first and the third four of a group, or the second and the fourth.
    #[target_feature(enable = "avx2")]
    fn two_fours(row: &[i16], group: &Group, which: usize) -> __m256i {
        let levels = _mm256_set_m128i(load(row, group.starts[which + 2]), load(row, group.starts[which]));
        // SAFETY: both arrays have the length that is read.
        let (pairs, weights) = unsafe {
            let (pairs, weights) = (group.pairs[which].as_ptr(), group.weights[which].as_ptr());
            (_mm256_loadu_si256(pairs.cast()), _mm256_loadu_si256(weights.cast()))
        };
        let sums = _mm256_madd_epi16(_mm256_shuffle_epi8(levels, pairs), weights);
        let rounded = _mm256_add_epi32(sums, _mm256_set1_epi32(1 << (ALONG_BITS - 1)));
        _mm256_srai_epi32::<{ ALONG_BITS as i32 }>(rounded)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn along(row: &[i16], axis: &Axis, out: &mut [u8]) {
        if axis.taps < LANE {
            return super::along(row, axis, 0, out);
        }
        for (column, value) in out.iter_mut().enumerate() {
            let (levels, weights) = (&row[axis.starts[column]..][..axis.taps], axis.weights(column));
            let ((levels, more_levels), (weights, more_weights)) = (levels.as_chunks(), weights.as_chunks());
            let mut sums = _mm_setzero_si128();
            for (levels, weights) in levels.iter().zip(weights) {
                let (levels, weights): (&[i16; LANE], &[i16; LANE]) = (levels, weights);
                sums = _mm_add_epi32(sums, _mm_madd_epi16(load(levels, 0), load(weights, 0)));
            }
            let swapped = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b01_00_11_10>(sums));
            let sum = _mm_cvtsi128_si32(_mm_add_epi32(swapped, _mm_shuffle_epi32::<0b10_11_00_01>(swapped)));
            let more =
                more_levels.iter().zip(more_weights).map(|(&level, &weight)| i32::from(level) * i32::from(weight));
            let sum = sum + more.sum::<i32>();
            *value = ((sum + (1 << (ALONG_BITS - 1))) >> ALONG_BITS).clamp(0, 255) as u8;
        }
    }

    #[target_feature(enable = "avx2")]
    fn load(levels: &[i16], at: usize) -> __m128i {
        let levels = &levels[at..at + LANE];
        // SAFETY: `levels` has the length that is read.
        unsafe { _mm_loadu_si128(levels.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn bytes(row: &[u8], at: usize) -> __m128i {
        let bytes = &row[at..at + GROUP];
        // SAFETY: `bytes` has the length that is read.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    /// Returns which samples become each of `to`, and with what weight.
    fn exact(from: usize, shown: f64, to: usize) -> Vec<Vec<(usize, f64)>> {
        let (scale, of_one) = (shown / to as f64, |middle: f64, reach: f64| {
            let weight = |sample: usize| (1.0 - (sample as f64 + 0.5 - middle).abs() / reach).max(0.0);
            let all: Vec<_> = (0..from).map(|sample| (sample, weight(sample))).filter(|one| one.1 > 0.0).collect();
            let sum: f64 = all.iter().map(|one| one.1).sum();
            all.into_iter().map(|(sample, weight)| (sample, weight / sum)).collect()
        });
        (0..to).map(|at| of_one((at as f64 + 0.5) * scale, scale.max(1.0))).collect()
    }

    #[track_caller]
    fn check(from: (usize, usize), shown: (f64, f64), to: (usize, usize), levels: Levels) {
        let (stride, target_stride) = (from.0 + 3, to.0 + 1);
        let plane = noise(stride * from.1);
        let shape = Shape { from, shown, to };
        let mut target = vec![7; target_stride * to.1];
        Resizer::default().resize((&plane, stride), shape, levels, (&mut target, target_stride));
        let plan = Plan::new(shape, levels);
        let mut row = vec![0; from.0 + plan.along.taps + LANE];
        let mut line = vec![0; to.0];
        let (columns, rows) = (exact(from.0, shown.0, to.0), exact(from.1, shown.1, to.1));
        for (y, found) in target.chunks(target_stride).enumerate() {
            for (x, found) in found[..to.0].iter().enumerate() {
                let row_sum = |row: usize| -> f64 {
                    columns[x].iter().map(|&(column, weight)| weight * f64::from(plane[row * stride + column])).sum()
                };
                let sum: f64 = rows[y].iter().map(|&(row, weight)| weight * row_sum(row)).sum();
                let expect = (sum * levels.gain + levels.offset).clamp(0.0, 255.0);
                assert!((f64::from(*found) - expect).abs() < 0.55, "{x}, {y} of {shape:?}: {found}, not {expect}");
            }
            assert_eq!(found[to.0], 7, "beyond the line");
            let given = Plane { data: &plane, stride, width: from.0, height: from.1 };
            down(given, plan.down.starts[y], plan.down.weights(y), plan.offset, 0, &mut row);
            along(&row, &plan.along, 0, &mut line);
            assert_eq!(found[..to.0], line, "line {y} of {shape:?} without SIMD");
        }
    }

    #[test]
    fn samples_are_those_of_the_definition_on_every_processor() {
        let wider = Levels { gain: 255.0 / 219.0, offset: -16.0 * 255.0 / 219.0 };
        for levels in [Levels::SAME, wider] {
            check((320, 240), (320.0, 240.0), (341, 256), levels);
            check((64, 36), (64.0, 36.0), (43, 24), levels); // 1.5 samples become one
            check((160, 120), (160.0, 120.0), (57, 43), levels);
            check((127, 33), (126.5, 32.5), (16, 9), levels);
            check((90, 70), (90.0, 70.0), (3, 2), levels);
            check((40, 40), (40.0, 40.0), (40, 17), levels);
            check((17, 5), (17.0, 5.0), (300, 90), levels);
            check((1, 1), (1.0, 1.0), (20, 3), levels);
            check((2, 3), (2.0, 3.0), (1, 1), levels);
            check((3, 2), (1.0, 0.5), (19, 4), levels);
        }
    }
}
