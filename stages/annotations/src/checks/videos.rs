//! Checks for videos that are only in a list or only in the folder, or that have another name there.

use super::{Checker, plural};
use crate::findings::{Finding, Findings, Occurrences, SplitCounts};
use crate::join::Choice;
use crate::nearest;
use pipe_schemas::stages::annotations::Severity;
use pipe_stage::grouped;

impl Checker<'_> {
    /// Checks for videos that are only in a list or only in the folder, or that have another name there.
    pub(super) fn check_videos(
        &self,
        kept: &[bool],
        listed: SplitCounts,
        present: SplitCounts,
        findings: &mut Findings,
    ) {
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

        self.check_choices(kept, findings);
        let many = self.missing_message(listed, present);
        let one = missing.examples.first().map(|example| format!("{many}: {example}")).unwrap_or_default();
        let hint = self.hint_if_most_are_absent(kept);
        findings.add("missing", Finding { severity: self.params.missing, one, many, hint, occurrences: missing });
        let (one, many) =
            ("listed video has another name in the folder", "listed videos have other names in the folder");
        findings.add_counted("other_name", Severity::Warn, renamed, one, many);
        let all = plural(self.videos.len() as u64, "video");
        let one = format!("of {all} is not in any list");
        let many = format!("of {all} are not in any list");
        findings.add_counted("unlabelled", self.params.unlabelled, unlabelled, &one, &many);
    }

    /// Reports names that fit several videos, and videos that several names fit.
    fn check_choices(&self, kept: &[bool], findings: &mut Findings) {
        let mut found = Occurrences::default();
        for Choice { entries, videos } in &self.joined.choices {
            let used: Vec<usize> = entries.iter().copied().filter(|row| kept[*row]).collect();
            if !used.is_empty() {
                let verb = if used.len() == 1 { "fits" } else { "fit" };
                let names = in_words(used.iter().map(|row| self.listing(*row)));
                let videos = in_words(videos.iter().map(|video| self.videos[*video].path.clone()));
                found.add(|| format!("{names} {verb} {videos}"));
            }
        }
        let (one, many) = ("listed name has no unique video", "listed names have no unique video");
        findings.add_counted("ambiguous", self.params.ambiguous, found, one, many);
    }

    /// If the folder does not contain most of the listed videos, returns one of them with the nearest file, and how they differ.
    fn hint_if_most_are_absent(&self, kept: &[bool]) -> Option<String> {
        let rows: Vec<usize> = self.kept(kept).map(|(row, _)| row).collect();
        let mut absent = rows.iter().copied().filter(|row| self.joined.matches[*row].video.is_none());
        let first = absent.next()?;
        (2 * (1 + absent.count()) > rows.len()).then(|| nearest::hint(&self.entry(first).path, self.videos))
    }

    fn missing_message(&self, listed: SplitCounts, present: SplitCounts) -> String {
        let missing = listed.total() - present.total();
        format!(
            "{} of {} listed {}s {} missing or unreadable (train {} of {}, test {} of {})",
            grouped(missing),
            grouped(listed.total()),
            self.unit,
            if missing == 1 { "is" } else { "are" },
            grouped(listed.train - present.train),
            grouped(listed.train),
            grouped(listed.test - present.test),
            grouped(listed.test)
        )
    }
}

/// Returns up to three items as `a, b and c`.
fn in_words(items: impl ExactSizeIterator<Item = String>) -> String {
    const MAX_ITEMS: usize = 3;
    let count = items.len();
    let mut items: Vec<String> = items.take(MAX_ITEMS).collect();
    if count > MAX_ITEMS {
        items.push(format!("{} more", grouped((count - MAX_ITEMS) as u64)));
    }
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}
