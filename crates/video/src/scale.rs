//! [`FrameScaler`]: a decoded frame becomes full-range YUV 4:2:0 of a given size, turned upright.

use crate::color::{self, Coding};
use crate::input::check_size;
use crate::{DecodedFrame, VideoError};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::{self, Flags};

/// The same result with and without SIMD.
pub(crate) const SCALING: Flags = Flags::BILINEAR.union(Flags::ACCURATE_RND).union(Flags::BITEXACT);

/// An image as JPEG wants it: YUV 4:2:0, 0 to 255, BT.601.
///
/// Planes have no gaps. An odd side is padded by one row or column, so that a chroma sample has four luma samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct YuvImage {
    /// Without padding.
    pub width_px: u32,
    /// Without padding.
    pub height_px: u32,
    /// `[even(H), even(W)]`, then twice `[even(H) / 2, even(W) / 2]`.
    pub planes: [Vec<u8>; 3],
}

/// Scales frames (bilinear) to one size. Frames of a video may differ in size and format; the result does not.
pub struct FrameScaler {
    /// Before turning.
    coded_size: (u32, u32),
    rotation: u32,
    context: Option<(Source, scaling::Context)>,
    scaled: frame::Video,
    turned: YuvImage,
    image: YuvImage,
}

/// What a context is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    format: Pixel,
    width_px: u32,
    height_px: u32,
    coding: Coding,
}

impl YuvImage {
    /// Returns width and height of a plane.
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        let (width, height) = (self.width_px.div_ceil(2) as usize, self.height_px.div_ceil(2) as usize);
        if plane == 0 { (2 * width, 2 * height) } else { (width, height) }
    }
}

impl FrameScaler {
    /// Returns a scaler to `width_px` x `height_px` as displayed: after turning clockwise by `rotation` degrees (0, 90,
    /// 180 or 270).
    pub fn new(width_px: u32, height_px: u32, rotation: u32) -> Result<Self, VideoError> {
        check_size(width_px, height_px)?;
        let scaled = frame::Video::empty();
        let (turned, image) = (YuvImage::default(), YuvImage::default());
        let coded_size = if rotation % 180 == 90 { (height_px, width_px) } else { (width_px, height_px) };
        Ok(Self { coded_size, rotation, context: None, scaled, turned, image })
    }

    /// Scales a frame. The image is valid until the next call.
    pub fn scale(&mut self, frame: &DecodedFrame) -> Result<&YuvImage, VideoError> {
        let picture = &frame.picture;
        let (format, coding) = (picture.format(), Coding::of(picture));
        let source = Source { format, width_px: picture.width(), height_px: picture.height(), coding };
        let target = if self.rotation == 0 { &mut self.image } else { &mut self.turned };
        let as_it_is = can_be_copied(picture, coding) && (picture.width(), picture.height()) == self.coded_size;
        if as_it_is && coding.full_range {
            copy(picture, target, |luma| luma, |chroma| chroma);
        } else if as_it_is {
            copy(picture, target, full_range_luma, full_range_chroma);
        } else {
            let convert = |source| VideoError::Convert {
                format: format.descriptor().map_or("unknown", |format| format.name()).to_owned(),
                source,
            };
            let context = match &mut self.context {
                Some((made_for, context)) if *made_for == source => context,
                other => {
                    self.scaled = frame::Video::empty();
                    &mut other.insert((source, context(source, self.coded_size).map_err(convert)?)).1
                }
            };
            context.run(picture, &mut self.scaled).map_err(convert)?;
            copy(&self.scaled, target, |luma| luma, |chroma| chroma);
        }
        if self.rotation != 0 {
            turn(&self.turned, self.rotation, &mut self.image);
        }
        Ok(&self.image)
    }
}

/// Returns whether a frame of the right size needs no more than another range: swscale takes three times as long.
fn can_be_copied(picture: &frame::Video, coding: Coding) -> bool {
    // Lines may be stored bottom-up, with a negative stride, which reads as a huge one.
    let top_down = || (0..3).all(|plane| i32::try_from(picture.stride(plane)).is_ok());
    matches!(picture.format(), Pixel::YUV420P | Pixel::YUVJ420P)
        && coding.matrix == Coding::JPEG.matrix
        && picture.planes() >= 3
        && top_down()
}

/// Widens 16 to 235 to 0 to 255, rounded.
fn full_range_luma(value: u8) -> u8 {
    ((u32::from(value.saturating_sub(16)) * 38_155 + (1 << 14)) >> 15).min(255) as u8
}

/// Widens 16 to 240 to 0 to 255 around 128, rounded.
fn full_range_chroma(value: u8) -> u8 {
    ((((i32::from(value) - 128) * 37_303 + (1 << 14)) >> 15) + 128).clamp(0, 255) as u8
}

