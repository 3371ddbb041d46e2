//! Every pixel format keeps its grey levels, at its own size and at another.

use super::*;
use ffmpeg_next::color::Range;

/// Columns of a picture, each of one level from 0 to 255.
const LEVELS: usize = 16;
const SIDE: usize = 8;

/// How the samples of a format stand for grey.
#[derive(Clone, Copy)]
enum Layout {
    /// A plane of luma, and planes of neutral chroma.
    Luma,
    /// Luma and opaque transparency, one after the other.
    LumaAlpha,
    /// Planes of green, blue and red.
    Planes,
    /// As many samples per pixel.
    Packed(usize),
}

fn level(column: usize) -> f64 {
    (column / SIDE) as f64 * 255.0 / (LEVELS - 1) as f64
}

/// Returns a picture of columns of grey with samples of `bits`.
fn picture(format: Pixel, layout: Layout, bits: u32, limited: bool) -> frame::Video {
    let (width, height) = (LEVELS * SIDE, 2 * SIDE);
    let mut picture = frame::Video::new(format, width as u32, height as u32);
    let largest = f64::from((1_u32 << bits) - 1);
    let unit = f64::from(1_u32 << (bits - 8));
    let grey = |column: usize| {
        let value = level(column);
        let value = if limited { (16.0 + value * 219.0 / 255.0) * unit } else { value / 255.0 * largest };
        value.round() as u32
    };
    let is_big = format.descriptor().is_some_and(|format| format.name().ends_with("be"));
    let sample_bytes = if bits > 8 { 2 } else { 1 };
    for plane in 0..picture.planes() {
        let stride = picture.stride(plane);
        for line in picture.data_mut(plane).chunks_mut(stride) {
            for at in 0..line.len() / sample_bytes {
                let value = match layout {
                    Layout::Luma if plane > 0 => 128 << (bits - 8),
                    Layout::LumaAlpha if at % 2 == 1 => (1 << bits) - 1,
                    Layout::Luma | Layout::Planes => grey(at.min(width - 1)),
                    Layout::LumaAlpha => grey((at / 2).min(width - 1)),
                    Layout::Packed(samples) => grey((at / samples).min(width - 1)),
                };
                let bytes = if is_big { (value as u16).to_be_bytes() } else { (value as u16).to_le_bytes() };
                let bytes = if sample_bytes == 2 { &bytes[..] } else { &bytes[..1] };
                line[at * sample_bytes..(at + 1) * sample_bytes].copy_from_slice(bytes);
            }
        }
    }
    picture
}

/// Checks luma and RGB in the middle of each column.
#[track_caller]
fn check(format: Pixel, layout: Layout, bits: u32, range: Range) {
    let limited = match range {
        Range::MPEG => true,
        Range::JPEG => false,
        Range::Unspecified => matches!(layout, Layout::Luma) && !is_jpeg_or_grey(format),
    };
    let mut picture = picture(format, layout, bits, limited);
    picture.set_color_range(range);
    let frame = DecodedFrame::of(picture);
    for scale in [1, 2] {
        let (width, height) = (LEVELS * SIDE / scale, 2 * SIDE / scale);
        let mut scaler = FrameScaler::new(width as u32, height as u32, Orientation::default()).expect("a scaler");
        let columns: Vec<usize> = (0..LEVELS).map(|level| level * SIDE + SIDE / 2).collect();
        let expect: Vec<f64> = columns.iter().map(|&column| level(column)).collect();
        let compare = |what: &str, found: Vec<u8>| {
            let wrong = found.iter().zip(&expect).any(|(found, expect)| (f64::from(*found) - expect).abs() > 2.0);
            assert!(!wrong, "{what} of {format:?} {range:?}, 1/{scale} of its size: {found:?}, not {expect:.0?}");
        };
        let row = height / 2 * width;
        let luma = &scaler.scale(&frame).expect("scaled").planes[0];
        compare("luma", columns.iter().map(|column| luma[row + column / scale]).collect());
        let rgb = &scaler.scale_rgb(&frame).expect("converted").pixels;
        compare("RGB", columns.iter().map(|column| rgb[3 * (row + column / scale) + 1]).collect());
    }
}

fn is_jpeg_or_grey(format: Pixel) -> bool {
    let name = format.descriptor().expect("a name").name();
    ["gray", "ya", "yuvj"].iter().any(|start| name.starts_with(start)) && !name.starts_with("yuva")
}

#[test]
fn grey_levels_are_those_of_the_file_in_every_format() {
    use Layout::{Luma, LumaAlpha, Packed, Planes};
    use Range::{JPEG, MPEG, Unspecified};
    for (format, layout, bits) in [
        (Pixel::GRAY8, Luma, 8),
        (Pixel::GRAY9LE, Luma, 9),
        (Pixel::GRAY10LE, Luma, 10),
        (Pixel::GRAY12LE, Luma, 12),
        (Pixel::GRAY12BE, Luma, 12),
        (Pixel::GRAY14LE, Luma, 14),
        (Pixel::GRAY16LE, Luma, 16),
        (Pixel::GRAY16BE, Luma, 16),
        (Pixel::YA8, LumaAlpha, 8),
        (Pixel::YA16LE, LumaAlpha, 16),
        (Pixel::YUVJ420P, Luma, 8),
        (Pixel::YUVJ422P, Luma, 8),
        (Pixel::YUVJ444P, Luma, 8),
        (Pixel::YUV420P10LE, Luma, 10),
        (Pixel::YUV422P12LE, Luma, 12),
        (Pixel::YUV444P16LE, Luma, 16),
        (Pixel::GBRP, Planes, 8),
        (Pixel::GBRP10LE, Planes, 10),
        (Pixel::GBRP12LE, Planes, 12),
        (Pixel::GBRP16LE, Planes, 16),
        (Pixel::RGB24, Packed(3), 8),
        (Pixel::BGRA, Packed(4), 8),
        (Pixel::RGB48LE, Packed(3), 16),
    ] {
        check(format, layout, bits, Unspecified);
        check(format, layout, bits, JPEG);
    }
    for format in [Pixel::YUV420P, Pixel::YUV422P, Pixel::YUV444P, Pixel::YUVA420P] {
        for range in [Unspecified, JPEG, MPEG] {
            check(format, Luma, 8, range);
        }
    }
    check(Pixel::YUV420P10LE, Luma, 10, MPEG);
}

#[test]
fn a_size_beyond_bounds_is_refused() {
    assert!(FrameScaler::new(20_000, 10, Orientation::default()).is_err());
}
