//! Opens a file with a fixed list of allowed containers and protocols.

use crate::url::FileUrl;
use crate::{NotAVideo, VideoError};
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Dictionary, decoder, media};
use std::path::Path;
use std::sync::Once;

/// Maximum side of a frame that is decoded or written, in pixels.
pub const MAX_SIDE_PX: u32 = 16_384;

/// Maximum number of pixels of a frame that is decoded.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The allowed demuxers, by FFmpeg's names. Playlists, which open other files, and still images are not allowed.
pub(crate) const CONTAINERS: &str = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,asf,mpeg,mpegts,mpegvideo,m4v,h264,hevc,h263,\
                          obu,av1,vc1,ivf,gif,ogg,nut,mxf,rm,dv,wtv,gxf,yuv4mpegpipe";

/// Initialises FFmpeg; cheap to call again.
pub(crate) fn setup() {
    static SETUP: Once = Once::new();
    SETUP.call_once(|| {
        // This registers the messages of errors, and can't fail.
        let _ = ffmpeg_next::init();
        ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Error);
    });
}

/// Opens a file and returns it with the index of its video stream.
pub(crate) fn open(path: &Path) -> Result<(Input, usize), VideoError> {
    setup();
    if !fs_err::metadata(path)?.is_file() {
        return Err(VideoError::Path);
    }
    if let Some(kind) = NotAVideo::of(path)? {
        return Err(VideoError::NotAVideo(kind));
    }
    let url = FileUrl::of(path)?;
    let options = Dictionary::from_iter([("protocol_whitelist", "file"), ("format_whitelist", CONTAINERS)]);
    let input = ffmpeg_next::format::input_with_dictionary(url.as_str(), options)
        .map_err(|source| VideoError::Open { source })?;
    let index = video_stream(&input)?;
    Ok((input, index))
}

/// Returns the index of the stream with moving pictures.
pub(crate) fn video_stream(input: &Input) -> Result<usize, VideoError> {
    let best = input.streams().best(media::Type::Video);
    // The cover image of an audio file is a video stream too.
    let moving = best.filter(|stream| !stream.disposition().contains(Disposition::ATTACHED_PIC));
    Ok(moving.ok_or(VideoError::NoVideoStream)?.index())
}

/// Opens the decoder of a stream.
pub(crate) fn open_decoder(input: &Input, stream_index: usize) -> Result<decoder::Video, VideoError> {
    let stream = input.stream(stream_index).ok_or(VideoError::NoVideoStream)?;
    let parameters = stream.parameters();
    let codec = decoder::find(parameters.id())
        .ok_or_else(|| VideoError::NoDecoder { codec: parameters.id().name().to_owned() })?;
    let decode = |source| VideoError::Decode { frame_index: 0, source };
    let mut context = codec::Context::from_parameters(parameters).map_err(decode)?;
    // Videos are decoded in parallel, so one thread per video is cheapest, and its output is always the same.
    context.set_threading(threading::Config::count(1));
    context.set_flags(codec::Flags::BITEXACT);
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let max_pixels = MAX_PIXELS.to_string();
    let options = Dictionary::from_iter([("max_pixels", max_pixels.as_str())]);
    decoder.open_as_with(codec, options).and_then(decoder::Opened::video).map_err(decode)
}

/// Checks the size of a frame.
pub(crate) fn check_size(width_px: u32, height_px: u32) -> Result<(), VideoError> {
    let pixels = u64::from(width_px) * u64::from(height_px);
    if width_px.max(height_px) > MAX_SIDE_PX || pixels > MAX_PIXELS {
        return Err(VideoError::TooLarge { width_px, height_px });
    }
    Ok(())
}
