//! [`Reliability`]: a reliability diagram, which shows for each bin of confidences how many of its videos are predicted correctly.

use crate::canvas::{Canvas, Ink};
use crate::font;
use std::io;

const SIDE_PX: usize = 360;
const COUNTS_PX: usize = 80;
const LEFT_PX: usize = 64;
const TOP_PX: usize = 60;
const GAP_PX: usize = 40;
const WIDTH_PX: usize = LEFT_PX + SIDE_PX + 48;
const HEIGHT_PX: usize = TOP_PX + SIDE_PX + GAP_PX + COUNTS_PX + 40;

const BACKGROUND: Ink = [24; 3];
const GRID: Ink = [64; 3];
const INK: Ink = [224; 3];
const BAR: Ink = [70, 140, 220];
const MARK: Ink = [255, 180, 60];
const DIAGONAL: Ink = [160; 3];

/// The videos of one bin. All bins have the same width.
#[derive(Debug, Clone, Copy)]
pub struct ReliabilityBin {
    /// Number of videos.
    pub num_videos: u64,
    /// Their mean confidence, from 0 to 1.
    pub confidence: f64,
    /// The share that is predicted correctly.
    pub accuracy: f64,
}

/// A reliability diagram as a picture: bars for the accuracy of each bin, a mark for its mean confidence, the diagonal on which both are equal,
/// and below bars for the number of videos.
#[derive(Debug)]
pub struct Reliability {
    /// The first line above the diagram.
    pub title: String,
    /// The second line.
    pub subtitle: String,
    /// The bins from confidence 0 to 1.
    pub bins: Vec<ReliabilityBin>,
}

impl Reliability {
    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        self.draw().to_png()
    }

    fn draw(&self) -> Canvas {
        let mut canvas = Canvas::new(WIDTH_PX, HEIGHT_PX, BACKGROUND);
        canvas.text(&self.title, LEFT_PX, 8, INK);
        canvas.text(&self.subtitle, LEFT_PX, 8 + font::HEIGHT_PX + 4, INK);
        let bottom = TOP_PX + SIDE_PX;
        let edge = |at: usize| LEFT_PX + at * SIDE_PX / self.bins.len().max(1);
        let high = |share: f64, size: usize| (share.clamp(0.0, 1.0) * size as f64).round() as usize;
        axes(&mut canvas, bottom);
        let most = self.bins.iter().map(|bin| bin.num_videos).max().unwrap_or(0).max(1);
        let lowest = bottom + GAP_PX + COUNTS_PX;
        for (at, bin) in self.bins.iter().enumerate().filter(|(_, bin)| bin.num_videos > 0) {
            let (left, width) = (edge(at) + 1, (edge(at + 1) - edge(at)).saturating_sub(1));
            let bar = high(bin.accuracy, SIDE_PX).max(1);
            canvas.fill(left, bottom - bar, width, bar, BAR);
            canvas.fill(left, (bottom - high(bin.confidence, SIDE_PX)).saturating_sub(1), width, 3, MARK);
            let bar = high(bin.num_videos as f64 / most as f64, COUNTS_PX).max(1);
            canvas.fill(left, lowest - bar, width, bar, DIAGONAL);
        }
        canvas.line((LEFT_PX as f64, bottom as f64), ((LEFT_PX + SIDE_PX) as f64, TOP_PX as f64), DIAGONAL);
        canvas.line((LEFT_PX as f64, lowest as f64), ((LEFT_PX + SIDE_PX) as f64, lowest as f64), GRID);
        canvas.text(&most.to_string(), 4, lowest - COUNTS_PX, INK);
        canvas.text("videos per bin", LEFT_PX, lowest + 8, INK);
        canvas
    }
}

/// Draws the frame with lines at each fifth, and their values.
fn axes(canvas: &mut Canvas, bottom: usize) {
    for fifth in 0..=5 {
        let (x, y) = (LEFT_PX + fifth * SIDE_PX / 5, bottom - fifth * SIDE_PX / 5);
        canvas.line((LEFT_PX as f64, y as f64), ((LEFT_PX + SIDE_PX) as f64, y as f64), GRID);
        canvas.line((x as f64, TOP_PX as f64), (x as f64, bottom as f64), GRID);
        let value = format!("{:.1}", fifth as f64 / 5.0);
        canvas.text(&value, LEFT_PX - 8 - value.len() * font::ADVANCE_PX, y - font::HEIGHT_PX / 2, INK);
        canvas.text(&value, x - value.len() * font::ADVANCE_PX / 2, bottom + 6, INK);
    }
    canvas.text("blue: accuracy, orange: confidence", LEFT_PX, bottom + GAP_PX - 18, INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(canvas: &Canvas, x: usize, y: usize) -> Ink {
        canvas.pixels.as_chunks::<3>().0[y * canvas.width + x]
    }

    #[test]
    fn bars_are_as_high_as_the_accuracy() {
        let bin = |num_videos, confidence, accuracy| ReliabilityBin { num_videos, confidence, accuracy };
        let bins = vec![bin(0, 0.0, 0.0), bin(4, 0.75, 0.5)];
        let canvas = Reliability { title: "t".into(), subtitle: String::new(), bins }.draw();
        let (x, bottom) = (LEFT_PX + 3 * SIDE_PX / 4 + 5, TOP_PX + SIDE_PX);
        assert_eq!(pixel(&canvas, x, bottom - SIDE_PX / 2 + 2), BAR);
        assert_ne!(pixel(&canvas, x, bottom - SIDE_PX / 2 - 2), BAR);
        assert_eq!(pixel(&canvas, x, bottom - 3 * SIDE_PX / 4), MARK);
        assert_ne!(pixel(&canvas, LEFT_PX + SIDE_PX / 4, bottom - 10), BAR);
    }

    #[test]
    fn bins_of_any_number_are_drawn() {
        for count in [0, 1, 15, 5000] {
            let bins = vec![ReliabilityBin { num_videos: 1, confidence: 2.0, accuracy: f64::NAN }; count];
            let picture = Reliability { title: String::new(), subtitle: String::new(), bins };
            assert!(picture.to_png().expect("a file").starts_with(b"\x89PNG"));
        }
    }
}
