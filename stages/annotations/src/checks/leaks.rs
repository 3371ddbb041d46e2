//! Checks for data that is in both the training and the test list.

use super::Checker;
use crate::findings::{Findings, Occurrences};
use crate::near_duplicates::for_each_similar_pair;
use pipe_schemas::tables::{Split, VideoRow};
use std::collections::{BTreeMap, BTreeSet};

/// A training entry and a test entry.
type Pair = (usize, usize);

impl<'a> Checker<'a> {
    /// Checks for the same video, group or content in both lists.
    pub(super) fn check_leaks(&self, kept: &[bool], findings: &mut Findings) {
        let params = self.params;
        let pair = |(train, test): Pair| format!("{} and {}", self.listing(train), self.listing(test));
        let found = self.in_both(kept, |row| Some(self.identity(row)), |_| true, pair);
        let one = "video is in both the training and the test list";
        let many = "videos are in both the training and the test list";
        findings.add_counted("split_overlap", params.split_overlap, found, one, many);

        let group = |row: usize| Some(self.entry(row).group.as_str()).filter(|group| !group.is_empty());
        let example = |(train, test)| format!("{}: {}", self.entry(train).group, pair((train, test)));
        let found = self.in_both(kept, group, |_| true, example);
        let one = "group is in both the training and the test list";
        let many = "groups are in both the training and the test list";
        findings.add_counted("group_leakage", params.group_leakage, found, one, many);

        let content = |row| Some(self.videos[self.present(row)?].digest.as_str());
        let other_file = |(train, test)| self.present(train) != self.present(test);
        let found = self.in_both(kept, content, other_file, pair);
        let one = "file is in both the training and the test list under two names";
        let many = "files are in both the training and the test list under two names";
        findings.add_counted("content_leakage", params.content_leakage, found, one, many);
    }

    /// Checks for training and test videos with similar frames. Files with equal content are reported by other checks.
    pub(super) fn check_near_duplicates(&self, kept: &[bool], findings: &mut Findings) {
        let [train, test] = [Split::Train, Split::Test].map(|split| self.present_once(kept, split));
        let hashes = |rows: &[(usize, &'a VideoRow)]| -> Vec<&'a [u64]> {
            rows.iter().map(|(_, video)| video.hashes.as_slice()).collect()
        };
        let mut found = Occurrences::default();
        for_each_similar_pair(&hashes(&train), &hashes(&test), |pair| {
            let ((row, video), (test_row, test_video)) = (train[pair.first], test[pair.second]);
            if video.digest != test_video.digest {
                let (matching, frames) = (pair.num_matching, pair.num_frames);
                let both = || format!("{} and {}", self.listing(row), self.listing(test_row));
                found.add(|| format!("{}, {matching} of {frames} frames match", both()));
            }
        });
        let one = "pair of a training and a test video looks alike";
        let many = "pairs of a training and a test video look alike";
        findings.add_counted("near_duplicates", self.params.near_duplicates, found, one, many);
    }

    /// Returns the usable videos of a split, each once with the first entry that lists it, in the order of the entries.
    fn present_once(&self, kept: &[bool], split: Split) -> Vec<(usize, &'a VideoRow)> {
        let mut seen = BTreeSet::new();
        let rows = self.kept(kept).filter(|(_, of)| *of == split).map(|(row, _)| row);
        let videos = rows.filter_map(|row| Some((row, self.present(row)?)));
        videos.filter(|(_, video)| seen.insert(*video)).map(|(row, video)| (row, &self.videos[video])).collect()
    }

    /// Returns the position of the video that an entry lists, if it is usable.
    fn present(&self, row: usize) -> Option<usize> {
        self.joined.matches[row].video.filter(|_| self.joined.matches[row].present)
    }

    /// Finds keys that training and test entries share, in the order of their first training entries. A key is represented
    /// by its first training entry and the first test entry for which `fits` is true.
    fn in_both<K: Ord>(
        &self,
        kept: &[bool],
        key: impl Fn(usize) -> Option<K>,
        fits: impl Fn(Pair) -> bool,
        example: impl Fn(Pair) -> String,
    ) -> Occurrences {
        let mut firsts: BTreeMap<K, usize> = BTreeMap::new();
        let mut pairs: BTreeMap<usize, usize> = BTreeMap::new();
        for (row, _) in self.kept(kept).filter(|(_, split)| *split == Split::Train) {
            if let Some(key) = key(row) {
                firsts.entry(key).or_insert(row);
            }
        }
        for (row, _) in self.kept(kept).filter(|(_, split)| *split == Split::Test) {
            if let Some(first) = key(row).and_then(|key| firsts.get(&key)).filter(|first| fits((**first, row))) {
                pairs.entry(*first).or_insert(row);
            }
        }
        let mut found = Occurrences::default();
        for pair in pairs {
            found.add(|| example(pair));
        }
        found
    }
}
