//! [`PlaneScaler`]: the planes of a decoded frame, scaled one by one, become those of a [`YuvImage`].
//!
//! No detour over RGB, and no swscale: for 8-bit planar YUV it costs as much as coding JPEG does. A plane is scaled in its
//! own numbers, and its range is widened on the way. Only another matrix takes a second look at every sample.

use crate::color::Coding;
use crate::image::YuvImage;
use crate::resize::{Levels, Resizer, Shape};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;

/// Bits after the point of what is multiplied with a sample.
const MATRIX_BITS: u32 = 14;

/// Scales planes. The same on every processor.
#[derive(Default)]
pub(crate) struct PlaneScaler {
    luma: Resizer,
    chroma: Resizer,
}

/// Returns whether a frame is made of planes that can be scaled as they are.
pub(crate) fn is_planar(picture: &frame::Video) -> bool {
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
    // Lines may be stored bottom-up, with a negative stride, which reads as a huge one.
    planar && picture.planes() >= 3 && (0..3).all(|plane| i32::try_from(picture.stride(plane)).is_ok())
}

impl PlaneScaler {
    /// Fills `image` with a frame of this coding at another size, bilinear; where it shrinks, over all pixels that become
    /// one.
    pub(crate) fn scale(
        &mut self,
        picture: &frame::Video,
        coding: Coding,
        (width_px, height_px): (u32, u32),
        image: &mut YuvImage,
    ) {
        (image.width_px, image.height_px) = (width_px, height_px);
        let to_full_range = coding.has_jpeg_matrix() && !coding.full_range;
        for plane in 0..3 {
            let (width, height) = image.plane_size(plane);
            // What is no padding; a plane of chroma has none.
            let to = if plane == 0 { (width_px as usize, height_px as usize) } else { (width, height) };
            let shape = shape(picture, plane, (width_px, height_px), to);
            let source = (picture.data(plane), picture.stride(plane));
            let target = &mut image.planes[plane];
            target.resize(width * height, 0);
            if shape.to == shape.from {
                copy(source, shape.from, target, width);
                if to_full_range {
                    widen(target, plane);
                }
            } else {
                let levels = if to_full_range { wider(plane) } else { Levels::SAME };
                let resizer = if plane == 0 { &mut self.luma } else { &mut self.chroma };
                resizer.resize(source, shape, levels, (target, width));
            }
            repeat_edges(target, width, to);
        }
        if !coding.has_jpeg_matrix() {
            recode(image, coding);
        }
    }
}

/// Returns what a plane is and what it becomes.
fn shape(picture: &frame::Video, plane: usize, size_px: (u32, u32), to: (usize, usize)) -> Shape {
    let from = (picture.plane_width(plane), picture.plane_height(plane));
    // Of chroma, the last sample of an odd side reaches beyond the picture: what it stands for is scaled, not it.
    let shown = |from: u32, of: u32, size_px: u32, to: usize| {
        let a_sample = f64::from(of) / f64::from(size_px) * if plane == 0 { 1.0 } else { 2.0 };
        let samples = f64::from(from) / f64::from(of) * a_sample * to as f64;
        if (samples - f64::from(from)).abs() < 1.0 / 64.0 { f64::from(from) } else { samples.min(f64::from(from)) }
    };
    let shown = (shown(from.0, picture.width(), size_px.0, to.0), shown(from.1, picture.height(), size_px.1, to.1));
    Shape { from: (from.0 as usize, from.1 as usize), shown, to }
}

/// Returns what makes 0 to 255 of limited range.
fn wider(plane: usize) -> Levels {
    let (middle, gain, target) = if plane == 0 { (16.0, 255.0 / 219.0, 0.0) } else { (128.0, 255.0 / 224.0, 128.0) };
    Levels { gain, offset: target - middle * gain }
}

/// Does the same to a plane as it is.
fn widen(plane: &mut [u8], number: usize) {
    if number == 0 {
        for value in plane {
            *value = full_range_luma(*value);
        }
    } else {
        for value in plane {
            *value = full_range_chroma(*value);
        }
    }
}

fn copy((data, stride): (&[u8], usize), (width, height): (usize, usize), target: &mut [u8], target_stride: usize) {
    for (line, target) in data.chunks(stride).take(height).zip(target.chunks_exact_mut(target_stride)) {
        target[..width].copy_from_slice(&line[..width]);
    }
}

/// Fills the padding of a plane with its last column and row.
fn repeat_edges(plane: &mut [u8], stride: usize, (width, height): (usize, usize)) {
    if width < stride {
        for line in plane.chunks_exact_mut(stride) {
            let last = line[width - 1];
            line[width..].fill(last);
        }
    }
    for row in height..plane.len() / stride {
        plane.copy_within((height - 1) * stride..height * stride, row * stride);
    }
}

