//! [`Sheet`]: a contact sheet.

use crate::canvas::{Canvas, Ink};
use crate::font;
use std::io;

const GAP_PX: usize = 2;

const LABEL_PX: usize = font::HEIGHT_PX + GAP_PX;

const BACKGROUND: Ink = [24; 3];

const INK: Ink = [224; 3];

/// A picture of rows of frames, each with a label above it.
#[derive(Debug)]
pub struct Sheet {
    canvas: Canvas,
    cell: (usize, usize),
}

impl Sheet {
    /// Returns a picture of `rows` without frames. `cell` is the width and the height of a frame.
    pub fn new(columns: usize, cell: (usize, usize), rows: usize) -> Self {
        let width = GAP_PX + columns * (cell.0 + GAP_PX);
        let height = rows * (LABEL_PX + cell.1) + GAP_PX;
        Self { canvas: Canvas::new(width, height, BACKGROUND), cell }
    }

    /// Draws a row at position `place`, counted from the top. `frames` are `[T, H, W, 3]`, with the size of a cell.
    pub fn put(&mut self, place: usize, label: &str, frames: &[u8]) {
        let (cell_width, cell_height) = self.cell;
        let top = place * (LABEL_PX + cell_height);
        self.label(label, top + GAP_PX);
        for (column, frame) in frames.chunks_exact(3 * cell_width * cell_height).enumerate() {
            let left = GAP_PX + column * (cell_width + GAP_PX);
            for (row, pixels) in frame.chunks_exact(3 * cell_width).enumerate() {
                let start = 3 * ((top + LABEL_PX + row) * self.canvas.width + left);
                self.canvas.pixels[start..start + pixels.len()].copy_from_slice(pixels);
            }
        }
    }

    /// Writes a text, shortened to the width of the picture.
    fn label(&mut self, text: &str, top: usize) {
        let text = font::shortened(text, self.canvas.width - GAP_PX);
        self.canvas.text(&text, GAP_PX, top, INK);
    }

    /// Returns the width and the height.
    pub fn size_px(&self) -> (u32, u32) {
        (self.canvas.width as u32, self.canvas.height() as u32)
    }

    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        self.canvas.to_png()
    }
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
        let rows: Vec<String> = sheet.canvas.pixels.chunks_exact(3 * width).map(row).collect();
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
