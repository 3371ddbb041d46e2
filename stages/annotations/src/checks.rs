//! What is wrong with lists and videos together: [`check`].

use crate::alike::each_alike;
use crate::join::Joined;
use crate::labels::{Entry, Resolved};
use crate::lists::without_extension;
use crate::report::{Checks, Found, PerSplit};
use pipe_schemas::stages::annotations::{AnnotationsParams, Severity};
use pipe_schemas::tables::{Split, VideoRow};
use pipe_stage::grouped;
use std::collections::{BTreeMap, BTreeSet};

/// A class is small if the largest has more than so many times its training videos.
const MAX_IMBALANCE: u64 = 10;

/// The words for one of what was found, and for several.
const VIDEOS: (&str, &str) = ("video is", "videos are");
const LABELS: (&str, &str) = ("label is", "labels are");

/// What the checks found, and what is left of the lists.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) checks: Checks,
    /// What could not be looked for.
    pub(crate) notes: Vec<String>,
    /// Whether each entry counts: it is used, and no repetition of another.
    pub(crate) kept: Vec<bool>,
    /// Entries that count.
    pub(crate) listed: PerSplit,
    /// Entries that count and whose video is there.
    pub(crate) present: PerSplit,
    /// Likewise for each class; a video with several labels counts in each.
    pub(crate) classes: Vec<(PerSplit, PerSplit)>,
}

/// The video that an entry means: its position, or its name if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Video(usize),
    Name(&'a str),
}

/// Everything that checks look at.
struct Checker<'a> {
    params: &'a AnnotationsParams,
    resolved: &'a Resolved,
    joined: &'a Joined,
    videos: &'a [VideoRow],
}

/// A first entry in the training list and one in the test list.
type Pair = (usize, usize);

/// Runs all checks.
pub(crate) fn check(params: &AnnotationsParams, resolved: &Resolved, joined: &Joined, videos: &[VideoRow]) -> Checked {
    let checker = Checker { params, resolved, joined, videos };
    let mut checks = Checks::default();
    checker.add_labels(&mut checks);
    let (kept, duplicates, conflicts) = checker.repetitions();
    let (listed, present, classes) = checker.counts(&kept);
    checker.add_classes(&classes, &mut checks);
    checker.add_videos(&kept, listed, present, &mut checks);
    checks.add_counted("duplicates", params.duplicates, duplicates, VIDEOS, "listed again");
    let what = "listed with different labels";
    checks.add_counted("conflicting_labels", params.conflicting_labels, conflicts, VIDEOS, what);
    checker.add_leaks(&kept, &mut checks);
    let mut notes = Vec::new();
    if are_decoded(videos) {
        checker.add_near_duplicates(&kept, &mut checks);
    } else if params.near_duplicates != Severity::Off {
        notes.push("near-duplicates not looked for: ingest with `verify: decode`".to_owned());
    }
    Checked { checks, notes, kept, listed, present, classes }
}

