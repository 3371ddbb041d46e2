//! [`Canvas`]: pixels on which texts and lines are drawn.

use crate::font;
use std::io;

/// Red, green, blue.
pub(crate) type Ink = [u8; 3];

/// A picture, `[H, W, 3]`. What is drawn outside of it is left out.
#[derive(Debug)]
pub(crate) struct Canvas {
    pub(crate) pixels: Vec<u8>,
    pub(crate) width: usize,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize, background: Ink) -> Self {
        Self { pixels: background.repeat(width * height), width }
    }

    pub(crate) fn height(&self) -> usize {
        self.pixels.len() / (3 * self.width)
    }

    /// Colours a pixel by the coverage from 0 to 255.
    fn cover(&mut self, x: usize, y: usize, ink: Ink, coverage: u8) {
        if x >= self.width {
            return;
        }
        if let Some(pixel) = self.pixels.as_chunks_mut::<3>().0.get_mut(y * self.width + x) {
            *pixel = mix(*pixel, ink, coverage);
        }
    }

    /// Writes a text whose first letter has its upper left corner at `left` and `top`.
    pub(crate) fn text(&mut self, text: &str, left: usize, top: usize, ink: Ink) {
        for (place, letter) in text.chars().enumerate() {
            let Some(raster) = font::letter(letter) else { continue };
            let left = left + place * font::ADVANCE_PX;
            for (y, row) in (top..).zip(raster.rows()) {
                for (x, coverage) in (left..).zip(row.iter()) {
                    self.cover(x, y, ink, *coverage);
                }
            }
        }
    }

    /// Writes a text from bottom to top. Turned by 90 degrees, the upper left corner of its first letter is at `left` and `bottom`.
    pub(crate) fn text_upward(&mut self, text: &str, left: usize, bottom: usize, ink: Ink) {
        for (place, letter) in text.chars().enumerate() {
            let Some(raster) = font::letter(letter) else { continue };
            let Some(bottom) = bottom.checked_sub(place * font::ADVANCE_PX) else { return };
            for (x, row) in (left..).zip(raster.rows()) {
                for (up, coverage) in (1..).zip(row.iter()) {
                    if let Some(y) = bottom.checked_sub(up) {
                        self.cover(x, y, ink, *coverage);
                    }
                }
            }
        }
    }

    /// Colours a rectangle.
    pub(crate) fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, ink: Ink) {
        for y in top..(top + height).min(self.height()) {
            for x in left..(left + width).min(self.width) {
                self.cover(x, y, ink, u8::MAX);
            }
        }
    }

    /// Draws a straight line of one pixel.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        let (width, height) = (to.0 - from.0, to.1 - from.1);
        let num_steps = width.abs().max(height.abs()).ceil().clamp(1.0, 1e5);
        for step in 0..=num_steps as u32 {
            let share = f64::from(step) / num_steps;
            let (x, y) = (from.0 + share * width, from.1 + share * height);
            if x >= 0.0 && y >= 0.0 {
                self.cover(x.round() as usize, y.round() as usize, ink, u8::MAX);
            }
        }
    }

    /// Returns the picture as a PNG file.
    pub(crate) fn to_png(&self) -> io::Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(file)
    }
}

/// Returns a color between two, by the coverage from 0 to 255.
fn mix(background: Ink, ink: Ink, coverage: u8) -> Ink {
    std::array::from_fn(|channel| {
        let (ink, background) = (u32::from(ink[channel]), u32::from(background[channel]));
        ((ink * u32::from(coverage) + background * u32::from(255 - coverage)) / 255) as u8
    })
}
