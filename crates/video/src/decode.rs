//! [`Decoder`]: the frames of a file in presentation order.

use crate::extent::{Completeness, Extent, nanos};
use crate::input::{check_size, open, open_decoder};
use crate::probe::{VideoInfo, is_encrypted, sample_aspect, stream_info};
use crate::{Damage, VideoError};
use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::error::{EAGAIN, ENOMEM};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Error, Packet, Rational, decoder, frame};
use std::path::Path;

/// After as many errors of the container in a row, nothing more is read.
const MAX_ERRORS_IN_A_ROW: u32 = 16;

/// Iterates over the frames of a file in presentation order, on one thread.
///
/// A packet that can't be read or decoded is passed over, as by FFmpeg's own program; [`Decoder::damage`] counts it. A file that
/// ends before the declared number of frames or the declared duration is an error after its last frame, so that a truncated file
/// is not accepted silently. One case can't be detected: MPEG streams declare neither, so one that is cut between two frames is
/// just shorter. It is also an error if the decoder refuses more frames than it returns.
pub struct Decoder {
    info: VideoInfo,
    input: Input,
    codec: decoder::Video,
    stream_index: usize,
    time_base: Rational,
    extent: Extent,
    damage: Damage,
    /// The packet after the next, if the next one lacks data.
    ahead: Option<Packet>,
    /// The time of the packet that the decoder received last.
    sent_ticks: Option<i64>,
    frames: u64,
    last_pts_nanos: Option<i64>,
    ending: StreamEnd,
    state: State,
}

/// How the packets of the stream ended.
#[derive(Default)]
struct StreamEnd {
    /// The last packet lacks data.
    cut_short: bool,
    /// Reading failed, and nothing followed.
    read_error: Option<Error>,
    /// The first packet that the decoder refused.
    first_refusal: Option<Error>,
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

/// The pixels of a frame and when it is shown.
pub struct DecodedFrame {
    frame_index: u64,
    pts_nanos: i64,
    sample_aspect: (u32, u32),
    pub(crate) picture: frame::Video,
}

impl Decoder {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, VideoError> {
        let (input, stream_index) = open(path)?;
        Self::new(path, input, stream_index)
    }

    pub(crate) fn new(path: &Path, input: Input, stream_index: usize) -> Result<Self, VideoError> {
        let info = stream_info(&input.stream(stream_index).ok_or(VideoError::NoVideoStream)?);
        let extent = Extent::new(path, &input, stream_index, &info)?;
        Self::with(input, stream_index, info, extent)
    }

    /// Returns the frames of a stream, which declares no end.
    pub(crate) fn of_stream(input: Input, stream_index: usize) -> Result<Self, VideoError> {
        let info = stream_info(&input.stream(stream_index).ok_or(VideoError::NoVideoStream)?);
        let extent = Extent::unknown(&info);
        Self::with(input, stream_index, info, extent)
    }

    fn with(input: Input, stream_index: usize, info: VideoInfo, extent: Extent) -> Result<Self, VideoError> {
        let time_base = input.stream(stream_index).ok_or(VideoError::NoVideoStream)?.time_base();
        let codec = open_decoder(&input, stream_index)?;
        Ok(Self {
            info,
            input,
            codec,
            stream_index,
            time_base,
            extent,
            damage: Damage::default(),
            ahead: None,
            sent_ticks: None,
            frames: 0,
            last_pts_nanos: None,
            ending: StreamEnd::default(),
            state: State::Reading,
        })
    }

    /// Returns what the container declares about the video.
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// Returns what was passed over so far.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    fn next_frame(&mut self) -> Result<Option<DecodedFrame>, VideoError> {
        let mut picture = frame::Video::empty();
        let mut failures = 0;
        while self.state != State::Ended {
            match self.codec.receive_frame(&mut picture) {
                Ok(()) => return self.frame(picture).map(Some),
                Err(Error::Other { errno: EAGAIN }) if self.state == State::Reading => self.feed()?,
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => self.state = State::Ended,
                Err(source) => {
                    failures += 1;
                    self.refuse(source)?;
                    if failures > MAX_ERRORS_IN_A_ROW && self.state == State::Draining {
                        self.state = State::Ended;
                    }
                }
            }
        }
        self.check_complete()?;
        Ok(None)
    }

    fn frame(&mut self, picture: frame::Video) -> Result<DecodedFrame, VideoError> {
        check_size(picture.width(), picture.height())?;
        let (frame_index, pts_nanos) = (self.frames, self.pts_nanos(&picture));
        let is_damaged = picture.is_corrupt() || picture.has_decode_errors();
        self.damage.add_frame(frame_index, picture.timestamp(), is_damaged);
        self.last_pts_nanos = Some(pts_nanos);
        self.frames += 1;
        let stream = self.input.stream(self.stream_index).ok_or(VideoError::NoVideoStream)?;
        let sample_aspect = sample_aspect(&stream, Some(picture.aspect_ratio()));
        Ok(DecodedFrame { frame_index, pts_nanos, sample_aspect, picture })
    }