/// Returns whether the videos were decoded, so that they have hashes if there is anything to be seen.
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

    /// Returns a listed path and where it is listed.
    fn place(&self, row: usize) -> String {
        format!("{} ({})", self.entry(row).path, self.entry(row).place)
    }

    /// Returns the entries that are kept, with their split.
    fn kept<'k>(&'k self, kept: &'k [bool]) -> impl Iterator<Item = (usize, Split)> + 'k {
        let rows = self.resolved.entries.iter().enumerate().filter(|(row, _)| kept[*row]);
        rows.filter_map(|(row, entry)| entry.split.map(|split| (row, split)))
    }

    fn add_labels(&self, checks: &mut Checks) {
        let params = self.params;
        let Resolved { off_by_one, out_of_range, unknown_class, .. } = self.resolved;
        checks.add("off_by_one", params.off_by_one, "the labels are off by one".into(), off_by_one.clone());
        checks.add_counted("out_of_range", params.out_of_range, out_of_range.clone(), LABELS, "out of range");
        checks.add_counted("unknown_class", params.unknown_class, unknown_class.clone(), LABELS, "no class");
    }

    /// Looks for classes without training videos, or with few.
    fn add_classes(&self, classes: &[(PerSplit, PerSplit)], checks: &mut Checks) {
        let (mut gaps, mut small) = (Found::default(), Found::default());
        let largest = classes.iter().map(|(listed, _)| listed.train).max().unwrap_or(0);
        for (class, (listed, _)) in classes.iter().enumerate() {
            let name = &self.resolved.classes.names[class];
            if listed.train == 0 {
                let place = self.resolved.classes.places.get(class).map(|place| format!(" ({place})"));
                let test =
                    if listed.test == 0 { String::new() } else { format!(", but {} to test on", grouped(listed.test)) };
                gaps.add(|| format!("{name}{}{test}", place.unwrap_or_default()));
            } else if largest > listed.train.saturating_mul(MAX_IMBALANCE) {
                small.add(|| format!("{name} has {}", grouped(listed.train)));
            }
        }
        let message =
            format!("{} of {} classes have no training video", grouped(gaps.count), grouped(classes.len() as u64));
        checks.add("label_gaps", self.params.label_gaps, message, gaps);
        let what = format!("less than a tenth of the {} training videos of the largest one", grouped(largest));
        checks.add_counted("class_balance", self.params.class_balance, small, ("class has", "classes have"), &what);
    }

    /// Looks for videos that are listed or in the folder, but not both, or under another name.
    fn add_videos(&self, kept: &[bool], listed: PerSplit, present: PerSplit, checks: &mut Checks) {
        let (mut missing, mut other_name, mut unlabelled) = (Found::default(), Found::default(), Found::default());
        for (row, _) in self.kept(kept) {
            let found = self.joined.matches[row];
            if !found.present {
                missing.add(|| self.place(row));
            }
            if let Some(video) = found.video.filter(|_| found.other_name) {
                other_name.add(|| format!("{} is {}", self.place(row), self.videos[video].path));
            }
        }
        self.joined.unlabelled.iter().for_each(|video| unlabelled.add(|| self.videos[*video].path.clone()));
        checks.add("missing", self.params.missing, missing_message(listed, present), missing);
        let words = ("listed video has", "listed videos have");
        checks.add_counted("other_name", Severity::Warn, other_name, words, "another name in the folder");
        let (count, all) = (grouped(unlabelled.count), grouped(self.videos.len() as u64));
        checks.add("unlabelled", self.params.unlabelled, format!("{count} of {all} videos are in no list"), unlabelled);
    }

    /// Looks for what is in the training and the test list.
    fn add_leaks(&self, kept: &[bool], checks: &mut Checks) {
        const BOTH: &str = "in the training and the test list";
        let params = self.params;
        let pair = |(train, test): Pair| format!("{} and {}", self.place(train), self.place(test));
        let found = self.in_both(kept, |row| Some(self.identity(row)), |_| true, pair);
        checks.add_counted("split_overlap", params.split_overlap, found, VIDEOS, BOTH);
        let group = |row: usize| Some(self.entry(row).group.as_str()).filter(|group| !group.is_empty());
        let example = |(train, test)| format!("{}: {}", self.entry(train).group, pair((train, test)));
        let found = self.in_both(kept, group, |_| true, example);
        checks.add_counted("group_leakage", params.group_leakage, found, ("group is", "groups are"), BOTH);
        let content = |row| Some(self.videos[self.present(row)?].digest.as_str());
        let other_file = |(train, test)| self.present(train) != self.present(test);
        let found = self.in_both(kept, content, other_file, pair);
        let what = format!("{BOTH} under two names");
        checks.add_counted("content_leakage", params.content_leakage, found, ("file is", "files are"), &what);
    }

    /// Looks for videos of the two lists that look alike. The same content is told by other checks.
    fn add_near_duplicates(&self, kept: &[bool], checks: &mut Checks) {
        let [train, test] = [Split::Train, Split::Test].map(|split| self.present_once(kept, split));
        let hashes = |rows: &[(usize, &'a VideoRow)]| -> Vec<&'a [u64]> {
            rows.iter().map(|(_, video)| video.hashes.as_slice()).collect()
        };
        let mut found = Found::default();
        each_alike(&hashes(&train), &hashes(&test), |pair| {
            let ((row, video), (test_row, test_video)) = (train[pair.one], test[pair.other]);
            if video.digest != test_video.digest {
                let (matching, frames) = (pair.num_matching, pair.num_frames);
                let places = || format!("{} and {}", self.place(row), self.place(test_row));
                found.add(|| format!("{}, {matching} of {frames} frames match", places()));
            }
        });
        let words = ("pair of videos looks", "pairs of videos look");
        checks.add_counted("near_duplicates", self.params.near_duplicates, found, words, "alike across the two lists");
    }

    /// Returns the videos of a list that are there, each with the first entry that means it, in the order of these.
    fn present_once(&self, kept: &[bool], split: Split) -> Vec<(usize, &'a VideoRow)> {
        let mut seen = BTreeSet::new();
        let rows = self.kept(kept).filter(|(_, of)| *of == split).map(|(row, _)| row);
        let videos = rows.filter_map(|row| Some((row, self.present(row)?)));
        videos.filter(|(_, video)| seen.insert(*video)).map(|(row, video)| (row, &self.videos[video])).collect()
    }

    /// Returns the video that an entry means, if it is there.
    fn present(&self, row: usize) -> Option<usize> {
        self.joined.matches[row].video.filter(|_| self.joined.matches[row].present)
    }

    /// Finds keys that training and test entries share, by their first training entry. Of the entries of a key, the first
    /// test entry counts that goes with the first training entry as `fits` says.
    fn in_both<K: Ord>(
        &self,
        kept: &[bool],
        key: impl Fn(usize) -> Option<K>,
        fits: impl Fn(Pair) -> bool,
        example: impl Fn(Pair) -> String,
    ) -> Found {
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
        let mut found = Found::default();
        for pair in pairs {
            found.add(|| example(pair));
        }
        found
    }

    /// Returns which entries count, those that repeat another with the same labels, and those that contradict one.
    fn repetitions(&self) -> (Vec<bool>, Found, Found) {
        let used: Vec<bool> = self.resolved.entries.iter().map(|entry| entry.split.is_some()).collect();
        let (mut kept, mut duplicates, mut conflicts) = (used.clone(), Found::default(), Found::default());
        let (mut seen, mut contents) = (BTreeMap::new(), BTreeMap::new());
        for (row, split) in self.kept(&used) {
            let differs =
                |first: usize| !self.params.multi_class && self.entry(first).classes != self.entry(row).classes;
            let segment = self.entry(row).segment.map(|times| (times.start_secs.to_bits(), times.end_secs.to_bits()));
            let firsts: &mut [Option<usize>; 2] = seen.entry((self.identity(row), segment)).or_default();
            let (same, other) = (firsts[split as usize], firsts[1 - split as usize]);
            match (same, other) {
                (Some(first), _) if self.entry(first).classes == self.entry(row).classes => {
                    duplicates.add(|| format!("{} is at {} already", self.place(row), self.entry(first).place));
                    kept[row] = false;
                }
                (Some(first), _) if differs(first) => {
                    conflicts.add(|| self.contradiction(first, row));
                    kept[row] = false;
                }
                (None, Some(first)) if differs(first) => conflicts.add(|| self.contradiction(first, row)),
                // The first one of its split, or one more label.
                _ => {}
            }
            firsts[split as usize].get_or_insert(row);
            if let (None, None, None, Some(video)) = (same, other, segment, self.joined.matches[row].video) {
                let first = *contents.entry(self.videos[video].digest.as_str()).or_insert(row);
                if differs(first) {
                    conflicts.add(|| format!("{}, in files with the same content", self.contradiction(first, row)));
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
        format!("{} is {}, {} is {}", self.place(first), labels(first), self.place(row), labels(row))
    }

    fn counts(&self, kept: &[bool]) -> (PerSplit, PerSplit, Vec<(PerSplit, PerSplit)>) {
        let mut classes = vec![(PerSplit::default(), PerSplit::default()); self.resolved.classes.names.len()];
        let (mut listed, mut present) = (PerSplit::default(), PerSplit::default());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::join;
    use crate::lists::{ClassList, Segment};
    use crate::test_data::{entry, video};
    use pipe_schemas::tables::Verdict;
    use serde_json::{Value, json};

    fn run(entries: Vec<Entry>, videos: &[VideoRow], params: Value) -> Checked {
        let names = vec!["A".to_owned(), "B".to_owned(), "C".to_owned()];
        let resolved = Resolved {
            classes: ClassList { names, ..ClassList::default() },
            entries,
            off_by_one: Found::default(),
            out_of_range: Found::default(),
            unknown_class: Found::default(),
        };
        let joined = join(&resolved.entries, videos).expect("joined");
        check(&serde_json::from_value(params).expect("parameters"), &resolved, &joined, videos)
    }

    /// Checks what the checks `names` find.
    #[track_caller]
    fn expect(checked: &Checked, names: &[&str], expect: &[&str]) {
        let of_name = checked.checks.0.iter().filter(|(name, _)| names.contains(name));
        let found: Vec<_> = of_name
            .flat_map(|(name, check)| check.found.examples.iter().map(move |text| format!("{name}: {text}")))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn leaks_are_across_the_lists_only() {
        let entries = vec![
            entry("A/1.avi", Split::Train, 0, "A_g01"),
            entry("A/2.avi", Split::Train, 0, "A_g02"),
            entry("A/3.avi", Split::Train, 0, "A_g02"),
            entry("A/4.avi", Split::Test, 0, "A_g02"),
            entry("A/5.avi", Split::Test, 0, "A_g03"),
            entry("A/6.avi", Split::Test, 0, ""),
            entry("A/7.avi", Split::Train, 0, ""),
            entry("A/1.avi", Split::Test, 0, "A_g04"),
        ];
        let broken = |path: &str| VideoRow { verdict: Verdict::Unreadable, ..video(path, "empty") };
        let videos = [
            video("A/1.avi", "same"),
            video("A/2.avi", "twin"),
            video("A/3.avi", "twin"),
            broken("A/4.avi"),
            video("A/5.avi", "same"),
            broken("A/7.avi"),
        ];
        let checked = run(entries, &videos, json!({}));
        expect(
            &checked,
            &["split_overlap", "group_leakage", "content_leakage", "conflicting_labels"],
            &[
                "split_overlap: A/1.avi (l:1) and A/1.avi (l:1)",
                "group_leakage: A_g02: A/2.avi (l:1) and A/4.avi (l:1)",
                "content_leakage: A/1.avi (l:1) and A/5.avi (l:1)",
            ],
        );
        assert!(checked.kept.iter().all(|kept| *kept));
    }

    #[test]
    fn videos_that_look_alike_are_told_once_and_the_same_content_is_not() {
        let entries = vec![
            entry("A/1.avi", Split::Train, 0, ""),
            entry("A/2.avi", Split::Train, 0, ""),
            entry("A/2.avi", Split::Train, 1, ""),
            entry("A/3.avi", Split::Train, 0, ""),
            entry("A/4.avi", Split::Test, 0, ""),
            entry("A/5.avi", Split::Test, 0, ""),
            entry("A/6.avi", Split::Test, 0, ""),
        ];
        let hashed = |path: &str, digest: &str, hashes: &[u64]| VideoRow {
            hashes: hashes.to_vec(),
            frames_decoded: Some(50),
            ..video(path, digest)
        };
        let (one, other) = (0x1234_5678_9abc_def0, 0x0f1e_2d3c_4b5a_6978);
        let mut videos = [
            hashed("A/1.avi", "1", &[one, other, !one]),
            hashed("A/2.avi", "2", &[one, other]),
            hashed("A/3.avi", "3", &[!other]),
            hashed("A/4.avi", "1", &[one, other, !one]),
            hashed("A/5.avi", "5", &[one ^ 0b111, other, 7]),
            VideoRow { verdict: Verdict::Truncated, ..hashed("A/6.avi", "6", &[one, other]) },
        ];
        let found = [
            "near_duplicates: A/1.avi (l:1) and A/5.avi (l:1), 2 of 3 frames match",
            "near_duplicates: A/2.avi (l:1) and A/4.avi (l:1), 2 of 2 frames match",
            "near_duplicates: A/2.avi (l:1) and A/5.avi (l:1), 2 of 2 frames match",
        ];
        let params = json!({"multi_class": true});
        let checked = run(entries.clone(), &videos, params.clone());
        expect(&checked, &["near_duplicates"], &found);
        assert_eq!(checked.notes, [""; 0]);
        for video in &mut videos {
            video.frames_decoded = None;
        }
        let checked = run(entries.clone(), &videos, params);
        expect(&checked, &["near_duplicates"], &[]);
        assert_eq!(checked.notes, ["near-duplicates not looked for: ingest with `verify: decode`"]);
        assert_eq!(run(entries, &videos, json!({"near_duplicates": "off"})).notes, [""; 0]);
    }

    #[test]
    fn repetitions_count_once() {
        let with_segment = |start_secs: f64| Entry {
            segment: Some(Segment { start_secs, end_secs: 9.0 }),
            ..entry("d.avi", Split::Train, 0, "")
        };
        let entries = || {
            vec![
                entry("a.avi", Split::Train, 0, ""),
                entry("a.mp4", Split::Train, 0, ""),
                entry("b.avi", Split::Train, 0, ""),
                entry("b.avi", Split::Train, 1, ""),
                entry("b.avi", Split::Test, 2, ""),
                entry("c.avi", Split::Train, 1, ""),
                with_segment(0.0),
                with_segment(1.0),
                with_segment(0.0),
                Entry { split: None, ..entry("e.avi", Split::Train, 0, "") },
            ]
        };
        let videos = [video("b.avi", "same"), video("c.avi", "same"), video("e.avi", "e")];
        let checked = run(entries(), &videos, json!({}));
        expect(
            &checked,
            &["duplicates", "conflicting_labels", "unlabelled"],
            &[
                "duplicates: a.mp4 (l:1) is at l:1 already",
                "duplicates: d.avi (l:1) is at l:1 already",
                "conflicting_labels: b.avi (l:1) is A, b.avi (l:1) is B",
                "conflicting_labels: b.avi (l:1) is A, b.avi (l:1) is C",
                "conflicting_labels: b.avi (l:1) is A, c.avi (l:1) is B, in files with the same content",
            ],
        );
        assert_eq!(checked.kept, [true, false, true, false, true, true, true, true, false, false]);
        assert_eq!((checked.listed.train, checked.listed.test, checked.present.train), (5, 1, 2));
        let several = run(entries(), &videos, json!({"multi_class": true}));
        expect(&several, &["conflicting_labels"], &[]);
        assert_eq!(several.kept.iter().filter(|kept| **kept).count(), 7);
    }

    #[test]
    fn classes_without_training_videos_and_small_ones_are_told() {
        let mut entries = vec![entry("b.avi", Split::Train, 1, ""), entry("c.avi", Split::Test, 2, "")];
        entries.extend((0..10).map(|number| entry(&format!("{number}.avi"), Split::Train, 0, "")));
        expect(
            &run(entries.clone(), &[], json!({})),
            &["label_gaps", "class_balance"],
            &["label_gaps: C, but 1 to test on"],
        );
        entries.push(entry("x.avi", Split::Train, 0, ""));
        expect(&run(entries, &[], json!({})), &["class_balance"], &["class_balance: B has 1"]);
    }
}
