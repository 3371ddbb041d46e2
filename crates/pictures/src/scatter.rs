//! [`Scatter`]: numbered points over a logarithmic axis, with a legend.

use crate::canvas::{Canvas, Ink};
use crate::font;
use crate::plot::{
    Axis, BACKGROUND, BOTTOM_PX, GRID, HEIGHT_PX, INK, LEFT_PX, MARK, RIGHT_PX, TOP_PX, WIDTH_PX, levels,
};
use std::io;

/// Half of the side of a point.
const RADIUS_PX: f64 = 3.0;

/// Room between the points and the edges, as a share of the range.
const MARGIN: f64 = 0.08;

/// Colors of the series, in turns: orange, blue, green, pink.
const SERIES: [Ink; 4] = [MARK, [96, 176, 255], [128, 216, 128], [255, 136, 192]];

/// Points over a logarithmic axis, as a picture that is 640 pixels wide. Each point has a number, and below the axes is a line of text for each.
#[derive(Debug)]
pub struct Scatter {
    /// The text above the points.
    pub title: String,
    /// The unit of the horizontal axis, such as `ms`.
    pub unit: String,
    /// The points, in the order of the legend. Those that are not finite are left out.
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
    /// The number of its series, which has a color.
    pub series: usize,
    /// Its text in the legend.
    pub text: String,
}

/// An area of the picture: its left, top, right and bottom edge.
#[derive(Clone, Copy)]
struct Area(f64, f64, f64, f64);

impl Area {
    fn meets(self, other: Self) -> bool {
        self.0 < other.2 && other.0 < self.2 && self.1 < other.3 && other.1 < self.3
    }

    fn around((x, y): (f64, f64)) -> Self {
        Self(x - RADIUS_PX, y - RADIUS_PX, x + RADIUS_PX, y + RADIUS_PX)
    }
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
        let mut canvas = Canvas::new(WIDTH_PX, HEIGHT_PX + (points.len() + 1) * font::HEIGHT_PX, BACKGROUND);
        canvas.text(&self.title, LEFT_PX, (TOP_PX - font::HEIGHT_PX) / 2, INK);
        levels(&mut canvas, up);
        self.draw_places(&mut canvas, across);
        let at: Vec<(f64, f64)> =
            points.iter().map(|point| (across.px(point.place.log10()), up.px(point.value))).collect();
        for (point, (x, _)) in points.iter().zip(&at) {
            if let Some((low, high)) = point.interval {
                canvas.line((*x, up.px(low)), (*x, up.px(high)), INK);
            }
        }
        let mut taken: Vec<Area> = at.iter().copied().map(Area::around).collect();
        for (number, (point, (x, y))) in (1..).zip(points.iter().zip(at)) {
            let ink = SERIES[point.series % SERIES.len()];
            square(&mut canvas, (x, y), ink);
            let number = number.to_string();
            let place = free_place((x, y), number.len(), &taken);
            canvas.text(&number, place.0 as usize, place.1 as usize, ink);
            taken.push(place);
        }
        draw_legend(&mut canvas, &points);
        canvas
    }

    /// Writes places below the axis.
    fn draw_places(&self, canvas: &mut Canvas, across: Axis) {
        for place in places(across) {
            let x = across.px(place.log10());
            canvas.line((x, TOP_PX as f64), (x, BOTTOM_PX as f64), GRID);
            let label = format!("{} {}", (place * 1000.0).round() / 1000.0, self.unit);
            let width = label.chars().count() * font::ADVANCE_PX;
            let left = (x as usize).saturating_sub(width / 2).min(WIDTH_PX.saturating_sub(width + 4));
            canvas.text(&label, left, BOTTOM_PX + 8, INK);
        }
    }
}

/// Returns an axis with room at both ends.
fn wide(values: impl Iterator<Item = f64> + Clone, first_px: usize, last_px: usize) -> Axis {
    let (low, high) =
        values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = if low < high { (high - low) * MARGIN } else { 0.0 };
    Axis::of(values.flat_map(move |value| [value - room, value + room]), first_px, last_px)
}

