//! [`Canvas`]: paints a frame with soft edges, so that motion of less than a pixel is visible.

use crate::scene::{Appearance, Pose};
use std::f64::consts::TAU;

/// The shapes. Each is a union of boxes `[left, top, right, bottom]` within -1 to 1, without rotational symmetry.
pub(crate) const SHAPES: [&[[f64; 4]]; 5] = [
    // An L.
    &[[-0.7, -1.0, -0.2, 1.0], [-0.7, 0.5, 0.8, 1.0]],
    // An F.
    &[[-0.7, -1.0, -0.25, 1.0], [-0.7, -1.0, 0.8, -0.55], [-0.7, -0.2, 0.4, 0.25]],
    // A flag on a pole.
    &[[-0.7, -1.0, -0.45, 1.0], [-0.7, -1.0, 0.8, 0.1]],
    // A hook.
    &[[0.2, -1.0, 0.7, 1.0], [-0.7, 0.55, 0.7, 1.0], [-0.7, 0.1, -0.3, 1.0]],
    // Steps.
    &[[-0.9, 0.4, 0.9, 1.0], [-0.3, -0.3, 0.9, 1.0], [0.3, -1.0, 0.9, 1.0]],
];

/// Distance from the centre of a shape to its farthest point, a corner of its square, as a multiple of its radius.
const REACH: f64 = std::f64::consts::SQRT_2;

/// The background of a group, painted once.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    /// `[H, W, 3]`, 0 to 1.
    background: Vec<[f64; 3]>,
    /// `[H, W, 3]`
    rgb: Vec<u8>,
}

impl Canvas {
    pub(crate) fn new(appearance: &Appearance, width_px: u32, height_px: u32) -> Self {
        let (width, height) = (width_px as usize, height_px as usize);
        let at = |index: usize| {
            let (x, y) = ((index % width) as f64 + 0.5, (index / width) as f64 + 0.5);
            appearance.background_at(x / width as f64, y / height as f64)
        };
        let background: Vec<_> = (0..width * height).map(at).collect();
        let rgb = background.iter().flatten().map(|&value| byte(value)).collect();
        Self { width, height, background, rgb }
    }

    /// Returns the frame.
    ///
    /// # Shapes
    /// - returns: `[H, W, 3]`
    pub(crate) fn paint(&self, appearance: &Appearance, pose: &Pose) -> Vec<u8> {
        let (sin, cos) = (TAU * pose.angle).sin_cos();
        let center = [pose.center[0] * self.width as f64, pose.center[1] * self.height as f64];
        let reach = pose.radius_px * REACH + 1.0;
        let boxes = SHAPES[appearance.shape];
        let mut rgb = self.rgb.clone();
        for (row, y) in around(center[1], reach, self.height) {
            for (column, x) in around(center[0], reach, self.width) {
                // The point in the coordinates of the shape. The y axis points down, so the shape is rotated clockwise.
                let (u, v) = (x * cos + y * sin, y * cos - x * sin);
                let distances = boxes.iter().map(|bounds| distance_px(bounds, pose.radius_px, u, v));
                let cover = (0.5 - distances.fold(f64::MAX, f64::min)).clamp(0.0, 1.0);
                let at = row * self.width + column;
                for (channel, (color, behind)) in appearance.color.iter().zip(self.background[at]).enumerate() {
                    rgb[3 * at + channel] = byte(behind + (color - behind) * cover);
                }
            }
        }
        rgb
    }
}

fn byte(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Returns the pixels within `reach` of `center` on a circle of `length` pixels, each once, with their distances.
fn around(center: f64, reach: f64, length: usize) -> impl Iterator<Item = (usize, f64)> {
    let first = (center - reach).floor() as i64;
    let count = ((2.0 * reach) as i64 + 2).min(length as i64);
    let pixel = move |at: i64| (at.rem_euclid(length as i64) as usize, at as f64 + 0.5 - center);
    (first..first + count).map(pixel)
}

/// Returns the distance from a point to a box, negative inside.
fn distance_px(bounds: &[f64; 4], radius_px: f64, x: f64, y: f64) -> f64 {
    let [left, top, right, bottom] = bounds.map(|bound| bound * radius_px);
    let outside_x = (left - x).max(x - right);
    let outside_y = (top - y).max(y - bottom);
    let (x, y) = (outside_x.max(0.0), outside_y.max(0.0));
    (x * x + y * y).sqrt() + outside_x.max(outside_y).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_to_a_box() {
        let check = |x, y, expect: f64| {
            let found = distance_px(&[-1.0, -1.0, 1.0, 0.5], 10.0, x, y);
            assert!((found - expect).abs() < 1e-9, "{found}");
        };
        check(0.0, 0.0, -5.0);
        check(13.0, 0.0, 3.0);
        check(13.0, 9.0, 5.0);
    }

    #[test]
    fn a_shape_beyond_the_edge_appears_on_the_other_side() {
        let appearance = Appearance {
            waves: Appearance::new(0, 1).waves.map(|wave| crate::scene::Wave { strength: [0.0; 3], ..wave }),
            ..Appearance::new(0, 1)
        };
        let canvas = Canvas::new(&appearance, 64, 48);
        let area = |x: f64, y: f64| {
            let frame = canvas.paint(&appearance, &Pose { center: [x, y], angle: 0.0, radius_px: 10.0 });
            let shape = (appearance.color[0] * 255.0).round() as u8;
            frame.chunks(3).filter(|pixel| pixel[0] == shape).count()
        };
        assert_eq!(area(0.5, 0.5), area(0.0, 0.0));
        assert!(area(0.5, 0.5) > 50);
    }

    #[test]
    fn no_shape_has_rotational_symmetry() {
        for shape in 0..SHAPES.len() {
            let appearance = Appearance { shape, ..Appearance::new(0, 1) };
            let canvas = Canvas::new(&appearance, 64, 64);
            let frame = |angle| canvas.paint(&appearance, &Pose { center: [0.5, 0.5], angle, radius_px: 15.0 });
            for turns in 1..12 {
                let (a, b) = (frame(0.0), frame(f64::from(turns) / 12.0));
                let different = a.iter().zip(&b).filter(|(a, b)| a.abs_diff(**b) > 40).count();
                assert!(different > 150, "shape {shape} after {turns}/12 of a turn: {different}");
            }
        }
    }
}
