//! [`VideoStream`]: a video that arrives over time, such as that of a camera, and has no end that is known before.

use crate::input::{CONTAINERS, setup, video_stream};
use crate::{Decoder, VideoError};
use ffmpeg_next::Dictionary;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;

/// After this time without data, a connection has failed, in microseconds.
const TIMEOUT_MICROS: &str = "10000000";

/// Opens streams, by the protocols that are allowed.
pub struct VideoStream {
    decoder: Decoder,
    is_live: bool,
    is_mp4: bool,
}

/// How a protocol is opened.
struct Protocol {
    /// Schemes of its URLs.
    schemes: &'static [&'static str],
    /// The protocols that FFmpeg may use for it, by FFmpeg's names. None of them reads files.
    whitelist: &'static str,
    options: &'static [(&'static str, &'static str)],
}

const PROTOCOLS: &[Protocol] = &[
    // A descriptor of this process: `pipe:0`.
    Protocol { schemes: &["pipe"], whitelist: "pipe", options: &[] },
    Protocol {
        schemes: &["rtsp"],
        whitelist: "rtsp,rtp,udp,tcp",
        // Over TCP no packets are lost.
        options: &[("rtsp_transport", "tcp"), ("timeout", TIMEOUT_MICROS)],
    },
    Protocol {
        schemes: &["http", "https"],
        whitelist: "http,https,tcp,tls",
        options: &[("rw_timeout", TIMEOUT_MICROS)],
    },
];

impl VideoStream {
    /// Opens a URL: `rtsp://…`, `http://…`, `https://…`, or `pipe:N` for the file descriptor `N` of this process.
    ///
    /// # Errors
    /// [`VideoError::Protocol`] if the URL has another scheme, [`VideoError::Connect`] if it can't be opened; otherwise as for files.
    pub fn open(url: &str) -> Result<Self, VideoError> {
        setup();
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let protocol = PROTOCOLS.iter().find(|protocol| protocol.schemes.contains(&scheme.as_str()));
        let protocol = protocol.ok_or(VideoError::Protocol { scheme })?;
        // `mpjpeg` is what cameras send over HTTP: one JPEG after the other.
        let containers = format!("rtsp,mpjpeg,{CONTAINERS}");
        let mut options: Dictionary = protocol.options.iter().copied().collect();
        options.set("protocol_whitelist", protocol.whitelist);
        options.set("format_whitelist", &containers);
        let input = ffmpeg_next::format::input_with_dictionary(url, options)
            .map_err(|source| VideoError::Connect { source })?;
        let is_live = protocol.schemes != ["pipe"] && num_bytes(&input).is_none();
        let index = video_stream(&input)?;
        let is_mp4 = input.format().name().starts_with("mov");
        Ok(Self { decoder: Decoder::of_stream(input, index)?, is_live, is_mp4 })
    }

    /// Returns whether its frames come at the speed at which they are shown, so that a reader that is too slow falls behind. A file that
    /// an HTTP server sends and a pipe wait for their reader.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Returns whether it is of the family of MP4, whose index may follow the frames.
    pub(crate) fn is_mp4(&self) -> bool {
        self.is_mp4
    }

    /// Returns its frames. The end of the stream is the end of the frames.
    pub fn into_frames(self) -> Decoder {
        self.decoder
    }
}

/// Returns the size of the file behind an input; `None` if it is not a file.
#[expect(unsafe_code, reason = "ffmpeg-next does not return the size of a file")]
fn num_bytes(input: &Input) -> Option<i64> {
    // SAFETY: the context is open while it is borrowed; its `pb` is null, as for RTSP, or an open reader.
    let size = unsafe {
        let reader = (*input.as_ptr()).pb;
        if reader.is_null() {
            return None;
        }
        ffi::avio_size(reader)
    };
    (size > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_refused() {
        for url in
            ["file:/etc/passwd", "concat:a|b", "/etc/passwd", "", "data:,x", "udp://127.0.0.1:1", "hls+http://x/y"]
        {
            let error = VideoStream::open(url).err().expect(url);
            assert!(matches!(error, VideoError::Protocol { .. }), "{url}: {error}");
        }
    }
}
