//! [`Sheet`]: a contact sheet.

use crate::font;
use std::io;

const GAP_PX: usize = 2;

const LABEL_PX: usize = font::HEIGHT_PX + GAP_PX;

/// End of a label that is too long.
const ELLIPSIS: &str = "...";

const BACKGROUND: [u8; 3] = [24; 3];

const INK: [u8; 3] = [224; 3];

/// A picture of rows of frames, each with a label above it.
#[derive(Debug)]
pub struct Sheet {
    /// `[H, W, 3]`.
    pixels: Vec<u8>,
    width: usize,
    cell: (usize, usize),
}

impl Sheet {
    /// Returns a picture of `rows` without frames. `cell` is the width and the height of a frame.
    pub fn new(columns: usize, cell: (usize, usize), rows: usize) -> Self {
        let width = GAP_PX + columns * (cell.0 + GAP_PX);
        let height = rows * (LABEL_PX + cell.1) + GAP_PX;
        Self { pixels: BACKGROUND.repeat(width * height), width, cell }
    }

    /// Draws a row at position `place`, counted from the top. `frames` are `[T, H, W, 3]`, with the size of a cell.
    pub fn put(&mut self, place: usize, label: &str, frames: &[u8]) {
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

    /// Returns the width and the height.
    pub fn size_px(&self) -> (u32, u32) {
        (self.width as u32, (self.pixels.len() / (3 * self.width)) as u32)
    }

    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        let (mut file, (width, height)) = (Vec::new(), self.size_px());
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(file)
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
