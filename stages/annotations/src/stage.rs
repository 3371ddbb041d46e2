//! [`Annotations`]: reads lists and videos, checks them and writes the labels.

use crate::checks::{CheckOutcome, are_decoded, check};
use crate::error::AnnotationsError;
use crate::formats;
use crate::frame_times;
use crate::groups;
use crate::join::{Joined, join};
use crate::labels::{Resolved, resolve};
use crate::report::{Report, report};
use crate::split::{self, Assigned};
use pipe_schemas::stages::annotations::{AnnotationsParams, CONTRACT, NUM_CLASSES, SegmentUnit, Severity};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling, VideoRow};
use pipe_stage::{Context, Sources, Stage, StageError, Summary, grouped};
use pipe_tables::{LabelsFolder, read_rows, write_json};
use std::path::PathBuf;

/// The stage `annotations`.
pub struct Annotations;

impl Stage for Annotations {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: AnnotationsParams = context.params()?;
        let no_lists = || Sources { root: PathBuf::new(), files: Vec::new() };
        let sources = if formats::reads_lists(params.format) { context.files("lists", "root")? } else { no_lists() };
        let videos: Vec<VideoRow> = read_rows(context.input("videos")?)?;
        context.check_cancelled()?;
        let labels = label(&params, &sources, &videos).map_err(AnnotationsError::into_stage_error)?;
        let report = &labels.report;
        let findings = report.messages(Severity::Error);
        if !findings.is_empty() {
            let names = report.names(Severity::Error);
            // A failed stage has no report, and the message shows only the first ones.
            report.lines(Severity::Error).for_each(|line| context.log(line));
            return Err(AnnotationsError::Findings { findings, names }.into_stage_error());
        }
        report.messages(Severity::Warn).into_iter().for_each(|text| context.warn(text));
        LabelsFolder::write(context.output("labels")?, &labels.rows, &labels.classes, labels.labelling)?;
        write_json(&context.output("report.json")?, report)?;
        Ok(Summary::lines(report.summary()).with_figures([(NUM_CLASSES, labels.classes.len() as f64)]))
    }
}

/// The output of the stage.
struct Labels {
    rows: Vec<AnnotationRow>,
    classes: Vec<ClassRow>,
    labelling: Labelling,
    report: Report,
}

/// Reads the lists, joins them with the videos and checks both.
fn label(params: &AnnotationsParams, sources: &Sources, videos: &[VideoRow]) -> Result<Labels, AnnotationsError> {
    if params.near_duplicates == Severity::Error && !are_decoded(videos) {
        return Err(AnnotationsError::NotDecoded);
    }
    let (format, mut lists) = formats::read(params.format, params, sources, videos)?;
    groups::assign(&mut lists.rows, params.group.as_ref())?;
    let Assigned { left_out, num_unlabelled, drawn } = split::assign(&mut lists.rows, params)?;
    let mut resolved = resolve(lists, params)?;
    let joined = join(&resolved.entries, videos)?;
    match params.columns.segment_unit {
        SegmentUnit::Seconds => {}
        SegmentUnit::Frames => frame_times::to_seconds(&mut resolved.entries, &joined, videos),
    }
    let mut outcome = check(params, &resolved, &joined, videos, drawn);
    match num_unlabelled {
        0 => {}
        1 => outcome.notes.push("1 row has no label and is not used".to_owned()),
        count => outcome.notes.push(format!("{} rows have no label and are not used", grouped(count))),
    }
    let rows = rows(params, &resolved, &joined, &outcome, videos);
    let classes = (0..).zip(&resolved.classes.names);
    let classes = classes.map(|(class_index, name)| ClassRow { class_index, class_name: name.clone() }).collect();
    // From the parameters, not from the rows: the loss must not depend on the split.
    let labelling = if params.multi_class { Labelling::MultiLabel } else { Labelling::SingleLabel };
    let report = report(params, format, &resolved, left_out, videos.len(), outcome);
    Ok(Labels { rows, classes, labelling, report })
}

/// Returns one row per label of each entry that counts.
fn rows(
    params: &AnnotationsParams,
    resolved: &Resolved,
    joined: &Joined,
    outcome: &CheckOutcome,
    videos: &[VideoRow],
) -> Vec<AnnotationRow> {
    let in_seconds = params.columns.segment_unit == SegmentUnit::Seconds;
    let mut rows = Vec::new();
    for ((entry, found), _) in
        resolved.entries.iter().zip(&joined.matches).zip(&outcome.kept).filter(|(_, kept)| **kept)
    {
        let Some(split) = entry.split else { continue };
        let video_id = found.video.map_or_else(|| entry.normal_name(), |video| videos[video].video_id.clone());
        // The frame rate of an absent video is not known.
        let segment = entry.segment.filter(|_| in_seconds || found.video.is_some());
        rows.extend(entry.classes.iter().map(|class_index| AnnotationRow {
            video_id: video_id.clone(),
            split,
            class_index: *class_index,
            group: entry.group.clone(),
            start_secs: segment.map(|segment| segment.start_secs),
            end_secs: segment.map(|segment| segment.end_secs),
            present: found.present,
            source_file: entry.location.file.to_string(),
            source_line: entry.location.line,
        }));
    }
    // Times are not negative, so their bits are in the same order as their values.
    let times = |row: &AnnotationRow| (row.start_secs.map(f64::to_bits), row.end_secs.map(f64::to_bits));
    rows.sort_by(|a, b| {
        (a.split, &a.video_id, times(a), a.class_index).cmp(&(b.split, &b.video_id, times(b), b.class_index))
    });
    // If several lines list a video, each of its labels is kept once.
    rows.dedup_by(|a, b| {
        (a.split, &a.video_id, times(a), a.class_index) == (b.split, &b.video_id, times(b), b.class_index)
    });
    rows
}

#[cfg(test)]
mod tests;
