//! [`RandomOp`]: the operations that `RandAugment` and `AugMix` choose from, and what their strength means.

use super::PixelOp;
use crate::Draws;

/// The largest strength.
pub(crate) const MAX_LEVEL: f64 = 10.0;

/// An operation before its strength is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RandomOp {
    Brightness,
    Contrast,
    Saturation,
    Sharpness,
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

impl RandomOp {
    /// Returns the operation at strength `level`, from 0 to [`MAX_LEVEL`]. Directions are random.
    ///
    /// `factor` draws the factor of brightness, contrast, saturation and sharpness; `max_translation` is a share of the side.
    pub(crate) fn at_level(
        self,
        level: f64,
        max_translation: f64,
        factor: impl Fn(&mut Draws) -> f64,
        draws: &mut Draws,
    ) -> PixelOp {
        let share = level / MAX_LEVEL;
        let mut signed = |most: f64| either_sign(most * share, draws) as f32;
        match self {
            Self::Brightness => PixelOp::Brightness(factor(draws) as f32),
            Self::Contrast => PixelOp::Contrast(factor(draws) as f32),
            Self::Saturation => PixelOp::Saturation(factor(draws) as f32),
            Self::Sharpness => PixelOp::Sharpness(factor(draws) as f32),
            Self::AutoContrast => PixelOp::AutoContrast,
            Self::Equalize => PixelOp::Equalize,
            Self::Invert => PixelOp::Invert,
            Self::Rotate => PixelOp::Rotate(signed(30.0)),
            Self::Posterize => PixelOp::Posterize(4 - (4.0 * share) as u8),
            Self::Solarize => PixelOp::Solarize((255.0 * (1.0 - share)) as f32),
            Self::ShearX => PixelOp::ShearX(signed(0.3)),
            Self::ShearY => PixelOp::ShearY(signed(0.3)),
            Self::TranslateX => PixelOp::TranslateX(signed(max_translation)),
            Self::TranslateY => PixelOp::TranslateY(signed(max_translation)),
        }
    }
}

/// Returns `value` or `-value`, both equally probable.
pub(crate) fn either_sign(value: f64, draws: &mut Draws) -> f64 {
    if draws.unit() < 0.5 { value } else { -value }
}
