//! The two steps of a resize in AVX2, where the rounded product of [`super::scaled`] is one instruction.

use super::{BYTE_BITS, Image, PADDING, PAIR_BITS, SUM_BITS, along, each_pair_of_rows};
use crate::axis::Axis;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_packus_epi16, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm_storel_epi64, _mm_storeu_si128, _mm_unpacklo_epi64, _mm256_add_epi16, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_mulhrs_epi16, _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set_m128i,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srai_epi16, _mm256_srai_epi32, _mm256_storeu_si256,
};
use std::ops::Range;

/// 16-bit levels in a register.
const WIDTH: usize = 16;

/// 16-bit levels in half a register.
const HALF: usize = 8;

/// Pixels of a group of RGB. Each takes four levels of a register, of which the last is not used.
const PIXELS: usize = 4;

/// Packing a register with itself leaves the wanted bytes in its quarters 0 and 2.
const QUARTERS: i32 = 0b10_00;

/// How the columns of a target row are made, in groups of neighbours.
pub(super) struct Columns {
    groups: Groups,
    /// Bytes of a target row.
    row_bytes: usize,
    /// Levels that a row must have, so that all groups can read theirs.
    levels: usize,
}

enum Groups {
    /// No groups: the row is shorter than one, or its columns lie too far apart.
    None,
    /// [`WIDTH`] columns of a plane, of two taps each; the last group ends with the row.
    Pairs(Vec<PairGroup>),
    /// [`HALF`] columns of a plane, of more than two taps; the columns after the last group are made one by one.
    Sums(Vec<SumGroup>),
    /// [`PIXELS`] pixels of RGB, of two taps each; the pixels after the last group are made one by one.
    Rgb(Vec<RgbGroup>),
}

#[repr(C, align(64))] // no load of a table crosses two cache lines
struct PairGroup {
    /// Weights of the left and of the right neighbours.
    weights: [[i16; WIDTH]; 2],
    /// For each column, which bytes of the levels that are read become its level.
    shuffle: [u8; 2 * WIDTH],
    /// The first level that is read for each half. The right neighbours are read from the next level on.
    starts: [usize; 2],
    column: usize,
}

struct SumGroup {
    /// The first level of each column.
    starts: [usize; HALF],
    /// For [`HALF`] taps after the other, the weights of all columns. A register holds those of column `n` and `n + 4`.
    weights: Vec<[[i16; WIDTH]; HALF / 2]>,
}

struct RgbGroup {
    /// The first level of the left neighbour of each pixel. The right neighbour is read from three levels on.
    starts: [usize; PIXELS],
    /// Weights of the left and of the right neighbours.
    weights: [[i16; WIDTH]; 2],
}

impl Columns {
    pub(super) fn new<const C: usize>(axis: &Axis) -> Self {
        let columns = axis.starts.len();
        let groups = match (C, axis.taps) {
            (1, 2) if columns >= WIDTH => {
                let last = columns - WIDTH;
                let firsts = (0..last).step_by(WIDTH).chain([last]);
                let groups: Option<Vec<_>> = firsts.map(|column| PairGroup::new(axis, column)).collect();
                groups.map_or(Groups::None, Groups::Pairs)
            }
            (1, 2) => Groups::None,
            (1, _) => Groups::Sums((0..columns / HALF).map(|group| SumGroup::new(axis, HALF * group)).collect()),
            (3, 2) => Groups::Rgb((0..columns / PIXELS).map(|group| RgbGroup::new(axis, PIXELS * group)).collect()),
            _ => Groups::None,
        };
        let last_start = axis.starts.iter().max().copied().unwrap_or(0);
        Self { groups, row_bytes: C * columns, levels: C * (last_start + axis.taps) + PADDING }
    }

    /// Makes the bytes of a target row.
    #[target_feature(enable = "avx2")]
    pub(super) fn along<const C: usize>(&self, row: &[i16], axis: &Axis, out: &mut [u8]) {
        // The loads and stores of groups rely on it.
        assert!(row.len() >= self.levels && out.len() == self.row_bytes);
        let done = match &self.groups {
            Groups::None => 0,
            Groups::Pairs(groups) => {
                for group in groups {
                    // SAFETY: the levels that `PairGroup::new` chose lie in the row, and its columns in `out`.
                    unsafe { group.write(row.as_ptr(), out.as_mut_ptr()) };
                }
                return;
            }
            Groups::Sums(groups) => {
                for (group, bytes) in groups.iter().zip(out.as_chunks_mut().0) {
                    // SAFETY: the levels that `SumGroup::new` chose lie in the row.
                    unsafe { group.write(row.as_ptr(), bytes) };
                }
                HALF * groups.len()
            }
            Groups::Rgb(groups) => {
                for (group, at) in groups.iter().zip((0..).step_by(3 * PIXELS)) {
                    // SAFETY: the levels that `RgbGroup::new` chose lie in the row.
                    let bytes = unsafe { group.bytes(row.as_ptr()) };
                    store_rgb(bytes, &mut out[at..]);
                }
                PIXELS * groups.len()
            }
        };
        along::<C>(row, axis, done, &mut out[C * done..]);
    }
}

