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

/// Reads the labels from the paths of the videos. A video outside any folder has no label.
pub(super) fn read(videos: &[VideoRow]) -> Result<ParsedLists, AnnotationsError> {
    let mut sink = Sink::default();
    for video in videos {
        // Names that are not UTF-8 are escaped and start with `./`, which is not a folder.
        let path = video.path.strip_prefix("./").unwrap_or(&video.path);
        let Some((folders, _)) = path.rsplit_once('/') else { continue };
        let subset = folders.split_once('/').map(|(first, _)| first).filter(|first| split::usual(first).is_some());
        let split = subset.map_or(RowSplit::Unknown, |subset| RowSplit::Subset(sink.intern(subset)));
        let label = Label::Name(sink.intern(name_of(folders)));
        let location = Location { file: sink.intern(folders), line: 0 };
        sink.push(Row::new(video.path.clone(), split, vec![label], location));
    }
    sink.finish(None)
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
}
