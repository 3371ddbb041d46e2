//! [`Extent`]: how much the container declares, compared with what is read, which shows whether a file was cut off.

use crate::structure::{Ending, ending};
use crate::{VideoError, VideoInfo};
use ffmpeg_next::ffi::{self, AVDurationEstimationMethod};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, Rational};
use std::path::Path;

/// How many frames may be missing of a number that only the header declares. Writers of AVI files are often off by one or two.
const MISSING_ALLOWED: u64 = 2;

const NANOS_PER_MICRO: i64 = 1_000;

/// What a container declares, and how much of it was read so far.
pub(crate) struct Extent {
    /// Number of packets of the video stream; 0 if unknown.
    declared_packets: u64,
    /// Position of the last packet that the index of the file lists, if the index is complete.
    last_position: Option<i64>,
    /// The declared duration of the file; `None` if FFmpeg only estimated it.
    duration_nanos: Option<i64>,
    ending: Ending,
    packets: u64,
    max_position: i64,
    first_nanos: Option<i64>,
    /// Until when the packets of any stream last.
    end_nanos: i64,
    frame_nanos: i64,
}

/// What the packets of a file say about its end.
pub(crate) enum Completeness {
    Complete,
    /// Packets are missing, but later ones are there.
    Hole {
        num_missing: u64,
    },
    Cut(VideoError),
}

impl Extent {
    pub(crate) fn new(path: &Path, input: &Input, stream_index: usize, info: &VideoInfo) -> Result<Self, VideoError> {
        let index = index_of(input, stream_index, info);
        Ok(Self {
            declared_packets: index.map_or(info.frames_declared, |(entries, _)| entries),
            last_position: index.map(|(_, position)| position),
            // The index is more reliable, because an edit list changes the duration; and an MP4 file in fragments, which has none, may
            // declare any duration.
            duration_nanos: if index.is_some() || is_mov(input) { None } else { declared_nanos(input) },
            ending: ending(path, input.format().name())?,
            ..Self::unknown(info)
        })
    }

    /// Returns the extent of a stream, which declares nothing that could be checked.
    pub(crate) fn unknown(info: &VideoInfo) -> Self {
        Self {
            declared_packets: 0,
            last_position: None,
            duration_nanos: None,
            ending: Ending::Unknown,
            packets: 0,
            max_position: -1,
            first_nanos: None,
            end_nanos: i64::MIN,
            frame_nanos: info.frame_nanos(),
        }
    }

    /// Counts a packet of any stream.
    pub(crate) fn add(&mut self, packet: &Packet, time_base: Rational, is_video: bool) {
        if is_video {
            self.packets += 1;
            self.max_position = self.max_position.max(packet.position() as i64);
        }
        if let Some(start) = packet.pts().or(packet.dts()) {
            let start = nanos(start, time_base);
            let duration = match nanos(packet.duration(), time_base) {
                0 if is_video => self.frame_nanos,
                known => known,
            };
            self.first_nanos = Some(self.first_nanos.map_or(start, |first| first.min(start)));
            self.end_nanos = self.end_nanos.max(start.saturating_add(duration));
        }
    }

    /// Returns how many of the frames in the header may be missing.
    fn missing_allowed(&self) -> u64 {
        if matches!(self.ending, Ending::Cut { .. }) { 0 } else { MISSING_ALLOWED }
    }

