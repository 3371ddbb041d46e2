//! [`VideoError`]: why a file can't be read or written.

use crate::VideoInfo;
use ffmpeg_next::error::{EACCES, EINTR, EIO, EMFILE, ENFILE, ENODEV, ENOENT, ENOSPC, ENXIO, EPERM, ETIMEDOUT};
use pipe_schemas::tables::Verdict;
use std::error::Error;
use std::path::Path;

/// Why a video can't be read or written. The messages do not name the file, because the caller does.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum VideoError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// FFmpeg needs a path in UTF-8, and a regular file.
    #[error("the path is not UTF-8, or not a regular file")]
    Path,
    /// The file is not a video container, or its header is damaged.
    #[error("not a readable video container")]
    Open { source: ffmpeg_next::Error },
    /// A stream can't be opened by this protocol.
    #[error("the protocol `{scheme}` is not supported: expected rtsp, http or https")]
    Protocol { scheme: String },
    /// A stream can't be opened, or does not contain a video.
    #[error("the stream can't be opened")]
    Connect { source: ffmpeg_next::Error },
    /// The frames of an MP4 file come before its index, and can't be read again.
    #[error("the index of this MP4 file is at its end, so it can't be read from a stream; give the path of the file")]
    IndexAtEnd,
    /// A stream has no number of frames by which frames could be chosen.
    #[error("the network's frames are chosen by the number of frames of a video, which a stream does not have")]
    Unbounded,
    /// The container has no moving pictures.
    #[error("no video stream")]
    NoVideoStream,
    /// The first frame of the video stream can't be decoded.
    #[error("the first frame can't be decoded")]
    Undecodable { info: Box<VideoInfo>, source: Box<VideoError> },
    /// The installed FFmpeg has no decoder for the codec.
    #[error("no decoder for `{codec}`")]
    NoDecoder { codec: String },
    /// Frames are larger than [`crate::MAX_SIDE_PX`] or [`crate::MAX_PIXELS`].
    #[error("frames of {width_px} x {height_px} pixels are too large")]
    TooLarge { width_px: u32, height_px: u32 },
    /// A frame is damaged.
    #[error("frame {frame_index} can't be decoded")]
    Decode {
        /// Position of the frame, from 0.
        frame_index: u64,
        source: ffmpeg_next::Error,
    },
    /// The container is damaged.
    #[error("the file is damaged at frame {frame_index}")]
    Read {
        /// Position of the frame, from 0.
        frame_index: u64,
        source: ffmpeg_next::Error,
    },
    /// The file ends in the middle of a frame.
    #[error("the data of frame {frame_index} is cut short")]
    CutShort {
        /// Position of the frame, from 0.
        frame_index: u64,
    },
    /// The file has fewer frames than its header declares.
    #[error("the container declares {declared} frames, but only {found} were found")]
    FramesMissing {
        /// Number of frames that the container declares.
        declared: u64,
        found: u64,
    },
    /// The file ends before frames that its index lists.
    #[error("the file ends early: its index lists {listed} frames to show, but only {found} were found")]
    FramesCut {
        /// Number of frames in the index. An edit list may leave out some of those in the header.
        listed: u64,
        found: u64,
    },
    /// The file ends before the duration that it declares.
    #[error("the file ends early: the container declares {declared_secs:.3} s, but the data ends at {found_secs:.3} s")]
    EndsEarly { declared_secs: f64, found_secs: f64 },
    /// The file is shorter than it declares.
    #[error("the file ends early: it has {found_bytes} of the {declared_bytes} bytes that the container declares")]
    BytesMissing { declared_bytes: u64, found_bytes: u64 },
    /// The stream does not end with the mark that its container requires.
    #[error("the file ends early: its last page is incomplete, or not marked as the end")]
    NoEnd,
    /// The video is encrypted.
    #[error("the video is encrypted")]
    Encrypted,
    /// The file is a known kind of file that is not a video.
    #[error("{0}")]
    NotAVideo(crate::NotAVideo),
    /// The decoder returned no frame.
    #[error("no frame could be decoded")]
    NoFrames,
    /// The pixels can't be converted.
    #[error("pixels of the format `{format}` can't be converted")]
    Convert { format: String, source: ffmpeg_next::Error },
    /// The PNG encoder failed.
    #[error("a frame can't be encoded as PNG")]
    Png(#[from] png::EncodingError),
    /// The JPEG encoder failed.
    #[error("a frame can't be encoded as JPEG")]
    Jpeg(#[from] pipe_pixels::JpegError),
    /// A file can't be written.
    #[error("the video can't be written")]
    Encode { source: ffmpeg_next::Error },
    /// A frame to be encoded has the wrong size.
    #[error("the frame has {found} bytes, but {expected} are needed")]
    FrameSize {
        /// Number of bytes of `[H, W, 3]`.
        expected: usize,
        /// Number of bytes of the frame.
        found: usize,
    },
}

impl VideoError {
    /// Returns the verdict on the file, and the error with its causes as the reason.
    pub fn judge(&self) -> (Verdict, String) {
        let mut words = vec![self.to_string()];
        let mut source = self.source();
        while let Some(cause) = source {
            words.push(cause.to_string());
            source = cause.source();
        }
        (self.verdict(), words.join(": "))
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Undecodable { source, .. } => match source.verdict() {
                Verdict::Truncated => Verdict::Truncated,
                _ => Verdict::Undecodable,
            },
            Self::CutShort { .. }
            | Self::FramesMissing { .. }
            | Self::FramesCut { .. }
            | Self::EndsEarly { .. }
            | Self::BytesMissing { .. }
            | Self::NoEnd => Verdict::Truncated,
            Self::NoVideoStream => Verdict::NoVideoStream,
            Self::Path
            | Self::Protocol { .. }
            | Self::Connect { .. }
            | Self::IndexAtEnd
            | Self::Open { .. }
            | Self::NotAVideo(_) => Verdict::Unreadable,
            _ => Verdict::Undecodable,
        }
    }

    /// Returns why the file at `path` can't be read, if the machine is at fault and not the content of the file.
    pub fn fault_of_machine(&self, path: &Path) -> Option<String> {
        let source = match self {
            Self::Io(error) => return Some(error.to_string()),
            Self::Undecodable { source, .. } => return source.fault_of_machine(path),
            Self::Open { source } | Self::Read { source, .. } | Self::Decode { source, .. } => source,
            _ => return None,
        };
        let ffmpeg_next::Error::Other { errno } = *source else { return None };
        match errno {
            EMFILE | ENFILE | ENOSPC | EACCES | EPERM | ENOENT | ENODEV | ENXIO | ETIMEDOUT | EINTR => {
                Some(source.to_string())
            }
            // FFmpeg also uses this number for a file that ends too early.
            EIO => read_through(path).err().map(|error| error.to_string()),
            _ => None,
        }
    }
}

fn read_through(path: &Path) -> std::io::Result<u64> {
    std::io::copy(&mut fs_err::File::open(path)?, &mut std::io::sink())
}
