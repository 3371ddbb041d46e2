//! [`FrameDecoder`]: from a stored frame to the pixels of a view.

use crate::ClipError;
use crate::lossless::{self, is_lossless};
use pipe_pixels::{Filter, JpegDecoder, LevelMap, OpenJpeg, Part, Resize, Resizer};

/// Largest number of pixels of a stored frame.
const MAX_FRAME_PIXELS: usize = 1 << 26;

/// Pixels around a crop that are decoded with it. Bilinear scaling needs one of them, and the smoothing of colors at the edges of
/// the decoded part another.
const MARGIN_PX: usize = 4;

/// The part of a frame that a view shows, and its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Width and height of the stored frame.
    pub(crate) frame_px: (usize, usize),
    /// Left edge, top edge, width and height of the crop in the stored frame.
    pub(crate) crop: [f64; 4],
    /// Width and height that the crop is scaled to.
    pub(crate) out_px: (usize, usize),
    /// Whether the crop is mirrored left to right.
    pub(crate) flip: bool,
}

/// Decodes, crops, scales and mirrors frames. Each thread has its own.
///
/// Scaling is [`Filter::Linear`], as in OpenCV's `INTER_LINEAR`, which MMAction2 uses. Two cases differ from decoding the
/// whole frame and then scaling, by more than rounding:
/// - A crop with at least two, four or eight times the requested pixels on both sides is decoded at a half, a quarter or an
///   eighth of its size, which costs less. Each pixel is then the mean of its neighbourhood, where OpenCV interpolates between
///   two pixels: this causes less aliasing.
/// - A crop of whole pixels that is not scaled is copied.
///
/// Only the crop is decoded; its pixels are the same as in the whole frame.
pub(crate) struct FrameDecoder {
    jpeg: JpegDecoder,
    resizer: Resizer<3>,
    decoded: Vec<u8>,
}

impl FrameDecoder {
    pub(crate) fn new() -> Result<Self, ClipError> {
        let jpeg = JpegDecoder::new().map_err(ClipError::Decoder)?;
        Ok(Self { jpeg, resizer: Resizer::default(), decoded: Vec::new() })
    }

    /// Writes the part `shown` of a frame to `out`, `[H, W, 3]` in RGB. `frame_index` is for error messages.
    pub(crate) fn decode(
        &mut self,
        jpeg: &[u8],
        frame_index: u32,
        shown: &Shown,
        out: &mut [u8],
    ) -> Result<(), ClipError> {
        let denominator = if is_lossless(jpeg) { 1 } else { denominator(shown) };
        let part = self.decompress(jpeg, frame_index, shown, denominator)?;
        let (left, crop_width) = within(shown.crop[0], shown.crop[2], denominator, part.left, part.width);
        let (top, crop_height) = within(shown.crop[1], shown.crop[3], denominator, part.top, part.height);
        let resize = Resize {
            source: (part.width, part.height),
            region: [left, top, crop_width, crop_height],
            target: shown.out_px,
            mirrored: shown.flip,
            filter: Filter::Linear,
            level_map: LevelMap::IDENTITY,
        };
        self.resizer.resize((&self.decoded, 3 * part.width), &resize, (out, 3 * shown.out_px.0));
        Ok(())
    }

    /// Decodes the shown part of a frame with a margin, at 1/`denominator` of its size, and returns which part was decoded.
    fn decompress(
        &mut self,
        jpeg: &[u8],
        frame_index: u32,
        shown: &Shown,
        denominator: usize,
    ) -> Result<Part, ClipError> {
        if is_lossless(jpeg) {
            let found = lossless::decode(jpeg, MAX_FRAME_PIXELS, &mut self.decoded)
                .map_err(|source| ClipError::Lossless { frame_index, source })?;
            let whole = Part { left: 0, top: 0, width: found.0, height: found.1 };
            let right = found == shown.frame_px;
            return right.then_some(whole).ok_or(ClipError::FrameSize { frame_index, found, expected: shown.frame_px });
        }
        let unreadable = |source| ClipError::Jpeg { frame_index, source };
        let open = self.jpeg.open(jpeg).map_err(unreadable)?;
        let (found, expected) = (open.size(), shown.frame_px);
        if found != expected {
            return Err(ClipError::FrameSize { frame_index, found, expected });
        }
        if found.0 * found.1 > MAX_FRAME_PIXELS {
            return Err(too_large("a stored frame", found));
        }
        let part = part(&open, shown, denominator);
        open.decode(denominator, part, &mut self.decoded).map_err(unreadable)?;
        Ok(part)
    }
}

/// Returns the part of the scaled image that contains the crop and a margin.
fn part(open: &OpenJpeg<'_>, shown: &Shown, denominator: usize) -> Part {
    let (width, height) = open.scaled(denominator);
    let Some(block_width) = open.block_width() else { return Part { left: 0, top: 0, width, height } };
    let block_width = block_width.div_ceil(denominator);
    let edges = |start: f64, length: f64, limit: usize| {
        let factor = 1.0 / denominator as f64;
        let first = ((start * factor) as usize).saturating_sub(MARGIN_PX).min(limit - 1);
        let end = ((start + length) * factor).ceil() as usize + MARGIN_PX;
        (first, end.clamp(first + 1, limit))
    };
    let (left, right) = edges(shown.crop[0], shown.crop[2], width);
    let (top, bottom) = edges(shown.crop[1], shown.crop[3], height);
    let left = left - left % block_width;
    Part { left, top, width: right - left, height: bottom - top }
}

