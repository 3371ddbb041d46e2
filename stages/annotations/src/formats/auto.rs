//! Detects the format of lists: [`detect`].

use super::{activitynet, file_list, hmdb51, kinetics, read_path, sthv2, ucf101};
use crate::error::AnnotationsError;
use crate::lists::ListFile;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams};
use pipe_stage::Sources;

/// Returns whether a list looks like one of a format.
type IsList = fn(&ListFile, &AnnotationsParams) -> bool;

/// Formats whose lists are named by parameters, and that their content identifies.
const NAMED: [(AnnotationFormat, IsList); 4] = [
    (AnnotationFormat::Kinetics, kinetics::is_list),
    (AnnotationFormat::Sthv2, sthv2::is_list),
    (AnnotationFormat::Activitynet, activitynet::is_list),
    (AnnotationFormat::VideoList, file_list::is_video_list),
];

/// Returns whether the lists of a format are in the folder; the number is that of the split.
type HasLists = fn(&Sources, u32) -> bool;

/// Formats whose lists have fixed names.
const FIXED: [(AnnotationFormat, HasLists); 2] =
    [(AnnotationFormat::Ucf101, ucf101::has_lists), (AnnotationFormat::Hmdb51, hmdb51::has_lists)];

/// Detects the format from the content of the list that the parameters name, or else from the names of the files.
///
/// # Errors
/// If no format fits, or more than one.
pub(super) fn detect(sources: &Sources, params: &AnnotationsParams) -> Result<AnnotationFormat, AnnotationsError> {
    let found: Vec<AnnotationFormat> = if let Some(name) = params.train.as_ref().or(params.file.as_ref()) {
        let file = read_path(sources, name)?;
        NAMED.iter().filter(|(_, is_list)| is_list(&file, params)).map(|(format, _)| *format).collect()
    } else {
        FIXED.iter().filter(|(_, has_lists)| has_lists(sources, params.split)).map(|(format, _)| *format).collect()
    };
    match found[..] {
        [format] => Ok(format),
        _ => Err(AnnotationsError::NoFormat {
            root: sources.root.clone(),
            found: found.iter().map(|format| format.name()).collect(),
        }),
    }
}
