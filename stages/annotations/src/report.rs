//! What the checks found, as `report.json` and as messages: [`report`].

use crate::checks::Checked;
use crate::error::{MAX_SHOWN, Shown};
use crate::labels::Resolved;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, Severity};
use pipe_schemas::tables::Split;
use pipe_stage::grouped;
use serde::ser::{Serialize, Serializer};
use std::collections::BTreeMap;

/// `report.json`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    format: AnnotationFormat,
    /// Of UCF101 and HMDB51.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<u32>,
    num_classes: u64,
    num_videos: u64,
    listed: PerSplit,
    present: PerSplit,
    /// Rows of subsets that are not used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<String, u64>,
    checks: Checks,
    /// What could not be looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    classes: Vec<ClassCounts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PerSplit {
    pub(crate) train: u64,
    pub(crate) test: u64,
}

/// Every check by its name, in the order in which they are told.
#[derive(Debug, Default)]
pub(crate) struct Checks(pub(crate) Vec<(&'static str, Check)>);

/// What one check found.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) found: Found,
}

/// How often something was found, and the first ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
struct ClassCounts {
    class_index: u32,
    class_name: String,
    listed: PerSplit,
    present: PerSplit,
}

impl PerSplit {
    pub(crate) fn of(&mut self, split: Split) -> &mut u64 {
        match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.train + self.test
    }
}

impl Found {
    /// Counts one more; the text is made only if it is among the first.
    pub(crate) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < MAX_SHOWN {
            self.examples.push(example());
        }
    }
}

impl Checks {
    pub(crate) fn add(&mut self, name: &'static str, severity: Severity, message: String, found: Found) {
        self.0.push((name, Check { severity, message, found }));
    }

    /// Adds a check whose message counts what was found, as in `1 video is listed again` or `2 videos are listed again`.
    pub(crate) fn add_counted(
        &mut self,
        name: &'static str,
        severity: Severity,
        found: Found,
        (one, many): (&str, &str),
        what: &str,
    ) {
        let words = if found.count == 1 { one } else { many };
        self.add(name, severity, format!("{} {words} {what}", grouped(found.count)), found);
    }

    /// Returns the names of those that found something and have this severity.
    pub(crate) fn names(&self, severity: Severity) -> Vec<&'static str> {
        self.found(severity).map(|(name, _)| *name).collect()
    }

    /// Returns the text of each check that found something and has this severity.
    pub(crate) fn messages(&self, severity: Severity) -> Vec<String> {
        self.found(severity).map(|(_, check)| check.text()).collect()
    }

    fn found(&self, severity: Severity) -> impl Iterator<Item = &(&'static str, Check)> {
        self.0.iter().filter(move |(_, check)| check.severity == severity && check.found.count > 0)
    }
}

impl Serialize for Checks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, check)| (name, check)))
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Written<'a> {
            severity: Severity,
            count: u64,
            examples: &'a [String],
        }
        let Found { count, examples } = &self.found;
        Written { severity: self.severity, count: *count, examples }.serialize(serializer)
    }
}

impl Check {
    /// A warning names the first place; an error leaves no report to look at, and names as many as it would.
    fn text(&self) -> String {
        let Found { count, examples } = &self.found;
        match &examples[..] {
            [first, ..] if self.severity != Severity::Error || *count == 1 => {
                format!("{}; first: {first}", self.message)
            }
            examples => format!("{}; first:{}", self.message, Shown { items: examples, count: *count }),
        }
    }
}

impl Report {
    /// Returns the text of each check that found something and has this severity.
    pub(crate) fn messages(&self, severity: Severity) -> Vec<String> {
        self.checks.messages(severity)
    }

    /// Returns the names of the checks that found something and have this severity.
    pub(crate) fn names(&self, severity: Severity) -> Vec<&'static str> {
        self.checks.names(severity)
    }

    /// Returns what is shown beside the stage's name.
    pub(crate) fn summary(&self) -> Vec<String> {
        std::iter::once(self.counts()).chain(self.notes.iter().cloned()).collect()
    }

    fn counts(&self) -> String {
        let left_out: u64 = self.left_out.values().sum();
        let words: Vec<&str> = self.left_out.keys().map(String::as_str).collect();
        let left_out = if left_out == 0 {
            String::new()
        } else {
            format!("; {} of {} left out", grouped(left_out), words.join(", "))
        };
        format!(
            "{} classes, {} of {} training and {} of {} test videos present{left_out}",
            grouped(self.num_classes),
            grouped(self.present.train),
            grouped(self.listed.train),
            grouped(self.present.test),
            grouped(self.listed.test)
        )
    }
}

/// Puts what was counted and found into a report.
pub(crate) fn report(
    params: &AnnotationsParams,
    format: AnnotationFormat,
    resolved: &Resolved,
    left_out: BTreeMap<String, u64>,
    num_videos: usize,
    checked: Checked,
) -> Report {
    let counts = (0..).zip(&resolved.classes.names).zip(checked.classes);
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
        listed: checked.listed,
        present: checked.present,
        left_out,
        checks: checked.checks,
        notes: checked.notes,
        classes,
    }
}
