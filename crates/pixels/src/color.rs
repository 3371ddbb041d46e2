//! [`ColorCoding`]: how the numbers of a YUV frame stand for colours, and the arithmetic that makes full-range BT.601 of them.

/// How the numbers of a frame are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColorCoding {
    /// Whether luma and chroma use 0 to 255 (full range) and not 16 to 235 and 16 to 240 (limited range).
    pub full_range: bool,
    /// The matrix between RGB and YUV.
    pub matrix: ColorMatrix,
}

/// A matrix between RGB and YUV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMatrix {
    /// BT.601: standard definition, and JPEG files.
    Bt601,
    /// BT.709: high definition.
    Bt709,
    /// FCC, Title 47.
    Fcc,
    /// SMPTE 240M.
    Smpte240m,
    /// BT.2020, non-constant luminance.
    Bt2020,
}

/// The map to full-range BT.601, applied after 16 or 0 is subtracted from luma and 128 from chroma:
///
/// ```text
/// Y'  = luma[0]·Y + luma[1]·Cb + luma[2]·Cr
/// Cb' =             blue[0]·Cb + blue[1]·Cr
/// Cr' =              red[0]·Cb +  red[1]·Cr
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ToJpeg {
    pub(crate) luma: [f64; 3],
    pub(crate) blue: [f64; 2],
    pub(crate) red: [f64; 2],
}

impl ColorMatrix {
    /// Returns the weights of red and blue in luma.
    fn luma_weights(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Fcc => (0.30, 0.11),
            Self::Smpte240m => (0.212, 0.087),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }
}

impl ColorCoding {
    /// The coding of JPEG files: full-range BT.601.
    pub const JPEG: Self = Self { full_range: true, matrix: ColorMatrix::Bt601 };

    /// Returns whether at most the range differs from that of JPEG files.
    pub(crate) fn has_jpeg_matrix(self) -> bool {
        self.matrix == Self::JPEG.matrix
    }

    /// Returns the map to [`ColorCoding::JPEG`].
    pub(crate) fn to_jpeg(self) -> ToJpeg {
        let (kr, kb) = self.matrix.luma_weights();
        let (target_kr, target_kb) = Self::JPEG.matrix.luma_weights();
        let (luma_gain, chroma_gain) = if self.full_range { (1.0, 1.0) } else { (255.0 / 219.0, 255.0 / 224.0) };
        // R - Y, G - Y and B - Y, for a Cb of 1 and for a Cr of 1.
        let rgb = [
            [0.0, -2.0 * kb * (1.0 - kb) / (1.0 - kr - kb), 2.0 * (1.0 - kb)],
            [2.0 * (1.0 - kr), -2.0 * kr * (1.0 - kr) / (1.0 - kr - kb), 0.0],
        ];
        let luma_of = |[r, g, b]: [f64; 3]| target_kr * r + (1.0 - target_kr - target_kb) * g + target_kb * b;
        let of = |rgb: [f64; 3]| {
            let luma = luma_of(rgb);
            let (blue, red) = ((rgb[2] - luma) / (2.0 - 2.0 * target_kb), (rgb[0] - luma) / (2.0 - 2.0 * target_kr));
            [luma, blue, red].map(|value| value * chroma_gain)
        };
        let (of_blue, of_red) = (of(rgb[0]), of(rgb[1]));
        ToJpeg { luma: [luma_gain, of_blue[0], of_red[0]], blue: [of_blue[1], of_red[1]], red: [of_blue[2], of_red[2]] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the map of one colour that is coded as `coding`.
    fn check(coding: ColorCoding, rgb: [f64; 3]) {
        let coded = |matrix: ColorMatrix| {
            let (kr, kb) = matrix.luma_weights();
            let luma = kr * rgb[0] + (1.0 - kr - kb) * rgb[1] + kb * rgb[2];
            [luma, (rgb[2] - luma) / (2.0 - 2.0 * kb), (rgb[0] - luma) / (2.0 - 2.0 * kr)]
        };
        let (luma_scale, chroma_scale) = if coding.full_range { (1.0, 1.0) } else { (219.0 / 255.0, 224.0 / 255.0) };
        let [y, blue, red] = coded(coding.matrix);
        let (y, blue, red) = (y * luma_scale, blue * chroma_scale, red * chroma_scale);
        let to = coding.to_jpeg();
        let found = [
            to.luma[0] * y + to.luma[1] * blue + to.luma[2] * red,
            to.blue[0] * blue + to.blue[1] * red,
            to.red[0] * blue + to.red[1] * red,
        ];
        for (found, expect) in found.into_iter().zip(coded(ColorMatrix::Bt601)) {
            assert!((found - expect).abs() < 1e-9, "{found} instead of {expect}: {coding:?} {rgb:?}");
        }
    }

    #[test]
    fn a_colour_stays_the_same_in_another_coding() {
        use ColorMatrix::{Bt601, Bt709, Bt2020, Fcc, Smpte240m};
        for matrix in [Bt601, Bt709, Fcc, Smpte240m, Bt2020] {
            for full_range in [false, true] {
                for rgb in [[255.0, 0.0, 0.0], [0.0, 200.0, 10.0], [3.0, 5.0, 250.0], [128.0; 3]] {
                    check(ColorCoding { full_range, matrix }, rgb);
                }
            }
        }
    }
}
