//! [`probe`]: the properties of a video file.

use crate::input::open;
use crate::{Decoder, VideoError};
use ffmpeg_next::codec::Parameters;
use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::{Rational, Stream};
use pipe_pixels::Orientation;
use std::path::Path;

/// What a container declares about its video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoInfo {
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Coded width in pixels, before frames become upright.
    pub width_px: u32,
    /// Coded height in pixels, before frames become upright.
    pub height_px: u32,
    /// Numerator of the average frame rate; 0 if unknown.
    pub fps_num: u32,
    /// Denominator of the average frame rate; never 0.
    pub fps_den: u32,
    /// Number of frames that the container declares; 0 if unknown.
    pub frames_declared: u64,
    /// How frames become upright.
    pub orientation: Orientation,
    /// Width of a pixel divided by its height, as numerator and denominator; 1 / 1 if unknown.
    pub sample_aspect: (u32, u32),
}

/// Opens a file and decodes its first frame.
///
/// # Errors
/// [`VideoError::Undecodable`] if the container can be read but its first frame can't be decoded; otherwise the error of the
/// container.
pub fn probe(path: &Path) -> Result<VideoInfo, VideoError> {
    let (input, stream_index) = open(path)?;
    let mut info = match input.stream(stream_index) {
        Some(stream) => stream_info(&stream),
        None => return Err(VideoError::NoVideoStream),
    };
    let first = Decoder::new(path, input, stream_index)
        .and_then(|mut decoder| decoder.next().unwrap_or(Err(VideoError::NoFrames)));
    match first {
        Ok(frame) => {
            // The size in the stream is more reliable than that in the container.
            (info.width_px, info.height_px) = (frame.width_px(), frame.height_px());
            info.sample_aspect = frame.sample_aspect();
            Ok(info)
        }
        Err(source) => Err(VideoError::Undecodable { info: Box::new(info), source: Box::new(source) }),
    }
}

impl VideoInfo {
    /// Returns how long a frame is shown, at the average frame rate.
    pub(crate) fn frame_nanos(&self) -> i64 {
        let Self { fps_num, fps_den, .. } = *self;
        if fps_num == 0 { 40_000_000 } else { (1_000_000_000 * i64::from(fps_den) / i64::from(fps_num)).max(1) }
    }
}

/// Returns whether a container declares that a stream is encrypted.
pub(crate) fn is_encrypted(stream: &Stream<'_>) -> bool {
    // Matroska names the key; MP4 has the data that a licence server needs.
    stream.metadata().get("enc_key_id").is_some()
        || stream.side_data().any(|data| data.kind() == side_data::Type::EncryptionInitInfo)
}

pub(crate) fn stream_info(stream: &Stream<'_>) -> VideoInfo {
    let parameters = stream.parameters();
    let (fps_num, fps_den) = frame_rate(stream);
    let (width_px, height_px) = size(&parameters);
    VideoInfo {
        codec: parameters.id().name().to_owned(),
        width_px,
        height_px,
        fps_num,
        fps_den,
        frames_declared: stream.frames().max(0) as u64,
        orientation: orientation(stream),
        sample_aspect: sample_aspect(stream, None),
    }
}

#[expect(unsafe_code, reason = "ffmpeg-next has no access to the size in a container's header")]
fn size(parameters: &Parameters) -> (u32, u32) {
    // SAFETY: the parameters are valid while borrowed, and these fields are plain numbers.
    let (width_px, height_px) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    (width_px.max(0) as u32, height_px.max(0) as u32)
}

fn frame_rate(stream: &Stream<'_>) -> (u32, u32) {
    let positive = |rate: &Rational| rate.numerator() > 0 && rate.denominator() > 0;
    let rate = [stream.avg_frame_rate(), stream.rate()].into_iter().find(positive);
    rate.map_or((0, 1), |rate| (rate.numerator() as u32, rate.denominator() as u32))
}

/// Returns the shape of a pixel: that of the container, or else that of a frame, as FFmpeg itself.
pub(crate) fn sample_aspect(stream: &Stream<'_>, frame: Option<Rational>) -> (u32, u32) {
    let positive = |ratio: &Rational| ratio.numerator() > 0 && ratio.denominator() > 0;
    let ratio = [Some(container_aspect(stream)), frame].into_iter().flatten().find(positive);
    ratio.map_or((1, 1), |ratio| {
        let ratio = ratio.reduce();
        (ratio.numerator() as u32, ratio.denominator() as u32)
    })
}

