//! [`Plot`]: lines over a logarithmic axis.

use crate::canvas::{Canvas, Ink};
use crate::font;
use std::io;

pub(crate) const WIDTH_PX: usize = 640;
pub(crate) const HEIGHT_PX: usize = 400;

/// The edges of the area in which the lines are.
pub(crate) const LEFT_PX: usize = 80;
pub(crate) const RIGHT_PX: usize = WIDTH_PX - 24;
pub(crate) const TOP_PX: usize = 32;
pub(crate) const BOTTOM_PX: usize = HEIGHT_PX - 32;

/// Least number of intervals on the vertical axis.
const NUM_INTERVALS: f64 = 4.0;

pub(crate) const BACKGROUND: Ink = [24; 3];
pub(crate) const GRID: Ink = [64; 3];
pub(crate) const INK: Ink = [224; 3];
pub(crate) const MARK: Ink = [255, 180, 60];

/// Lines over a logarithmic axis, as a picture of 640 x 400 pixels.
#[derive(Debug)]
pub struct Plot {
    /// The text above the lines.
    pub title: String,
    /// The lines, from back to front. The vertical axis fits the last one; where others leave its range, they are cut.
    pub lines: Vec<Line>,
    /// A vertical line at this place, with a text beside it.
    pub mark: Option<(f64, String)>,
}

/// A line of a plot.
#[derive(Debug)]
pub struct Line {
    /// Places on the horizontal axis, above 0, and values. Points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Red, green, blue.
    pub ink: [u8; 3],
}

/// A range of values, and the pixels that they are drawn on.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    first_px: f64,
    last_px: f64,
}

impl Axis {
    /// Returns the axis of `values`, which may be none or all the same.
    pub(crate) fn of(values: impl Iterator<Item = f64>, first_px: usize, last_px: usize) -> Self {
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let margin = if low < high { 0.0 } else { 0.5 };
        Self { low: low - margin, high: high + margin, first_px: first_px as f64, last_px: last_px as f64 }
    }

    /// Returns the values at both ends.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    pub(crate) fn px(&self, value: f64) -> f64 {
        self.first_px + (value - self.low) / (self.high - self.low) * (self.last_px - self.first_px)
    }
}

impl Plot {
    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        self.draw().to_png()
    }

    fn draw(&self) -> Canvas {
        let points = || self.lines.iter().flat_map(Line::finite);
        let across = Axis::of(points().map(|(place, _)| place), LEFT_PX, RIGHT_PX);
        let up =
            Axis::of(self.lines.last().into_iter().flat_map(Line::finite).map(|(_, value)| value), BOTTOM_PX, TOP_PX);
        let mut canvas = Canvas::new(WIDTH_PX, HEIGHT_PX, BACKGROUND);
        canvas.text(&self.title, LEFT_PX, (TOP_PX - font::HEIGHT_PX) / 2, INK);
        powers(&mut canvas, across);
        levels(&mut canvas, up);
        for line in &self.lines {
            let clip = |value: f64| value.clamp(up.low, up.high);
            let places: Vec<(f64, f64)> =
                line.finite().map(|(place, value)| (across.px(place), up.px(clip(value)))).collect();
            for pair in places.windows(2) {
                canvas.line(pair[0], pair[1], line.ink);
            }
        }
        if let Some((place, text)) = &self.mark {
            let x = across.px(place.log10());
            canvas.line((x, TOP_PX as f64), (x, BOTTOM_PX as f64), MARK);
            // To the side on which there is room.
            let width = (text.chars().count() + 1) * font::ADVANCE_PX;
            let left = if x as usize + width > RIGHT_PX { (x as usize).saturating_sub(width) } else { x as usize + 6 };
            canvas.text(text, left, TOP_PX + 4, MARK);
        }
        canvas
    }
}

impl Line {
    /// Returns the logarithms of places, and values, of points that can be drawn.
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.points.iter().map(|(place, value)| (place.log10(), *value));
        points.filter(|(place, value)| place.is_finite() && value.is_finite())
    }
}

