//! Which numbers stand for which colours: range and matrix of swscale's contexts.

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
