//! [`Decoder`]: the frames of a file in presentation order.

use crate::VideoError;
use crate::input::{check_size, open, open_decoder};
use crate::probe::{VideoInfo, stream_info};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Error, Packet, Rational, decoder, frame};
use std::path::Path;

/// How many declared frames may be missing. Writers of AVI files are often off by one or two.
const MISSING_ALLOWED: u64 = 2;

/// Iterates over the frames of a file in presentation order, on one thread.
///
/// After an error there are no more frames. A file that ends before the declared number of frames is an error too, so that a
/// truncated file is not accepted silently. One case can't be detected: Matroska and MPEG streams declare no number, so a stream
/// that is cut between two frames is just shorter. Frames with damage that the decoder conceals count as decoded; see
/// [`DecodedFrame::is_damaged`].
pub struct Decoder {
    info: VideoInfo,
    input: Input,
    codec: decoder::Video,
    stream_index: usize,
    time_base: Rational,
    expected_packets: u64,
    packets: u64,
    frames: u64,
    last_pts_nanos: Option<i64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Reads packets from the file.
    Reading,
    /// The file is at its end; the decoder still holds frames.
    Draining,
    /// No frames are left, or decoding failed.
    Ended,
}

/// A decoded frame.
pub struct DecodedFrame {
    frame_index: u64,
    pts_nanos: i64,
    pub(crate) picture: frame::Video,
}

impl Decoder {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, VideoError> {
        let (input, stream_index) = open(path)?;
        Self::new(input, stream_index)
    }

    pub(crate) fn new(input: Input, stream_index: usize) -> Result<Self, VideoError> {
        let stream = input.stream(stream_index).ok_or(VideoError::NoVideoStream)?;
        let (info, time_base) = (stream_info(&stream), stream.time_base());
        let expected_packets = expected_packets(&input, stream_index, &info);
        let codec = open_decoder(&input, stream_index)?;
        Ok(Self {
            info,
            input,
            codec,
            stream_index,
            time_base,
            expected_packets,
            packets: 0,
            frames: 0,
            last_pts_nanos: None,
            state: State::Reading,
        })
    }

    /// Returns what the container declares about the video.
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<DecodedFrame>, VideoError> {
        let mut picture = frame::Video::empty();
        while self.state != State::Ended {
            match self.codec.receive_frame(&mut picture) {
                Ok(()) => {
                    check_size(picture.width(), picture.height())?;
                    let pts_nanos = self.pts_nanos(&picture);
                    self.last_pts_nanos = Some(pts_nanos);
                    self.frames += 1;
                    return Ok(Some(DecodedFrame { frame_index: self.frames - 1, pts_nanos, picture }));
                }
                Err(Error::Other { errno: EAGAIN }) if self.state == State::Reading => self.feed()?,
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => self.state = State::Ended,
                Err(source) => return Err(VideoError::Decode { frame_index: self.frames, source }),
            }
        }
        self.check_complete()?;
        Ok(None)
    }

    /// Sends the next packet of the stream to the decoder, or the end of the stream.
    fn feed(&mut self) -> Result<(), VideoError> {
        let frame_index = self.frames;
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() != self.stream_index => (),
                Ok(()) if packet.is_corrupt() => return Err(VideoError::CutShort { frame_index }),
                Ok(()) => {
                    self.packets += 1;
                    let sent = self.codec.send_packet(&packet);
                    return sent.map_err(|source| VideoError::Decode { frame_index, source });
                }
                Err(Error::Eof) => {
                    self.state = State::Draining;
                    return self.codec.send_eof().map_err(|source| VideoError::Decode { frame_index, source });
                }
                Err(source) => return Err(VideoError::Read { frame_index, source }),
            }
        }
    }

    fn check_complete(&self) -> Result<(), VideoError> {
        if self.packets + MISSING_ALLOWED < self.expected_packets {
            return Err(VideoError::FramesMissing { declared: self.expected_packets, found: self.packets });
        }
        if self.frames == 0 {
            return Err(VideoError::NoFrames);
        }
        Ok(())
    }

    /// Returns the time of a frame. A time that is missing, or not after the last one, is replaced by the last time plus the
    /// duration of one frame.
    fn pts_nanos(&self, picture: &frame::Video) -> i64 {
        let given = picture.timestamp().map(|ticks| nanos(ticks, self.time_base));
        match (given, self.last_pts_nanos) {
            (Some(pts), Some(last)) if pts > last => pts,
            (Some(pts), None) => pts,
            (None, None) => 0,
            (_, Some(last)) => last.saturating_add(self.frame_nanos()),
        }
    }

    fn frame_nanos(&self) -> i64 {
        let VideoInfo { fps_num, fps_den, .. } = self.info;
        if fps_num == 0 { 40_000_000 } else { (1_000_000_000 * i64::from(fps_den) / i64::from(fps_num)).max(1) }
    }
}

impl Iterator for Decoder {
    type Item = Result<DecodedFrame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let next = self.next_frame().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

impl DecodedFrame {
    /// Returns the position in the video, from 0.
    pub fn frame_index(&self) -> u64 {
        self.frame_index
    }

    /// Returns the presentation time that the container gives; the first frame need not be at 0.
    pub fn pts_nanos(&self) -> i64 {
        self.pts_nanos
    }

    /// Returns whether the decoder replaced parts of the frame, because data is damaged or missing.
    pub fn is_damaged(&self) -> bool {
        self.picture.is_corrupt() || self.picture.has_decode_errors()
    }

    /// Returns the width as coded, before rotation.
    pub fn width_px(&self) -> u32 {
        self.picture.width()
    }

    /// Returns the height as coded, before rotation.
    pub fn height_px(&self) -> u32 {
        self.picture.height()
    }
}

/// Returns how many packets the container should contain; 0 if unknown.
#[expect(unsafe_code, reason = "ffmpeg-next has no access to the index of a stream")]
fn expected_packets(input: &Input, stream_index: usize, info: &VideoInfo) -> u64 {
    let format = input.format();
    if !format.name().starts_with("mov") && format.name() != "avi" {
        return info.frames_declared;
    }
    let Some(stream) = input.stream(stream_index) else { return 0 };
    // The index is more reliable than the header. An edit list leaves out frames that the sample table counts. An AVI file may
    // count frames that have no bytes because they repeat the frame before: they are not in the index, but in its times.
    // SAFETY: the stream belongs to `input`, which is open and borrowed for the whole call, so its index does not change. For an
    // entry that does not exist the function returns null.
    let (entries, last_ticks) = unsafe {
        let stream = stream.as_ptr().cast_mut();
        let count = ffmpeg_next::ffi::avformat_index_get_entries_count(stream);
        let last = ffmpeg_next::ffi::avformat_index_get_entry(stream, count - 1).as_ref();
        (count.max(0) as u64, last.map_or(0, |entry| entry.timestamp.max(0) as u64))
    };
    // A truncated AVI file has lost its index, which lies at the end; FFmpeg then indexes only the packets that it has read.
    let is_complete = format.name() != "avi" || last_ticks + 1 + MISSING_ALLOWED >= info.frames_declared;
    if is_complete { entries } else { info.frames_declared }
}

fn nanos(ticks: i64, time_base: Rational) -> i64 {
    let (numerator, denominator) = (i128::from(time_base.numerator()), i128::from(time_base.denominator().max(1)));
    let nanos = i128::from(ticks) * numerator * 1_000_000_000 / denominator;
    nanos.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64
}
