//! [`probe`]: the properties of a video file.

use crate::input::open;
use crate::{Decoder, VideoError};
use ffmpeg_next::codec::Parameters;
use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::{Rational, Stream};
use std::path::Path;

/// What a container declares about its video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoInfo {
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Coded width in pixels, before rotation.
    pub width_px: u32,
    /// Coded height in pixels, before rotation.
    pub height_px: u32,
    /// Numerator of the average frame rate; 0 if unknown.
    pub fps_num: u32,
    /// Denominator of the average frame rate; never 0.
    pub fps_den: u32,
    /// Number of frames that the container declares; 0 if unknown.
    pub frames_declared: u64,
    /// Clockwise rotation for display, in degrees: 0, 90, 180 or 270.
    pub rotation: u32,
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
    let first =
        Decoder::new(input, stream_index).and_then(|mut decoder| decoder.next().unwrap_or(Err(VideoError::NoFrames)));
    match first {
        Ok(frame) => {
            // The size in the stream is more reliable than that in the container.
            (info.width_px, info.height_px) = (frame.width_px(), frame.height_px());
            Ok(info)
        }
        Err(source) => Err(VideoError::Undecodable { info: Box::new(info), source: Box::new(source) }),
    }
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
        rotation: rotation(stream),
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

fn rotation(stream: &Stream<'_>) -> u32 {
    let matrix = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix);
    matrix.map_or(0, |matrix| rotation_of_matrix(matrix.data()))
}

/// Returns the clockwise rotation of a display matrix of nine `i32`, row by row. The first two numbers of the first two rows
/// rotate and scale. Mirroring is ignored.
fn rotation_of_matrix(bytes: &[u8]) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |index: usize| words.get(index).map_or(0.0, |word| f64::from(i32::from_ne_bytes(*word)));
    let (scale_x, scale_y) = (word(0).hypot(word(3)), word(1).hypot(word(4)));
    if scale_x == 0.0 || scale_y == 0.0 {
        return 0;
    }
    let degrees = (word(1) / scale_y).atan2(word(0) / scale_x).to_degrees();
    (degrees / 90.0).round().rem_euclid(4.0) as u32 * 90
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_matrices_rotate_by_quarter_turns() {
        let check = |words: [i32; 9], expect: u32| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!(rotation_of_matrix(&bytes), expect, "{words:?}");
        };
        let (one, unit) = (1 << 16, 1 << 30);
        check([one, 0, 0, 0, one, 0, 0, 0, unit], 0);
        check([0, one, 0, -one, 0, 0, 0, 0, unit], 90);
        check([-one, 0, 0, 0, -one, 0, 0, 0, unit], 180);
        check([0, -one, 0, one, 0, 0, 0, 0, unit], 270);
        check([0; 9], 0);
        assert_eq!(rotation_of_matrix(&[1, 2, 3]), 0);
    }
}
