//! Which numbers stand for which colours: the range and the matrix of a frame, for swscale and for our own arithmetic.

use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::ffi;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling;

/// How a frame's numbers are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    /// 0 to 255, not 16 to 235.
    pub(crate) full_range: bool,
    /// swscale's number of the matrix between RGB and YUV.
    pub(crate) matrix: i32,
}

impl Coding {
    /// What JPEG files hold.
    pub(crate) const JPEG: Self = Self { full_range: true, matrix: ffi::SWS_CS_ITU601 };

    /// Returns the coding of a frame. Where a file does not say, the matrix is BT.601, as in FFmpeg itself.
    pub(crate) fn of(picture: &frame::Video) -> Self {
        let jpeg_format = matches!(
            picture.format(),
            Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::YUVJ440P | Pixel::YUVJ411P
        );
        let matrix = match picture.color_space() {
            Space::BT709 => ffi::SWS_CS_ITU709,
            Space::FCC => ffi::SWS_CS_FCC,
            Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
            Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
            _ => ffi::SWS_CS_ITU601,
        };
        Self { full_range: jpeg_format || picture.color_range() == Range::JPEG, matrix }
    }
}

/// What makes full-range BT.601 of a frame's numbers, after 16 or 0 is taken from luma and 128 from chroma:
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

impl Coding {
    /// Returns whether only the range, if anything, is to change.
    pub(crate) fn has_jpeg_matrix(self) -> bool {
        self.matrix == Self::JPEG.matrix
    }

    /// Returns what makes numbers of [`Coding::JPEG`].
    pub(crate) fn to_jpeg(self) -> ToJpeg {
        let (kr, kb) = self.weights();
        let (target_kr, target_kb) = Self::JPEG.weights();
        let (luma_gain, chroma_gain) = if self.full_range { (1.0, 1.0) } else { (255.0 / 219.0, 255.0 / 224.0) };
        // R, G and B less Y, for a Cb of 1 and for a Cr of 1.
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

    /// Returns the weights of red and blue in luma.
    fn weights(self) -> (f64, f64) {
        match self.matrix {
            ffi::SWS_CS_ITU709 => (0.2126, 0.0722),
            ffi::SWS_CS_FCC => (0.30, 0.11),
            ffi::SWS_CS_SMPTE240M => (0.212, 0.087),
            ffi::SWS_CS_BT2020 => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        }
    }
}

/// Tells a context how to read its input and what to write.
#[expect(unsafe_code, reason = "ffmpeg-next has no sws_setColorspaceDetails")]
pub(crate) fn set(context: &mut scaling::Context, source: Coding, target: Coding) {
    const NEUTRAL: i32 = 1 << 16;
    // SAFETY: the context is valid while borrowed; the tables are static arrays of four numbers inside swscale, which
    // returns a default for a number it does not know.
    unsafe {
        ffi::sws_setColorspaceDetails(
            context.as_mut_ptr(),
            ffi::sws_getCoefficients(source.matrix),
            i32::from(source.full_range),
            ffi::sws_getCoefficients(target.matrix),
            i32::from(target.full_range),
            0,
            NEUTRAL,
            NEUTRAL,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what becomes of a colour that is coded by `coding`.
    fn check(coding: Coding, rgb: [f64; 3]) {
        let coded = |coding: Coding| {
            let (kr, kb) = coding.weights();
            let luma = kr * rgb[0] + (1.0 - kr - kb) * rgb[1] + kb * rgb[2];
            [luma, (rgb[2] - luma) / (2.0 - 2.0 * kb), (rgb[0] - luma) / (2.0 - 2.0 * kr)]
        };
        let (luma_scale, chroma_scale) = if coding.full_range { (1.0, 1.0) } else { (219.0 / 255.0, 224.0 / 255.0) };
        let [y, blue, red] = coded(coding);
        let (y, blue, red) = (y * luma_scale, blue * chroma_scale, red * chroma_scale);
        let to = coding.to_jpeg();
        let found = [
            to.luma[0] * y + to.luma[1] * blue + to.luma[2] * red,
            to.blue[0] * blue + to.blue[1] * red,
            to.red[0] * blue + to.red[1] * red,
        ];
        for (found, expect) in found.into_iter().zip(coded(Coding::JPEG)) {
            assert!((found - expect).abs() < 1e-9, "{found} for {expect}: {coding:?} {rgb:?}");
        }
    }

    #[test]
    fn a_colour_stays_itself_in_another_coding() {
        for matrix in
            [ffi::SWS_CS_ITU601, ffi::SWS_CS_ITU709, ffi::SWS_CS_FCC, ffi::SWS_CS_SMPTE240M, ffi::SWS_CS_BT2020]
        {
            for full_range in [false, true] {
                let coding = Coding { full_range, matrix };
                for rgb in [[255.0, 0.0, 0.0], [0.0, 200.0, 10.0], [3.0, 5.0, 250.0], [128.0; 3]] {
                    check(coding, rgb);
                }
            }
        }
    }
}
