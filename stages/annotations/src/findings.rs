//! What checks find: [`Occurrences`] of one problem, and the [`Findings`] of all checks, as `report.json` and messages show them.

use crate::error::ListOfItems;
use pipe_schemas::stages::annotations::Severity;
use pipe_schemas::tables::Split;
use pipe_stage::grouped;
use serde::ser::{Serialize, Serializer};

/// Maximum number of occurrences to keep: all of any real data set, and few enough to fit into memory.
const MAX_KEPT: usize = 1_000_000;

/// A problem's occurrences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Occurrences {
    pub(crate) count: u64,
    /// All of them, up to [`MAX_KEPT`]. `report.json` contains all; messages show the first ones.
    pub(crate) examples: Vec<String>,
}

/// What one check found.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The message for one occurrence: the whole sentence.
    pub(crate) one: String,
    /// The message for several occurrences; examples follow.
    pub(crate) many: String,
    /// What may explain the finding, on a line of its own.
    pub(crate) hint: Option<String>,
    pub(crate) occurrences: Occurrences,
}

/// The findings of all checks by name, in the order in which they are reported.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<(&'static str, Finding)>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SplitCounts {
    pub(crate) train: u64,
    pub(crate) test: u64,
}

impl Occurrences {
    /// Adds one more. `example` is called unless there are too many to keep.
    pub(crate) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < MAX_KEPT {
            self.examples.push(example());
        }
    }
}

impl Findings {
    pub(crate) fn add(&mut self, name: &'static str, finding: Finding) {
        self.0.push((name, finding));
    }

    /// Adds a finding with a message that starts with the count, as in `1 group is in both lists: a` or
    /// `2 groups are in both lists; first: a`.
    pub(crate) fn add_counted(
        &mut self,
        name: &'static str,
        severity: Severity,
        occurrences: Occurrences,
        one: &str,
        many: &str,
    ) {
        let one = occurrences.examples.first().map(|example| format!("1 {one}: {example}")).unwrap_or_default();
        let many = format!("{} {many}", grouped(occurrences.count));
        self.add(name, Finding { severity, one, many, hint: None, occurrences });
    }

    /// Returns the names of the checks of this severity that found something.
    pub(crate) fn names(&self, severity: Severity) -> Vec<&'static str> {
        self.with(severity).map(|(name, _)| *name).collect()
    }

    /// Returns a message for each check of this severity that found something.
    pub(crate) fn messages(&self, severity: Severity) -> Vec<String> {
        self.with(severity).map(|(_, finding)| finding.message()).collect()
    }

    /// Returns all occurrences that checks of this severity found, one per line, with the names of the checks.
    pub(crate) fn lines(&self, severity: Severity) -> impl Iterator<Item = String> {
        let findings = self.with(severity);
        findings
            .flat_map(|(name, finding)| finding.occurrences.examples.iter().map(move |text| format!("{name}: {text}")))
    }

    fn with(&self, severity: Severity) -> impl Iterator<Item = &(&'static str, Finding)> {
        self.0.iter().filter(move |(_, finding)| finding.severity == severity && finding.occurrences.count > 0)
    }
}

impl Finding {
    /// A warning shows the first example. An error shows more: a failed stage has no report. The log has all.
    fn message(&self) -> String {
        let Occurrences { count, examples } = &self.occurrences;
        let text = match &examples[..] {
            _ if *count == 1 => self.one.clone(),
            [first, ..] if self.severity != Severity::Error => format!("{}; first: {first}", self.many),
            examples => format!("{}; first:{}", self.many, ListOfItems { items: examples, count: *count }),
        };
        self.hint.iter().fold(text, |text, hint| format!("{text}\n{hint}"))
    }
}

impl SplitCounts {
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

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, finding)| (name, finding)))
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Written<'a> {
            severity: Severity,
            count: u64,
            examples: &'a [String],
        }
        let Occurrences { count, examples } = &self.occurrences;
        Written { severity: self.severity, count: *count, examples }.serialize(serializer)
    }
}
