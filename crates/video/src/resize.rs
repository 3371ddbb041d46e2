//! [`Resizer`]: scales a plane of bytes, bilinear; where it shrinks, over all samples that become one.
//!
//! Down the columns into a row of finer levels, then along that row. A change of range comes with the first step, at no
//! cost. All is done in whole numbers, so that it does not depend on the processor.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "functions for AVX2 are called where there is AVX2"))]

/// Weights of the samples that become one add up to this many bits.
const WEIGHT_BITS: u32 = 14;

/// Levels of a row between the two steps: so many to a level of a byte, in bits.
const ROW_BITS: u32 = 6;

/// Bytes are made larger by so many bits, so that [`share`] gives levels of a row.
const BYTE_BITS: u32 = SHARE_BITS - WEIGHT_BITS + ROW_BITS;

/// What a product is divided by in [`share`].
const SHARE_BITS: u32 = 15;

/// What the sum of two shares of levels is divided by.
const PAIR_BITS: u32 = WEIGHT_BITS + ROW_BITS - SHARE_BITS;

/// What a sum of products along a row is divided by.
const ALONG_BITS: u32 = WEIGHT_BITS + ROW_BITS;

/// Levels that are read at once.
const LANE: usize = 8;

/// Returns a weighted value as processors do: in 16 bits, rounded.
fn share(value: i16, weight: i16) -> i16 {
    ((i32::from(value) * i32::from(weight) + (1 << (SHARE_BITS - 1))) >> SHARE_BITS) as i16
}

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
    /// Added to the levels of a row.
    offset: i16,
    /// Of a result whose samples are made of two each.
    groups: Vec<Group>,
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
    /// Of [`LANE`] neighbours each, the first level that is read. As many are, then as many from the next on: the one holds
    /// the first levels that the neighbours are made of, the other the second.
    starts: [usize; 2],
    /// Which bytes of what is read become which levels.
    places: [u8; 32],
    /// Of the first levels, and of the second.
    weights: [[i16; GROUP]; 2],
}

/// Neighbours of a [`Group`].
const GROUP: usize = 2 * LANE;

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
            offset: (levels.offset * f64::from(1 << ROW_BITS)).round() as i16,
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
                if self.groups.is_empty() {
                    avx2::along(row, &self.along, out);
                } else {
                    avx2::along_pairs(row, &self.groups, out);
                }
            };
        }
        down(plane, start, weights, self.offset, row);
        along(row, &self.along, out);
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

/// Returns groups for a result's columns, the last of which ends with the line; none where more than two samples become one, or
/// the line is shorter than a group.
fn groups(axis: &Axis) -> Vec<Group> {
    match axis.starts.len().checked_sub(GROUP) {
        Some(last) if axis.taps == 2 => {
            (0..last).step_by(GROUP).chain([last]).map(|first| Group::new(axis, first)).collect()
        }
        _ => Vec::new(),
    }
}

impl Group {
    fn new(axis: &Axis, first: usize) -> Self {
        let starts = [axis.starts[first], axis.starts[first + LANE]];
        let mut group = Self { starts, places: [0; 32], weights: [[0; GROUP]; 2] };
        for at in 0..GROUP {
            let column = first + at;
            // There are no fewer samples in the result than there were: among neighbours, each begins at most one further on.
            let byte = 2 * (axis.starts[column] - starts[at / LANE]) as u8;
            group.places[2 * at..][..2].copy_from_slice(&[byte, byte + 1]);
            [group.weights[0][at], group.weights[1][at]] = [axis.weights(column)[0], axis.weights(column)[1]];
        }
        group
    }
}

/// Makes the levels of a row.
fn down(plane: Plane, start: usize, weights: &[i16], offset: i16, row: &mut [i16]) {
    for (column, level) in row.iter_mut().enumerate().take(plane.width) {
        let byte = |number: usize| i16::from(plane.row(number)[column]) << BYTE_BITS;
        let shares = weights.iter().zip(start..).map(|(&weight, number)| share(byte(number), weight));
        *level = offset + shares.sum::<i16>();
    }
}

