//! One folder per class, optionally below one folder per subset: [`read`].
//!
//! ```text
//! Archery/v1.mp4
//! train/Archery/v1.mp4   val/Archery/v2.mp4
//! ```

use crate::error::AnnotationsError;
use crate::lists::{Label, Location, ParsedLists, Row, RowSplit, Sink, name_of};
use crate::split;
use pipe_schemas::tables::VideoRow;
use std::collections::BTreeMap;

/// Reads the labels from the paths of the videos. A video outside any folder has no label.
///
/// # Errors
/// If the videos are in folders of different depth: then it is not clear which folder is the class.
pub(super) fn read(videos: &[VideoRow]) -> Result<ParsedLists, AnnotationsError> {
    check_depth(videos)?;
    let mut sink = Sink::default();
    for video in videos {
        let Some(folders) = folders(video) else { continue };
        let subset = folders.split_once('/').map(|(first, _)| first).filter(|first| split::usual(first).is_some());
        let split = subset.map_or(RowSplit::Unknown, |subset| RowSplit::Subset(sink.intern(subset)));
        let label = Label::Name(sink.intern(name_of(folders)));
        let location = Location { file: sink.intern(folders), line: 0, row: None };
        sink.push(Row::new(video.path.clone(), split, vec![label], location));
    }
    sink.finish(None)
}

/// Returns the path without the file name, if there are folders in it.
fn folders(video: &VideoRow) -> Option<&str> {
    // Names that are not UTF-8 are escaped and start with `./`, which is not a folder.
    let path = video.path.strip_prefix("./").unwrap_or(&video.path);
    path.rsplit_once('/').map(|(folders, _)| folders)
}

fn check_depth(videos: &[VideoRow]) -> Result<(), AnnotationsError> {
    // Number of videos and the first one, by the number of folders.
    let mut layouts: BTreeMap<usize, (u64, &str)> = BTreeMap::new();
    for video in videos {
        if let Some(folders) = folders(video) {
            layouts.entry(folders.split('/').count()).or_insert((0, &video.path)).0 += 1;
        }
    }
    if layouts.len() < 2 {
        return Ok(());
    }
    let layouts = layouts.into_iter().map(|(depth, (count, path))| (depth as u64, count, path.to_owned()));
    Err(AnnotationsError::MixedDepth { layouts: layouts.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::video;

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_folder() {
        let videos = [r"./train/jump/caf\xE9.avi", "train/jump/a.avi", r"./caf\xE9.avi", "b.avi"];
        let listed = read(&videos.map(|path| video(path, "1"))).expect("rows");
        let expect = Row { path: videos[0].into(), labels: vec![Label::Name("jump".into())], ..listed.rows[1].clone() };
        assert_eq!((listed.rows.len(), &listed.rows[0]), (2, &expect));
    }

    #[test]
    fn folders_of_different_depth_are_an_error_that_names_all_layouts() {
        let read = |paths: &[&str]| {
            let videos: Vec<VideoRow> = paths.iter().map(|path| video(path, path)).collect();
            read(&videos).map(|lists| lists.rows.len()).map_err(|error| error.to_string())
        };
        let mixed = "the videos are in folders of different depth: 1 folder as in `jump/1.mp4` (2 videos), \
                     2 folders as in `run/2021/b.mp4` (1 video)";
        assert_eq!(read(&["jump/1.mp4", "run/2.mp4", "run/2021/b.mp4"]), Err(mixed.to_owned()));
        let subset = "the videos are in folders of different depth: 1 folder as in `train/1.mp4` (1 video), \
                      2 folders as in `train/run/2.mp4` (1 video)";
        assert_eq!(read(&["train/1.mp4", "train/run/2.mp4"]), Err(subset.to_owned()));
        // A video outside any folder is reported as unlabelled.
        assert_eq!(read(&["a.mp4", "x/jump/1.mp4", "y/run/2.mp4"]), Ok(2));
    }
}