    /// Sends the next packet of the stream to the decoder, or the end of the stream.
    fn feed(&mut self) -> Result<(), VideoError> {
        let Some(packet) = self.next_packet()? else {
            self.state = State::Draining;
            let frame_index = self.frames;
            return self.codec.send_eof().map_err(|source| VideoError::Decode { frame_index, source });
        };
        self.sent_ticks = packet.pts().or(packet.dts());
        self.codec.send_packet(&packet).or_else(|source| self.refuse(source))
    }

    /// Notes that the decoder refused the packet that it received last.
    fn refuse(&mut self, source: Error) -> Result<(), VideoError> {
        if source == (Error::Other { errno: ENOMEM }) {
            return Err(VideoError::Decode { frame_index: self.frames, source });
        }
        self.damage.add_refused(self.sent_ticks, self.frames);
        self.ending.first_refusal.get_or_insert(source);
        Ok(())
    }

    /// Returns the next packet of the stream. A packet that lacks data is returned if another follows it; at the end of the file
    /// it shows that the file was cut.
    fn next_packet(&mut self) -> Result<Option<Packet>, VideoError> {
        let packet = match self.ahead.take() {
            Some(packet) => packet,
            None => match self.read()? {
                Some(packet) => packet,
                None => return Ok(None),
            },
        };
        if packet.is_corrupt() {
            let ticks = packet.pts().or(packet.dts());
            self.ahead = self.read()?;
            if self.ahead.is_none() {
                self.ending.cut_short = true;
                self.damage.place(ticks, self.frames);
                return Ok(None);
            }
            self.damage.add_container_error(ticks, self.frames);
        }
        Ok(Some(packet))
    }

    /// Reads the next packet of the stream; `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Packet>, VideoError> {
        let mut errors = 0;
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => {
                    let is_video = packet.stream() == self.stream_index;
                    let time_base =
                        self.input.stream(packet.stream()).map_or(self.time_base, |stream| stream.time_base());
                    self.extent.add(&packet, time_base, is_video);
                    if self.ending.read_error.take().is_some() {
                        self.damage.add_container_error(packet.pts().filter(|_| is_video), self.frames);
                    }
                    if is_video {
                        let is_encrypted =
                            packet.side_data().any(|data| data.kind() == side_data::Type::EncryptionInfo);
                        return if is_encrypted { Err(VideoError::Encrypted) } else { Ok(Some(packet)) };
                    }
                }
                Err(Error::Eof) => return Ok(None),
                Err(source) => {
                    self.ending.read_error = Some(source);
                    errors += 1;
                    if errors == MAX_ERRORS_IN_A_ROW {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Checks after the last frame that the file was complete.
    fn check_complete(&mut self) -> Result<(), VideoError> {
        let frame_index = self.frames;
        let stream = self.input.stream(self.stream_index).ok_or(VideoError::NoVideoStream)?;
        if frame_index == 0 && is_encrypted(&stream) {
            return Err(VideoError::Encrypted);
        }
        if self.ending.cut_short {
            // With frames that refer to later ones, the last packet need not be the last frame.
            return Err(VideoError::CutShort { frame_index: self.damage.first_frame_index().unwrap_or(frame_index) });
        }
        match self.extent.judge() {
            Completeness::Complete => (),
            Completeness::Hole { num_missing } => self.damage.num_missing = num_missing,
            Completeness::Cut(error) => return Err(error),
        }
        if let Some(source) = self.ending.read_error {
            return Err(VideoError::Read { frame_index, source });
        }
        if let Some(source) = self.ending.first_refusal
            && self.damage.num_refused > frame_index
        {
            return Err(VideoError::Decode { frame_index: self.damage.first_frame_index().unwrap_or(0), source });
        }
        if frame_index == 0 { Err(VideoError::NoFrames) } else { Ok(()) }
    }

    /// Returns the time of a frame. A time that is missing, or not after the last one, is replaced by the last time plus the
    /// duration of one frame.
    fn pts_nanos(&self, picture: &frame::Video) -> i64 {
        let given = picture.timestamp().map(|ticks| nanos(ticks, self.time_base));
        match (given, self.last_pts_nanos) {
            (Some(pts), Some(last)) if pts > last => pts,
            (Some(pts), None) => pts,
            (None, None) => 0,
            (_, Some(last)) => last.saturating_add(self.info.frame_nanos()),
        }
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
    /// Returns a frame of a picture, the first of its video.
    #[cfg(test)]
    pub(crate) fn of(picture: frame::Video) -> Self {
        Self { frame_index: 0, pts_nanos: 0, sample_aspect: (1, 1), picture }
    }

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

    /// Returns the width as coded, before the frame becomes upright.
    pub fn width_px(&self) -> u32 {
        self.picture.width()
    }

    /// Returns the height as coded, before the frame becomes upright.
    pub fn height_px(&self) -> u32 {
        self.picture.height()
    }

    /// Returns the width of a pixel divided by its height, as numerator and denominator; 1 / 1 if unknown.
    pub fn sample_aspect(&self) -> (u32, u32) {
        self.sample_aspect
    }
}
