//! Display matrices: all eight orientations, as FFmpeg's own program shows them.

use crate::make::{MPEG4, Recipe, make};
use ffmpeg_next::codec::Id;
use ffmpeg_next::format::Pixel;
use pipe_pixels::RgbImage;
use pipe_video::{Decoder, FrameScaler, probe};
use std::path::Path;

/// Levels of the corners as coded: top left, top right, bottom left, bottom right.
const CODED: [u8; 4] = [220, 160, 100, 40];

/// The first two numbers of the first two rows of a matrix, and the corners as shown.
const SHOWN: [([i32; 4], [u8; 4]); 8] = [
    ([1, 0, 0, 1], [220, 160, 100, 40]),
    ([0, 1, -1, 0], [100, 220, 40, 160]),
    ([-1, 0, 0, -1], [40, 100, 160, 220]),
    ([0, -1, 1, 0], [160, 40, 220, 100]),
    ([-1, 0, 0, 1], [160, 220, 40, 100]),  // `hflip`
    ([1, 0, 0, -1], [100, 40, 220, 160]),  // `vflip`
    ([0, 1, 1, 0], [220, 100, 160, 40]),   // `transpose=cclock_flip`
    ([0, -1, -1, 0], [40, 160, 100, 220]), // `transpose=clock_flip`
];

fn paint(_: usize, plane: usize, column: usize, row: usize) -> u8 {
    let corner = usize::from(column >= 32) + 2 * usize::from(row >= 24);
    if plane == 0 { CODED[corner] } else { 128 }
}

fn corners(level: impl Fn(usize, usize) -> u8, (width, height): (u32, u32)) -> [u8; 4] {
    let (right, bottom) = (width as usize - 4, height as usize - 4);
    [level(3, 3), level(right, 3), level(3, bottom), level(right, bottom)]
}

fn check(path: &Path, upright: (u32, u32), expect: [u8; 4]) {
    let info = probe(path).expect("a video");
    assert_eq!(info.orientation.size((info.width_px, info.height_px)), upright);
    let frame = Decoder::open(path).expect("opened").next().expect("a frame").expect("decoded");
    for size in [upright, (upright.0 / 2, upright.1 / 2)] {
        let mut scaler = FrameScaler::new(size.0, size.1, info.orientation).expect("a scaler");
        let close = |found: [u8; 4]| found.iter().zip(expect).all(|(found, expect)| found.abs_diff(expect) < 6);
        let image = scaler.scale(&frame).expect("scaled");
        let stride = image.plane_size(0).0;
        let found = corners(|x, y| image.planes[0][y * stride + x], size);
        assert!(close(found), "{found:?}, not {expect:?}, at {size:?} of {:?}", info.orientation);
        let RgbImage { pixels, width_px, .. } = scaler.scale_rgb(&frame).expect("converted");
        let found = corners(|x, y| pixels[3 * (y * *width_px as usize + x)], size);
        assert!(close(found), "{found:?}, not {expect:?}, at {size:?} of {:?}, RGB", info.orientation);
    }
}

#[test]
fn all_eight_orientations_are_shown_as_by_ffmpeg() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mp4");
    for ([a, b, c, d], expect) in SHOWN {
        let one = 1 << 16;
        let matrix = Some([a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]);
        let jpeg = Recipe { muxer: "mov", codec: Id::MJPEG, pixel: Pixel::YUVJ420P, ..MPEG4 };
        make(&path, &Recipe { size: (64, 48), frames: 2, matrix, ..jpeg }, paint).expect("made");
        let upright = if a == 0 { (48, 64) } else { (64, 48) };
        check(&path, upright, expect);
    }
}
