//! Colour codings in FFmpeg's terms: reads them from frames, and sets them for swscale.

use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::ffi;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling;
use pipe_pixels::{ColorCoding, ColorMatrix};

/// Returns the coding of a frame. Where a file does not name the matrix, it is BT.601, as in FFmpeg itself. Where it does not name
/// the range, grey is full range, and YUV is limited.
pub(crate) fn coding_of(picture: &frame::Video) -> ColorCoding {
    let matrix = match picture.color_space() {
        Space::BT709 => ColorMatrix::Bt709,
        Space::FCC => ColorMatrix::Fcc,
        Space::SMPTE240M => ColorMatrix::Smpte240m,
        Space::BT2020NCL | Space::BT2020CL => ColorMatrix::Bt2020,
        _ => ColorMatrix::Bt601,
    };
    let full_range = is_jpeg_format(picture.format())
        || match picture.color_range() {
            Range::JPEG => true,
            Range::MPEG => false,
            Range::Unspecified => is_grey(picture.format()),
        };
    ColorCoding { full_range, matrix }
}

/// Returns whether a format is full range by its definition.
fn is_jpeg_format(format: Pixel) -> bool {
    matches!(format, Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::YUVJ440P | Pixel::YUVJ411P)
}

/// Returns whether a format has luma only, with or without transparency.
pub(crate) fn is_grey(format: Pixel) -> bool {
    // The formats of other depths and byte orders: `gray10le`, `grayf32be`, `ya16le`.
    let name = format.descriptor().map_or("", |format| format.name());
    name.starts_with("gray") || name.starts_with("ya")
}

/// Returns swscale's number of a matrix.
fn swscale_matrix(matrix: ColorMatrix) -> i32 {
    match matrix {
        ColorMatrix::Bt601 => ffi::SWS_CS_ITU601,
        ColorMatrix::Bt709 => ffi::SWS_CS_ITU709,
        ColorMatrix::Fcc => ffi::SWS_CS_FCC,
        ColorMatrix::Smpte240m => ffi::SWS_CS_SMPTE240M,
        ColorMatrix::Bt2020 => ffi::SWS_CS_BT2020,
    }
}

/// Sets how a context reads its input and codes its output.
#[expect(unsafe_code, reason = "ffmpeg-next has no sws_setColorspaceDetails")]
pub(crate) fn set_coding(context: &mut scaling::Context, source: ColorCoding, target: ColorCoding) {
    const NEUTRAL: i32 = 1 << 16;
    // SAFETY: the context is valid while it is borrowed. The tables are static arrays of four numbers inside swscale, which
    // returns a default for a number that it does not know.
    unsafe {
        ffi::sws_setColorspaceDetails(
            context.as_mut_ptr(),
            ffi::sws_getCoefficients(swscale_matrix(source.matrix)),
            i32::from(source.full_range),
            ffi::sws_getCoefficients(swscale_matrix(target.matrix)),
            i32::from(target.full_range),
            0,
            NEUTRAL,
            NEUTRAL,
        );
    }
}
