//! The region of a clip that a heat map marks, and clips without it.

use pipe_clips::{ClipSize, Draws};
use pipe_schemas::stages::explain::Removal;

/// Returns, for each pixel of a clip, whether it is among the share of `region` with the highest values. Among equal values, the first
/// ones are. At least one pixel is marked, and not all.
pub fn marked(values: &[f32], region: f64) -> Vec<bool> {
    let count = ((values.len() as f64 * region).round() as usize).clamp(1, values.len().saturating_sub(1).max(1));
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, two| values[*two].total_cmp(&values[*one]));
    let mut marked = vec![false; values.len()];
    for index in order.into_iter().take(count) {
        marked[index] = true;
    }
    marked
}

/// Returns a region of the same size and shape at a random place: moved along all axes, where what leaves an edge enters at the other.
pub fn shifted(marked: &[bool], size: ClipSize, draws: &mut Draws) -> Vec<bool> {
    let ClipSize { frames, height, width } = size;
    let [by_frames, by_rows, by_columns] = [frames, height, width].map(|length| draws.below(length as u64) as usize);
    let mut moved = vec![false; marked.len()];
    for frame in 0..frames {
        for row in 0..height {
            for column in 0..width {
                let from = (frame * height + row) * width + column;
                let [frame, row, column] =
                    [(frame + by_frames) % frames, (row + by_rows) % height, (column + by_columns) % width];
                moved[(frame * height + row) * width + column] = marked[from];
            }
        }
    }
    moved
}

/// Returns what takes the place of removed pixels, for all pixels of a clip.
///
/// # Shapes
/// - `pixels`: `[T, H, W, 3]`, as the result
pub(crate) fn replacement(pixels: &[u8], size: ClipSize, removal: Removal) -> Vec<u8> {
    match removal {
        Removal::Mean => {
            let mut sums = [0_u64; 3];
            for pixel in pixels.as_chunks::<3>().0 {
                sums.iter_mut().zip(pixel).for_each(|(sum, level)| *sum += u64::from(*level));
            }
            let count = (pixels.len() / 3).max(1) as u64;
            sums.map(|sum| ((sum + count / 2) / count) as u8).repeat(pixels.len() / 3)
        }
        Removal::Blur => {
            let radius = (size.height.min(size.width) / 8).max(1);
            let blurred = pixels.chunks_exact(3 * size.height * size.width).flat_map(|frame| {
                (0..NUM_BLURS).fold(frame.to_vec(), |frame, _| {
                    let across = blur(&frame, size.width, 3, radius);
                    blur_down(&across, size, radius)
                })
            });
            blurred.collect()
        }
    }
}

/// Three means over a square are close to a Gaussian blur.
const NUM_BLURS: usize = 3;

/// Returns the means over `2 radius + 1` neighbours along rows of `length` pixels; at the edges, over those that exist.
fn blur(values: &[u8], length: usize, channels: usize, radius: usize) -> Vec<u8> {
    let mut result = Vec::with_capacity(values.len());
    for row in values.chunks_exact(length * channels) {
        let mut sums = vec![vec![0_u32; length + 1]; channels];
        for (at, pixel) in row.chunks_exact(channels).enumerate() {
            for (sums, level) in sums.iter_mut().zip(pixel) {
                sums[at + 1] = sums[at] + u32::from(*level);
            }
        }
        for at in 0..length {
            let (from, to) = (at.saturating_sub(radius), (at + radius + 1).min(length));
            let count = (to - from) as u32;
            result.extend(sums.iter().map(|sums| ((sums[to] - sums[from] + count / 2) / count) as u8));
        }
    }
    result
}

/// Blurs along columns, as [`blur`] does along rows.
fn blur_down(frame: &[u8], size: ClipSize, radius: usize) -> Vec<u8> {
    let across = transposed(frame, size.height, size.width);
    transposed(&blur(&across, size.height, 3, radius), size.width, size.height)
}

/// Returns `[W, H, 3]` of `[H, W, 3]`.
fn transposed(frame: &[u8], height: usize, width: usize) -> Vec<u8> {
    let pixel = |row: usize, column: usize| &frame[3 * (row * width + column)..][..3];
    (0..width).flat_map(|column| (0..height).flat_map(move |row| pixel(row, column)).copied()).collect()
}

/// Returns a clip whose pixels in the region are those of `replacement`.
pub fn removed(pixels: &[u8], replacement: &[u8], region: &[bool]) -> Vec<u8> {
    let (old, new) = (pixels.as_chunks::<3>().0, replacement.as_chunks::<3>().0);
    let pixel = |((old, new), removed): ((&[u8; 3], &[u8; 3]), &bool)| if *removed { *new } else { *old };
    old.iter().zip(new).zip(region).flat_map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_values_are_marked() {
        assert_eq!(marked(&[0.1, 0.9, 0.5, 0.5], 0.5), [false, true, true, false]);
        assert_eq!(marked(&[0.0; 4], 0.001), [true, false, false, false]);
        assert_eq!(marked(&[0.0; 4], 0.9), [true, true, true, false]);
    }

    #[test]
    fn a_moved_region_has_the_same_shape() {
        let size = ClipSize { frames: 2, height: 3, width: 4 };
        let mut region = vec![false; 24];
        region[..2].fill(true);
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..200 {
            let moved = shifted(&region, size, &mut Draws::new(1, &[&index.to_string()]));
            let at: Vec<usize> = (0..24).filter(|at| moved[*at]).collect();
            let [one, two] = at[..] else { panic!("{at:?}") };
            assert!(two == one + 1 || (one % 4 == 0 && two == one + 3), "{at:?}");
            seen.insert(at);
        }
        assert_eq!(seen.len(), 24, "every place");
    }

    #[test]
    fn removed_pixels_have_the_mean_of_the_clip_or_of_their_surroundings() {
        let size = ClipSize { frames: 1, height: 8, width: 8 };
        let pixels: Vec<u8> = (0..64).flat_map(|at| if at == 0 { [64, 0, 128] } else { [0, 0, 0] }).collect();
        let mean = replacement(&pixels, size, Removal::Mean);
        assert_eq!((mean.len(), &mean[..3]), (192, [1, 0, 2].as_slice()));
        let blurred = replacement(&pixels, size, Removal::Blur);
        assert!(blurred[0] > 5 && blurred[0] < 64 && blurred[3] > 0 && blurred[3 * 63] == 0, "{:?}", &blurred[..12]);
        // The neighbours of the corner are equal in both directions, up to the rounding between them.
        assert!(
            (0..3).all(|channel| blurred[3 + channel].abs_diff(blurred[24 + channel]) <= 1),
            "{:?}",
            &blurred[..27]
        );
        let mut region = vec![false; 64];
        region[0] = true;
        let clip = removed(&pixels, &mean, &region);
        assert_eq!(clip[..6], [1, 0, 2, 0, 0, 0]);
        let flat = vec![77; 192];
        assert_eq!(replacement(&flat, size, Removal::Blur), flat);
    }
}
