//! Times of segments that a list gives in frames: [`to_seconds`].

use crate::join::Joined;
use crate::labels::Entry;
use pipe_schemas::tables::VideoRow;

/// Turns frames into seconds at the frame rate of each video. Segments of absent videos stay as they are, which tells them
/// apart.
pub(crate) fn to_seconds(entries: &mut [Entry], joined: &Joined, videos: &[VideoRow]) {
    for (entry, found) in entries.iter_mut().zip(&joined.matches) {
        let Some(video) = found.video.map(|video| &videos[video]).filter(|video| video.fps_num > 0) else { continue };
        let secs = |frame: f64| frame * f64::from(video.fps_den) / f64::from(video.fps_num);
        if let Some(segment) = &mut entry.segment {
            (segment.start_secs, segment.end_secs) = (secs(segment.start_secs), secs(segment.end_secs));
        }
    }
}
