//! Checks of the lists and the videos together: [`check`].

use crate::findings::{Finding, Findings, SplitCounts};
use crate::join::Joined;
use crate::labels::{Entry, Resolved};
use crate::split::Drawn;
use pipe_schemas::stages::annotations::{AnnotationsParams, Severity};
use pipe_schemas::tables::{Split, VideoRow};
use pipe_stage::grouped;
use std::collections::BTreeSet;

mod classes;
mod drawn;
mod leaks;
mod repetitions;
mod segments;
#[cfg(test)]
mod tests;
mod videos;

/// What the checks found, and which entries count.
#[derive(Debug)]
pub(crate) struct CheckOutcome {
    pub(crate) findings: Findings,
    /// Checks that were skipped, and why.
    pub(crate) notes: Vec<String>,
    /// Whether each entry counts: it is in a split and does not repeat another entry.
    pub(crate) kept: Vec<bool>,
    /// Entries that count.
    pub(crate) listed: SplitCounts,
    /// Entries that count and have a usable video.
    pub(crate) present: SplitCounts,
    /// Videos of the entries that count, if some of these are segments: listed, and present.
    pub(crate) videos: Option<(SplitCounts, SplitCounts)>,
    /// `listed` and `present` of each class. A video with several labels counts in each of its classes.
    pub(crate) classes: Vec<(SplitCounts, SplitCounts)>,
}

/// Identifies the video of an entry: its position in the table, or its listed name if the table does not contain it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Video(usize),
    Name(String),
}

/// The input of all checks. Entries are numbered by their position in `resolved`.
struct Checker<'a> {
    params: &'a AnnotationsParams,
    resolved: &'a Resolved,
    joined: &'a Joined,
    videos: &'a [VideoRow],
    /// What the lists label: `video`, or `segment`.
    unit: &'static str,
}

/// Runs all checks. `drawn` is what `test_share` held out.
pub(crate) fn check(
    params: &AnnotationsParams,
    resolved: &Resolved,
    joined: &Joined,
    videos: &[VideoRow],
    drawn: Option<Drawn>,
) -> CheckOutcome {
    let has_segments = resolved.entries.iter().any(|entry| entry.split.is_some() && entry.segment.is_some());
    let unit = if has_segments { "segment" } else { "video" };
    let checker = Checker { params, resolved, joined, videos, unit };
    let mut findings = Findings::default();
    checker.check_labels(&mut findings);
    let usable = checker.check_segments(&mut findings);
    let (kept, duplicates, conflicts) = checker.repetitions(usable);
    let (listed, present, classes) = checker.counts(&kept);
    checker.check_splits(listed, present, &mut findings);
    checker.check_classes(&classes, &mut findings);
    checker.check_videos(&kept, listed, present, &mut findings);
    let (one, many) = (format!("{unit} is listed more than once"), format!("{unit}s are listed more than once"));
    findings.add_counted("duplicates", params.duplicates, duplicates, &one, &many);
    let (one, many) =
        (format!("{unit} is listed with different labels"), format!("{unit}s are listed with different labels"));
    findings.add_counted("conflicting_labels", params.conflicting_labels, conflicts, &one, &many);
    checker.check_leaks(&kept, &mut findings);
    let mut notes = Vec::new();
    if let Some(drawn) = drawn {
        notes.push(drawn::note(drawn));
        findings.add("test_share", drawn::finding(drawn));
    }
    if are_decoded(videos) {
        checker.check_near_duplicates(&kept, &mut findings);
    } else if params.near_duplicates != Severity::Off {
        notes.push("near-duplicate check skipped (needs `verify: decode` on ingest)".to_owned());
    }
    let videos = has_segments.then(|| checker.video_counts(&kept));
    CheckOutcome { findings, notes, kept, listed, present, videos, classes }
}

/// Returns whether the videos were decoded, so that they have frame hashes.
pub(crate) fn are_decoded(videos: &[VideoRow]) -> bool {
    videos.iter().any(|video| video.frames_decoded.is_some())
}

impl<'a> Checker<'a> {
    fn entry(&self, row: usize) -> &'a Entry {
        &self.resolved.entries[row]
    }

    fn identity(&self, row: usize) -> Identity {
        match self.joined.matches[row].video {
            Some(video) => Identity::Video(video),
            None => Identity::Name(self.entry(row).normal_name()),
        }
    }

    /// Returns the listed path and the line that lists it.
    fn listing(&self, row: usize) -> String {
        format!("{} ({})", self.entry(row).path, self.entry(row).location)
    }

    /// Returns the entries that are kept, with their split.
    fn kept<'k>(&'k self, kept: &'k [bool]) -> impl Iterator<Item = (usize, Split)> + 'k {
        let rows = self.resolved.entries.iter().enumerate().filter(|(row, _)| kept[*row]);
        rows.filter_map(|(row, entry)| entry.split.map(|split| (row, split)))
    }

    /// Reports labels that are not classes.
    fn check_labels(&self, findings: &mut Findings) {
        let params = self.params;
        let Resolved { off_by_one, out_of_range, unknown_class, .. } = self.resolved.clone();
        let many = "the labels are off by one".to_owned();
        let one = off_by_one.examples.first().map(|example| format!("{many}: {example}")).unwrap_or_default();
        let off_by_one = Finding { severity: params.off_by_one, one, many, hint: None, occurrences: off_by_one };
        findings.add("off_by_one", off_by_one);
        let (one, many) = ("label is out of range", "labels are out of range");
        findings.add_counted("out_of_range", params.out_of_range, out_of_range, one, many);
        let (one, many) = ("label is not a known class", "labels are not known classes");
        findings.add_counted("unknown_class", params.unknown_class, unknown_class, one, many);
    }

    /// Counts the entries that are kept: listed, present, and both of each class.
    fn counts(&self, kept: &[bool]) -> (SplitCounts, SplitCounts, Vec<(SplitCounts, SplitCounts)>) {
        let mut classes = vec![(SplitCounts::default(), SplitCounts::default()); self.resolved.classes.names.len()];
        let (mut listed, mut present) = (SplitCounts::default(), SplitCounts::default());
        for (row, split) in self.kept(kept) {
            let is_present = u64::from(self.joined.matches[row].present);
            *listed.of(split) += 1;
            *present.of(split) += is_present;
            for class in &self.entry(row).classes {
                let class = &mut classes[*class as usize];
                *class.0.of(split) += 1;
                *class.1.of(split) += is_present;
            }
        }
        (listed, present, classes)
    }

    /// Counts the videos of the entries that are kept: listed, and present.
    fn video_counts(&self, kept: &[bool]) -> (SplitCounts, SplitCounts) {
        let (mut listed, mut present) = (SplitCounts::default(), SplitCounts::default());
        let mut seen = BTreeSet::new();
        for (row, split) in self.kept(kept) {
            if seen.insert((split, self.identity(row))) {
                *listed.of(split) += 1;
                *present.of(split) += u64::from(self.joined.matches[row].present);
            }
        }
        (listed, present)
    }
}

/// Returns a count with its noun, as in `1 class` or `2 classes`.
fn plural(count: u64, noun: &str) -> String {
    let ending = match (count, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {noun}{ending}", grouped(count))
}
