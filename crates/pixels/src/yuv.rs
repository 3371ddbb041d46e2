//! [`YuvScaler`]: the planes of a decoded frame, scaled one by one, become those of a [`YuvImage`].
//!
//! There is no detour over RGB. A plane is scaled in its own numbers, and a limited range is widened in the same pass. Only
//! another colour matrix needs a second pass over all samples.

use crate::axis::Filter;
use crate::color::ColorCoding;
use crate::image::YuvImage;
use crate::resize::{LevelMap, Resize, Resizer};

/// Fractional bits of the factors of a colour matrix.
const MATRIX_BITS: u32 = 14;

/// A decoded frame of 8-bit planar YUV, of any chroma subsampling.
#[derive(Debug, Clone, Copy)]
pub struct YuvFrame<'a> {
    /// Width of the picture, in pixels.
    pub width_px: u32,
    /// Height of the picture, in pixels.
    pub height_px: u32,
    /// Y, Cb and Cr.
    pub planes: [Plane<'a>; 3],
    /// How the numbers stand for colours.
    pub coding: ColorCoding,
}

/// One plane of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// `[height, stride]`; the last row may end after `width` bytes.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

/// Scales frames to images of one size after the other. The result is the same on every processor.
#[derive(Default)]
pub struct YuvScaler {
    luma: Resizer<1>,
    chroma: Resizer<1>,
}

impl YuvScaler {
    /// Fills `image` with the frame at another size, bilinear; shrinking averages all pixels that become one.
    pub fn scale(&mut self, frame: &YuvFrame, (width_px, height_px): (u32, u32), image: &mut YuvImage) {
        (image.width_px, image.height_px) = (width_px, height_px);
        let widen_range = frame.coding.has_jpeg_matrix() && !frame.coding.full_range;
        for (number, plane) in frame.planes.iter().enumerate() {
            let (width, height) = image.plane_size(number);
            // The size without padding; chroma has none.
            let size = if number == 0 { (width_px as usize, height_px as usize) } else { (width, height) };
            let resize =
                Resize { level_map: level_map(number, widen_range), ..plane_resize(frame, number, size, image) };
            let target = &mut image.planes[number];
            target.resize(width * height, 0);
            if resize.target == resize.source {
                copy(plane, target, width);
                if widen_range {
                    widen(target, number);
                }
            } else {
                let resizer = if number == 0 { &mut self.luma } else { &mut self.chroma };
                resizer.resize((plane.data, plane.stride), &resize, (target, width));
            }
            repeat_edges(target, width, size);
        }
        if !frame.coding.has_jpeg_matrix() {
            recode(image, frame.coding);
        }
    }
}

/// Returns which part of a plane becomes the plane `size` of the image.
fn plane_resize(frame: &YuvFrame, number: usize, target: (usize, usize), image: &YuvImage) -> Resize {
    let plane = &frame.planes[number];
    // The last chroma sample of an odd side reaches beyond the picture: the picture is scaled, not the whole sample.
    let shown = |source: usize, source_px: u32, target_px: u32, target: usize| {
        let (source, pixels) = (source as f64, if number == 0 { 1.0 } else { 2.0 });
        let pixels_per_sample = f64::from(source_px) / f64::from(target_px) * pixels;
        let samples = source / f64::from(source_px) * pixels_per_sample * target as f64;
        if (samples - source).abs() < 1.0 / 64.0 { source } else { samples.min(source) }
    };
    let width = shown(plane.width, frame.width_px, image.width_px, target.0);
    let height = shown(plane.height, frame.height_px, image.height_px, target.1);
    Resize {
        source: (plane.width, plane.height),
        region: [0.0, 0.0, width, height],
        target,
        mirrored: false,
        filter: Filter::Triangle,
        level_map: LevelMap::IDENTITY,
    }
}

/// Returns the map from limited to full range, or the identity.
fn level_map(plane: usize, widen_range: bool) -> LevelMap {
    if !widen_range {
        return LevelMap::IDENTITY;
    }
    let (middle, gain, target) = if plane == 0 { (16.0, 255.0 / 219.0, 0.0) } else { (128.0, 255.0 / 224.0, 128.0) };
    LevelMap { gain, offset: target - middle * gain }
}

/// Widens the range of a plane that is not scaled.
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

fn copy(plane: &Plane, target: &mut [u8], target_stride: usize) {
    let lines = plane.data.chunks(plane.stride).take(plane.height);
    for (line, target) in lines.zip(target.chunks_exact_mut(target_stride)) {
        target[..plane.width].copy_from_slice(&line[..plane.width]);
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

/// Converts an image with another matrix to full-range BT.601.
fn recode(image: &mut YuvImage, coding: ColorCoding) {
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
            // Four luma samples share a sample of chroma.
            let shift = luma_of[1] * cb + luma_of[2] * cr + half;
            for value in upper.iter_mut().chain(lower) {
                *value = (((i32::from(*value) - offset) * luma_of[0] + shift) >> MATRIX_BITS).clamp(0, 255) as u8;
            }
            let chroma = |of: [i32; 2]| ((of[0] * cb + of[1] * cr + half) >> MATRIX_BITS) + 128;
            (*blue, *red) = (chroma(blue_of).clamp(0, 255) as u8, chroma(red_of).clamp(0, 255) as u8);
        }
    }
}

/// Widens 16 to 235 to 0 to 255, rounded. 16-bit arithmetic keeps many values in one register.
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

    /// Scales a frame whose levels rise from left to right in all planes, and checks that chroma lies where luma does.
    #[track_caller]
    fn check(subsampling: (u32, u32), from: (u32, u32), to: (u32, u32)) {
        let plane = |step: (u32, u32)| {
            let (width, height) = (from.0.div_ceil(step.0) as usize, from.1.div_ceil(step.1) as usize);
            let level = |column: usize| {
                let x = (column.min(width - 1) as f64 + 0.5) * f64::from(step.0) - 0.5;
                (20.0 + 200.0 * x / f64::from(from.0)).round() as u8
            };
            let stride = width + 5;
            let data: Vec<u8> = (0..stride * height).map(|at| level(at % stride)).collect();
            (data, stride, width, height)
        };
        let planes = [plane((1, 1)), plane(subsampling), plane(subsampling)];
        let planes = planes.each_ref().map(|(data, stride, width, height)| Plane {
            data,
            stride: *stride,
            width: *width,
            height: *height,
        });
        let frame = YuvFrame { width_px: from.0, height_px: from.1, planes, coding: ColorCoding::JPEG };
        let mut image = YuvImage::default();
        YuvScaler::default().scale(&frame, to, &mut image);
        for x in 0..to.0 as usize / 2 {
            let luma = image.planes[0][2 * x..2 * x + 2].iter().map(|&value| f64::from(value)).sum::<f64>() / 2.0;
            let chroma = f64::from(image.planes[1][x]);
            assert!((luma - chroma).abs() < 3.0, "{luma} and {chroma} at {x}: {subsampling:?} {from:?} {to:?}");
        }
    }

    #[test]
    fn chroma_stays_aligned_with_luma_at_any_size() {
        check((2, 2), (320, 240), (341, 256));
        check((2, 2), (161, 121), (57, 43));
        check((2, 2), (161, 121), (161, 121));
        check((1, 1), (128, 128), (128, 128));
        check((2, 1), (200, 90), (99, 51));
        check((4, 1), (200, 90), (99, 51));
    }
}
