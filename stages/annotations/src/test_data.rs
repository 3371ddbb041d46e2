//! Shared test data: made-up rows, and the real lists beside a developer's checkout.

use crate::error::AnnotationsError;
use crate::labels::Entry;
use crate::lists::{ClassList, ListFile, Location, ParsedLists, Sink};
use pipe_schemas::tables::{Split, Verdict, VideoRow};
use std::path::Path;

/// Returns a real list, or `None` if the machine does not have it.
pub(crate) fn list(path: &str) -> Option<ListFile> {
    let full = pipe_testkit::shared(Path::new("data/annotations").join(path))?;
    let name = path.rsplit('/').next().expect("a name");
    Some(ListFile::new(name, fs_err::read(full).expect("read")).expect("UTF-8"))
}

pub(crate) fn file(name: &str, text: &str) -> ListFile {
    ListFile::new(name, text.into()).expect("UTF-8")
}

/// Returns the lists, or the line errors as text.
pub(crate) fn texts(lists: Result<ParsedLists, AnnotationsError>) -> Result<ParsedLists, Vec<String>> {
    lists.map_err(|error| match error {
        AnnotationsError::Lines { errors, .. } => errors.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    })
}

/// Returns the classes, or the line errors as text.
pub(crate) fn classes_or_errors(sink: Sink, classes: ClassList) -> Result<ClassList, Vec<String>> {
    texts(sink.finish(Some(classes))).map(|lists| lists.classes.expect("classes"))
}

pub(crate) fn entry(path: &str, split: Split, class_index: u32, group: &str) -> Entry {
    Entry {
        path: path.into(),
        alias: None,
        split: Some(split),
        classes: vec![class_index],
        group: group.into(),
        segment: None,
        location: Location { file: "l".into(), line: 1, row: None },
    }
}

pub(crate) fn video(path: &str, digest: &str) -> VideoRow {
    VideoRow {
        video_id: path.rsplit_once('.').expect("an extension").0.into(),
        path: path.into(),
        digest: digest.into(),
        size_bytes: 1,
        codec: "mpeg4".into(),
        width_px: 320,
        height_px: 240,
        fps_num: 25,
        fps_den: 1,
        frames_declared: 10,
        frames_decoded: None,
        mirrored: false,
        rotation: 0,
        sample_aspect_num: 1,
        sample_aspect_den: 1,
        hashes: Vec::new(),
        verdict: Verdict::Ok,
        reason: String::new(),
    }
}
