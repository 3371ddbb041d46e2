//! `report.json`, and the summary that is shown beside the stage: [`report`].

use crate::checks::CheckOutcome;
use crate::findings::{Findings, SplitCounts};
use crate::labels::Resolved;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, Severity};
use pipe_stage::grouped;
use std::collections::BTreeMap;

/// `report.json`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    format: AnnotationFormat,
    /// Only for UCF101 and HMDB51, which have numbered splits.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<u32>,
    num_classes: u64,
    num_videos: u64,
    listed: SplitCounts,
    present: SplitCounts,
    /// Only if the lists label segments: then `listed` and `present` count segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    videos: Option<VideoCounts>,
    /// Number of rows in each subset that is not used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<String, u64>,
    checks: Findings,
    /// Checks that were skipped, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    classes: Vec<ClassCounts>,
}

/// Numbers of videos that the labelled segments are from.
#[derive(Debug, serde::Serialize)]
struct VideoCounts {
    listed: SplitCounts,
    present: SplitCounts,
}

#[derive(Debug, serde::Serialize)]
struct ClassCounts {
    class_index: u32,
    class_name: String,
    listed: SplitCounts,
    present: SplitCounts,
}

impl Report {
    /// Returns a message for each check of this severity that found something.
    pub(crate) fn messages(&self, severity: Severity) -> Vec<String> {
        self.checks.messages(severity)
    }

    /// Returns the names of the checks of this severity that found something.
    pub(crate) fn names(&self, severity: Severity) -> Vec<&'static str> {
        self.checks.names(severity)
    }

    /// Returns all that checks of this severity found.
    pub(crate) fn lines(&self, severity: Severity) -> impl Iterator<Item = String> {
        self.checks.lines(severity)
    }

    /// Returns the lines that are shown beside the stage's name.
    pub(crate) fn summary(&self) -> Vec<String> {
        std::iter::once(self.counts()).chain(self.notes.iter().cloned()).collect()
    }

    fn counts(&self) -> String {
        let left_out: u64 = self.left_out.values().sum();
        let subsets: Vec<&str> = self.left_out.keys().map(String::as_str).collect();
        let left_out = if left_out == 0 {
            String::new()
        } else {
            format!("; {} of {} not used", grouped(left_out), subsets.join(", "))
        };
        let classes = if self.num_classes == 1 { "class" } else { "classes" };
        let (train, test) = match &self.videos {
            None => (
                of(self.present.train, self.listed.train, "training"),
                of(self.present.test, self.listed.test, "test videos"),
            ),
            Some(videos) => {
                let segments = |present, listed, what, videos: u64| {
                    let noun = if videos == 1 { "video" } else { "videos" };
                    format!("{} (of {} {noun})", of(present, listed, what), grouped(videos))
                };
                let (listed, present) = (self.listed, self.present);
                (
                    segments(present.train, listed.train, "training segments", videos.listed.train),
                    segments(present.test, listed.test, "test segments", videos.listed.test),
                )
            }
        };
        format!("{} {classes}, {train} and {test} present{left_out}", grouped(self.num_classes))
    }
}

fn of(present: u64, listed: u64, what: &str) -> String {
    format!("{} of {} {what}", grouped(present), grouped(listed))
}

/// Makes the report.
pub(crate) fn report(
    params: &AnnotationsParams,
    format: AnnotationFormat,
    resolved: &Resolved,
    left_out: BTreeMap<String, u64>,
    num_videos: usize,
    outcome: CheckOutcome,
) -> Report {
    let counts = (0..).zip(&resolved.classes.names).zip(outcome.classes);
    let classes: Vec<ClassCounts> = counts
        .map(|((class_index, name), (listed, present))| ClassCounts {
            class_index,
            class_name: name.clone(),
            listed,
            present,
        })
        .collect();
    let split = matches!(format, AnnotationFormat::Ucf101 | AnnotationFormat::Hmdb51).then_some(params.split);
    Report {
        format,
        split,
        num_classes: classes.len() as u64,
        num_videos: num_videos as u64,
        listed: outcome.listed,
        present: outcome.present,
        videos: outcome.videos.map(|(listed, present)| VideoCounts { listed, present }),
        left_out,
        checks: outcome.findings,
        notes: outcome.notes,
        classes,
    }
}
