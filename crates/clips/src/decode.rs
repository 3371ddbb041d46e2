//! One stored frame to the pixels of a view: [`FrameDecoder`].

use crate::ClipError;
use crate::lossless::{self, is_lossless};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use turbojpeg::{Decompressor, PixelFormat, ScalingFactor};

/// Pixels that a stored frame may have; what is more is no frame of ours.
const MAX_FRAME_PIXELS: usize = 1 << 26;

/// Scans of a progressive JPEG; a few bytes could ask for thousands.
const MAX_SCANS: u32 = 100;

/// Returns the version of libjpeg-turbo that is built in.
pub fn jpeg_version() -> &'static str {
    "3.1.0"
}

/// What is shown of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Width and height of the stored frame.
    pub(crate) frame_px: (usize, usize),
    /// Left edge, upper edge, width and height of the crop in it.
    pub(crate) crop: [f64; 4],
    /// Width and height that the crop is scaled to.
    pub(crate) out_px: (usize, usize),
    /// Whether it is mirrored left and right.
    pub(crate) flip: bool,
}

/// Decodes, crops, scales and mirrors frames; one for each thread.
///
/// Scaling is bilinear between pixel centres without a wider kernel for smaller results, as OpenCV's `INTER_LINEAR` and
/// so MMAction2. Two cases are not what decoding in full and then scaling would give, up to rounding:
/// - A crop that has at least twice, four or eight times the pixels asked for on both sides is decoded at a half, a
///   quarter or an eighth, which JPEG can do at less cost. Each pixel is then a mean of its neighbourhood, where OpenCV
///   would pick two of them: less aliasing, not more.
/// - A crop of whole pixels that is not scaled is copied.
pub(crate) struct FrameDecoder {
    jpeg: Decompressor,
    resizer: Resizer,
    decoded: Vec<u8>,
}

impl FrameDecoder {
    pub(crate) fn new() -> Result<Self, ClipError> {
        let mut jpeg = Decompressor::new().map_err(ClipError::Decoder)?;
        jpeg.set_scan_limit(MAX_SCANS).map_err(ClipError::Decoder)?;
        Ok(Self { jpeg, resizer: Resizer::new(), decoded: Vec::new() })
    }

    /// Writes what `shown` says of the frame to `out`, `[H, W, 3]` in RGB. `frame_index` is for messages.
    pub(crate) fn decode(
        &mut self,
        jpeg: &[u8],
        frame_index: u32,
        shown: &Shown,
        out: &mut [u8],
    ) -> Result<(), ClipError> {
        let denominator = if is_lossless(jpeg) { 1 } else { denominator(shown) };
        let (width, height) = self.decompress(jpeg, frame_index, shown.frame_px, denominator)?;
        let resample = |source| ClipError::Resample { frame_index, source };
        let source = TypedImageRef::<U8x3>::from_buffer(width as u32, height as u32, &self.decoded)
            .map_err(|_| too_large("a decoded frame", (width, height)))?;
        let (out_width, out_height) = shown.out_px;
        let mut target = TypedImage::<U8x3>::from_buffer(out_width as u32, out_height as u32, out)
            .map_err(|_| too_large("a clip", shown.out_px))?;
        let (left, crop_width) = clamp(shown.crop[0], shown.crop[2], denominator, width);
        let (top, crop_height) = clamp(shown.crop[1], shown.crop[3], denominator, height);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear)).crop(
            left,
            top,
            crop_width,
            crop_height,
        );
        // Typed, or the code for every other kind of pixel would be compiled too.
        self.resizer.resize_typed(&source, &mut target, &options).map_err(resample)?;
        if shown.flip {
            out.chunks_exact_mut(3 * out_width).for_each(mirror);
        }
        Ok(())
    }

    /// Decodes a whole frame at one `denominator`th of its size, which it returns.
    fn decompress(
        &mut self,
        jpeg: &[u8],
        frame_index: u32,
        frame_px: (usize, usize),
        denominator: usize,
    ) -> Result<(usize, usize), ClipError> {
        if is_lossless(jpeg) {
            let found = lossless::decode(jpeg, MAX_FRAME_PIXELS, &mut self.decoded)
                .map_err(|source| ClipError::Lossless { frame_index, source })?;
            let right = found == frame_px;
            return if right {
                Ok(found)
            } else {
                Err(ClipError::FrameSize { frame_index, found, expected: frame_px })
            };
        }
        let unreadable = |source| ClipError::Jpeg { frame_index, source };
        let header = self.jpeg.read_header(jpeg).map_err(unreadable)?;
        let found = (header.width, header.height);
        if found != frame_px {
            return Err(ClipError::FrameSize { frame_index, found, expected: frame_px });
        }
        if header.width * header.height > MAX_FRAME_PIXELS {
            return Err(too_large("a stored frame", found));
        }
        let scale = ScalingFactor::new(1, denominator);
        self.jpeg.set_scaling_factor(scale).map_err(unreadable)?;
        let (width, height) = (scale.scale(header.width), scale.scale(header.height));
        self.decoded.resize(3 * width * height, 0);
        let pixels = self.decoded.as_mut_slice();
        let image = turbojpeg::Image { pixels, width, pitch: 3 * width, height, format: PixelFormat::RGB };
        self.jpeg.decompress(jpeg, image).map_err(unreadable)?;
        Ok((width, height))
    }
}

fn too_large(what: &'static str, size: (usize, usize)) -> ClipError {
    ClipError::Size { transform: what, width_px: size.0 as u32, height_px: size.1 as u32 }
}

