//! [`PixelOp`]: a change of the pixels of a clip after it is cropped, scaled and mirrored.
//!
//! [`draw_pixel_ops`](crate::transforms::draw_pixel_ops) draws operations, [`to_text`] and [`parse`] convert them to and from the
//! column `pixel_ops` of the `samples` tables, and [`PixelOp::apply`] applies them. Each operation rounds to whole levels; all
//! frames of a clip get the same operations.

mod affine;
mod apply;
mod histogram;
mod hue;
mod levels;
pub(crate) mod random;

use crate::ClipError;
use serde::{Deserialize, Serialize};

/// An operation with the amounts that were drawn for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PixelOp {
    /// Multiplies levels by a factor: 0 gives black, 1 changes nothing.
    Brightness(f32),
    /// Multiplies the distance from the mean grey of the frame by a factor: 0 gives grey, 1 changes nothing.
    Contrast(f32),
    /// Multiplies the distance from the grey of each pixel by a factor: 0 gives a grey image, 1 changes nothing.
    Saturation(f32),
    /// Multiplies the distance from a smoothed frame by a factor: 0 smooths, 1 changes nothing.
    Sharpness(f32),
    /// Shifts the hue by a share of the color circle, from -0.5 to 0.5.
    Hue(f32),
    /// Stretches each channel so that its darkest level becomes 0 and its lightest 255.
    AutoContrast,
    /// Equalizes the histogram of each channel.
    Equalize,
    /// Subtracts levels from 255.
    Invert,
    /// Keeps the given number of high bits of each level, from 0 to 8.
    Posterize(u8),
    /// Inverts the levels that are not below a threshold.
    Solarize(f32),
    /// Rotates counter-clockwise by degrees.
    Rotate(f32),
    /// Moves each row by a share of its distance from the top.
    ShearX(f32),
    /// Moves each column by a share of its distance from the left.
    ShearY(f32),
    /// Moves the frame horizontally by a share of its width.
    TranslateX(f32),
    /// Moves the frame vertically by a share of its height.
    TranslateY(f32),
    /// Fills a box: left, top, width and height in pixels of the clip.
    Erase([u32; 4], Fill),
    /// Blends the frame with versions of itself that chains of operations change.
    AugMix {
        /// Share of the unchanged frame, from 0 to 1.
        own: f32,
        /// The changed versions. Their shares are relative to the rest and sum to 1.
        chains: Vec<Chain>,
    },
}

/// The content of an erased box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Red, green and blue.
    Color([u8; 3]),
    /// Random levels from a generator with this seed, different in each frame.
    Noise(u64),
}

/// Operations of [`PixelOp::AugMix`], one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Share among all chains, from 0 to 1.
    pub share: f32,
    /// Operations in the order in which they are applied.
    pub ops: Vec<PixelOp>,
}

/// Returns the text of the column `pixel_ops`: JSON, or nothing if there are no operations.
pub fn to_text(ops: &[PixelOp]) -> Result<String, ClipError> {
    if ops.is_empty() { Ok(String::new()) } else { serde_json::to_string(ops).map_err(ClipError::PixelOps) }
}

/// Parses the column `pixel_ops` of a clip of `width_px` by `height_px`.
///
/// # Errors
/// [`ClipError::PixelOps`] if the text is not valid, [`ClipError::PixelOp`] if an operation can't be applied to such a clip.
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
    fn operations_are_read_back_from_their_text() {
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
    fn invalid_operations_are_refused() {
        let check = |text: &str, expect: &str| {
            let error = parse(text, 32, 24).expect_err(text).to_string();
            assert!(error.starts_with(expect), "{error}");
        };
        check("[", "its pixel operations can't be read");
        check(r#"["explode"]"#, "its pixel operations can't be read");
        check(r#"[{"erase":[[30,0,3,4],{"color":[1,2,3]}]}]"#, r#"`[{"erase":[[30,0,3,4]"#);
        check(r#"[{"posterize":9}]"#, r#"`[{"posterize":9}]` can't be applied to a clip of 32x24 px"#);
        let nested = r#"{"aug_mix":{"own":0.5,"chains":[]}}"#;
        check(&format!(r#"[{{"aug_mix":{{"own":0.5,"chains":[{{"share":1.0,"ops":[{nested}]}}]}}}}]"#), "`[{\"aug_mix");
    }
}
