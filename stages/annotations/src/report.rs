//! What the checks found, as `report.json` and as messages: [`report`].

use crate::error::{MAX_SHOWN, Shown};
use crate::join::{Joined, Leak};
use crate::ucf101::{Entry, Lists};
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, Severity};
use pipe_schemas::tables::Split;
use pipe_stage::grouped;
use serde::Serialize;

/// `report.json`.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    format: AnnotationFormat,
    split: u32,
    num_classes: u64,
    num_videos: u64,
    listed: PerSplit,
    present: PerSplit,
    checks: Checks,
    classes: Vec<ClassCounts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct PerSplit {
    train: u64,
    test: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Checks {
    missing: Check,
    other_case: Check,
    unlabelled: Check,
    group_leakage: Check,
    content_leakage: Check,
}

/// What one check found.
#[derive(Debug, PartialEq, Serialize)]
struct Check {
    severity: Severity,
    count: u64,
    /// The first ones.
    examples: Vec<String>,
    #[serde(skip)]
    message: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct ClassCounts {
    class_index: u32,
    class_name: String,
    listed: PerSplit,
    present: PerSplit,
}

impl PerSplit {
    fn of(&mut self, split: Split) -> &mut u64 {
        match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
        }
    }

    fn total(self) -> u64 {
        self.train + self.test
    }
}

impl Report {
    /// Returns the text of each check that found something and has this severity.
    pub(crate) fn messages(&self, severity: Severity) -> Vec<String> {
        let Checks { missing, other_case, unlabelled, group_leakage, content_leakage } = &self.checks;
        let checks = [missing, other_case, unlabelled, group_leakage, content_leakage];
        let found = checks.into_iter().filter(|check| check.severity == severity && check.count > 0);
        found.map(Check::text).collect()
    }

    /// Returns the line that is shown beside the stage's name.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} classes, {} of {} training and {} of {} test videos present",
            grouped(self.num_classes),
            grouped(self.present.train),
            grouped(self.listed.train),
            grouped(self.present.test),
            grouped(self.listed.test)
        )
    }
}

impl Check {
    fn new<T>(severity: Severity, found: &[T], message: String, example: impl Fn(&T) -> String) -> Self {
        let examples = found.iter().take(MAX_SHOWN).map(example).collect();
        Self { severity, count: found.len() as u64, examples, message }
    }

    /// A warning names the first place; an error leaves no report to look at, and names as many as it would.
    fn text(&self) -> String {
        match &self.examples[..] {
            [first, ..] if self.severity != Severity::Error || self.count == 1 => {
                format!("{}; first: {first}", self.message)
            }
            examples => format!("{}; first:{}", self.message, Shown { items: examples, count: self.count }),
        }
    }
}

/// Counts and checks what the join says of the lists.
pub(crate) fn report(params: &AnnotationsParams, lists: &Lists, joined: &Joined) -> Report {
    let mut classes: Vec<ClassCounts> = (0..)
        .zip(&lists.classes)
        .map(|(class_index, name)| ClassCounts {
            class_index,
            class_name: name.clone(),
            listed: PerSplit::default(),
            present: PerSplit::default(),
        })
        .collect();
    let (mut listed, mut present) = (PerSplit::default(), PerSplit::default());
    for count in &joined.counts {
        let class = &mut classes[count.class_index as usize];
        *class.listed.of(count.split) += count.listed;
        *class.present.of(count.split) += count.present;
        *listed.of(count.split) += count.listed;
        *present.of(count.split) += count.present;
    }
    Report {
        format: params.format,
        split: params.split,
        num_classes: lists.classes.len() as u64,
        num_videos: joined.num_videos,
        listed,
        present,
        checks: checks(params, &lists.entries, joined, listed, present),
        classes,
    }
}

fn checks(
    params: &AnnotationsParams,
    entries: &[Entry],
    joined: &Joined,
    listed: PerSplit,
    present: PerSplit,
) -> Checks {
    let pairs = || entries.iter().zip(&joined.matches);
    let missing: Vec<&Entry> = pairs().filter(|(_, found)| !found.present).map(|(entry, _)| entry).collect();
    let other_case: Vec<(&Entry, &str)> =
        pairs().filter_map(|(entry, found)| found.other_case.as_deref().map(|path| (entry, path))).collect();
    let place = |entry: &Entry| format!("{} ({})", entry.path, entry.place());
    let leak = |leak: &Leak| format!("{} and {}", place(&entries[leak.train]), place(&entries[leak.test]));
    let count = |found: usize, one: &str, many: &str| {
        format!("{} {}", grouped(found as u64), if found == 1 { one } else { many })
    };
    Checks {
        missing: Check::new(params.missing, &missing, missing_message(listed, present), |entry| place(entry)),
        other_case: Check::new(
            Severity::Warn,
            &other_case,
            count(other_case.len(), "listed video has", "listed videos have") + " another case in the folder",
            |(entry, path)| format!("{} is {path}", place(entry)),
        ),
        unlabelled: Check::new(
            params.unlabelled,
            &joined.unlabelled,
            format!(
                "{} of {} videos are in no list",
                grouped(joined.unlabelled.len() as u64),
                grouped(joined.num_videos)
            ),
            Clone::clone,
        ),
        group_leakage: Check::new(
            params.group_leakage,
            &joined.group_leaks,
            count(joined.group_leaks.len(), "group is", "groups are") + " in the training and the test list",
            |found| format!("{}: {}", found.key, leak(found)),
        ),
        content_leakage: Check::new(
            params.content_leakage,
            &joined.content_leaks,
            count(joined.content_leaks.len(), "file is", "files are")
                + " in the training and the test list under two names",
            leak,
        ),
    }
}

fn missing_message(listed: PerSplit, present: PerSplit) -> String {
    format!(
        "{} of {} listed videos are absent or unreadable (train {} of {}, test {} of {})",
        grouped(listed.total() - present.total()),
        grouped(listed.total()),
        grouped(listed.train - present.train),
        grouped(listed.train),
        grouped(listed.test - present.test),
        grouped(listed.test)
    )
}