fn too_large(what: &'static str, size: (usize, usize)) -> ClipError {
    ClipError::Size { transform: what, width_px: size.0 as u32, height_px: size.1 as u32 }
}

/// Returns 8, 4, 2 or 1: the largest reduction that still decodes a pixel for each requested one.
fn denominator(shown: &Shown) -> usize {
    let [_, _, width, height] = shown.crop;
    let enough = |denominator: usize| {
        width >= (shown.out_px.0 * denominator) as f64 && height >= (shown.out_px.1 * denominator) as f64
    };
    [8, 4, 2].into_iter().find(|denominator| enough(*denominator)).unwrap_or(1)
}

/// Returns start and length of the crop in the decoded part, which begins at `first` of the scaled frame and has length `limit`.
fn within(start: f64, length: f64, denominator: usize, first: usize, limit: usize) -> (f64, f64) {
    let (factor, limit) = (1.0 / denominator as f64, limit as f64);
    let begin = (start * factor - first as f64).clamp(0.0, limit);
    let mut length = ((start + length) * factor - first as f64).min(limit) - begin;
    while begin + length > limit {
        length = length.next_down();
    }
    (begin, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use turbojpeg::{PixelFormat, Subsamp};

    /// Returns a frame in which red rises to the right and green downwards, in small steps.
    fn gradient(width: usize, height: usize) -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..width * height).flat_map(|at| [(at % width) as u8, (at / width) as u8, 128]).collect();
        coded(&pixels, width, height, 100, Subsamp::None)
    }

    fn coded(pixels: &[u8], width: usize, height: usize, quality: i32, subsampling: Subsamp) -> Vec<u8> {
        let image = turbojpeg::Image { pixels, width, pitch: 3 * width, height, format: PixelFormat::RGB };
        turbojpeg::compress(image, quality, subsampling).expect("a JPEG").to_vec()
    }

    fn decode(shown: &Shown) -> Vec<[u8; 3]> {
        let jpeg = gradient(shown.frame_px.0, shown.frame_px.1);
        let mut out = vec![0; 3 * shown.out_px.0 * shown.out_px.1];
        FrameDecoder::new().expect("a decoder").decode(&jpeg, 0, shown, &mut out).expect("decoded");
        out.as_chunks::<3>().0.to_vec()
    }

    /// Compares red and green of each pixel with the position of its center in the stored frame.
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

    /// Noise reveals any misplaced pixel, and 4:2:0 any misplaced color.
    #[test]
    fn a_decoded_part_equals_that_part_of_the_whole_frame() {
        let (width, height) = (341, 256);
        let mut draws = crate::Draws::new(0, &["noise"]);
        let pixels: Vec<u8> = (0..3 * width * height).map(|_| draws.bits() as u8).collect();
        for subsampling in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub4x1, Subsamp::Gray] {
            let jpeg = coded(&pixels, width, height, 75, subsampling);
            let mut decoder = FrameDecoder::new().expect("a decoder");
            for number in 0..60 {
                let denominator = [1, 2, 4, 8][number % 4];
                let (crop_width, crop_height) = (draws.between(1.0, 341.0), draws.between(1.0, 256.0));
                let (x, y) = (draws.between(0.0, 341.0 - crop_width), draws.between(0.0, 256.0 - crop_height));
                let crop = if number < 4 { [0.0, 0.0, 341.0, 256.0] } else { [x, y, crop_width, crop_height] };
                let shown = Shown { frame_px: (width, height), crop, out_px: (9, 7), flip: false };
                let mut whole = Vec::new();
                let open = decoder.jpeg.open(&jpeg).expect("opened");
                let (scaled_width, scaled_height) = open.scaled(denominator);
                let all = Part { left: 0, top: 0, width: scaled_width, height: scaled_height };
                open.decode(denominator, all, &mut whole).expect("decoded");
                let part = decoder.decompress(&jpeg, 0, &shown, denominator).expect("decoded");
                let row = |pixels: &[u8], row: usize, width: usize, columns: std::ops::Range<usize>| {
                    pixels[3 * (row * width + columns.start)..3 * (row * width + columns.end)].to_vec()
                };
                // Without the outer half of the margin, where a neighbour for colors may be missing.
                let inner = |start: usize, length: usize, limit: usize| {
                    let end = start + length;
                    (if start == 0 { 0 } else { start + 2 }, if end == limit { end } else { end - 2 })
                };
                let (left, right) = inner(part.left, part.width, scaled_width);
                let (top, bottom) = inner(part.top, part.height, scaled_height);
                for y in top..bottom {
                    let columns = left - part.left..right - part.left;
                    let found = row(&decoder.decoded, y - part.top, part.width, columns);
                    assert_eq!(found, row(&whole, y, scaled_width, left..right), "{subsampling:?} {part:?} row {y}");
                }
            }
        }
    }

    #[test]
    fn a_crop_up_to_the_edge_is_within() {
        for start in [0.1_f64, 0.3, 1.7, 100.9, 127.300_001] {
            let (first, length) = within(start, 341.0 - start + 1e-5, 1, 0, 341);
            assert!(first + length <= 341.0);
            let (first, length) = within(start, 341.0 - start + 1e-5, 1, start as usize, 341 - start as usize);
            assert!(first + length <= 341.0 - start.floor());
        }
        // 171 is odd: half of it is decoded as 86 pixels.
        assert_eq!(within(1.0, 170.0, 2, 0, 86), (0.5, 85.0));
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
        decode(&jpeg, &shown).expect("the decoder can still be used");
    }
}