#[expect(unsafe_code, reason = "ffmpeg-next has no access to the aspect ratio of a stream")]
fn container_aspect(stream: &Stream<'_>) -> Rational {
    // SAFETY: the stream is valid while borrowed, and the field is a pair of numbers.
    unsafe { Rational::from((*stream.as_ptr()).sample_aspect_ratio) }
}

fn orientation(stream: &Stream<'_>) -> Orientation {
    let matrix = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix);
    matrix.map_or_else(Orientation::default, |matrix| orientation_of_matrix(matrix.data()))
}

/// Returns the orientation of a display matrix of nine `i32`, row by row: the pixel at (x, y) as coded is shown at
/// (x · m0 + y · m3, x · m1 + y · m4). Angles are rounded to quarter turns; the size and place that it gives are ignored.
fn orientation_of_matrix(bytes: &[u8]) -> Orientation {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |index: usize| words.get(index).map_or(0.0, |word| f64::from(i32::from_ne_bytes(*word)));
    let (scale_x, scale_y) = (word(0).hypot(word(3)), word(1).hypot(word(4)));
    if scale_x == 0.0 || scale_y == 0.0 {
        return Orientation::default();
    }
    let degrees = (word(1) / scale_y).atan2(word(0) / scale_x).to_degrees();
    let quarters = (degrees / 90.0).round().rem_euclid(4.0) as u32;
    let mirrored = word(0) * word(4) < word(1) * word(3);
    // The angle is that of the upper edge, which a mirror from left to right has turned round.
    let quarters = if mirrored { (quarters + 2) % 4 } else { quarters };
    Orientation { mirrored, rotation: quarters * 90 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_pixels::RgbImage;

    /// Shows the pixels of an image where the numbers of a matrix place them.
    fn place(image: &RgbImage, [a, b, c, d]: [i32; 4]) -> RgbImage {
        let (width, height) = (image.width_px as i32, image.height_px as i32);
        let shown = |x: i32, y: i32| (x * a + y * c, x * b + y * d);
        let ends = [shown(0, 0), shown(width - 1, height - 1)];
        let (left, top) = (ends[0].0.min(ends[1].0), ends[0].1.min(ends[1].1));
        let (right, bottom) = (ends[0].0.max(ends[1].0), ends[0].1.max(ends[1].1));
        let (width_px, height_px) = ((right - left + 1) as u32, (bottom - top + 1) as u32);
        let mut pixels = vec![0; image.pixels.len()];
        for (at, pixel) in image.pixels.chunks(3).enumerate() {
            let (x, y) = shown(at as i32 % width, at as i32 / width);
            let target = 3 * ((y - top) as usize * width_px as usize + (x - left) as usize);
            pixels[target..target + 3].copy_from_slice(pixel);
        }
        RgbImage { width_px, height_px, pixels }
    }

    #[test]
    fn all_eight_display_matrices_show_pixels_where_they_place_them() {
        let image = RgbImage { width_px: 4, height_px: 3, pixels: (0..36).collect() };
        let orientation = |[a, b, c, d]: [i32; 4], one: i32| {
            let words = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30];
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            orientation_of_matrix(&bytes)
        };
        let mut found = Vec::new();
        for (p, q) in [(1, 1), (1, -1), (-1, 1), (-1, -1)] {
            for numbers in [[p, 0, 0, q], [0, p, q, 0]] {
                let one = orientation(numbers, 1 << 16);
                assert_eq!(orientation(numbers, 1 << 15), one, "a picture at half its size");
                let mut upright = RgbImage::default();
                image.orient(one, &mut upright);
                assert_eq!(upright, place(&image, numbers), "{numbers:?}");
                found.push((one.mirrored, one.rotation));
            }
        }
        found.sort_unstable();
        let expect = [false, true].map(|mirrored| [0, 90, 180, 270].map(|rotation| (mirrored, rotation)));
        assert_eq!(found, expect.concat());
    }

    #[test]
    fn a_matrix_without_a_direction_changes_nothing() {
        assert!(orientation_of_matrix(&[0; 36]).is_upright());
        assert!(orientation_of_matrix(&[1, 2, 3]).is_upright());
    }
}
