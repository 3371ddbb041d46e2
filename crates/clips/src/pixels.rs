//! What is done to the pixels of a clip after it is cut, scaled and mirrored: [`PixelOp`].
//!
//! [`draw()`] draws operations from transforms, [`to_text`] and [`parse`] turn them to and from the column `pixel_ops` of
//! the `samples` tables, and [`PixelOp::apply`] does them. Each operation rounds to whole levels; all frames of a clip get
//! the same ones.

mod affine;
mod apply;
mod draw;

use crate::ClipError;
use serde::{Deserialize, Serialize};

pub use draw::draw;

/// An operation with all that was drawn for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PixelOp {
    /// Times a factor: 0 is black, 1 changes nothing.
    Brightness(f32),
    /// Away from the frame's mean grey by a factor: 0 is grey, 1 changes nothing.
    Contrast(f32),
    /// Away from each pixel's grey by a factor.
    Saturation(f32),
    /// Away from a smoothed frame by a factor.
    Sharpness(f32),
    /// The hue moves by a share of the circle.
    Hue(f32),
    /// The darkest level of each channel becomes 0, the lightest 255.
    AutoContrast,
    /// All levels of each channel become equally frequent.
    Equalize,
    /// Levels are subtracted from 255.
    Invert,
    /// Keeps so many bits of each level.
    Posterize(u8),
    /// Inverts levels from a threshold on.
    Solarize(f32),
    /// Counter-clockwise, in degrees.
    Rotate(f32),
    /// Each row by a share of its distance from the top.
    ShearX(f32),
    /// Each column by a share of its distance from the left.
    ShearY(f32),
    /// By a share of the width.
    TranslateX(f32),
    /// By a share of the height.
    TranslateY(f32),
    /// Fills a box: left, top, width and height in pixels of the clip.
    Erase([u32; 4], Fill),
    /// Blends the frame with what chains of operations make of it.
    AugMix {
        /// Share of the frame itself.
        own: f32,
        /// The others; their shares sum to 1.
        chains: Vec<Chain>,
    },
}

/// What a box is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Red, green and blue.
    Color([u8; 3]),
    /// Random levels from a generator of this seed, other ones in each frame.
    Noise(u64),
}

/// Operations of [`PixelOp::AugMix`], one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Of all chains together.
    pub share: f32,
    /// At least one.
    pub ops: Vec<PixelOp>,
}

/// Returns operations as the column has them.
pub fn to_text(ops: &[PixelOp]) -> Result<String, ClipError> {
    if ops.is_empty() { Ok(String::new()) } else { serde_json::to_string(ops).map_err(ClipError::PixelOps) }
}

/// Returns the operations of the column, for a clip of so many pixels.
///
/// # Errors
/// [`ClipError`] if they are none, or can't be done to such a clip.
pub fn parse(text: &str, width_px: u32, height_px: u32) -> Result<Vec<PixelOp>, ClipError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let ops: Vec<PixelOp> = serde_json::from_str(text).map_err(ClipError::PixelOps)?;
    match ops.iter().find(|op| !op.fits(width_px, height_px, true)) {
        Some(op) => Err(ClipError::PixelOp { op: to_text(std::slice::from_ref(op))?, width_px, height_px }),
        None => Ok(ops),
    }
}

impl PixelOp {
    fn fits(&self, width_px: u32, height_px: u32, outermost: bool) -> bool {
        match self {
            Self::Erase([left, top, width, height], _) => {
                let within = |start: u32, length: u32, limit| start.checked_add(length).is_some_and(|end| end <= limit);
                within(*left, *width, width_px) && within(*top, *height, height_px)
            }
            Self::AugMix { own, chains } => {
                let inner = |chain: &Chain| chain.ops.iter().all(|op| op.fits(width_px, height_px, false));
                outermost && own.is_finite() && chains.iter().all(|chain| chain.share.is_finite() && inner(chain))
            }
            Self::Posterize(bits) => *bits <= 8,
            Self::AutoContrast | Self::Equalize | Self::Invert => true,
            Self::Brightness(value)
            | Self::Contrast(value)
            | Self::Saturation(value)
            | Self::Sharpness(value)
            | Self::Hue(value)
            | Self::Solarize(value)
            | Self::Rotate(value)
            | Self::ShearX(value)
            | Self::ShearY(value)
            | Self::TranslateX(value)
            | Self::TranslateY(value) => value.is_finite(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_back_from_their_text() {
        let ops = vec![
            PixelOp::Brightness(1.25),
            PixelOp::Equalize,
            PixelOp::Erase([1, 2, 3, 4], Fill::Noise(u64::MAX)),
            PixelOp::AugMix { own: 0.3, chains: vec![Chain { share: 1.0, ops: vec![PixelOp::Rotate(-7.5)] }] },
        ];
        let text = to_text(&ops).expect("text");
        let expect = r#"[{"brightness":1.25},"equalize",{"erase":[[1,2,3,4],{"noise":18446744073709551615}]},{"aug_mix":{"own":0.3,"chains":[{"share":1.0,"ops":[{"rotate":-7.5}]}]}}]"#;
        assert_eq!(text, expect);
        assert_eq!(parse(&text, 4, 6).expect("operations"), ops);
        assert_eq!(to_text(&[]).expect("text"), "");
        assert_eq!(parse("", 4, 6).expect("none"), []);
    }

    #[test]
    fn what_can_not_be_done_is_refused() {
        let check = |text: &str, expect: &str| {
            let error = parse(text, 32, 24).expect_err(text).to_string();
            assert!(error.starts_with(expect), "{error}");
        };
        check("[", "the operations on its pixels can't be read");
        check(r#"["explode"]"#, "the operations on its pixels can't be read");
        check(r#"[{"erase":[[30,0,3,4],{"color":[1,2,3]}]}]"#, r#"`[{"erase":[[30,0,3,4]"#);
        check(r#"[{"posterize":9}]"#, r#"`[{"posterize":9}]` can't be done to a clip of 32x24 px"#);
        let nested = r#"{"aug_mix":{"own":0.5,"chains":[]}}"#;
        check(&format!(r#"[{{"aug_mix":{{"own":0.5,"chains":[{{"share":1.0,"ops":[{nested}]}}]}}}}]"#), "`[{\"aug_mix");
    }
}
