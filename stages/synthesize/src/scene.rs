//! The content of a clip: a shape that moves on a background.
//!
//! The [`Appearance`] of a group (background, shape, colours, speed) is drawn from the seed and the number of the group, so all
//! classes have the same appearances. Position, size and orientation of the shape in a frame have the same uniform distribution in
//! every class, because a motion that reaches the end of its range continues at the start. Only the change between frames shows
//! the class.

use pipe_schemas::stages::synthesize::{Motion, SynthesizeParams};
use std::f64::consts::TAU;

/// Ratio of the largest to the smallest size of a shape.
const SIZE_RANGE: f64 = 2.5;

/// Half of the side of the smallest shape, as a fraction of the short side of the frame.
const SMALLEST: f64 = 0.12;

/// A clip: its class, and its position in the class.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    pub(crate) motion: Motion,
    pub(crate) class_index: usize,
    pub(crate) group: u32,
    /// Number of the clip in its group, from 1.
    pub(crate) number: u32,
}

/// What all clips of a group have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Appearance {
    /// RGB, 0 to 1.
    pub(crate) background: [f64; 3],
    /// The texture of the background.
    pub(crate) waves: [Wave; 3],
    /// RGB, 0 to 1.
    pub(crate) color: [f64; 3],
    /// Index into [`crate::draw::SHAPES`].
    pub(crate) shape: usize,
    /// Factor of the speed, from 0.75 to 1.25.
    pub(crate) speed: f64,
}

/// A sine wave in the background.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wave {
    /// Periods across the width and the height of the frame.
    pub(crate) turns: [f64; 2],
    /// Phase in periods, from 0 to 1.
    pub(crate) phase: f64,
    /// Amplitude per colour.
    pub(crate) strength: [f64; 3],
}

/// The shape in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pose {
    /// Position from 0 to 1 across the frame. Beyond an edge, the shape appears on the other side.
    pub(crate) center: [f64; 2],
    /// Clockwise rotation, in turns.
    pub(crate) angle: f64,
    /// Half of the shape's side, in pixels.
    pub(crate) radius_px: f64,
}

/// A random generator that depends on the seed and on names only.
///
/// It is not `pipe_clips::Draws`, whose numbers are others: with these, generated videos have the same bytes in every version.
pub(crate) struct SceneDraws(blake3::OutputReader);

impl SceneDraws {
    pub(crate) fn new(seed: u64, names: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pipe synthesize");
        hasher.update(&seed.to_le_bytes());
        for name in names {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        Self(hasher.finalize_xof())
    }

    /// Returns a number from 0 up to 1.
    fn unit(&mut self) -> f64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count - 1)
    }
}

/// Returns the name of a class folder.
pub(crate) fn class_name(motion: Motion) -> &'static str {
    match motion {
        Motion::MoveLeft => "MoveLeft",
        Motion::MoveRight => "MoveRight",
        Motion::MoveUp => "MoveUp",
        Motion::MoveDown => "MoveDown",
        Motion::RotateClockwise => "RotateClockwise",
        Motion::RotateCounterclockwise => "RotateCounterclockwise",
        Motion::Grow => "Grow",
        Motion::Shrink => "Shrink",
    }
}

/// Returns every clip, by class, group and number.
pub(crate) fn clips(params: &SynthesizeParams) -> Vec<Clip> {
    let mut clips = Vec::new();
    for (class_index, &motion) in params.classes.iter().enumerate() {
        for group in 1..=params.groups {
            for number in 1..=params.clips_per_group {
                clips.push(Clip { motion, class_index, group, number });
            }
        }
    }
    clips
}

impl Clip {
    /// Returns the path below `videos/`.
    pub(crate) fn path(&self) -> String {
        let class = class_name(self.motion);
        format!("{class}/v_{class}_g{:02}_c{:02}.avi", self.group, self.number)
    }

    /// Returns the shape's pose in each frame.
    pub(crate) fn poses(&self, params: &SynthesizeParams, appearance: &Appearance) -> Vec<Pose> {
        let mut draws = SceneDraws::new(params.seed, &["clip", &self.path()]);
        let start = [draws.unit(), draws.unit(), draws.unit(), draws.unit()];
        (0..params.frames_per_clip).map(|frame| pose(self.motion, start, appearance.speed, frame, params)).collect()
    }
}

/// Returns the pose in frame `frame`, from the `start` values of x, y, angle and size, each from 0 to 1 and cyclic.
fn pose(motion: Motion, start: [f64; 4], speed: f64, frame: u32, params: &SynthesizeParams) -> Pose {
    let (width, height) = (f64::from(params.width_px), f64::from(params.height_px));
    let short = width.min(height);
    let steps = f64::from(frame) * speed;
    let travelled = steps * short / 24.0;
    let mut at = start;
    match motion {
        Motion::MoveLeft => at[0] -= travelled / width,
        Motion::MoveRight => at[0] += travelled / width,
        Motion::MoveUp => at[1] -= travelled / height,
        Motion::MoveDown => at[1] += travelled / height,
        Motion::RotateClockwise => at[2] += steps / 30.0,
        Motion::RotateCounterclockwise => at[2] -= steps / 30.0,
        Motion::Grow => at[3] += steps / 30.0,
        Motion::Shrink => at[3] -= steps / 30.0,
    }
    let [x, y, angle, size] = at.map(|quantity| quantity.rem_euclid(1.0));
    Pose { center: [x, y], angle, radius_px: short * SMALLEST * SIZE_RANGE.powf(size) }
}