/// Returns round places of an axis of logarithms; both ends, if it is too short for them.
fn places(across: Axis) -> Vec<f64> {
    let (low, high) = across.range();
    let with_digits = |digits: &[f64]| -> Vec<f64> {
        let powers = low.floor() as i32..=high.floor() as i32;
        let all = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        all.filter(|place| (low..=high).contains(&place.log10())).collect()
    };
    let candidates = [vec![1.0, 2.0, 5.0], (1..10).map(f64::from).collect()].map(|digits| with_digits(&digits));
    let round = candidates.into_iter().find(|places| places.len() > 2);
    round.unwrap_or_else(|| [low, high].map(|end| 10_f64.powf(end)).to_vec())
}

/// Returns a place beside a point for a number of some digits: the nearest that is free.
fn free_place((x, y): (f64, f64), num_digits: usize, taken: &[Area]) -> Area {
    let (width, height) = ((num_digits * font::ADVANCE_PX) as f64, font::HEIGHT_PX as f64);
    let gap = RADIUS_PX + 3.0;
    let place = |across: f64, rows: f64| {
        let (left, top) = (x + across, y + rows * height - height / 2.0);
        Area(left, top, left + width, top + height)
    };
    let is_inside = |place: &Area| place.1 >= TOP_PX as f64 && place.3 <= BOTTOM_PX as f64;
    let is_free = |place: &Area| is_inside(place) && !taken.iter().any(|other| place.meets(*other));
    let around = (0..10).map(f64::from).flat_map(|rows| {
        let sides = [gap, -gap - width, -width / 2.0];
        sides.into_iter().flat_map(move |across| [(across, -rows), (across, rows)])
    });
    let mut places = around.map(|(across, rows)| place(across, rows));
    places.find(is_free).unwrap_or_else(|| place(gap, 0.0))
}

/// Writes the number and the text of each point below the axes.
fn draw_legend(canvas: &mut Canvas, points: &[&Point]) {
    let num_digits = points.len().to_string().len();
    for (row, point) in points.iter().enumerate() {
        let text = format!("{:>num_digits$}  {}", row + 1, point.text);
        let top = HEIGHT_PX + row * font::HEIGHT_PX + font::HEIGHT_PX / 2;
        let text = font::shortened(&text, WIDTH_PX - LEFT_PX);
        canvas.text(&text, LEFT_PX, top, SERIES[point.series % SERIES.len()]);
    }
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
        Point { place, value, interval: Some((value - 0.1, value + 0.1)), series: 0, text: "int8".into() }
    }

    /// Returns the number of pixels of a color above the legend.
    fn num_pixels(canvas: &Canvas, ink: Ink) -> usize {
        let pixels = &canvas.pixels.as_chunks::<3>().0[..WIDTH_PX * HEIGHT_PX];
        pixels.iter().filter(|pixel| **pixel == ink).count()
    }

    #[test]
    fn points_are_drawn_at_their_places_and_others_are_left_out() {
        let blue = Point { series: 1, ..point(100.0, 0.9) };
        let points = vec![point(1.0, 0.5), blue, point(0.0, 0.5), point(1.0, f64::NAN)];
        let canvas = Scatter { title: "top1".into(), unit: "ms".into(), points }.draw();
        for ink in &SERIES[..2] {
            // A square of 7 x 7 pixels, and its number.
            let num = num_pixels(&canvas, *ink);
            assert!((49..120).contains(&num), "{num} pixels");
        }
        assert_eq!(num_pixels(&canvas, SERIES[2]), 0);
        // A line of the legend for each, and the margins.
        assert_eq!(canvas.height(), HEIGHT_PX + 3 * font::HEIGHT_PX);
    }

    #[test]
    fn numbers_of_points_at_the_same_place_do_not_cover_each_other() {
        let mut taken = vec![Area::around((300.0, 200.0)); 12];
        for _ in 0..12 {
            let place = free_place((300.0, 200.0), 2, &taken);
            assert!(!taken.iter().any(|other| place.meets(*other)));
            taken.push(place);
        }
    }

    #[test]
    fn places_are_round() {
        let axis = |low: f64, high: f64| Axis::of([low.log10(), high.log10()].into_iter(), LEFT_PX, RIGHT_PX);
        let rounded = |low, high| places(axis(low, high)).iter().map(|place| place.round() as i64).collect::<Vec<_>>();
        assert_eq!(rounded(14.0, 513.0), [20, 50, 100, 200, 500]);
        assert_eq!(rounded(4.2, 9.5), [5, 6, 7, 8, 9]);
        assert_eq!(rounded(32.0, 37.0), [32, 37], "the ends");
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
