//! The two steps of a resize in AVX-512: as in AVX2, with registers twice as wide. A permutation that picks any of 64 levels
//! serves planes and RGB alike.

use super::{BYTE_BITS, Image, PADDING, PAIR_BITS, each_pair_of_rows};
use crate::axis::Axis;
use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi16, _mm512_cvtepu8_epi16, _mm512_cvtusepi16_epi8,
    _mm512_loadu_si512, _mm512_max_epi16, _mm512_mulhrs_epi16, _mm512_permutex2var_epi16, _mm512_set1_epi16,
    _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srai_epi16, _mm512_storeu_si512,
};
use std::ops::Range;

/// 16-bit levels in a register.
const WIDTH: usize = 32;

/// How the columns of a target row are made, in groups of neighbours.
pub(super) struct Columns {
    groups: Vec<Group>,
    /// Levels from the left neighbour to the right one: the number of channels.
    step: usize,
    /// Bytes of a target row.
    row_bytes: usize,
    /// Levels that a row must have, so that all groups can read theirs.
    levels: usize,
}

/// [`WIDTH`] bytes of a target row, of two taps each. The last group ends with the row.
#[repr(C, align(64))] // each load of a table reads one cache line
struct Group {
    /// For each byte, its left neighbour among the levels that are read.
    indices: [u16; WIDTH],
    /// Weights of the left and of the right neighbours.
    weights: [[i16; WIDTH]; 2],
    /// First byte.
    at: usize,
    /// The first of the `2 * WIDTH` levels that are read. The right neighbours are read from `step` levels on.
    start: usize,
}

impl Columns {
    /// Returns `None` for more than two taps, for a row shorter than a group, and for columns that lie too far apart.
    pub(super) fn new<const C: usize>(axis: &Axis) -> Option<Self> {
        let row_bytes = C * axis.starts.len();
        let last = row_bytes.checked_sub(WIDTH).filter(|_| axis.taps == 2)?;
        let groups = (0..last).step_by(WIDTH).chain([last]).map(|at| Group::new::<C>(axis, at));
        let last_start = axis.starts.iter().max().copied().unwrap_or(0);
        Some(Self {
            groups: groups.collect::<Option<_>>()?,
            step: C,
            row_bytes,
            levels: C * (last_start + 2) + PADDING,
        })
    }

    /// Makes the bytes of a target row.
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    pub(super) fn along(&self, row: &[i16], out: &mut [u8]) {
        // The loads and stores below rely on it.
        assert!(row.len() >= self.levels && out.len() == self.row_bytes);
        let half = _mm512_set1_epi16(1 << (PAIR_BITS - 1));
        for group in &self.groups {
            // SAFETY: `Group::new` chose levels that lie in the row, and bytes that lie in `out`; the arrays have the 64 bytes that
            // are read.
            unsafe {
                let indices = _mm512_loadu_si512(group.indices.as_ptr().cast());
                let scaled = |levels: *const i16, weights: &[i16; WIDTH]| {
                    let (low, high) = (_mm512_loadu_si512(levels.cast()), _mm512_loadu_si512(levels.add(WIDTH).cast()));
                    let levels = _mm512_permutex2var_epi16(low, indices, high);
                    _mm512_mulhrs_epi16(levels, _mm512_loadu_si512(weights.as_ptr().cast()))
                };
                let levels = row.as_ptr().add(group.start);
                let left = scaled(levels, &group.weights[0]);
                let right = scaled(levels.add(self.step), &group.weights[1]);
                let sum = _mm512_add_epi16(_mm512_add_epi16(left, right), half);
                let levels = _mm512_srai_epi16::<{ PAIR_BITS }>(sum);
                let bytes = _mm512_cvtusepi16_epi8(_mm512_max_epi16(levels, _mm512_setzero_si512()));
                _mm256_storeu_si256(out.as_mut_ptr().add(group.at).cast(), bytes);
            }
        }
    }
}

impl Group {
    /// Returns `None` if the levels can't be read at once.
    fn new<const C: usize>(axis: &Axis, at: usize) -> Option<Self> {
        let level = |byte: usize| C * axis.starts[byte / C] + byte % C;
        let start = (at..at + WIDTH).map(level).min()?;
        let mut group = Self { at, start, indices: [0; WIDTH], weights: [[0; WIDTH]; 2] };
        for number in 0..WIDTH {
            let index = level(at + number) - start;
            group.indices[number] = u16::try_from(index).ok().filter(|_| index < 2 * WIDTH)?;
            for (weights, &weight) in group.weights.iter_mut().zip(axis.weights((at + number) / C)) {
                weights[number] = weight;
            }
        }
        Some(group)
    }
}

