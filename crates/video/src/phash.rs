//! [`FrameHashes`]: a few hashes of a video that hardly change when it is encoded again.
//!
//! As in pHash, luma is scaled to 32x32 and transformed by a discrete cosine transform. Each of the 8x8 lowest frequencies gives
//! one bit: whether it is above their median. Size, encoding and brightness change few of these bits; another picture changes
//! half of them. A picture and its mirror image have the same hash: of the two, the one is hashed whose strongest uneven
//! frequency from left to right is positive. The arithmetic uses integers, so a hash is the same on every processor.

use crate::{DecodedFrame, FrameScaler, VideoError};
use pipe_pixels::Orientation;
use pipe_schemas::tables::MAX_HASHES_PER_VIDEO;
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::sync::LazyLock;

/// Side of the picture that is transformed, in pixels.
const SIDE: usize = 32;
/// Side of the square of frequencies that give bits.
const KEPT: usize = 8;
/// Fractional bits of a cosine.
const COSINE_BITS: u32 = 14;
/// Minimum variance of luma, a standard deviation of 5 of 255. A frame below it is black, faded or a wall, and what remains
/// after encoding is noise.
const MIN_VARIANCE: i64 = 25;
const SECOND_NANOS: i64 = 1_000_000_000;
/// Number of hashes that are a quarter of a second apart, so that a copy that starts a few frames later has similar ones.
const NUM_DENSE: usize = 32;

/// Collects the hashes of a video: of the first frame at or after each quarter of a second since its first frame, and after 32
/// hashes at or after each second, up to [`MAX_HASHES_PER_VIDEO`]. A frame that is nearly uniform has no hash.
#[derive(Debug)]
pub struct FrameHashes {
    orientation: Orientation,
    first_pts_nanos: Option<i64>,
    /// Frames before this time since the first frame are skipped.
    next_nanos: i64,
    hashes: Vec<u64>,
}

impl FrameHashes {
    /// Returns an empty collection for a video whose frames have an `orientation`.
    pub fn new(orientation: Orientation) -> Self {
        Self { orientation, first_pts_nanos: None, next_nanos: 0, hashes: Vec::new() }
    }

    /// Adds the next frame of the video.
    ///
    /// # Errors
    /// [`VideoError`] if the frame can't be converted.
    pub fn add(&mut self, frame: &DecodedFrame) -> Result<(), VideoError> {
        let since_first = frame.pts_nanos().saturating_sub(*self.first_pts_nanos.get_or_insert(frame.pts_nanos()));
        if since_first < self.next_nanos || self.hashes.len() == MAX_HASHES_PER_VIDEO {
            return Ok(());
        }
        let interval_nanos = if self.hashes.len() < NUM_DENSE { SECOND_NANOS / 4 } else { SECOND_NANOS };
        self.next_nanos = (since_first / interval_nanos + 1).saturating_mul(interval_nanos);
        let mut scaler = FrameScaler::new(SIDE as u32, SIDE as u32, self.orientation)?;
        self.hashes.extend(hash(&scaler.scale(frame)?.planes[0]));
        Ok(())
    }

    /// Returns the hashes, in the order of their frames.
    pub fn into_hashes(self) -> Vec<u64> {
        self.hashes
    }
}

/// Returns the hash of a picture, unless it is flat.
///
/// # Shapes
/// - `luma`: `[32, 32]`
fn hash(luma: &[u8]) -> Option<u64> {
    let (sum, squares) = luma.iter().fold((0, 0), |(sum, squares), &value| {
        let value = i64::from(value);
        (sum + value, squares + value * value)
    });
    let count = luma.len() as i64;
    if count * squares - sum * sum < count * count * MIN_VARIANCE {
        return None;
    }
    let frequencies = unmirrored(frequencies(luma));
    // The first frequency is the mean, which is larger than all others.
    let mut sorted: Vec<i64> = frequencies[1..].to_vec();
    sorted.sort_unstable();
    let median = sorted[sorted.len() / 2];
    Some(frequencies.iter().rev().fold(0, |bits, &frequency| bits << 1 | u64::from(frequency > median)))
}

/// Returns the frequencies of a picture or of its mirror image, the same for both.
fn unmirrored(mut frequencies: [i64; KEPT * KEPT]) -> [i64; KEPT * KEPT] {
    // A mirror from left to right changes the sign of the uneven frequencies along a row, and nothing else.
    let is_uneven = |at: usize| at % 2 == 1;
    let strongest = (0..KEPT * KEPT).filter(|at| is_uneven(*at)).max_by_key(|&at| frequencies[at].abs());
    if strongest.is_some_and(|at| frequencies[at] < 0) {
        (0..KEPT * KEPT).filter(|at| is_uneven(*at)).for_each(|at| frequencies[at] = -frequencies[at]);
    }
    frequencies
}

