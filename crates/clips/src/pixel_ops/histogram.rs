//! Operations that depend on how often each level occurs in a frame.

use super::levels::{by_level, rounded};

/// Returns the number of pixels of each level, by channel.
fn histograms(frame: &[u8]) -> [[u32; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in frame.as_chunks::<3>().0 {
        for (counts, level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*level)] += 1;
        }
    }
    counts
}

/// Stretches each channel to the whole range of levels.
pub(super) fn auto_contrast(frame: &mut [u8]) {
    let ranges = histograms(frame).map(|counts| {
        let low = counts.iter().position(|count| *count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        (low as f32, high as f32)
    });
    by_level(frame, |channel, level| {
        let (low, high) = ranges[channel];
        if low < high { rounded((level - low) * (255.0 / (high - low))) } else { level as u8 }
    });
}

/// Equalizes the histogram of each channel as PIL does: in whole steps, without the last level in use.
pub(super) fn equalize(frame: &mut [u8]) {
    let tables: [[u8; 256]; 3] = histograms(frame).map(|counts| {
        let last = counts.iter().rfind(|count| **count > 0).copied().unwrap_or(0);
        let step = (counts.iter().sum::<u32>() - last) / 255;
        if step == 0 {
            return std::array::from_fn(|level| level as u8);
        }
        let mut below = step / 2;
        counts.map(|count| {
            let level = (below / step).min(255) as u8;
            below += count;
            level
        })
    });
    by_level(frame, |channel, level| tables[channel][level as usize]);
}
