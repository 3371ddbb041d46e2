//! [`FrameScaler`]: a decoded frame becomes an upright image of a given size.

use crate::color::{coding_of, set_coding};
use crate::input::check_size;
use crate::{DecodedFrame, VideoError};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::{self, Flags};
use pipe_pixels::{ColorCoding, Orientation, Plane, RgbImage, YuvFrame, YuvImage, YuvScaler};

/// Flags with which swscale gives the same result with and without SIMD.
pub(crate) const SCALING: Flags = Flags::BILINEAR.union(Flags::ACCURATE_RND).union(Flags::BITEXACT);

/// Scales frames (bilinear) to one size. The frames of a video may differ in size and format; the result does not.
///
/// Interlaced frames keep both fields woven into one image, as with FFmpeg, OpenCV, decord and torchcodec.
pub struct FrameScaler {
    /// The target size before frames become upright.
    coded_size: (u32, u32),
    orientation: Orientation,
    planes: YuvScaler,
    converter: Converter,
    /// Images before they become upright.
    scaled: (YuvImage, RgbImage),
    upright: (YuvImage, RgbImage),
}

/// swscale, for frames that are not 8-bit planar YUV, and for RGB.
struct Converter {
    context: Option<(Source, scaling::Context)>,
    converted: frame::Video,
}

/// What a context of swscale depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    format: Pixel,
    width_px: u32,
    height_px: u32,
    coding: ColorCoding,
    to_rgb: bool,
}

impl FrameScaler {
    /// Returns a scaler to `width_px` x `height_px` as displayed, that is, after frames become upright.
    pub fn new(width_px: u32, height_px: u32, orientation: Orientation) -> Result<Self, VideoError> {
        check_size(width_px, height_px)?;
        Ok(Self {
            coded_size: orientation.size((width_px, height_px)),
            orientation,
            planes: YuvScaler::default(),
            converter: Converter { context: None, converted: frame::Video::empty() },
            scaled: Default::default(),
            upright: Default::default(),
        })
    }

    /// Scales a frame. The image is valid until the next call.
    pub fn scale(&mut self, frame: &DecodedFrame) -> Result<&YuvImage, VideoError> {
        let picture = &frame.picture;
        let scaled = &mut self.scaled.0;
        if is_planar(picture) {
            self.planes.scale(&yuv_frame(picture, coding_of(picture)), self.coded_size, scaled);
        } else {
            let converted = self.converter.run(picture, self.coded_size, false)?;
            self.planes.scale(&yuv_frame(converted, ColorCoding::JPEG), self.coded_size, scaled);
        }
        if self.orientation.is_upright() {
            return Ok(&self.scaled.0);
        }
        self.scaled.0.orient(self.orientation, &mut self.upright.0);
        Ok(&self.upright.0)
    }

    /// Scales a frame and converts it to RGB. The image is valid until the next call.
    pub fn scale_rgb(&mut self, frame: &DecodedFrame) -> Result<&RgbImage, VideoError> {
        let converted = self.converter.run(&frame.picture, self.coded_size, true)?;
        let scaled = &mut self.scaled.1;
        (scaled.width_px, scaled.height_px) = self.coded_size;
        let line = 3 * self.coded_size.0 as usize;
        scaled.pixels.clear();
        for row in converted.data(0).chunks(converted.stride(0)).take(self.coded_size.1 as usize) {
            scaled.pixels.extend_from_slice(&row[..line]);
        }
        if self.orientation.is_upright() {
            return Ok(&self.scaled.1);
        }
        self.scaled.1.orient(self.orientation, &mut self.upright.1);
        Ok(&self.upright.1)
    }
}

/// Returns whether a frame consists of planes that can be scaled as they are.
fn is_planar(picture: &frame::Video) -> bool {
    let planar = matches!(
        picture.format(),
        Pixel::YUV420P
            | Pixel::YUVJ420P
            | Pixel::YUV422P
            | Pixel::YUVJ422P
            | Pixel::YUV444P
            | Pixel::YUVJ444P
            | Pixel::YUV440P
            | Pixel::YUVJ440P
            | Pixel::YUV411P
            | Pixel::YUVJ411P
            | Pixel::YUV410P
    );
    // Rows may be stored bottom-up, with a negative stride, which `stride` returns as a huge number.
    planar && picture.planes() >= 3 && (0..3).all(|plane| i32::try_from(picture.stride(plane)).is_ok())
}

fn yuv_frame(picture: &frame::Video, coding: ColorCoding) -> YuvFrame<'_> {
    let plane = |number: usize| Plane {
        data: picture.data(number),
        stride: picture.stride(number),
        width: picture.plane_width(number) as usize,
        height: picture.plane_height(number) as usize,
    };
    YuvFrame { width_px: picture.width(), height_px: picture.height(), planes: [0, 1, 2].map(plane), coding }
}

impl Converter {
    fn run(&mut self, picture: &frame::Video, size: (u32, u32), to_rgb: bool) -> Result<&frame::Video, VideoError> {
        let format = picture.format();
        let coding = coding_of(picture);
        let source = Source { format, width_px: picture.width(), height_px: picture.height(), coding, to_rgb };
        let convert = |source| VideoError::Convert {
            format: format.descriptor().map_or("unknown", |format| format.name()).to_owned(),
            source,
        };
        let context = match &mut self.context {
            Some((planned, context)) if *planned == source => context,
            other => {
                self.converted = frame::Video::empty();
                &mut other.insert((source, context(source, size).map_err(convert)?)).1
            }
        };
        context.run(picture, &mut self.converted).map_err(convert)?;
        Ok(&self.converted)
    }
}

fn context(source: Source, (width_px, height_px): (u32, u32)) -> Result<scaling::Context, ffmpeg_next::Error> {
    let Source { format, coding, .. } = source;
    // For samples wider than 8 bits, swscale 6 fixes the range when a context is created and ignores later changes. Full range
    // needs no conversion, so both sides are declared as limited.
    let name = format.descriptor().map_or("", |format| format.name());
    let wide = name.starts_with("yuv") && (name.ends_with("le") || name.ends_with("be"));
    let (target, flags, coding, target_coding) = if source.to_rgb {
        // At its own size, a frame is converted to the same bytes as by the `ffmpeg` program and torchcodec by default.
        let unscaled = (source.width_px, source.height_px) == (width_px, height_px);
        let flags = if unscaled { Flags::BILINEAR } else { SCALING | Flags::FULL_CHR_H_INT };
        (Pixel::RGB24, flags, coding, ColorCoding::JPEG)
    } else if wide && coding.full_range {
        let limited = |coding: ColorCoding| ColorCoding { full_range: false, ..coding };
        (Pixel::YUV420P, SCALING, limited(coding), limited(ColorCoding::JPEG))
    } else {
        (Pixel::YUVJ420P, SCALING, coding, ColorCoding::JPEG)
    };
    let mut context =
        scaling::Context::get(format, source.width_px, source.height_px, target, width_px, height_px, flags)?;
    set_coding(&mut context, coding, target_coding);
    Ok(context)
}

#[cfg(test)]
mod tests;
