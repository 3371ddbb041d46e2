//! Which format lists have, where their files leave no doubt: [`detect`].

use super::{Role, table::Csv};
use super::{activitynet, file_list, hmdb51, kinetics, read_path};
use crate::error::AnnotationsError;
use crate::json;
use crate::lists::{Label, ListFile, Sink, name_of};
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams};
use pipe_stage::Sources;

/// Extensions of videos; a list in which each line is one of these and a number is a video list.
const VIDEOS: [&str; 11] = ["avi", "mp4", "mkv", "mov", "webm", "mpg", "mpeg", "m4v", "wmv", "flv", "3gp"];

/// Tells the format from the names of the files, or from the content of those that the parameters name.
///
/// # Errors
/// If no format fits, or more than one.
pub(super) fn detect(sources: &Sources, params: &AnnotationsParams) -> Result<AnnotationFormat, AnnotationsError> {
    let mut found = Vec::new();
    if let Some(name) = params.train.as_ref().or(params.file.as_ref()) {
        let file = read_path(sources, name)?;
        let fits = [
            (AnnotationFormat::Kinetics, is_kinetics(&file)),
            (AnnotationFormat::Sthv2, params.label_map.is_some() && is_json(&file, is_sthv2)),
            (AnnotationFormat::Activitynet, is_json(&file, is_activitynet)),
            (AnnotationFormat::VideoList, is_video_list(&file)),
        ];
        found.extend(fits.into_iter().filter(|(_, fits)| *fits).map(|(format, _)| format));
    } else {
        let has = |name: &str| sources.files.iter().any(|file| name_of(&file.path) == name);
        let split = params.split;
        if has("classInd.txt") && has(&format!("trainlist0{split}.txt")) && has(&format!("testlist0{split}.txt")) {
            found.push(AnnotationFormat::Ucf101);
        }
        if sources.files.iter().any(|file| file.path.ends_with(&hmdb51::suffix(split))) {
            found.push(AnnotationFormat::Hmdb51);
        }
    }
    match found[..] {
        [format] => Ok(format),
        _ => Err(AnnotationsError::NoFormat {
            root: sources.root.clone(),
            found: found.iter().map(|format| format.name()).collect(),
        }),
    }
}

fn is_kinetics(file: &ListFile) -> bool {
    Csv::open(file, &kinetics::COLUMNS, true, None, &mut Sink::default()).is_some()
}

/// Whether `fits` is true of every row, and there is one.
fn is_json(file: &ListFile, fits: impl Fn(&serde_json::Value) -> bool) -> bool {
    let (mut count, mut all) = (0_u64, true);
    let read = json::rows(file, Some(activitynet::ROWS), |row| {
        count += 1;
        all &= fits(&row.value);
    });
    read.is_ok() && all && count > 0
}

fn is_sthv2(row: &serde_json::Value) -> bool {
    row.get("id").is_some() && row.get("template").is_some()
}

fn is_activitynet(row: &serde_json::Value) -> bool {
    let annotations = row.get("annotations").and_then(serde_json::Value::as_array);
    annotations.is_some_and(|list| list.iter().all(|one| one.get("segment").is_some() && one.get("label").is_some()))
}

fn is_video_list(file: &ListFile) -> bool {
    let mut sink = Sink::default();
    let shape = file_list::Shape::videos(&AnnotationsParams::default());
    file_list::parse(file, Role(None), &shape, &mut sink);
    let Ok(listed) = sink.finish(None) else { return false };
    let video = |path: &str| {
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        extension.is_some_and(|extension| VIDEOS.contains(&extension.as_str()))
    };
    let fits = |labels: &[Label]| matches!(labels, [Label::Number(number)] if *number >= 0);
    !listed.rows.is_empty() && listed.rows.iter().all(|row| video(&row.path) && fits(&row.labels))
}