/// As [`super::down`], but levels are written up to a multiple of [`WIDTH`].
#[target_feature(enable = "avx2,avx512f,avx512bw")]
pub(super) fn down(source: (Image, &Range<usize>), rows: (usize, &[i16]), offset: i16, levels: &mut [i16]) {
    let offset = _mm512_set1_epi16(offset);
    each_pair_of_rows(source, rows, levels, |weights, [upper, lower], levels, first| {
        let [upper_weight, lower_weight] = weights.map(|weight| _mm512_set1_epi16(weight));
        let sum = _mm512_add_epi16(scaled(upper, upper_weight), scaled(lower, lower_weight));
        add(sum, first.then_some(offset), levels);
    });
}

/// Returns the weighted levels of bytes.
#[target_feature(enable = "avx2,avx512f,avx512bw")]
#[inline]
fn scaled(bytes: &[u8; WIDTH], weight: __m512i) -> __m512i {
    // SAFETY: the array has the 32 bytes that are read.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    _mm512_mulhrs_epi16(_mm512_slli_epi16::<BYTE_BITS>(_mm512_cvtepu8_epi16(bytes)), weight)
}

/// Writes `sum + base`, or adds `sum` to the levels if there is no base.
#[target_feature(enable = "avx2,avx512f,avx512bw")]
#[inline]
fn add(sum: __m512i, base: Option<__m512i>, levels: &mut [i16; WIDTH]) {
    // SAFETY: the array has the 64 bytes that are read and written.
    unsafe {
        let base = base.unwrap_or_else(|| _mm512_loadu_si512(levels.as_ptr().cast()));
        _mm512_storeu_si512(levels.as_mut_ptr().cast(), _mm512_add_epi16(sum, base));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::{Filter, Span};
    use crate::resize::{along, scaled as scaled_level};

    /// Does what [`Columns::along`] does, from the same tables, on any processor.
    fn emulate(columns: &Columns, row: &[i16], out: &mut [u8]) {
        for group in &columns.groups {
            assert!(group.start + columns.step + 2 * WIDTH <= columns.levels, "a load beyond the row");
            for number in 0..WIDTH {
                let at = group.start + usize::from(group.indices[number]);
                let left = scaled_level(row[at], group.weights[0][number]);
                let right = scaled_level(row[at + columns.step], group.weights[1][number]);
                let sum = i32::from(left + right) + (1 << (PAIR_BITS - 1));
                out[group.at + number] = (sum >> PAIR_BITS).clamp(0, 255) as u8;
            }
        }
    }

    fn check<const C: usize>(source: usize, start: f64, length: f64, target: usize, mirrored: bool, grouped: bool) {
        let axis = Axis::new(Span { source, start, length, target, mirrored }, Filter::Linear, 1.0);
        let columns = Columns::new::<C>(&axis);
        assert_eq!(columns.is_some(), grouped, "{source} {length} {target}");
        let Some(columns) = columns else { return };
        let row: Vec<i16> = (0..columns.levels).map(|at| (at * 7919 % 16_320) as i16).collect();
        let (mut found, mut expect) = (vec![0; C * target], vec![0; C * target]);
        emulate(&columns, &row, &mut found);
        along::<C>(&row, &axis, 0, &mut expect);
        assert_eq!(found, expect, "{source} {length} {target}");
    }

    #[test]
    fn the_tables_give_the_bytes_of_portable_code() {
        for mirrored in [false, true] {
            check::<1>(320, 0.0, 320.0, 341, mirrored, true);
            check::<1>(341, 17.3, 256.0, 224, mirrored, true);
            check::<3>(341, 17.3, 256.0, 224, mirrored, true);
            check::<3>(64, 3.25, 50.5, 100, mirrored, true);
            check::<3>(8, 0.0, 8.0, 11, mirrored, true);
            check::<1>(31, 0.0, 31.0, 31, mirrored, false);
            check::<1>(640, 0.0, 640.0, 200, mirrored, false);
        }
    }
}
