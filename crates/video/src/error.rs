//! [`VideoError`]: what is wrong with a file.

use crate::VideoInfo;

/// What is wrong with a video. The texts do not name the file; the caller knows it.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// FFmpeg takes paths as UTF-8.
    #[error("the path is not UTF-8, or it is no regular file")]
    Path,
    /// It is none of the containers that hold video, or its header is broken.
    #[error("no readable video container")]
    Open {
        /// What FFmpeg says.
        source: ffmpeg_next::Error,
    },
    /// It is a container, but without moving pictures.
    #[error("no video stream")]
    NoVideoStream,
    /// There is a video stream whose first frame can't be had.
    #[error("the first frame can't be decoded")]
    Undecodable {
        /// What the container says of it.
        info: Box<VideoInfo>,
        /// Why.
        source: Box<VideoError>,
    },
    /// This FFmpeg has no decoder for it.
    #[error("no decoder for `{codec}`")]
    NoDecoder {
        /// FFmpeg's name of the codec.
        codec: String,
    },
    /// Frames are larger than [`crate::MAX_SIDE_PX`] or [`crate::MAX_PIXELS`].
    #[error("frames of {width_px} x {height_px} pixels are too large")]
    TooLarge {
        /// Of a frame.
        width_px: u32,
        /// Of a frame.
        height_px: u32,
    },
    /// A frame is damaged.
    #[error("frame {frame_index} can't be decoded")]
    Decode {
        /// From 0.
        frame_index: u64,
        /// What FFmpeg says.
        source: ffmpeg_next::Error,
    },
    /// The container is damaged.
    #[error("the file is damaged at frame {frame_index}")]
    Read {
        /// From 0.
        frame_index: u64,
        /// What FFmpeg says.
        source: ffmpeg_next::Error,
    },
    /// The file ends in the middle of a frame.
    #[error("the data of frame {frame_index} is cut short")]
    CutShort {
        /// From 0.
        frame_index: u64,
    },
    /// The file ends early, or frames are missing inside.
    #[error("the container declares {declared} frames, but only {found} are there")]
    FramesMissing {
        /// Frames that the container declares.
        declared: u64,
        /// Frames found.
        found: u64,
    },
    /// Nothing came out of the decoder.
    #[error("not a single frame could be decoded")]
    NoFrames,
    /// The pixels can't be converted.
    #[error("pixels of the format `{format}` can't be converted")]
    Convert {
        /// FFmpeg's name of the pixel format.
        format: String,
        /// What FFmpeg says.
        source: ffmpeg_next::Error,
    },
    /// The PNG library refused.
    #[error("a frame can't be coded as PNG")]
    Png(#[from] png::EncodingError),
    /// The JPEG library refused.
    #[error("a frame can't be coded as JPEG")]
    Jpeg(#[from] pipe_pixels::JpegError),
    /// A file can't be written.
    #[error("the video can't be written")]
    Encode {
        /// What FFmpeg says.
        source: ffmpeg_next::Error,
    },
    /// A frame to be encoded has the wrong size.
    #[error("a frame of {found} bytes was given where {expected} belong")]
    FrameSize {
        /// Bytes of `[H, W, 3]`.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}