impl Appearance {
    /// Returns the appearance of a group, counted from 1.
    pub(crate) fn new(seed: u64, group: u32) -> Self {
        let mut draws = SceneDraws::new(seed, &["group", &group.to_string()]);
        let dark_shape = draws.unit() < 0.5;
        let mut shade = |dark: bool| {
            let (low, high) = if dark { (0.05, 0.3) } else { (0.65, 0.95) };
            [draws.between(low, high), draws.between(low, high), draws.between(low, high)]
        };
        let (color, background) = (shade(dark_shape), shade(!dark_shape));
        let wave = |_| Wave {
            turns: [draws.between(-3.0, 3.0), draws.between(-3.0, 3.0)],
            phase: draws.unit(),
            strength: [draws.between(0.0, 0.06), draws.between(0.0, 0.06), draws.between(0.0, 0.06)],
        };
        let waves = [0, 1, 2].map(wave);
        let shape = draws.below(crate::draw::SHAPES.len());
        let speed = draws.between(0.75, 1.25);
        Self { background, waves, color, shape, speed }
    }

    /// Returns the colour of the background at a position, each coordinate from 0 to 1 across the frame.
    pub(crate) fn background_at(&self, x: f64, y: f64) -> [f64; 3] {
        let mut color = self.background;
        for wave in &self.waves {
            let height = (TAU * (wave.turns[0] * x + wave.turns[1] * y + wave.phase)).sin();
            for (channel, strength) in color.iter_mut().zip(wave.strength) {
                *channel += height * strength;
            }
        }
        color
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(motion: Motion, changes: fn(&Pose) -> f64, expect_sign: f64) {
        let params = SynthesizeParams::default();
        let first = pose(motion, [0.5; 4], 1.0, 0, &params);
        let next = pose(motion, [0.5; 4], 1.0, 1, &params);
        assert!((changes(&next) - changes(&first)) * expect_sign > 0.0, "{motion:?}");
        let same = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let changed = [
            !same(first.center[0], next.center[0]),
            !same(first.center[1], next.center[1]),
            !same(first.angle, next.angle),
            !same(first.radius_px, next.radius_px),
        ];
        assert_eq!(changed.iter().filter(|&&changed| changed).count(), 1, "{motion:?}");
    }

    #[test]
    fn each_class_changes_one_thing() {
        check(Motion::MoveLeft, |pose| pose.center[0], -1.0);
        check(Motion::MoveRight, |pose| pose.center[0], 1.0);
        check(Motion::MoveUp, |pose| pose.center[1], -1.0);
        check(Motion::MoveDown, |pose| pose.center[1], 1.0);
        check(Motion::RotateClockwise, |pose| pose.angle, 1.0);
        check(Motion::RotateCounterclockwise, |pose| pose.angle, -1.0);
        check(Motion::Grow, |pose| pose.radius_px, 1.0);
        check(Motion::Shrink, |pose| pose.radius_px, -1.0);
    }

    #[test]
    fn appearances_depend_only_on_seed_and_group() {
        assert_eq!(Appearance::new(7, 3), Appearance::new(7, 3));
        assert_ne!(Appearance::new(7, 3), Appearance::new(7, 4));
        assert_ne!(Appearance::new(7, 3), Appearance::new(8, 3));
    }

    #[test]
    fn poses_have_the_same_distribution_in_each_class() {
        let params = SynthesizeParams { clips_per_group: 40, ..SynthesizeParams::default() };
        let clips = clips(&params);
        for (class_index, motion) in params.classes.iter().enumerate() {
            let of_class = clips.iter().filter(|clip| clip.class_index == class_index);
            let mut sums = [0.0; 4];
            for clip in of_class.clone() {
                let pose = clip.poses(&params, &Appearance::new(params.seed, clip.group))[20];
                let size = (pose.radius_px / (120.0 * SMALLEST)).ln() / SIZE_RANGE.ln();
                for (sum, value) in sums.iter_mut().zip([pose.center[0], pose.center[1], pose.angle, size]) {
                    *sum += value / 1000.0;
                }
            }
            assert_eq!(of_class.count(), 1000);
            // The mean of 1,000 uniform draws is within 0.04 of a half, except once in 100,000 times.
            assert!(sums.iter().all(|mean| (mean - 0.5).abs() < 0.04), "{motion:?} {sums:?}");
        }
    }
}