impl PairGroup {
    /// Returns `None` if the levels of a half can't be read at once.
    fn new(axis: &Axis, column: usize) -> Option<Self> {
        let mut group = Self { column, starts: [0; 2], shuffle: [0; 2 * WIDTH], weights: [[0; WIDTH]; 2] };
        let halves =
            axis.starts[column..column + WIDTH].chunks_exact(HALF).zip(group.shuffle.chunks_exact_mut(2 * HALF));
        for ((levels, shuffle), start) in halves.zip(&mut group.starts) {
            *start = levels.iter().min().copied()?;
            for (level, bytes) in levels.iter().zip(shuffle.as_chunks_mut::<2>().0) {
                let byte = u8::try_from(2 * (level - *start)).ok().filter(|&byte| usize::from(byte) < 2 * HALF)?;
                *bytes = [byte, byte + 1];
            }
        }
        let [left, right] = &mut group.weights;
        for (number, (left, right)) in (column..).zip(left.iter_mut().zip(right)) {
            (*left, *right) = (axis.weights(number)[0], axis.weights(number)[1]);
        }
        Some(group)
    }

    /// Writes the bytes of the group.
    ///
    /// # Safety
    /// `row` must have `HALF` levels from each of `starts` on and from the next level on, and `out` the columns of the group.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn write(&self, row: *const i16, out: *mut u8) {
        // SAFETY: as the caller promises; the arrays have the 32 bytes that are read.
        unsafe {
            let (low, high) = (row.add(self.starts[0]), row.add(self.starts[1]));
            let shuffle = _mm256_loadu_si256(self.shuffle.as_ptr().cast());
            let left = _mm256_set_m128i(_mm_loadu_si128(high.cast()), _mm_loadu_si128(low.cast()));
            let right = _mm256_set_m128i(_mm_loadu_si128(high.add(1).cast()), _mm_loadu_si128(low.add(1).cast()));
            let (left, right) = (_mm256_shuffle_epi8(left, shuffle), _mm256_shuffle_epi8(right, shuffle));
            _mm_storeu_si128(out.add(self.column).cast(), pair_bytes(left, right, &self.weights));
        }
    }
}

impl SumGroup {
    fn new(axis: &Axis, column: usize) -> Self {
        let starts = std::array::from_fn(|number| axis.starts[column + number]);
        let mut weights = vec![[[0; WIDTH]; HALF / 2]; axis.taps.div_ceil(HALF)];
        for number in 0..HALF {
            for (weights, source) in weights.iter_mut().zip(axis.weights(column + number).chunks(HALF)) {
                let half = number / (HALF / 2) * HALF;
                weights[number % (HALF / 2)][half..half + source.len()].copy_from_slice(source);
            }
        }
        Self { starts, weights }
    }

    /// Writes the bytes of the group.
    ///
    /// # Safety
    /// `row` must have as many levels as the group has weights, from each of `starts` on.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn write(&self, row: *const i16, out: &mut [u8; HALF]) {
        let mut sums = [_mm256_setzero_si256(); HALF / 2];
        for (weights, tap) in self.weights.iter().zip((0..).step_by(HALF)) {
            for (number, (sum, weights)) in sums.iter_mut().zip(weights).enumerate() {
                // SAFETY: as the caller promises; the array has the 32 bytes that are read.
                let (levels, weights) = unsafe {
                    let low = _mm_loadu_si128(row.add(self.starts[number] + tap).cast());
                    let high = _mm_loadu_si128(row.add(self.starts[number + HALF / 2] + tap).cast());
                    (_mm256_set_m128i(high, low), _mm256_loadu_si256(weights.as_ptr().cast()))
                };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(levels, weights));
            }
        }
        let [one, two, three, four] = sums;
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(one, two), _mm256_hadd_epi32(three, four));
        let half = _mm256_set1_epi32(1 << (SUM_BITS - 1));
        let levels = _mm256_srai_epi32::<{ SUM_BITS as i32 }>(_mm256_add_epi32(sums, half));
        let levels = _mm256_packs_epi32(levels, levels);
        let levels = _mm_unpacklo_epi64(_mm256_castsi256_si128(levels), _mm256_extracti128_si256::<1>(levels));
        // SAFETY: the array has the 8 bytes that are written.
        unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packus_epi16(levels, levels)) };
    }
}

