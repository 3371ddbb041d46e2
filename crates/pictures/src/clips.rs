//! [`sheet_of_clips`]: a contact sheet of rows of `samples`.

use crate::Sheet;
use pipe_clips::{ClipError, ClipSize, Loader};
use pipe_schemas::tables::SampleRow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest side of a frame in the picture. Larger frames are reduced.
const MAX_SIDE_PX: usize = 112;

/// Draws some clips as the network sees them: cropped, mirrored, changed and blended by the loader.
///
/// `rows` are the rows of an epoch in order, or of the test views; `chosen` are those that are drawn, each with its label. Of clips
/// longer than `max_frames`, evenly spaced frames are shown.
pub fn sheet_of_clips(
    loader: &Loader,
    rows: &[SampleRow],
    chosen: &[(&SampleRow, String)],
    size: ClipSize,
    max_frames: usize,
    threads: usize,
) -> Result<Sheet, ClipError> {
    let shown: Vec<usize> = evenly(size.frames, max_frames);
    let size = ClipSize { frames: shown.len(), ..size };
    // Includes the clips that the chosen ones are blended with.
    let mut wanted: BTreeMap<u32, &SampleRow> = BTreeMap::new();
    for (row, _) in chosen {
        wanted.insert(row.position, row);
        wanted.extend(row.mix_position.and_then(|at| rows.get(at as usize)).map(|other| (other.position, other)));
    }
    let few = |row: &SampleRow| {
        let frame_indices = shown.iter().map(|frame| row.frame_indices[*frame]).collect();
        // The clip that a partner is blended with is not loaded.
        let mix_position = row.mix_position.filter(|position| wanted.contains_key(position));
        SampleRow { frame_indices, mix_position, ..row.clone() }
    };
    let wanted_rows: Arc<[SampleRow]> = wanted.values().map(|row| few(row)).collect();
    let mut clips: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut cell = (0, 0);
    // Clips are loaded one by one, and only reduced frames are kept.
    for batch in loader.clips(Arc::clone(&wanted_rows), size, 1, threads)? {
        let batch = batch?;
        let smaller: Vec<Vec<u8>> = batch
            .pixels
            .chunks_exact(3 * size.height * size.width)
            .map(|frame| {
                let (pixels, cell_size) = shrink(frame, size.width, size.height);
                cell = cell_size;
                pixels
            })
            .collect();
        clips.insert(wanted_rows[batch.rows.start].position, smaller.concat());
    }
    let mut sheet = Sheet::new(shown.len(), cell, chosen.len());
    for (place, (row, label)) in chosen.iter().enumerate() {
        sheet.put(place, label, clips.get(&row.position).map_or(&[], Vec::as_slice));
    }
    Ok(sheet)
}

/// Returns up to `most` evenly spaced positions from `0..count`, beginning with the first.
pub fn evenly(count: usize, most: usize) -> Vec<usize> {
    let kept = count.min(most);
    (0..kept).map(|place| place * count / kept).collect()
}

/// Returns a frame reduced by a whole number to at most 112 pixels, with its width and height. Each pixel is the mean of a square.
pub fn shrink(frame: &[u8], width: usize, height: usize) -> (Vec<u8>, (usize, usize)) {
    let factor = width.max(height).div_ceil(MAX_SIDE_PX);
    let (small_width, small_height) = ((width / factor).max(1), (height / factor).max(1));
    let (across, down) = (factor.min(width), factor.min(height));
    let mut pixels = Vec::with_capacity(3 * small_width * small_height);
    for y in 0..small_height {
        for x in 0..small_width {
            let mut sums = [0; 3];
            for row in frame.chunks_exact(3 * width).skip(y * factor).take(down) {
                for pixel in row[3 * x * factor..].as_chunks::<3>().0.iter().take(across) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, level)| *sum += usize::from(*level));
                }
            }
            pixels.extend(sums.map(|sum| (sum / (across * down)) as u8));
        }
    }
    (pixels, (small_width, small_height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_reduced_by_a_whole_number() {
        let frame: Vec<u8> = (0..224_usize * 224).flat_map(|at| [(at % 224 / 2) as u8, (at / 448) as u8, 9]).collect();
        let (small, size) = shrink(&frame, 224, 224);
        assert_eq!(size, (112, 112));
        let expect: Vec<u8> = (0..112 * 112).flat_map(|at| [(at % 112) as u8, (at / 112) as u8, 9]).collect();
        assert!(small == expect);
        assert_eq!(shrink(&[1, 2, 3, 4, 5, 6], 2, 1), (vec![1, 2, 3, 4, 5, 6], (2, 1)));
    }

    #[test]
    fn positions_are_evenly_spaced() {
        assert_eq!((evenly(3, 8), evenly(16, 8)), (vec![0, 1, 2], vec![0, 2, 4, 6, 8, 10, 12, 14]));
    }
}