    /// Judges whether the file was complete, after its last packet.
    pub(crate) fn judge(&self) -> Completeness {
        let (declared, found) = (self.declared_packets, self.packets);
        match self.last_position {
            Some(last) if found < declared => {
                if self.max_position < last {
                    return Completeness::Cut(VideoError::FramesCut { listed: declared, found });
                }
                return Completeness::Hole { num_missing: declared - found };
            }
            None if found + self.missing_allowed() < declared => {
                return Completeness::Cut(VideoError::FramesMissing { declared, found });
            }
            Some(_) | None => (),
        }
        match self.ending {
            Ending::Whole => return Completeness::Complete,
            // All frames are there; what is missing is the index.
            Ending::Cut { .. } if declared > 0 => return Completeness::Complete,
            Ending::Cut { declared_bytes, found_bytes } => {
                return Completeness::Cut(VideoError::BytesMissing { declared_bytes, found_bytes });
            }
            Ending::NotMarked => return Completeness::Cut(VideoError::NoEnd),
            Ending::Unknown => (),
        }
        let Some(duration_nanos) = self.duration_nanos else { return Completeness::Complete };
        // The declared duration may count from 0 or from the first frame.
        let found_nanos = self.end_nanos.max(self.end_nanos.saturating_sub(self.first_nanos.unwrap_or(0)));
        // The last frame may be shown for a little longer than the packets say.
        let allowed_nanos = self.frame_nanos + self.frame_nanos / 2;
        if found_nanos.saturating_add(allowed_nanos) < duration_nanos {
            let secs = |nanos: i64| nanos.max(0) as f64 / 1e9;
            let (declared_secs, found_secs) = (secs(duration_nanos), secs(found_nanos));
            return Completeness::Cut(VideoError::EndsEarly { declared_secs, found_secs });
        }
        Completeness::Complete
    }
}

/// Returns whether the container is of the family of MP4.
fn is_mov(input: &Input) -> bool {
    input.format().name().starts_with("mov")
}

/// Returns the duration that the container declares.
#[expect(unsafe_code, reason = "ffmpeg-next does not report whether a duration is declared or estimated")]
fn declared_nanos(input: &Input) -> Option<i64> {
    // SAFETY: the context is open while it is borrowed, and the field is a plain number.
    let method = unsafe { (*input.as_ptr()).duration_estimation_method };
    let is_declared = method == AVDurationEstimationMethod::AVFMT_DURATION_FROM_STREAM && input.duration() > 0;
    is_declared.then(|| input.duration().saturating_mul(NANOS_PER_MICRO))
}

/// Returns the number of packets in the index of a file, and the position of the last one; `None` without a complete index.
#[expect(unsafe_code, reason = "ffmpeg-next has no access to the index of a stream")]
fn index_of(input: &Input, stream_index: usize, info: &VideoInfo) -> Option<(u64, i64)> {
    let format = input.format();
    let is_avi = format.name() == "avi";
    if !is_mov(input) && !is_avi {
        return None;
    }
    let stream = input.stream(stream_index)?;
    // The index is more reliable than the header. An edit list leaves out frames that the sample table counts. An AVI file may
    // count frames that have no bytes because they repeat the frame before: they are not in the index, but in its times.
    // SAFETY: the stream belongs to `input`, which is open and borrowed for the whole call, so its index does not change. For an
    // entry that does not exist the function returns null.
    let (count, last_ticks, last_position) = unsafe {
        let stream = stream.as_ptr().cast_mut();
        let count = ffi::avformat_index_get_entries_count(stream);
        let entry = |at: i32| ffi::avformat_index_get_entry(stream, at).as_ref();
        let with_data = (0..count).rev().filter_map(entry).find(|entry| entry.size() > 0);
        let last_ticks = entry(count - 1).map_or(0, |entry| entry.timestamp.max(0) as u64);
        (count, last_ticks, with_data.map(|entry| entry.pos))
    };
    // A truncated AVI file has lost its index, which lies at the end; FFmpeg then indexes only the packets that it has read. The
    // index of a file in fragments is in its fragments.
    let is_complete =
        if is_avi { last_ticks + 1 + MISSING_ALLOWED >= info.frames_declared } else { info.frames_declared > 0 };
    last_position.filter(|_| is_complete).map(|position| (count.max(0) as u64, position))
}

/// Returns a time of a stream in nanoseconds.
pub(crate) fn nanos(ticks: i64, time_base: Rational) -> i64 {
    let (numerator, denominator) = (i128::from(time_base.numerator()), i128::from(time_base.denominator().max(1)));
    let nanos = i128::from(ticks) * numerator * 1_000_000_000 / denominator;
    nanos.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64
}