/// Makes the samples of a line.
fn along(row: &[i16], axis: &Axis, out: &mut [u8]) {
    let rounded = |sum: i32, bits: u32| ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8;
    for (column, value) in out.iter_mut().enumerate() {
        let levels = &row[axis.starts[column]..];
        *value = match *axis.weights(column) {
            [first, second] => rounded(i32::from(share(levels[0], first) + share(levels[1], second)), PAIR_BITS),
            ref weights => {
                let products = weights.iter().zip(levels).map(|(&weight, &level)| i32::from(weight) * i32::from(level));
                rounded(products.sum(), ALONG_BITS)
            }
        };
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{ALONG_BITS, Axis, BYTE_BITS, GROUP, Group, LANE, PAIR_BITS, Plane};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_madd_epi16, _mm_setzero_si128,
        _mm_shuffle_epi32, _mm_storeu_si128, _mm256_add_epi16, _mm256_castsi256_si128, _mm256_cvtepu8_epi16,
        _mm256_loadu_si256, _mm256_mulhrs_epi16, _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set_m128i,
        _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srai_epi16, _mm256_storeu_si256,
    };

    /// The halves of a register that packing has left apart: `[0, 2]`.
    const TOGETHER: i32 = 0b10_00;

    #[target_feature(enable = "avx2")]
    pub(super) fn down(plane: Plane, start: usize, weights: &[i16], offset: i16, row: &mut [i16]) {
        let width = plane.width;
        if width < GROUP {
            return super::down(plane, start, weights, offset, row);
        }
        let offset = _mm256_set1_epi16(offset);
        let (row, last) = (&mut row[..width], width - GROUP);
        if let &[first, second] = weights {
            let (upper, lower) = (plane.row(start), plane.row(start + 1));
            let weights = [_mm256_set1_epi16(first), _mm256_set1_epi16(second)];
            let bytes = upper.as_chunks().0.iter().zip(lower.as_chunks().0);
            for ((upper, lower), levels) in bytes.zip(row.as_chunks_mut().0) {
                two(upper, lower, weights, offset, levels);
            }
            // The last columns are made with their neighbours once more, where the width is no multiple.
            if let (Some(upper), Some(lower), Some(levels)) =
                (upper.last_chunk(), lower.last_chunk(), row.last_chunk_mut())
            {
                two(upper, lower, weights, offset, levels);
            }
            return;
        }
        for column in (0..last).step_by(GROUP).chain([last]) {
            let mut sum = offset;
            for (&weight, number) in weights.iter().zip(start..) {
                let Some(bytes) = plane.row(number)[column..].first_chunk() else { continue };
                sum = _mm256_add_epi16(sum, share(bytes, _mm256_set1_epi16(weight)));
            }
            if let Some(levels) = row[column..].first_chunk_mut() {
                store(sum, levels);
            }
        }
    }

    /// Makes the levels of a group of two rows of bytes.
    #[target_feature(enable = "avx2")]
    fn two(
        upper: &[u8; GROUP],
        lower: &[u8; GROUP],
        weights: [__m256i; 2],
        offset: __m256i,
        levels: &mut [i16; GROUP],
    ) {
        let sum = _mm256_add_epi16(share(upper, weights[0]), share(lower, weights[1]));
        store(_mm256_add_epi16(sum, offset), levels);
    }

    /// Returns the shares of a group's bytes.
    #[target_feature(enable = "avx2")]
    fn share(bytes: &[u8; GROUP], weight: __m256i) -> __m256i {
        // SAFETY: `bytes` has the length that is read.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        _mm256_mulhrs_epi16(_mm256_slli_epi16::<{ BYTE_BITS as i32 }>(_mm256_cvtepu8_epi16(bytes)), weight)
    }

    #[target_feature(enable = "avx2")]
    fn store(levels: __m256i, place: &mut [i16; GROUP]) {
        // SAFETY: `place` has the length that is written.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), levels) };
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn along_pairs(row: &[i16], groups: &[Group], out: &mut [u8]) {
        let last = out.len() - GROUP;
        let half = _mm256_set1_epi16(1 << (PAIR_BITS - 1));
        for (group, column) in groups.iter().zip((0..).step_by(GROUP)) {
            let [low, high] = group.starts;
            let levels = [&row[low..][..=LANE], &row[high..][..=LANE]];
            let sum = _mm256_add_epi16(shares(levels, group, 0), shares(levels, group, 1));
            let levels = _mm256_srai_epi16::<{ PAIR_BITS as i32 }>(_mm256_add_epi16(sum, half));
            let bytes = _mm256_permute4x64_epi64::<TOGETHER>(_mm256_packus_epi16(levels, levels));
            let place = &mut out[last.min(column)..][..GROUP];
            // SAFETY: `place` has the length that is written.
            unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), _mm256_castsi256_si128(bytes)) };
        }
    }

    /// Returns the shares of the first levels that a group is made of, or of the second.
    #[target_feature(enable = "avx2")]
    fn shares(levels: [&[i16]; 2], group: &Group, which: usize) -> __m256i {
        let levels = _mm256_set_m128i(load(levels[1], which), load(levels[0], which));
        // SAFETY: both arrays have the length that is read.
        let (places, weights) = unsafe {
            let (places, weights) = (group.places.as_ptr(), group.weights[which].as_ptr());
            (_mm256_loadu_si256(places.cast()), _mm256_loadu_si256(weights.cast()))
        };
        _mm256_mulhrs_epi16(_mm256_shuffle_epi8(levels, places), weights)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn along(row: &[i16], axis: &Axis, out: &mut [u8]) {
        if axis.taps < LANE {
            return super::along(row, axis, out);
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
            down(given, plan.down.starts[y], plan.down.weights(y), plan.offset, &mut row);
            along(&row, &plan.along, &mut line);
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
