//! Finds entries that list a video again: with the same label, or with another one.

use super::Checker;
use crate::findings::Occurrences;
use std::collections::BTreeMap;

impl Checker<'_> {
    /// Returns which entries are kept, the duplicates of others, and the conflicts in labels.
    ///
    /// Of several entries for a video (or a segment of it) in one split, the first is kept; with `multi_class`, also each
    /// that adds labels. Only entries that are `used` count.
    pub(super) fn repetitions(&self, used: Vec<bool>) -> (Vec<bool>, Occurrences, Occurrences) {
        let (mut kept, mut duplicates, mut conflicts) = (used.clone(), Occurrences::default(), Occurrences::default());
        let (mut seen, mut contents) = (BTreeMap::new(), BTreeMap::new());
        for (row, split) in self.kept(&used) {
            let differs =
                |first: usize| !self.params.multi_class && self.entry(first).classes != self.entry(row).classes;
            let segment = self.entry(row).segment.map(|times| (times.start_secs.to_bits(), times.end_secs.to_bits()));
            let firsts: &mut [Option<usize>; 2] = seen.entry((self.identity(row), segment)).or_default();
            let (same_split, other_split) = (firsts[split as usize], firsts[1 - split as usize]);
            match (same_split, other_split) {
                (Some(first), _) if self.entry(first).classes == self.entry(row).classes => {
                    duplicates.add(|| format!("{}, first at {}", self.listing(row), self.entry(first).location));
                    kept[row] = false;
                }
                (Some(first), _) if differs(first) => {
                    conflicts.add(|| self.contradiction(first, row));
                    kept[row] = false;
                }
                (None, Some(first)) if differs(first) => conflicts.add(|| self.contradiction(first, row)),
                // The first entry of its split, or another label of a video that may have several.
                (Some(_) | None, _) => {}
            }
            firsts[split as usize].get_or_insert(row);
            if let (None, None, None, Some(video)) = (same_split, other_split, segment, self.joined.matches[row].video)
            {
                let first = *contents.entry(self.videos[video].digest.as_str()).or_insert(row);
                if differs(first) {
                    conflicts.add(|| format!("{}; the files have the same content", self.contradiction(first, row)));
                }
            }
        }
        (kept, duplicates, conflicts)
    }

    fn contradiction(&self, first: usize, row: usize) -> String {
        let labels = |row: usize| {
            let names =
                self.entry(row).classes.iter().map(|class| self.resolved.classes.names[*class as usize].as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        format!("{} is {}, {} is {}", self.listing(first), labels(first), self.listing(row), labels(row))
    }
}
