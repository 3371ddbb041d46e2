//! [`make`]: encodes a video with FFmpeg's encoders and muxers.

use ffmpeg_next::codec::{self, Flags};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::{Pixel, context::Output};
use ffmpeg_next::{Error, Packet, Rational, encoder, ffi, format, frame};
use std::path::Path;

/// How a video is made.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    /// FFmpeg's name of the container.
    pub(crate) muxer: &'static str,
    pub(crate) codec: codec::Id,
    pub(crate) pixel: Pixel,
    pub(crate) size: (u32, u32),
    pub(crate) frames: usize,
    pub(crate) b_frames: usize,
    /// Options of the container.
    pub(crate) options: &'static [(&'static str, &'static str)],
    /// The display matrix.
    pub(crate) matrix: Option<[i32; 9]>,
}

pub(crate) const MPEG4: Recipe = Recipe {
    muxer: "avi",
    codec: codec::Id::MPEG4,
    pixel: Pixel::YUV420P,
    size: (176, 144),
    frames: 40,
    b_frames: 0,
    options: &[],
    matrix: None,
};

/// Writes the video. The planes of a frame are filled by `paint`, which returns the sample at a frame, plane, column and row.
///
/// # Errors
/// An error of FFmpeg, such as one for an encoder that is not installed.
pub(crate) fn make(
    path: &Path,
    recipe: &Recipe,
    paint: impl Fn(usize, usize, usize, usize) -> u8,
) -> Result<(), Error> {
    ffmpeg_next::init()?;
    let mut output = format::output_as(path, recipe.muxer)?;
    let mut codec = open_encoder(recipe, &output)?;
    let mut stream = output.add_stream_with(&codec)?;
    stream.set_time_base(Rational::new(1, 25));
    stream.set_avg_frame_rate(Rational::new(25, 1));
    set_matrix(&mut stream, recipe.matrix);
    output.write_header_with(recipe.options.iter().copied().collect())?;
    for number in 0..recipe.frames {
        let mut picture = frame::Video::new(recipe.pixel, recipe.size.0, recipe.size.1);
        for plane in 0..picture.planes() {
            let (stride, width) = (picture.stride(plane), picture.plane_width(plane) as usize);
            for (row, line) in picture.data_mut(plane).chunks_mut(stride).enumerate() {
                (0..width.min(line.len())).for_each(|column| line[column] = paint(number, plane, column, row));
            }
        }
        picture.set_pts(Some(number as i64));
        codec.send_frame(&picture)?;
        write_packets(&mut codec, &mut output)?;
    }
    codec.send_eof()?;
    write_packets(&mut codec, &mut output)?;
    output.write_trailer()
}

/// Noise over a moving edge, so that packets have some hundred bytes and differ.
pub(crate) fn moving(frame: usize, plane: usize, column: usize, row: usize) -> u8 {
    let noise = (frame * 31 + column * 7 + row * 13).wrapping_mul(2_654_435_761) >> 12 & 15;
    let edge = if plane == 0 && column > 4 * frame % 170 { 120 } else { 60 };
    (edge + noise) as u8
}

fn open_encoder(recipe: &Recipe, output: &Output) -> Result<encoder::Video, Error> {
    let codec = encoder::find(recipe.codec).ok_or(Error::EncoderNotFound)?;
    let mut context = codec::Context::new_with_codec(codec);
    if output.format().flags().contains(format::Flags::GLOBAL_HEADER) {
        context.set_flags(Flags::GLOBAL_HEADER);
    }
    let mut encoder = context.encoder().video()?;
    encoder.set_width(recipe.size.0);
    encoder.set_height(recipe.size.1);
    encoder.set_format(recipe.pixel);
    encoder.set_time_base(Rational::new(1, 25));
    encoder.set_frame_rate(Some(Rational::new(25, 1)));
    encoder.set_bit_rate(400_000);
    encoder.set_gop(12);
    encoder.set_max_b_frames(recipe.b_frames);
    encoder.open_as(codec)
}

fn write_packets(codec: &mut encoder::Video, output: &mut Output) -> Result<(), Error> {
    let time_base = output.stream(0).ok_or(Error::StreamNotFound)?.time_base();
    loop {
        let mut packet = Packet::empty();
        match codec.receive_packet(&mut packet) {
            Ok(()) => {
                packet.set_stream(0);
                packet.set_duration(1);
                packet.rescale_ts(Rational::new(1, 25), time_base);
                packet.write_interleaved(output)?;
            }
            Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

#[expect(unsafe_code, reason = "ffmpeg-next has no access to side data that is written")]
fn set_matrix(stream: &mut format::stream::StreamMut<'_>, matrix: Option<[i32; 9]>) {
    let Some(matrix) = matrix else { return };
    // SAFETY: the stream is valid while it is borrowed. FFmpeg allocates as many bytes as are copied, or returns null.
    unsafe {
        let bytes = size_of_val(&matrix);
        let data = ffi::av_stream_new_side_data(
            stream.as_mut_ptr(),
            ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX,
            bytes,
        );
        assert!(!data.is_null());
        std::ptr::copy_nonoverlapping(matrix.as_ptr().cast::<u8>(), data, bytes);
    }
}
