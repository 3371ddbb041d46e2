//! A file's row: what FFmpeg finds in it, or why it is of no use.

use pipe_schemas::tables::{Verdict, VideoRow};
use pipe_stage::SourceFile;
use pipe_video::{VideoError, VideoInfo};
use std::error::Error;

/// Returns the row of a file that was probed.
pub(crate) fn row(video_id: String, file: &SourceFile, probed: Result<VideoInfo, VideoError>) -> VideoRow {
    let (info, verdict, reason) = match probed {
        Ok(info) => (Some(info), Verdict::Ok, String::new()),
        Err(error) => {
            let reason = in_words(&error);
            match error {
                VideoError::Undecodable { info, .. } => (Some(*info), Verdict::Undecodable, reason),
                VideoError::NoVideoStream => (None, Verdict::NoVideoStream, reason),
                _ => (None, Verdict::Unreadable, reason),
            }
        }
    };
    let info = info.unwrap_or(VideoInfo {
        codec: String::new(),
        width_px: 0,
        height_px: 0,
        fps_num: 0,
        fps_den: 1,
        frames_declared: 0,
        rotation: 0,
    });
    VideoRow {
        video_id,
        path: file.path.clone(),
        digest: file.digest.clone(),
        size_bytes: file.size_bytes,
        codec: info.codec,
        width_px: info.width_px,
        height_px: info.height_px,
        fps_num: info.fps_num,
        fps_den: info.fps_den,
        frames_declared: info.frames_declared,
        rotation: info.rotation,
        verdict,
        reason,
    }
}

/// Returns the error and its causes as one line.
///
/// What the system says of a file that can't be read names the file's place, which is no part of the table.
fn in_words(error: &VideoError) -> String {
    if let VideoError::Io(error) = error {
        return format!("the file can't be read ({})", error.kind());
    }
    let mut words = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        words.push(cause.to_string());
        source = cause.source();
    }
    words.join(": ")
}

/// Returns the first ten unusable files with their reasons, as one line.
pub(crate) fn list(rows: &[&VideoRow]) -> String {
    const SHOWN: usize = 10;
    let mut parts: Vec<_> = rows.iter().take(SHOWN).map(|row| format!("{} ({})", row.path, row.reason)).collect();
    if rows.len() > SHOWN {
        parts.push(format!("and {} more", rows.len() - SHOWN));
    }
    parts.join(", ")
}