/// Returns the lowest frequencies of a picture, row by row, times a constant.
///
/// # Shapes
/// - `luma`: `[32, 32]`
/// - returns: `[8, 8]`
fn frequencies(luma: &[u8]) -> [i64; KEPT * KEPT] {
    let mut rows = [[0_i64; KEPT]; SIDE]; // 8 bits, a cosine and a sum of 32: 27 bits
    for (row, pixels) in rows.iter_mut().zip(luma.chunks_exact(SIDE)) {
        for (sum, cosines) in row.iter_mut().zip(COSINES.iter()) {
            *sum = pixels.iter().zip(cosines).map(|(&pixel, cosine)| i64::from(pixel) * cosine).sum();
        }
    }
    let mut frequencies = [0; KEPT * KEPT]; // 46 bits
    for (at, frequency) in frequencies.iter_mut().enumerate() {
        *frequency = rows.iter().zip(&COSINES[at / KEPT]).map(|(row, cosine)| row[at % KEPT] * cosine).sum();
    }
    frequencies
}

/// The lowest cosines of an orthonormal transform, times a constant.
static COSINES: LazyLock<[[i64; SIDE]; KEPT]> = LazyLock::new(|| {
    let cosine = |frequency: usize, at: usize| {
        let value = (PI * frequency as f64 * (2 * at + 1) as f64 / (2 * SIDE) as f64).cos();
        let value = if frequency == 0 { FRAC_1_SQRT_2 } else { value };
        (value * f64::from(1 << COSINE_BITS)).round() as i64
    };
    std::array::from_fn(|frequency| std::array::from_fn(|at| cosine(frequency, at)))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: impl Fn(usize, usize) -> f64) -> Vec<u8> {
        (0..SIDE * SIDE).map(|at| value(at % SIDE, at / SIDE).round() as u8).collect()
    }

    /// Waves of several lengths and directions, so that all frequencies occur, as in a photograph.
    fn waves(x: usize, y: usize) -> f64 {
        const WAVES: [[f64; 4]; 8] = [
            [25.0, 0.31, 0.0, 0.0],
            [20.0, 0.1, 0.22, 1.5],
            [18.0, -0.3, 0.5, 0.0],
            [15.0, 0.6, 0.2, 1.0],
            [12.0, 0.15, -0.65, 2.0],
            [10.0, 0.7, 0.6, 0.5],
            [9.0, 0.5, -0.45, 3.0],
            [8.0, 0.05, 0.7, 0.3],
        ];
        let wave = |[height, along_x, along_y, start]: [f64; 4]| {
            height * (along_x * x as f64 + along_y * y as f64 + start).sin()
        };
        128.0 + WAVES.map(wave).iter().sum::<f64>()
    }

    #[test]
    fn a_cosine_is_one_frequency() {
        let of_wave = |u: usize, v: usize| {
            let wave = |frequency: usize, at: usize| (PI * (frequency * (2 * at + 1)) as f64 / 64.0).cos();
            let found = frequencies(&picture(|x, y| 128.0 + 100.0 * wave(u, x) * wave(v, y)));
            (1..KEPT * KEPT).max_by_key(|&at| found[at].abs()).expect("frequencies")
        };
        assert_eq!([of_wave(3, 0), of_wave(0, 2), of_wave(5, 7)], [3, 2 * KEPT, 7 * KEPT + 5]);
    }

    #[test]
    fn brightness_contrast_and_a_mirror_change_few_bits_and_another_picture_many() {
        let original = hash(&picture(waves)).expect("a hash");
        let distance = |other: &[u8]| (original ^ hash(other).expect("a hash")).count_ones();
        assert!(distance(&picture(|x, y| 0.6 * waves(x, y) + 10.0)) <= 2);
        assert!(distance(&picture(|x, y| waves(x, y) + ((x * 7 + y * 13) % 5) as f64 - 2.0)) <= 4);
        assert_eq!(distance(&picture(|x, y| waves(SIDE - 1 - x, y))), 0);
        assert!(distance(&picture(|x, y| waves(x, SIDE - 1 - y))) > 15);
        assert!(distance(&picture(|x, y| waves(y, x))) > 15);
    }

    #[test]
    fn flat_pictures_have_no_hash() {
        assert_eq!(hash(&picture(|_, _| 16.0)), None);
        assert_eq!(hash(&picture(|x, y| 16.0 + ((x * 7 + y * 13) % 8) as f64)), None, "noise");
        assert!(hash(&picture(|x, _| 100.0 + x as f64)).is_some());
    }
}