/// Returns 8, 4, 2 or 1: the smallest decoding that still has a pixel for each one asked for.
fn denominator(shown: &Shown) -> usize {
    let [_, _, width, height] = shown.crop;
    let enough = |denominator: usize| {
        width >= (shown.out_px.0 * denominator) as f64 && height >= (shown.out_px.1 * denominator) as f64
    };
    [8, 4, 2].into_iter().find(|denominator| enough(*denominator)).unwrap_or(1)
}

/// Returns start and length in the decoded frame, within its `limit`.
fn clamp(start: f64, length: f64, denominator: usize, limit: usize) -> (f64, f64) {
    let (factor, limit) = (1.0 / denominator as f64, limit as f64);
    let first = (start * factor).clamp(0.0, limit);
    let mut length = ((start + length) * factor).min(limit) - first;
    while first + length > limit {
        length = length.next_down();
    }
    (first, length)
}

/// Mirrors a row of RGB pixels.
fn mirror(row: &mut [u8]) {
    let (pixels, _) = row.as_chunks_mut::<3>();
    pixels.reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `width` by `height` frame whose red rises to the right and green downwards, in small steps.
    fn gradient(width: usize, height: usize) -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..width * height).flat_map(|at| [(at % width) as u8, (at / width) as u8, 128]).collect();
        let image = turbojpeg::Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        turbojpeg::compress(image, 100, turbojpeg::Subsamp::None).expect("a JPEG").to_vec()
    }

    fn decode(shown: &Shown) -> Vec<[u8; 3]> {
        let jpeg = gradient(shown.frame_px.0, shown.frame_px.1);
        let mut out = vec![0; 3 * shown.out_px.0 * shown.out_px.1];
        FrameDecoder::new().expect("a decoder").decode(&jpeg, 0, shown, &mut out).expect("decoded");
        out.as_chunks::<3>().0.to_vec()
    }

    /// Checks red and green against the position in the stored frame that each pixel's centre falls on.
    #[track_caller]
    fn check(shown: &Shown) {
        let pixels = decode(shown);
        let [x, y, width, height] = shown.crop;
        let (out_width, out_height) = shown.out_px;
        for (at, pixel) in pixels.iter().enumerate() {
            let column = if shown.flip { out_width - 1 - at % out_width } else { at % out_width };
            let red = x + (column as f64 + 0.5) * width / out_width as f64 - 0.5;
            let green = y + ((at / out_width) as f64 + 0.5) * height / out_height as f64 - 0.5;
            let far = (f64::from(pixel[0]) - red).abs().max((f64::from(pixel[1]) - green).abs());
            assert!(far <= 2.5, "pixel {at} is {pixel:?}, not {red} {green}");
        }
    }

    #[test]
    fn a_crop_is_where_it_should_be() {
        let frame_px = (200, 160);
        let plain = Shown { frame_px, crop: [30.0, 10.0, 64.0, 64.0], out_px: (64, 64), flip: false };
        check(&plain);
        check(&Shown { flip: true, ..plain });
        check(&Shown { crop: [30.25, 10.5, 100.5, 90.25], ..plain });
        check(&Shown { crop: [1.0, 1.0, 40.0, 50.0], ..plain });
    }

    #[test]
    fn scaled_decoding_shows_the_same_place() {
        let shown = |crop, side| Shown { frame_px: (240, 200), crop, out_px: (side, side), flip: false };
        for (crop, side, expect) in
            [([40.0, 24.0, 130.0, 130.0], 64, 2), ([9.0, 8.5, 200.0, 180.0], 40, 4), ([16.0, 8.0, 200.0, 184.0], 20, 8)]
        {
            let shown = shown(crop, side);
            assert_eq!(denominator(&shown), expect);
            check(&shown);
        }
    }

    #[test]
    fn a_crop_up_to_the_edge_is_within() {
        for start in [0.1_f64, 0.3, 1.7, 100.9, 127.300_001] {
            let (first, length) = clamp(start, 341.0 - start + 1e-5, 1, 341);
            assert!(first + length <= 341.0);
        }
        // 171 is odd: half of it is decoded as 86 pixels.
        assert_eq!(clamp(1.0, 170.0, 2, 86), (0.5, 85.0));
    }

    #[test]
    fn broken_frames_are_errors() {
        let jpeg = gradient(64, 48);
        let shown = Shown { frame_px: (64, 48), crop: [0.0, 0.0, 32.0, 32.0], out_px: (32, 32), flip: false };
        let mut decoder = FrameDecoder::new().expect("a decoder");
        let mut out = vec![0; 3 * 32 * 32];
        let mut decode = |jpeg: &[u8], shown: &Shown| decoder.decode(jpeg, 3, shown, &mut out);
        assert!(matches!(decode(&jpeg[..jpeg.len() / 2], &shown), Err(ClipError::Jpeg { frame_index: 3, .. })));
        assert!(matches!(decode(b"no image", &shown), Err(ClipError::Jpeg { .. })));
        assert!(matches!(decode(&[], &shown), Err(ClipError::Jpeg { .. })));
        let other = Shown { frame_px: (48, 64), ..shown };
        assert!(matches!(decode(&jpeg, &other), Err(ClipError::FrameSize { found: (64, 48), .. })));
        decode(&jpeg, &shown).expect("the decoder is still of use");
    }

    /// The library has no call for it, so the constant is tied to the crate that brings the source.
    #[test]
    fn the_version_is_that_of_the_locked_crate() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = fs_err::read_to_string(lock).expect("Cargo.lock");
        let package = "name = \"turbojpeg-sys\"\nversion = \"1.2.0\"\n";
        assert!(lock.contains(package), "look up VERSION in the CMakeLists.txt of the new turbojpeg-sys");
        assert_eq!(jpeg_version(), "3.1.0");
    }
}
