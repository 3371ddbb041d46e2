//! [`Annotations`]: reads lists and videos, checks, and writes the labels.

use crate::checks::{Checked, are_decoded, check};
use crate::error::AnnotationsError;
use crate::formats;
use crate::groups;
use crate::join::{Joined, join};
use crate::labels::{Resolved, resolve};
use crate::lists::without_extension;
use crate::report::{Report, report};
use crate::split;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, CONTRACT, Severity};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, VideoRow};
use pipe_stage::{Context, Sources, Stage, StageError, Summary};
use pipe_tables::{LabelsFolder, read_rows, write_json};

/// The stage `annotations`.
pub struct Annotations;

impl Stage for Annotations {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: AnnotationsParams = context.params()?;
        let folders = params.format == AnnotationFormat::ClassFolder;
        let sources = if folders { None } else { Some(context.files("lists", "root")?) };
        let videos: Vec<VideoRow> = read_rows(context.input("videos")?)?;
        context.check_cancelled()?;
        let labels = label(&params, sources.as_ref(), &videos).map_err(AnnotationsError::into_stage_error)?;
        let report = &labels.report;
        let findings = report.messages(Severity::Error);
        if !findings.is_empty() {
            let names = report.names(Severity::Error);
            return Err(AnnotationsError::Findings { findings, names }.into_stage_error());
        }
        report.messages(Severity::Warn).into_iter().for_each(|text| context.warn(text));
        LabelsFolder::write(context.output("labels")?, &labels.rows, &labels.classes, labels.labelling)?;
        write_json(&context.output("report.json")?, report)?;
        Ok(Summary::lines(report.summary()))
    }
}

/// What is written.
struct Labels {
    rows: Vec<AnnotationRow>,
    classes: Vec<ClassRow>,
    labelling: Labelling,
    report: Report,
}

/// Reads the lists, joins them with the videos, and checks both.
fn label(
    params: &AnnotationsParams,
    sources: Option<&Sources>,
    videos: &[VideoRow],
) -> Result<Labels, AnnotationsError> {
    if params.near_duplicates == Severity::Error && !are_decoded(videos) {
        return Err(AnnotationsError::NotDecoded);
    }
    let (format, mut listed) = formats::read(params, sources, videos)?;
    groups::assign(&mut listed.rows, params.group.as_ref())?;
    let left_out = split::assign(&mut listed.rows, params)?;
    let resolved = resolve(listed, params)?;
    let joined = join(&resolved.entries, videos)?;
    let checked = check(params, &resolved, &joined, videos);
    let rows = rows(&resolved, &joined, &checked, videos);
    let classes = (0..).zip(&resolved.classes.names);
    let classes = classes.map(|(class_index, name)| ClassRow { class_index, class_name: name.clone() }).collect();
    // As the user says, not as these rows happen to be: another split must not be trained with another loss.
    let labelling = if params.multi_class { Labelling::MultiLabel } else { Labelling::SingleLabel };
    let report = report(params, format, &resolved, left_out, videos.len(), checked);
    Ok(Labels { rows, classes, labelling, report })
}

/// Returns a row for each label of each entry that counts.
fn rows(resolved: &Resolved, joined: &Joined, checked: &Checked, videos: &[VideoRow]) -> Vec<AnnotationRow> {
    let mut rows = Vec::new();
    for ((entry, found), _) in
        resolved.entries.iter().zip(&joined.matches).zip(&checked.kept).filter(|(_, kept)| **kept)
    {
        let Some(split) = entry.split else { continue };
        let video_id = found.video.map_or_else(|| without_extension(&entry.path), |video| &videos[video].video_id);
        rows.extend(entry.classes.iter().map(|class_index| AnnotationRow {
            video_id: video_id.to_owned(),
            split,
            class_index: *class_index,
            group: entry.group.clone(),
            start_secs: entry.segment.map(|segment| segment.start_secs),
            end_secs: entry.segment.map(|segment| segment.end_secs),
            present: found.present,
            source_file: entry.place.file.to_string(),
            source_line: entry.place.line,
        }));
    }
    // Segments start at 0 or later, where the bits of numbers are in their order.
    let times = |row: &AnnotationRow| (row.start_secs.map(f64::to_bits), row.end_secs.map(f64::to_bits));
    rows.sort_by(|a, b| {
        (a.split, &a.video_id, times(a), a.class_index).cmp(&(b.split, &b.video_id, times(b), b.class_index))
    });
    // With several lines for a video, each label of it stands once.
    rows.dedup_by(|a, b| {
        (a.split, &a.video_id, times(a), a.class_index) == (b.split, &b.video_id, times(b), b.class_index)
    });
    rows
}

#[cfg(test)]
mod tests;
