//! [`FrameScaler`]: a decoded frame becomes an image of a given size, turned upright.

use crate::color::{self, Coding};
use crate::image::{RgbImage, YuvImage, turned_size};
use crate::input::check_size;
use crate::planes::{PlaneScaler, is_planar};
use crate::{DecodedFrame, VideoError};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::{self, Flags};

/// The same result with and without SIMD.
pub(crate) const SCALING: Flags = Flags::BILINEAR.union(Flags::ACCURATE_RND).union(Flags::BITEXACT);

/// Scales frames (bilinear) to one size. Frames of a video may differ in size and format; the result does not.
///
/// Interlaced frames are taken as they are: both fields woven, as FFmpeg, OpenCV, decord and torchcodec give them.
pub struct FrameScaler {
    /// Before turning.
    coded_size: (u32, u32),
    rotation: u32,
    planes: PlaneScaler,
    converter: Converter,
    /// Before turning.
    scaled: (YuvImage, RgbImage),
    turned: (YuvImage, RgbImage),
}

/// swscale, for what is not planar YUV of 8 bits, and for RGB.
struct Converter {
    context: Option<(Source, scaling::Context)>,
    converted: frame::Video,
}

/// What a context is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    format: Pixel,
    width_px: u32,
    height_px: u32,
    coding: Coding,
    to_rgb: bool,
}

impl FrameScaler {
    /// Returns a scaler to `width_px` x `height_px` as displayed: after turning clockwise by `rotation` degrees (0, 90,
    /// 180 or 270).
    pub fn new(width_px: u32, height_px: u32, rotation: u32) -> Result<Self, VideoError> {
        check_size(width_px, height_px)?;
        Ok(Self {
            coded_size: turned_size((width_px, height_px), rotation),
            rotation,
            planes: PlaneScaler::default(),
            converter: Converter { context: None, converted: frame::Video::empty() },
            scaled: Default::default(),
            turned: Default::default(),
        })
    }

    /// Scales a frame. The image is valid until the next call.
    pub fn scale(&mut self, frame: &DecodedFrame) -> Result<&YuvImage, VideoError> {
        let picture = &frame.picture;
        let scaled = &mut self.scaled.0;
        if is_planar(picture) {
            self.planes.scale(picture, Coding::of(picture), self.coded_size, scaled);
        } else {
            let converted = self.converter.run(picture, self.coded_size, false)?;
            self.planes.scale(converted, Coding::JPEG, self.coded_size, scaled);
        }
        if self.rotation == 0 {
            return Ok(&self.scaled.0);
        }
        self.scaled.0.turn(self.rotation, &mut self.turned.0);
        Ok(&self.turned.0)
    }

    /// Scales a frame, to RGB. The image is valid until the next call.
    pub fn scale_rgb(&mut self, frame: &DecodedFrame) -> Result<&RgbImage, VideoError> {
        let converted = self.converter.run(&frame.picture, self.coded_size, true)?;
        let scaled = &mut self.scaled.1;
        (scaled.width_px, scaled.height_px) = self.coded_size;
        let line = 3 * self.coded_size.0 as usize;
        scaled.pixels.clear();
        for row in converted.data(0).chunks(converted.stride(0)).take(self.coded_size.1 as usize) {
            scaled.pixels.extend_from_slice(&row[..line]);
        }
        if self.rotation == 0 {
            return Ok(&self.scaled.1);
        }
        self.scaled.1.turn(self.rotation, &mut self.turned.1);
        Ok(&self.turned.1)
    }
}

impl Converter {
    fn run(&mut self, picture: &frame::Video, size: (u32, u32), to_rgb: bool) -> Result<&frame::Video, VideoError> {
        let format = picture.format();
        let coding = Coding::of(picture);
        let source = Source { format, width_px: picture.width(), height_px: picture.height(), coding, to_rgb };
        let convert = |source| VideoError::Convert {
            format: format.descriptor().map_or("unknown", |format| format.name()).to_owned(),
            source,
        };
        let context = match &mut self.context {
            Some((made_for, context)) if *made_for == source => context,
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
    // Of samples wider than 8 bits, swscale 6 settles the range when a context is made and not later. Full range needs
    // no conversion, which is had by calling both sides limited.
    let name = format.descriptor().map_or("", |format| format.name());
    let wide = name.starts_with("yuv") && (name.ends_with("le") || name.ends_with("be"));
    let (target, flags, coding, target_coding) = if source.to_rgb {
        // In its own size a frame is converted as FFmpeg's program and torchcodec do by default, to the same bytes.
        let as_it_is = (source.width_px, source.height_px) == (width_px, height_px);
        let flags = if as_it_is { Flags::BILINEAR } else { SCALING | Flags::FULL_CHR_H_INT };
        (Pixel::RGB24, flags, coding, Coding::JPEG)
    } else if wide && coding.full_range {
        let limited = |coding: Coding| Coding { full_range: false, ..coding };
        (Pixel::YUV420P, SCALING, limited(coding), limited(Coding::JPEG))
    } else {
        (Pixel::YUVJ420P, SCALING, coding, Coding::JPEG)
    };
    let mut context =
        scaling::Context::get(format, source.width_px, source.height_px, target, width_px, height_px, flags)?;
    color::set(&mut context, coding, target_coding);
    Ok(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_beyond_bounds_is_refused() {
        assert!(FrameScaler::new(20_000, 10, 0).is_err());
    }
}
