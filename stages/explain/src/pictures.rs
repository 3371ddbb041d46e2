//! Writes the contact sheet and the videos.

use crate::ExplainError;
use pipe_clips::ClipSize;
use pipe_pictures::{Sheet, evenly, overlay, shrink};
use pipe_video::{Encoder, EncoderParams, VideoError};
use std::path::Path;

/// Maximum number of frames of a clip in the contact sheet.
const MAX_FRAMES: usize = 8;

/// Quantizer of MPEG-4.
const QUANTIZER: u32 = 3;

/// A clip with its heat map.
pub(crate) struct Shown {
    /// `[T, H, W, 3]`.
    pub(crate) pixels: Vec<u8>,
    /// `[T, H, W]`, from 0 to 1.
    pub(crate) values: Vec<f32>,
    /// The texts above the frames and above those with the heat map.
    pub(crate) labels: [String; 2],
}

/// Draws each clip as two rows: its frames, and the same with the heat map. Of long clips, evenly spaced frames are shown.
pub(crate) struct ContactSheet {
    size: ClipSize,
    sheet: Option<Sheet>,
    num_clips: usize,
    next: usize,
}

impl ContactSheet {
    pub(crate) fn new(size: ClipSize, num_clips: usize) -> Self {
        Self { size, sheet: None, num_clips, next: 0 }
    }

    /// Adds a clip below the others.
    pub(crate) fn add(&mut self, shown: &Shown) {
        let ClipSize { frames, height, width } = self.size;
        let columns = evenly(frames, MAX_FRAMES);
        let frame_len = 3 * height * width;
        let hot = overlay(&shown.pixels, &shown.values);
        for (pixels, label) in [&shown.pixels, &hot].into_iter().zip(&shown.labels) {
            let mut cell = (0, 0);
            let mut row = Vec::new();
            for frame in &columns {
                let (pixels, size) = resized(&pixels[frame * frame_len..][..frame_len], width, height);
                cell = size;
                row.extend(pixels);
            }
            let (num_columns, num_rows) = (columns.len(), 2 * self.num_clips);
            self.sheet.get_or_insert_with(|| Sheet::new(num_columns, cell, num_rows)).put(self.next, label, &row);
            self.next += 1;
        }
    }

    /// Writes the picture.
    pub(crate) fn write(self, path: &Path) -> Result<(), ExplainError> {
        let Some(sheet) = self.sheet else { return Ok(()) };
        let written = sheet.to_png().and_then(|png| fs_err::write(path, png));
        written.map_err(|source| ExplainError::Write { what: "the contact sheet".into(), source })
    }
}

/// The smallest longer side of a frame in the contact sheet, so that labels have room.
const MIN_SIDE_PX: usize = 96;

/// Returns a frame reduced or enlarged by a whole number, with its width and height.
fn resized(frame: &[u8], width: usize, height: usize) -> (Vec<u8>, (usize, usize)) {
    let factor = MIN_SIDE_PX.div_ceil(width.max(height));
    if factor == 1 {
        return shrink(frame, width, height);
    }
    let row = |row: &[u8]| row.chunks_exact(3).flat_map(|pixel| pixel.repeat(factor)).collect::<Vec<u8>>();
    let rows = frame.chunks_exact(3 * width).flat_map(|pixels| row(pixels).repeat(factor));
    (rows.collect(), (width * factor, height * factor))
}

/// Writes the frames with the heat map as a video. Frames of an odd width or height lose their last column or row, because the encoder
/// halves the chroma planes.
pub(crate) fn write_video(path: &Path, shown: &Shown, size: ClipSize, fps: u32) -> Result<(), VideoError> {
    let (width, height) = (size.width & !1, size.height & !1);
    let params = EncoderParams { width_px: width as u32, height_px: height as u32, fps, quantizer: QUANTIZER };
    let mut encoder = Encoder::create(path, params)?;
    let hot = overlay(&shown.pixels, &shown.values);
    for frame in hot.chunks_exact(3 * size.height * size.width) {
        let rows = frame.chunks_exact(3 * size.width).take(height);
        encoder.write_rgb(&rows.flat_map(|row| &row[..3 * width]).copied().collect::<Vec<u8>>())?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_are_enlarged() {
        let (pixels, size) = resized(&[1, 2, 3, 4, 5, 6], 2, 1);
        assert_eq!((pixels.len(), size), (3 * 96 * 48, (96, 48)));
        assert_eq!((&pixels[..3], &pixels[3 * 47..3 * 49]), (&[1, 2, 3][..], &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(resized(&vec![7; 3 * 128 * 96], 128, 96).1, (64, 48));
    }
}