fn context(source: Source, (width_px, height_px): (u32, u32)) -> Result<scaling::Context, ffmpeg_next::Error> {
    let Source { format, coding, .. } = source;
    // Of samples wider than 8 bits, swscale 6 settles the range when a context is made and not later. Full range needs
    // no conversion, which is had by calling both sides limited.
    let name = format.descriptor().map_or("", |format| format.name());
    let wide = name.starts_with("yuv") && (name.ends_with("le") || name.ends_with("be"));
    let (target, coding, target_coding) = if wide && coding.full_range {
        let limited = |coding: Coding| Coding { full_range: false, ..coding };
        (Pixel::YUV420P, limited(coding), limited(Coding::JPEG))
    } else {
        (Pixel::YUVJ420P, coding, Coding::JPEG)
    };
    let mut context =
        scaling::Context::get(format, source.width_px, source.height_px, target, width_px, height_px, SCALING)?;
    color::set(&mut context, coding, target_coding);
    Ok(context)
}

/// Copies the planes of a 4:2:0 frame, and repeats the last column and row of an odd side.
fn copy(frame: &frame::Video, image: &mut YuvImage, luma: impl Fn(u8) -> u8, chroma: impl Fn(u8) -> u8) {
    (image.width_px, image.height_px) = (frame.width(), frame.height());
    for plane in 0..3 {
        let (width, height) = image.plane_size(plane);
        let (data, stride) = (frame.data(plane), frame.stride(plane));
        let (given_width, given_height) = (frame.plane_width(plane) as usize, frame.plane_height(plane) as usize);
        let target = &mut image.planes[plane];
        target.clear();
        target.reserve(width * height);
        for row in 0..height {
            let start = row.min(given_height - 1) * stride;
            let line = &data[start..start + given_width];
            if plane == 0 {
                target.extend(line.iter().map(|&value| luma(value)));
            } else {
                target.extend(line.iter().map(|&value| chroma(value)));
            }
            target.extend_from_within(target.len() - (width - given_width)..);
        }
    }
}

/// Turns an image clockwise.
fn turn(image: &YuvImage, rotation: u32, turned: &mut YuvImage) {
    (turned.width_px, turned.height_px) =
        if rotation % 180 == 90 { (image.height_px, image.width_px) } else { (image.width_px, image.height_px) };
    for plane in 0..3 {
        let ((from_width, from_height), (width, height)) = (image.plane_size(plane), turned.plane_size(plane));
        // Padding stays at the right and at the bottom: what is turned is the image inside.
        let inside = |size: usize, padded: u32| size - usize::from(plane == 0 && padded % 2 == 1);
        let (inside_width, inside_height) = (inside(from_width, image.width_px), inside(from_height, image.height_px));
        let source = &image.planes[plane];
        let target = &mut turned.planes[plane];
        target.clear();
        target.reserve(width * height);
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = match rotation {
                    90 => (y.min(inside_width - 1), inside_height - 1 - x.min(inside_height - 1)),
                    180 => (inside_width - 1 - x.min(inside_width - 1), inside_height - 1 - y.min(inside_height - 1)),
                    _ => (inside_width - 1 - y.min(inside_width - 1), x.min(inside_height - 1)),
                };
                target.push(source[from_y * from_width + from_x]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose luma counts up inside, row by row, with padding repeated.
    fn image(width_px: u32, height_px: u32) -> YuvImage {
        let mut image = YuvImage { width_px, height_px, ..YuvImage::default() };
        for plane in 0..3 {
            let (width, height) = image.plane_size(plane);
            let columns = if plane == 0 { width_px as usize } else { width };
            let rows = if plane == 0 { height_px as usize } else { height };
            let value = |x: usize, y: usize| (y.min(rows - 1) * columns + x.min(columns - 1)) as u8;
            image.planes[plane] = (0..width * height).map(|at| value(at % width, at / width)).collect();
        }
        image
    }

    #[test]
    fn images_turn_clockwise_and_keep_their_padding_at_the_end() {
        let check = |rotation: u32, size: (u32, u32), expect: &[u8]| {
            let mut turned = YuvImage::default();
            turn(&image(3, 2), rotation, &mut turned);
            assert_eq!((turned.width_px, turned.height_px), size);
            assert_eq!(turned.planes[0], expect, "{rotation}");
        };
        // 0 1 2
        // 3 4 5
        check(90, (2, 3), &[3, 0, 4, 1, 5, 2, 5, 2]);
        check(180, (3, 2), &[5, 4, 3, 3, 2, 1, 0, 0]);
        check(270, (2, 3), &[2, 5, 1, 4, 0, 3, 0, 3]);
    }

    #[test]
    fn four_quarter_turns_change_nothing() {
        let start = image(5, 7);
        let mut now = start.clone();
        for _ in 0..4 {
            let mut next = YuvImage::default();
            turn(&now, 90, &mut next);
            now = next;
        }
        assert_eq!(now, start);
    }

    #[test]
    fn limited_range_becomes_full_range() {
        for value in 0..=255_u8 {
            let luma = ((f64::from(value) - 16.0) * 255.0 / 219.0).round().clamp(0.0, 255.0);
            let chroma = ((f64::from(value) - 128.0) * 255.0 / 224.0).round().clamp(-128.0, 127.0) + 128.0;
            assert_eq!(full_range_luma(value), luma as u8, "{value}");
            assert_eq!(full_range_chroma(value), chroma as u8, "{value}");
        }
    }

    #[test]
    fn a_size_beyond_bounds_is_refused() {
        assert!(FrameScaler::new(20_000, 10, 0).is_err());
    }
}
