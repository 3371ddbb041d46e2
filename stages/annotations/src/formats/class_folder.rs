//! A folder a class, and perhaps a folder a subset above: [`read`].
//!
//! ```text
//! Archery/v1.mp4
//! train/Archery/v1.mp4   val/Archery/v2.mp4
//! ```

use crate::error::AnnotationsError;
use crate::lists::{Label, Listed, Part, Place, Row, Sink, name_of};
use crate::split;
use pipe_schemas::tables::VideoRow;

/// Reads the labels from the paths of the videos. A video that lies in no folder has none.
pub(super) fn read(videos: &[VideoRow]) -> Result<Listed, AnnotationsError> {
    let mut sink = Sink::default();
    for video in videos {
        // What is not UTF-8 has something before it, which is no folder.
        let path = video.path.strip_prefix("./").unwrap_or(&video.path);
        let Some((folders, _)) = path.rsplit_once('/') else { continue };
        let subset = folders.split_once('/').map(|(first, _)| first).filter(|first| split::usual(first).is_some());
        let part = subset.map_or(Part::Unsaid, |subset| Part::Subset(sink.word(subset)));
        let label = Label::Name(sink.word(name_of(folders)));
        let place = Place { file: sink.word(folders), line: 0 };
        sink.row(Row::new(video.path.clone(), part, vec![label], place));
    }
    sink.finish(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::video;

    #[test]
    fn a_name_that_is_not_utf8_is_in_its_folder() {
        let videos = [r"./train/jump/caf\xE9.avi", "train/jump/a.avi", r"./caf\xE9.avi", "b.avi"];
        let listed = read(&videos.map(|path| video(path, "1"))).expect("rows");
        let expect = Row { path: videos[0].into(), labels: vec![Label::Name("jump".into())], ..listed.rows[1].clone() };
        assert_eq!((listed.rows.len(), &listed.rows[0]), (2, &expect));
    }
}
