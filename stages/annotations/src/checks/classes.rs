//! Checks for classes and splits without videos, or with few.

use super::{Checker, plural};
use crate::findings::{Finding, Findings, Occurrences, SplitCounts};
use pipe_schemas::stages::annotations::AnnotationFormat;
use pipe_schemas::tables::Split;
use pipe_stage::grouped;

/// A class is small if the largest class has more than this many times its training videos.
const MAX_IMBALANCE: u64 = 10;

/// Counts of a class: listed, and present.
type Counts = (SplitCounts, SplitCounts);

impl Checker<'_> {
    /// Checks that there is something to train and to test on.
    pub(super) fn check_splits(&self, listed: SplitCounts, present: SplitCounts, findings: &mut Findings) {
        let unit = self.unit;
        let mut empty = Occurrences::default();
        for (name, listed, present, is_wanted) in [
            ("training", listed.train, present.train, true),
            ("test", listed.test, present.test, self.has_test(listed)),
        ] {
            match (is_wanted, listed, present) {
                (true, 0, _) => empty.add(|| format!("no {name} {unit} is listed")),
                (true, 1, 0) => empty.add(|| format!("the only listed {name} {unit} is missing or unreadable")),
                (true, listed, 0) => {
                    empty.add(|| format!("all {} listed {name} {unit}s are missing or unreadable", grouped(listed)));
                }
                (true | false, _, _) => {}
            }
        }
        let one = empty.examples.first().cloned().unwrap_or_default();
        let many = "both splits are empty".to_owned();
        let severity = self.params.empty_split;
        findings.add("empty_split", Finding { severity, one, many, hint: None, occurrences: empty });
    }

    /// Returns whether the parameters or the lists define test videos.
    fn has_test(&self, listed: SplitCounts) -> bool {
        let params = self.params;
        let by_format = match params.format {
            AnnotationFormat::Ucf101 | AnnotationFormat::Hmdb51 => true,
            AnnotationFormat::Auto => params.train.is_none() && params.file.is_none(),
            AnnotationFormat::VideoList
            | AnnotationFormat::RawframeList
            | AnnotationFormat::Kinetics
            | AnnotationFormat::Sthv2
            | AnnotationFormat::Activitynet
            | AnnotationFormat::ClassFolder
            | AnnotationFormat::Table => false,
        };
        by_format
            || params.test.is_some()
            || params.test_share.is_some()
            || !params.subsets.test.is_empty()
            || listed.test > 0
    }

    /// Checks for classes without training or test videos, or with few, and for splits with one class.
    pub(super) fn check_classes(&self, classes: &[Counts], findings: &mut Findings) {
        self.check_gaps(classes, findings);
        self.check_test_gaps(classes, findings);
        self.check_single_class(classes, findings);
        self.check_balance(classes, findings);
    }

    fn class_name(&self, class: usize) -> &str {
        &self.resolved.classes.names[class]
    }

    /// Returns ` (classInd.txt:3)` if a file names the class.
    fn class_location(&self, class: usize) -> String {
        let location = self.resolved.classes.locations.get(class);
        location.map(|location| format!(" ({location})")).unwrap_or_default()
    }

    fn check_gaps(&self, classes: &[Counts], findings: &mut Findings) {
        let (mut gaps, mut one) = (Occurrences::default(), String::new());
        for (class, (listed, _)) in classes.iter().enumerate().filter(|(_, (listed, _))| listed.train == 0) {
            let (name, location) = (self.class_name(class), self.class_location(class));
            let test = plural(listed.test, &format!("test {}", self.unit));
            let (but, and) =
                if listed.test == 0 { <_>::default() } else { (format!(" but {test}"), format!(", but {test}")) };
            one = format!("class {name} has no training {}{but}{location}", self.unit);
            gaps.add(|| format!("{name}{location}{and}"));
        }
        let all = plural(classes.len() as u64, "class");
        let many = format!("{} of {all} have no training {}", grouped(gaps.count), self.unit);
        let severity = self.params.label_gaps;
        findings.add("label_gaps", Finding { severity, one, many, hint: None, occurrences: gaps });
    }

    /// Classes without any video are gaps already.
    fn check_test_gaps(&self, classes: &[Counts], findings: &mut Findings) {
        let (mut gaps, mut one) = (Occurrences::default(), String::new());
        let has_test = classes.iter().any(|(listed, _)| listed.test > 0);
        let is_gap = |listed: SplitCounts| has_test && listed.train > 0 && listed.test == 0;
        for (class, _) in classes.iter().enumerate().filter(|(_, (listed, _))| is_gap(*listed)) {
            let (name, location) = (self.class_name(class), self.class_location(class));
            one = format!("class {name} has no test {}{location}", self.unit);
            gaps.add(|| format!("{name}{location}"));
        }
        let all = plural(classes.len() as u64, "class");
        let many = format!("{} of {all} have no test {}", grouped(gaps.count), self.unit);
        let severity = self.params.test_gaps;
        findings.add("test_gaps", Finding { severity, one, many, hint: None, occurrences: gaps });
    }

    fn check_single_class(&self, classes: &[Counts], findings: &mut Findings) {
        let mut single = Occurrences::default();
        for (split, name) in [(Split::Train, "training"), (Split::Test, "test")] {
            let count = |class: usize| {
                let mut listed = classes[class].0;
                *listed.of(split)
            };
            let mut used = (0..classes.len()).filter(|class| count(*class) > 0);
            if let (Some(class), None) = (used.next(), used.next()) {
                let videos = plural(count(class), &format!("{name} {}", self.unit));
                let verb = if count(class) == 1 { "has" } else { "have" };
                single.add(|| format!("{videos} {verb} only one class: {}", self.class_name(class)));
            }
        }
        let one = single.examples.first().cloned().unwrap_or_default();
        let many = "the training and the test split have only one class each".to_owned();
        let severity = self.params.single_class;
        findings.add("single_class", Finding { severity, one, many, hint: None, occurrences: single });
    }

    fn check_balance(&self, classes: &[Counts], findings: &mut Findings) {
        let (mut small, mut one) = (Occurrences::default(), String::new());
        let largest = classes.iter().map(|(listed, _)| listed.train).max().unwrap_or(0);
        let is_small = |train: u64| train > 0 && largest > train.saturating_mul(MAX_IMBALANCE);
        for (class, (listed, _)) in classes.iter().enumerate().filter(|(_, (listed, _))| is_small(listed.train)) {
            let (name, train) = (self.class_name(class), plural(listed.train, &format!("training {}", self.unit)));
            one = format!("class {name} has only {train}, the largest class has {}", grouped(largest));
            small.add(|| format!("{name} has {}", grouped(listed.train)));
        }
        let many = format!(
            "{} classes have less than a tenth of the {} training {}s of the largest class",
            grouped(small.count),
            grouped(largest),
            self.unit
        );
        let severity = self.params.class_balance;
        findings.add("class_balance", Finding { severity, one, many, hint: None, occurrences: small });
    }
}