/// Makes full-range BT.601 of an image whose matrix is another.
fn recode(image: &mut YuvImage, coding: Coding) {
    let to = coding.to_jpeg();
    let fixed = |value: f64| (value * f64::from(1 << MATRIX_BITS)).round() as i32;
    let (luma_of, blue_of, red_of) = (to.luma.map(fixed), to.blue.map(fixed), to.red.map(fixed));
    let offset = if coding.full_range { 0 } else { 16 };
    let (chroma_width, _) = image.plane_size(1);
    let [luma, blue, red] = &mut image.planes;
    let half = 1 << (MATRIX_BITS - 1);
    let rows = blue.chunks_exact_mut(chroma_width).zip(red.chunks_exact_mut(chroma_width));
    for (two_rows, (blue, red)) in luma.chunks_exact_mut(4 * chroma_width).zip(rows) {
        let (upper, lower) = two_rows.split_at_mut(2 * chroma_width);
        let pixels = upper.as_chunks_mut::<2>().0.iter_mut().zip(lower.as_chunks_mut::<2>().0);
        for ((upper, lower), (blue, red)) in pixels.zip(blue.iter_mut().zip(red)) {
            let (cb, cr) = (i32::from(*blue) - 128, i32::from(*red) - 128);
            // Four pixels share a sample of chroma.
            let shift = luma_of[1] * cb + luma_of[2] * cr + half;
            for value in upper.iter_mut().chain(lower) {
                *value = (((i32::from(*value) - offset) * luma_of[0] + shift) >> MATRIX_BITS).clamp(0, 255) as u8;
            }
            let chroma = |of: [i32; 2]| ((of[0] * cb + of[1] * cr + half) >> MATRIX_BITS) + 128;
            (*blue, *red) = (chroma(blue_of).clamp(0, 255) as u8, chroma(red_of).clamp(0, 255) as u8);
        }
    }
}

/// Widens 16 to 235 to 0 to 255, rounded. In 16 bits, of which a register holds eight times as many as of 64.
fn full_range_luma(value: u8) -> u8 {
    let value = u16::from(value.saturating_sub(16));
    // 36/219 of it, in 256ths.
    let widened = ((u32::from(value << 8) * 10_773) >> 16) as u16;
    (value + ((widened + 128) >> 8)).min(255) as u8
}

/// Widens 16 to 240 to 0 to 255 around 128, rounded.
fn full_range_chroma(value: u8) -> u8 {
    let value = i16::from(value) - 128;
    // 31/224 of it, in 256ths.
    let widened = ((i32::from(value << 8) * 9_070) >> 16) as i16;
    ((value + ((widened + 128) >> 8)).clamp(-128, 127) + 128) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn colours_lie_where_they_lay_in_any_size() {
        // Both chroma planes rise as luma does, so a sample of chroma is to be the mean of four of luma.
        let check = |format: Pixel, from: (u32, u32), to: (u32, u32)| {
            let mut picture = frame::Video::new(format, from.0, from.1);
            for plane in 0..3 {
                let (width, stride) = (picture.plane_width(plane) as usize, picture.stride(plane));
                let step = (f64::from(from.0) / width as f64).round();
                for (at, value) in picture.data_mut(plane).iter_mut().enumerate() {
                    let x = ((at % stride).min(width - 1) as f64 + 0.5) * step - 0.5;
                    *value = (20.0 + 200.0 * x / f64::from(from.0)).round() as u8;
                }
            }
            let mut image = YuvImage::default();
            PlaneScaler::default().scale(&picture, Coding::JPEG, to, &mut image);
            let (chroma_width, _) = image.plane_size(1);
            for x in 0..to.0 as usize / 2 {
                let luma = image.planes[0][2 * x..2 * x + 2].iter().map(|&value| f64::from(value)).sum::<f64>() / 2.0;
                let chroma = f64::from(image.planes[1][x]);
                assert!(
                    (luma - chroma).abs() < 3.0,
                    "{format:?} {from:?} {to:?} at {x} of {chroma_width}: {luma} {chroma}"
                );
            }
        };
        check(Pixel::YUV420P, (320, 240), (341, 256));
        check(Pixel::YUV420P, (161, 121), (57, 43));
        check(Pixel::YUV420P, (161, 121), (161, 121));
        check(Pixel::YUV444P, (128, 128), (128, 128));
        check(Pixel::YUV422P, (200, 90), (99, 51));
        check(Pixel::YUV411P, (200, 90), (99, 51));
    }
}
