//! [`Scatter`]: named points over a logarithmic axis.

use crate::canvas::{Canvas, Ink};
use crate::font;
use crate::plot::{Axis, BACKGROUND, BOTTOM_PX, HEIGHT_PX, INK, LEFT_PX, MARK, RIGHT_PX, TOP_PX, WIDTH_PX, levels};
use std::io;

/// Half of the side of a point.
const RADIUS_PX: f64 = 3.0;

/// Room between the points and the edges, as a share of the range.
const MARGIN: f64 = 0.08;

/// Points with names over a logarithmic axis, as a picture of 640 x 400 pixels.
#[derive(Debug)]
pub struct Scatter {
    /// The text above the points.
    pub title: String,
    /// The unit of the horizontal axis, such as `ms`.
    pub unit: String,
    /// The points. Those that are not finite are left out.
    pub points: Vec<Point>,
}

/// A point of a scatter plot.
#[derive(Debug)]
pub struct Point {
    /// Its place on the horizontal axis, above 0.
    pub place: f64,
    /// Its place on the vertical axis.
    pub value: f64,
    /// A vertical line from one value to another.
    pub interval: Option<(f64, f64)>,
    /// The text beside it.
    pub text: String,
}

impl Scatter {
    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        self.draw().to_png()
    }

    fn draw(&self) -> Canvas {
        let is_finite = |point: &&Point| point.place.log10().is_finite() && point.value.is_finite();
        let points: Vec<&Point> = self.points.iter().filter(is_finite).collect();
        let ends = |point: &&Point| {
            let (low, high) = point.interval.unwrap_or((point.value, point.value));
            [low, high, point.value]
        };
        let across = wide(points.iter().map(|point| point.place.log10()), LEFT_PX, RIGHT_PX);
        let up = wide(points.iter().flat_map(ends).filter(|value| value.is_finite()), BOTTOM_PX, TOP_PX);
        let mut canvas = Canvas::new(WIDTH_PX, HEIGHT_PX, BACKGROUND);
        canvas.text(&self.title, LEFT_PX, (TOP_PX - font::HEIGHT_PX) / 2, INK);
        levels(&mut canvas, up);
        // The range is often less than a power of ten.
        for x in [LEFT_PX, usize::midpoint(LEFT_PX, RIGHT_PX), RIGHT_PX] {
            let label = format!("{:.3} {}", 10_f64.powf(across.value(x as f64)), self.unit);
            let width = label.chars().count() * font::ADVANCE_PX;
            let left = x.saturating_sub(width / 2).min(WIDTH_PX.saturating_sub(width + 4));
            canvas.text(&label, left, BOTTOM_PX + 8, INK);
        }
        for point in points {
            let (x, y) = (across.px(point.place.log10()), up.px(point.value));
            if let Some((low, high)) = point.interval {
                canvas.line((x, up.px(low)), (x, up.px(high)), INK);
            }
            square(&mut canvas, (x, y), MARK);
            let width = (point.text.chars().count() + 1) * font::ADVANCE_PX;
            // To the side on which there is room.
            let left = if x as usize + width > RIGHT_PX { (x as usize).saturating_sub(width) } else { x as usize + 8 };
            canvas.text(&point.text, left, (y as usize).saturating_sub(font::HEIGHT_PX / 2), INK);
        }
        canvas
    }
}

/// Returns an axis with room at both ends.
fn wide(values: impl Iterator<Item = f64> + Clone, first_px: usize, last_px: usize) -> Axis {
    let (low, high) =
        values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = if low < high { (high - low) * MARGIN } else { 0.0 };
    Axis::of(values.flat_map(move |value| [value - room, value + room]), first_px, last_px)
}

fn square(canvas: &mut Canvas, (x, y): (f64, f64), ink: Ink) {
    let mut row = -RADIUS_PX;
    while row <= RADIUS_PX {
        canvas.line((x - RADIUS_PX, y + row), (x + RADIUS_PX, y + row), ink);
        row += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(place: f64, value: f64) -> Point {
        Point { place, value, interval: Some((value - 0.1, value + 0.1)), text: "int8".into() }
    }

    #[test]
    fn points_are_drawn_at_their_places_and_others_are_left_out() {
        let points = vec![point(1.0, 0.5), point(100.0, 0.9), point(0.0, 0.5), point(1.0, f64::NAN)];
        let canvas = Scatter { title: "top1".into(), unit: "ms".into(), points }.draw();
        let marked = canvas.pixels.as_chunks::<3>().0.iter().filter(|pixel| **pixel == MARK).count();
        // Two squares of 7 x 7 pixels.
        assert_eq!(marked, 98);
    }

    #[test]
    fn a_plot_of_one_point_or_none_is_drawn() {
        for points in [vec![], vec![point(3.0, 1.0)]] {
            assert!(
                Scatter { title: String::new(), unit: String::new(), points }
                    .to_png()
                    .expect("a file")
                    .starts_with(b"\x89PNG")
            );
        }
    }
}