/// Draws a vertical line for each power of ten.
fn powers(canvas: &mut Canvas, across: Axis) {
    let (top, bottom) = (TOP_PX as f64, BOTTOM_PX as f64);
    for power in across.low.ceil() as i32..=across.high.floor() as i32 {
        let x = across.px(f64::from(power));
        canvas.line((x, top), (x, bottom), GRID);
        let label = format!("1e{power}");
        let left = (x as usize).saturating_sub(label.len() * font::ADVANCE_PX / 2);
        canvas.text(&label, left, BOTTOM_PX + 8, INK);
    }
}

/// Draws horizontal lines at round values.
pub(crate) fn levels(canvas: &mut Canvas, up: Axis) {
    let step = round_step((up.high - up.low) / NUM_INTERVALS);
    let num_decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    let first = (up.low / step).ceil();
    // A step is more than a tenth of the range.
    let values = (0..=10).map(|number| (first + f64::from(number)) * step);
    for value in values.take_while(|value| *value <= up.high) {
        let y = up.px(value);
        canvas.line((LEFT_PX as f64, y), (RIGHT_PX as f64, y), GRID);
        canvas.text(&format!("{value:>8.num_decimals$}"), 4, (y as usize).saturating_sub(font::HEIGHT_PX / 2), INK);
    }
}

/// Returns the largest of 1, 2 and 5 times a power of ten that is not above a length.
fn round_step(length: f64) -> f64 {
    let power = 10_f64.powf(length.log10().floor());
    [5.0, 2.0, 1.0].map(|digit| digit * power).into_iter().find(|step| *step <= length).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)], ink: Ink) -> Line {
        Line { points: points.to_vec(), ink }
    }

    fn pixel(canvas: &Canvas, x: usize, y: usize) -> Ink {
        canvas.pixels.as_chunks::<3>().0[y * canvas.width + x]
    }

    #[test]
    fn lines_go_from_corner_to_corner_and_the_mark_is_at_its_place() {
        let (red, blue) = ([255, 0, 0], [0, 0, 255]);
        let lines = vec![
            line(&[(1e-4, 50.0), (1e-2, 50.0), (1.0, f64::NAN), (1.0, -3.0)], red),
            line(&[(1e-4, 0.0), (1.0, 4.0)], blue),
        ];
        let canvas = Plot { title: "loss".into(), lines, mark: Some((1e-2, "lr 0.01".into())) }.draw();
        assert_eq!(pixel(&canvas, LEFT_PX, BOTTOM_PX), blue);
        assert_eq!(pixel(&canvas, RIGHT_PX, TOP_PX), blue);
        let middle = usize::midpoint(LEFT_PX, RIGHT_PX);
        assert_eq!(pixel(&canvas, middle, BOTTOM_PX - 8), MARK);
        // Values above the range of the last line are cut, and NaN is left out.
        assert_eq!(pixel(&canvas, LEFT_PX + 40, TOP_PX), red);
        assert_eq!(pixel(&canvas, RIGHT_PX, BOTTOM_PX), red);
        assert_eq!(canvas.height(), HEIGHT_PX);
    }

    #[test]
    fn values_of_the_vertical_axis_are_round() {
        let steps = [0.26, 0.19, 1.0, 0.05].map(|length| (round_step(length) * 1000.0).round() as i64);
        assert_eq!(steps, [200, 100, 1000, 50]);
    }

    #[test]
    fn plots_without_values_or_with_a_single_one_are_drawn() {
        let plot = |lines| Plot { title: String::new(), lines, mark: None };
        for lines in [vec![], vec![line(&[], INK)], vec![line(&[(0.1, 2.0)], INK)], vec![line(&[(0.0, 1.0)], INK)]] {
            assert!(plot(lines).to_png().expect("a file").starts_with(b"\x89PNG"));
        }
    }
}