impl RgbGroup {
    fn new(axis: &Axis, column: usize) -> Self {
        let mut group = Self { starts: [0; PIXELS], weights: [[0; WIDTH]; 2] };
        for (pixel, start) in group.starts.iter_mut().enumerate() {
            *start = 3 * axis.starts[column + pixel];
            for (weights, &weight) in group.weights.iter_mut().zip(axis.weights(column + pixel)) {
                weights[4 * pixel..4 * pixel + 3].fill(weight);
            }
        }
        group
    }

    /// Returns the bytes of the group, in the lower 12 bytes.
    ///
    /// # Safety
    /// `row` must have 7 levels from each of `starts` on.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn bytes(&self, row: *const i16) -> __m128i {
        let neighbors = |shift: usize| {
            // SAFETY: as the caller promises, because `shift` is at most 3.
            let [one, two, three, four] =
                self.starts.map(|start| unsafe { _mm_loadl_epi64(row.add(start + shift).cast()) });
            _mm256_set_m128i(_mm_unpacklo_epi64(three, four), _mm_unpacklo_epi64(one, two))
        };
        // [r0 g0 b0 _ r1 g1 b1 _ …] without the gaps.
        let close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
        _mm_shuffle_epi8(pair_bytes(neighbors(0), neighbors(3), &self.weights), close)
    }
}

/// Stores 12 bytes. Where there is space, four more are written, which the next group overwrites.
#[target_feature(enable = "avx2")]
#[inline]
fn store_rgb(bytes: __m128i, out: &mut [u8]) {
    if let Some(target) = out.first_chunk_mut::<16>() {
        // SAFETY: the array has the 16 bytes that are written.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().cast(), bytes) };
    } else {
        let mut last = [0; 16];
        // SAFETY: the array has the 16 bytes that are written.
        unsafe { _mm_storeu_si128(last.as_mut_ptr().cast(), bytes) };
        out[..3 * PIXELS].copy_from_slice(&last[..3 * PIXELS]);
    }
}

/// Returns the bytes of 16 pairs of levels.
#[target_feature(enable = "avx2")]
#[inline]
fn pair_bytes(left: __m256i, right: __m256i, weights: &[[i16; WIDTH]; 2]) -> __m128i {
    // SAFETY: the arrays have the 32 bytes that are read.
    let [left_weights, right_weights] =
        [0, 1].map(|side: usize| unsafe { _mm256_loadu_si256(weights[side].as_ptr().cast()) });
    let sum = _mm256_add_epi16(_mm256_mulhrs_epi16(left, left_weights), _mm256_mulhrs_epi16(right, right_weights));
    let half = _mm256_set1_epi16(1 << (PAIR_BITS - 1));
    let levels = _mm256_srai_epi16::<{ PAIR_BITS as i32 }>(_mm256_add_epi16(sum, half));
    let bytes = _mm256_permute4x64_epi64::<QUARTERS>(_mm256_packus_epi16(levels, levels));
    _mm256_castsi256_si128(bytes)
}

/// As [`super::down`], but levels are written up to a multiple of [`WIDTH`].
#[target_feature(enable = "avx2")]
pub(super) fn down(source: (Image, &Range<usize>), rows: (usize, &[i16]), offset: i16, levels: &mut [i16]) {
    let offset = _mm256_set1_epi16(offset);
    each_pair_of_rows(source, rows, levels, |weights, [upper, lower], levels, first| {
        let [upper_weight, lower_weight] = weights.map(|weight| _mm256_set1_epi16(weight));
        let sum = _mm256_add_epi16(scaled(upper, upper_weight), scaled(lower, lower_weight));
        add(sum, first.then_some(offset), levels);
    });
}

/// Returns the weighted levels of bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn scaled(bytes: &[u8; WIDTH], weight: __m256i) -> __m256i {
    // SAFETY: the array has the 16 bytes that are read.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_mulhrs_epi16(_mm256_slli_epi16::<{ BYTE_BITS as i32 }>(_mm256_cvtepu8_epi16(bytes)), weight)
}

/// Writes `sum + base`, or adds `sum` to the levels if there is no base.
#[target_feature(enable = "avx2")]
#[inline]
fn add(sum: __m256i, base: Option<__m256i>, levels: &mut [i16; WIDTH]) {
    // SAFETY: the array has the 32 bytes that are read and written.
    unsafe {
        let base = base.unwrap_or_else(|| _mm256_loadu_si256(levels.as_ptr().cast()));
        _mm256_storeu_si256(levels.as_mut_ptr().cast(), _mm256_add_epi16(sum, base));
    }
}
