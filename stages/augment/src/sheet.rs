//! [`write()`]: the contact sheet, a picture of clips as the network sees them.
//!
//! Each row is a training clip of the first epoch: cropped, mirrored, changed and blended by the loader. Above it are its class,
//! the class and share of the clip that it is blended with, and its video.

use crate::error::AugmentError;
use crate::font;
use crate::list::name;
use fs_err::File;
use pipe_clips::{ClipSize, Loader};
use pipe_schemas::tables::{ClassRow, SampleRow};
use pipe_stage::StageError;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

/// Maximum number of clips per class.
const CLIPS_PER_CLASS: usize = 3;

/// Maximum number of clips. If there are more classes, only evenly spaced ones are shown.
const MAX_CLIPS: usize = 120;

/// Maximum number of frames per clip.
const MAX_FRAMES: usize = 8;

/// Longest side of a frame in the picture. Larger frames are reduced.
const MAX_SIDE_PX: usize = 112;

const GAP_PX: usize = 2;

const LABEL_PX: usize = font::HEIGHT_PX + GAP_PX;

/// End of a label that is too long.
const ELLIPSIS: &str = "...";

const BACKGROUND: [u8; 3] = [24; 3];

const INK: [u8; 3] = [224; 3];

/// Writes the picture of a selection of `rows`, the rows of an epoch in order.
pub(crate) fn write(
    path: &Path,
    frames_dir: &Path,
    rows: &[SampleRow],
    classes: &[ClassRow],
    size: ClipSize,
    threads: usize,
) -> Result<(), StageError> {
    let chosen = choose(rows);
    let shown: Vec<usize> = evenly(size.frames, MAX_FRAMES);
    let size = ClipSize { frames: shown.len(), ..size };
    // Includes the clips that the chosen ones are blended with.
    let mut wanted: BTreeMap<u32, &SampleRow> = BTreeMap::new();
    for row in &chosen {
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
    for batch in Loader::open(frames_dir)?.clips(Arc::clone(&wanted_rows), size, 1, threads)? {
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
    for (place, row) in chosen.iter().enumerate() {
        let class = |row: &SampleRow| {
            let name = |index: u32| classes.get(index as usize).map_or("", |class| class.class_name.as_str());
            row.class_indices().map(|index| format!("{index} {}", name(index))).collect::<Vec<_>>().join(", ")
        };
        let other = row.mix_position.and_then(|position| wanted.get(&position));
        let blended = other.map(|other| format!(" + {:.0} % of {}", 100.0 * row.mix_share, class(other)));
        let label = format!(
            "{}{} - {}",
            class(row),
            blended.unwrap_or_default(),
            name(&row.video_id, row.start_secs.zip(row.end_secs))
        );
        sheet.put(place, &label, clips.get(&row.position).map_or(&[], Vec::as_slice));
    }
    Ok(sheet.save(path)?)
}

/// Returns a few rows of each class, class by class.
fn choose(rows: &[SampleRow]) -> Vec<&SampleRow> {
    let mut classes: BTreeMap<u32, Vec<&SampleRow>> = BTreeMap::new();
    for row in rows {
        classes.entry(row.class_index).or_default().push(row);
    }
    let clips_per_class = (MAX_CLIPS / classes.len().max(1)).clamp(1, CLIPS_PER_CLASS);
    let classes: Vec<Vec<&SampleRow>> = classes.into_values().collect();
    let kept = evenly(classes.len(), MAX_CLIPS);
    kept.into_iter().flat_map(|class| classes[class].iter().take(clips_per_class).copied()).collect()
}

/// Returns up to `most` evenly spaced positions from `0..count`, beginning with the first.
fn evenly(count: usize, most: usize) -> Vec<usize> {
    let kept = count.min(most);
    (0..kept).map(|place| place * count / kept).collect()
}

/// Returns a frame reduced by a whole number, with its width and height. Each pixel is the mean of a square.
fn shrink(frame: &[u8], width: usize, height: usize) -> (Vec<u8>, (usize, usize)) {
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

/// A picture, `[H, W, 3]`.
struct Sheet {
    pixels: Vec<u8>,
    width: usize,
    cell: (usize, usize),
}

impl Sheet {
    fn new(columns: usize, cell: (usize, usize), rows: usize) -> Self {
        let width = GAP_PX + columns * (cell.0 + GAP_PX);
        let height = rows * (LABEL_PX + cell.1) + GAP_PX;
        Self { pixels: BACKGROUND.repeat(width * height), width, cell }
    }

    /// Draws a labelled row of frames at position `place`, counted from the top.
    fn put(&mut self, place: usize, label: &str, frames: &[u8]) {
        let (cell_width, cell_height) = self.cell;
        let top = place * (LABEL_PX + cell_height);
        self.label(label, top + GAP_PX);
        for (column, frame) in frames.chunks_exact(3 * cell_width * cell_height).enumerate() {
            let left = GAP_PX + column * (cell_width + GAP_PX);
            for (row, pixels) in frame.chunks_exact(3 * cell_width).enumerate() {
                let start = 3 * ((top + LABEL_PX + row) * self.width + left);
                self.pixels[start..start + pixels.len()].copy_from_slice(pixels);
            }
        }
    }

    /// Writes a text, shortened to the width of the picture.
    fn label(&mut self, text: &str, top: usize) {
        let max_letters = (self.width - GAP_PX) / font::ADVANCE_PX;
        let letters: Vec<char> = if text.chars().count() > max_letters {
            text.chars()
                .take(max_letters.saturating_sub(ELLIPSIS.len()))
                .chain(ELLIPSIS.chars())
                .take(max_letters)
                .collect()
        } else {
            text.chars().collect()
        };
        for (place, letter) in letters.into_iter().enumerate() {
            let Some(raster) = font::letter(letter) else { continue };
            let left = GAP_PX + place * font::ADVANCE_PX;
            for (row, coverage) in (top..).zip(raster.rows()) {
                let start = row * self.width + left;
                let pixels = &mut self.pixels.as_chunks_mut::<3>().0[start..start + coverage.len()];
                pixels.iter_mut().zip(coverage).for_each(|(pixel, coverage)| *pixel = mix(*pixel, INK, *coverage));
            }
        }
    }

    fn save(&self, path: &Path) -> Result<(), AugmentError> {
        let picture = |source| AugmentError::Picture { path: path.into(), source };
        let mut file = BufWriter::new(File::create(path).map_err(|error| picture(error.into()))?);
        let height = self.pixels.len() / (3 * self.width);
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(picture)?;
        writer.write_image_data(&self.pixels).map_err(picture)?;
        writer.finish().map_err(picture)?;
        file.flush().map_err(|error| picture(error.into()))
    }
}

/// Returns a color between two, by the coverage from 0 to 255.
fn mix(background: [u8; 3], ink: [u8; 3], coverage: u8) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let (ink, background) = (u32::from(ink[channel]), u32::from(background[channel]));
        ((ink * u32::from(coverage) + background * u32::from(255 - coverage)) / 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: u32, class_index: u32) -> SampleRow {
        SampleRow { position, class_index, ..SampleRow::default() }
    }

    #[track_caller]
    fn check_chosen(num_classes: u32, expect: usize) {
        let rows: Vec<_> = (0..num_classes * 5).map(|at| row(at, at % num_classes)).collect();
        let chosen = choose(&rows);
        assert_eq!(chosen.len(), expect);
        assert!(chosen.is_sorted_by_key(|row| (row.class_index, row.position)));
    }

    #[test]
    fn a_few_clips_of_each_class_are_chosen() {
        check_chosen(1, 3);
        check_chosen(40, 120);
        check_chosen(51, 102);
        check_chosen(101, 101);
        check_chosen(400, 120);
        assert_eq!((evenly(3, 8), evenly(16, 8)), (vec![0, 1, 2], vec![0, 2, 4, 6, 8, 10, 12, 14]));
    }

    #[test]
    fn frames_are_reduced_by_a_whole_number() {
        let frame: Vec<u8> = (0..224_usize * 224).flat_map(|at| [(at % 224 / 2) as u8, (at / 448) as u8, 9]).collect();
        let (small, size) = shrink(&frame, 224, 224);
        assert_eq!(size, (112, 112));
        let expect: Vec<u8> = (0..112 * 112).flat_map(|at| [(at % 112) as u8, (at / 112) as u8, 9]).collect();
        assert!(small == expect);
        assert_eq!(shrink(&[1, 2, 3, 4, 5, 6], 2, 1), (vec![1, 2, 3, 4, 5, 6], (2, 1)));
    }

    /// Returns the letters of a label as text: `#` where a pixel is mostly ink.
    fn drawn(text: &str, width: usize) -> Vec<String> {
        let mut sheet = Sheet::new(1, (width - 2 * GAP_PX, 1), 1);
        sheet.label(text, 0);
        let row = |row: &[u8]| -> String {
            row.as_chunks::<3>().0.iter().map(|pixel| if pixel[0] > 140 { '#' } else { ' ' }).collect()
        };
        let rows: Vec<String> = sheet.pixels.chunks_exact(3 * width).map(row).collect();
        rows.into_iter().map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
    }

    #[test]
    fn letters_are_readable() {
        let expect = [
            "   #####",
            "     #",
            "     #     ###",
            "     #    #   #",
            "     #    #   #",
            "     #    #####",
            "     #    #",
            "     #    #",
            "     #     ####",
        ];
        assert_eq!(drawn("Te", 20), expect);
    }

    #[test]
    fn small_letters_and_accents_are_drawn() {
        let different: std::collections::BTreeSet<_> =
            ["e", "E", "\u{e9}", "\u{11b}"].map(|text| drawn(text, 20)).into();
        assert_eq!(different.len(), 4);
        assert_eq!(drawn("\u{4e2d}", 20), drawn("\u{fffd}", 20), "another script");
    }

    #[test]
    fn a_long_label_ends_with_an_ellipsis() {
        assert_eq!(drawn("abcdefgh", 2 + 5 * font::ADVANCE_PX), drawn("ab...", 2 + 5 * font::ADVANCE_PX));
        assert_eq!(drawn("abcde", 2 + 5 * font::ADVANCE_PX), drawn("abcde", 100));
    }
}
