//! Checks of the lists and the videos together: [`check`].

use crate::findings::{Finding, Findings, Occurrences, SplitCounts};
use crate::join::Joined;
use crate::labels::{Entry, Resolved};
use crate::lists::without_extension;
use pipe_schemas::stages::annotations::{AnnotationsParams, Severity};
use pipe_schemas::tables::{Split, VideoRow};
use pipe_stage::grouped;

mod leaks;
mod repetitions;
#[cfg(test)]
mod tests;

/// A class is small if the largest class has more than this many times its training videos.
const MAX_IMBALANCE: u64 = 10;

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
    /// `listed` and `present` of each class. A video with several labels counts in each of its classes.
    pub(crate) classes: Vec<(SplitCounts, SplitCounts)>,
}

/// Identifies the video of an entry: its position in the table, or its listed name if the table does not contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Video(usize),
    Name(&'a str),
}

/// The input of all checks. Entries are numbered by their position in `resolved`.
struct Checker<'a> {
    params: &'a AnnotationsParams,
    resolved: &'a Resolved,
    joined: &'a Joined,
    videos: &'a [VideoRow],
}

/// Runs all checks.
pub(crate) fn check(
    params: &AnnotationsParams,
    resolved: &Resolved,
    joined: &Joined,
    videos: &[VideoRow],
) -> CheckOutcome {
    let checker = Checker { params, resolved, joined, videos };
    let mut findings = Findings::default();
    checker.check_labels(&mut findings);
    let (kept, duplicates, conflicts) = checker.repetitions();
    let (listed, present, classes) = checker.counts(&kept);
    checker.check_classes(&classes, &mut findings);
    checker.check_videos(&kept, listed, present, &mut findings);
    let (one, many) = ("video is listed more than once", "videos are listed more than once");
    findings.add_counted("duplicates", params.duplicates, duplicates, one, many);
    let (one, many) = ("video is listed with different labels", "videos are listed with different labels");
    findings.add_counted("conflicting_labels", params.conflicting_labels, conflicts, one, many);
    checker.check_leaks(&kept, &mut findings);
    let mut notes = Vec::new();
    if are_decoded(videos) {
        checker.check_near_duplicates(&kept, &mut findings);
    } else if params.near_duplicates != Severity::Off {
        notes.push("near-duplicate check skipped (needs `verify: decode` on ingest)".to_owned());
    }
    CheckOutcome { findings, notes, kept, listed, present, classes }
}

/// Returns whether the videos were decoded, so that they have frame hashes.
pub(crate) fn are_decoded(videos: &[VideoRow]) -> bool {
    videos.iter().any(|video| video.frames_decoded.is_some())
}

impl<'a> Checker<'a> {
    fn entry(&self, row: usize) -> &'a Entry {
        &self.resolved.entries[row]
    }

    fn identity(&self, row: usize) -> Identity<'a> {
        match self.joined.matches[row].video {
            Some(video) => Identity::Video(video),
            None => Identity::Name(without_extension(&self.entry(row).path)),
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
        let off_by_one = Finding { severity: params.off_by_one, one, many, occurrences: off_by_one };
        findings.add("off_by_one", off_by_one);
        let (one, many) = ("label is out of range", "labels are out of range");
        findings.add_counted("out_of_range", params.out_of_range, out_of_range, one, many);
        let (one, many) = ("label is not a known class", "labels are not known classes");
        findings.add_counted("unknown_class", params.unknown_class, unknown_class, one, many);
    }

    /// Checks for classes without training videos, or with few.
    fn check_classes(&self, classes: &[(SplitCounts, SplitCounts)], findings: &mut Findings) {
        let (mut gaps, mut small) = (Occurrences::default(), Occurrences::default());
        let (mut one_gap, mut one_small) = (String::new(), String::new());
        let largest = classes.iter().map(|(listed, _)| listed.train).max().unwrap_or(0);
        for (class, (listed, _)) in classes.iter().enumerate() {
            let name = &self.resolved.classes.names[class];
            let location = self.resolved.classes.locations.get(class).map(|location| format!(" ({location})"));
            let location = location.unwrap_or_default();
            let test = plural(listed.test, "test video");
            if listed.train == 0 {
                let (but, and) =
                    if listed.test == 0 { <_>::default() } else { (format!(" but {test}"), format!(", but {test}")) };
                one_gap = format!("class {name} has no training video{but}{location}");
                gaps.add(|| format!("{name}{location}{and}"));
            } else if largest > listed.train.saturating_mul(MAX_IMBALANCE) {
                let train = plural(listed.train, "training video");
                one_small = format!("class {name} has only {train}, the largest class has {}", grouped(largest));
                small.add(|| format!("{name} has {}", grouped(listed.train)));
            }
        }
        let many =
            format!("{} of {} have no training video", grouped(gaps.count), plural(classes.len() as u64, "class"));
        let severity = self.params.label_gaps;
        findings.add("label_gaps", Finding { severity, one: one_gap, many, occurrences: gaps });
        let many = format!(
            "{} classes have less than a tenth of the {} training videos of the largest class",
            grouped(small.count),
            grouped(largest)
        );
        let severity = self.params.class_balance;
        findings.add("class_balance", Finding { severity, one: one_small, many, occurrences: small });
    }

    /// Checks for videos that are only in a list or only in the folder, or that have another name there.
    fn check_videos(&self, kept: &[bool], listed: SplitCounts, present: SplitCounts, findings: &mut Findings) {
        let [mut missing, mut renamed, mut unlabelled] = [const { Occurrences { count: 0, examples: Vec::new() } }; 3];
        for (row, _) in self.kept(kept) {
            let found = self.joined.matches[row];
            if !found.present {
                missing.add(|| self.listing(row));
            }
            if let Some(video) = found.video.filter(|_| found.other_name) {
                renamed.add(|| format!("{} is {}", self.listing(row), self.videos[video].path));
            }
        }
        self.joined.unlabelled.iter().for_each(|video| unlabelled.add(|| self.videos[*video].path.clone()));

        let many = missing_message(listed, present);
        let one = missing.examples.first().map(|example| format!("{many}: {example}")).unwrap_or_default();
        findings.add("missing", Finding { severity: self.params.missing, one, many, occurrences: missing });
        let (one, many) =
            ("listed video has another name in the folder", "listed videos have other names in the folder");
        findings.add_counted("other_name", Severity::Warn, renamed, one, many);
        let all = plural(self.videos.len() as u64, "video");
        let one = format!("of {all} is not in any list");
        let many = format!("of {all} are not in any list");
        findings.add_counted("unlabelled", self.params.unlabelled, unlabelled, &one, &many);
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
}

fn missing_message(listed: SplitCounts, present: SplitCounts) -> String {
    let missing = listed.total() - present.total();
    format!(
        "{} of {} listed videos {} missing or unreadable (train {} of {}, test {} of {})",
        grouped(missing),
        grouped(listed.total()),
        if missing == 1 { "is" } else { "are" },
        grouped(listed.train - present.train),
        grouped(listed.train),
        grouped(listed.test - present.test),
        grouped(listed.test)
    )
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
