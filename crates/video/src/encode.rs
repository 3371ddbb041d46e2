//! [`Encoder`]: writes frames to an AVI or MP4 file.

use crate::VideoError;
use crate::color::set_coding;
use crate::input::{check_size, setup};
use crate::scale::SCALING;
use crate::url::FileUrl;
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::{Pixel, context::Output};
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Dictionary, Error, Packet, Rational, encoder, frame};
use pipe_pixels::ColorCoding;
use std::path::Path;

/// The factor between a quantizer and FFmpeg's quality.
const LAMBDA: i32 = ffmpeg_next::ffi::FF_QP2LAMBDA;

/// Parameters of an [`Encoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderParams {
    /// Width in pixels; even.
    pub width_px: u32,
    /// Height in pixels; even.
    pub height_px: u32,
    /// Frames per second.
    pub fps: u32,
    /// The quantizer of MPEG-4, from 1 (best quality, largest file) to 31.
    pub quantizer: u32,
}

/// Writes a file with MPEG-4 part 2 video: MP4 if its name ends so, else AVI, as in UCF101. Equal frames give equal bytes.
pub struct Encoder {
    params: EncoderParams,
    output: Output,
    codec: encoder::Video,
    context: scaling::Context,
    rgb: frame::Video,
    frames: i64,
    is_mp4: bool,
}

impl Encoder {
    /// Creates the file.
    pub fn create(path: &Path, params: EncoderParams) -> Result<Self, VideoError> {
        setup();
        check_size(params.width_px, params.height_px)?;
        let url = FileUrl::of(path)?;
        let encode = |source| VideoError::Encode { source };
        let is_mp4 = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mp4"));
        let format = if is_mp4 { "mp4" } else { "avi" };
        let mut output = ffmpeg_next::format::output_as(url.as_str(), format).map_err(encode)?;
        let codec = open_encoder(&params, is_mp4).map_err(encode)?;
        let mut stream = output.add_stream_with(&codec).map_err(encode)?;
        stream.set_time_base(Rational::new(1, params.fps as i32));
        // Without this flag, the file would contain the version of the library.
        let options = Dictionary::from_iter([("fflags", "+bitexact")]);
        output.write_header_with(options).map_err(encode)?;
        let (width_px, height_px) = (params.width_px, params.height_px);
        let mut context =
            scaling::Context::get(Pixel::RGB24, width_px, height_px, Pixel::YUV420P, width_px, height_px, SCALING)
                .map_err(encode)?;
        let limited = ColorCoding { full_range: false, ..ColorCoding::JPEG };
        set_coding(&mut context, limited, limited);
        let rgb = frame::Video::new(Pixel::RGB24, width_px, height_px);
        Ok(Self { params, output, codec, context, rgb, frames: 0, is_mp4 })
    }

    /// Writes a frame.
    ///
    /// # Shapes
    /// - `rgb`: `[H, W, 3]`
    pub fn write_rgb(&mut self, rgb: &[u8]) -> Result<(), VideoError> {
        let line = 3 * self.params.width_px as usize;
        let expected = line * self.params.height_px as usize;
        if rgb.len() != expected {
            return Err(VideoError::FrameSize { expected, found: rgb.len() });
        }
        let stride = self.rgb.stride(0);
        for (target, source) in self.rgb.data_mut(0).chunks_mut(stride).zip(rgb.chunks_exact(line)) {
            target[..line].copy_from_slice(source);
        }
        let encode = |source| VideoError::Encode { source };
        // The encoder keeps a reference to a frame, so each frame is allocated.
        let mut picture = frame::Video::empty();
        self.context.run(&self.rgb, &mut picture).map_err(encode)?;
        picture.set_pts(Some(self.frames));
        self.frames += 1;
        self.codec.send_frame(&picture).map_err(encode)?;
        self.write_packets()
    }

    /// Writes the frames that the encoder still holds, and the index of the file.
    pub fn finish(mut self) -> Result<(), VideoError> {
        self.codec.send_eof().map_err(|source| VideoError::Encode { source })?;
        self.write_packets()?;
        self.output.write_trailer().map_err(|source| VideoError::Encode { source })
    }

    fn write_packets(&mut self) -> Result<(), VideoError> {
        let encode = |source| VideoError::Encode { source };
        let stream_base = self.output.stream(0).map_or(Rational::new(1, 1), |stream| stream.time_base());
        loop {
            let mut packet = Packet::empty();
            match self.codec.receive_packet(&mut packet) {
                Ok(()) => {
                    packet.set_stream(0);
                    if self.is_mp4 {
                        // Without it, the last frame lasts no time, and players leave it out.
                        packet.set_duration(1);
                    }
                    packet.rescale_ts(Rational::new(1, self.params.fps as i32), stream_base);
                    packet.write_interleaved(&mut self.output).map_err(encode)?;
                }
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(()),
                Err(source) => return Err(encode(source)),
            }
        }
    }
}

/// MP4 has the parameters of the decoder in its header, AVI in the first frame.
fn open_encoder(params: &EncoderParams, global_header: bool) -> Result<encoder::Video, Error> {
    let codec = encoder::find(codec::Id::MPEG4).ok_or(Error::EncoderNotFound)?;
    let mut context = codec::Context::new_with_codec(codec);
    context.set_threading(threading::Config::count(1));
    let header = if global_header { codec::Flags::GLOBAL_HEADER } else { codec::Flags::empty() };
    context.set_flags(codec::Flags::BITEXACT | codec::Flags::QSCALE | header);
    let mut encoder = context.encoder().video()?;
    encoder.set_width(params.width_px);
    encoder.set_height(params.height_px);
    encoder.set_format(Pixel::YUV420P);
    encoder.set_time_base(Rational::new(1, params.fps as i32));
    encoder.set_frame_rate(Some(Rational::new(params.fps as i32, 1)));
    encoder.set_max_b_frames(0);
    encoder.set_global_quality(params.quantizer as i32 * LAMBDA);
    encoder.open_as(codec)
}
