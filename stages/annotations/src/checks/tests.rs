//! Tests of all checks.

use super::*;
use crate::findings::Occurrences;
use crate::join::join;
use crate::lists::{ClassList, Segment};
use crate::test_data::{entry, video};
use pipe_schemas::tables::Verdict;
use serde_json::{Value, json};

/// Checks entries whose classes are `A`, `B` and `C`.
fn run(entries: Vec<Entry>, videos: &[VideoRow], params: Value) -> CheckOutcome {
    let names = vec!["A".to_owned(), "B".to_owned(), "C".to_owned()];
    let resolved = Resolved {
        classes: ClassList { names, ..ClassList::default() },
        entries,
        off_by_one: Occurrences::default(),
        out_of_range: Occurrences::default(),
        unknown_class: Occurrences::default(),
    };
    let joined = join(&resolved.entries, videos).expect("joined");
    check(&serde_json::from_value(params).expect("parameters"), &resolved, &joined, videos, None)
}

/// Asserts what the checks `names` find.
#[track_caller]
fn expect(outcome: &CheckOutcome, names: &[&str], expect: &[&str]) {
    let of_name = outcome.findings.0.iter().filter(|(name, _)| names.contains(name));
    let found: Vec<_> = of_name
        .flat_map(|(name, finding)| finding.occurrences.examples.iter().map(move |text| format!("{name}: {text}")))
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn leaks_are_between_training_and_test_only() {
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
    let outcome = run(entries, &videos, json!({}));
    expect(
        &outcome,
        &["split_overlap", "group_leakage", "content_leakage", "conflicting_labels"],
        &[
            "split_overlap: A/1.avi (l:1) and A/1.avi (l:1)",
            "group_leakage: A_g02: A/2.avi (l:1) and A/4.avi (l:1)",
            "content_leakage: A/1.avi (l:1) and A/5.avi (l:1)",
        ],
    );
    assert!(outcome.kept.iter().all(|kept| *kept));
}

#[test]
fn near_duplicates_are_reported_once_and_equal_content_is_not() {
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
    let outcome = run(entries.clone(), &videos, params.clone());
    expect(&outcome, &["near_duplicates"], &found);
    assert_eq!(outcome.notes, [""; 0]);
    for video in &mut videos {
        video.frames_decoded = None;
    }
    let outcome = run(entries.clone(), &videos, params);
    expect(&outcome, &["near_duplicates"], &[]);
    assert_eq!(outcome.notes, ["near-duplicate check skipped (needs `verify: decode` on ingest)"]);
    assert_eq!(run(entries, &videos, json!({"near_duplicates": "off"})).notes, [""; 0]);
}

#[test]
fn repeated_entries_count_once() {
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
    let outcome = run(entries(), &videos, json!({}));
    expect(
        &outcome,
        &["duplicates", "conflicting_labels", "unlabelled"],
        &[
            "duplicates: a.mp4 (l:1), first at l:1",
            "duplicates: d.avi (l:1), first at l:1",
            "conflicting_labels: b.avi (l:1) is A, b.avi (l:1) is B",
            "conflicting_labels: b.avi (l:1) is A, b.avi (l:1) is C",
            "conflicting_labels: b.avi (l:1) is A, c.avi (l:1) is B; the files have the same content",
        ],
    );
    assert_eq!(outcome.kept, [true, false, true, false, true, true, true, true, false, false]);
    assert_eq!((outcome.listed.train, outcome.listed.test, outcome.present.train), (5, 1, 2));
    let multi_class = run(entries(), &videos, json!({"multi_class": true}));
    expect(&multi_class, &["conflicting_labels"], &[]);
    assert_eq!(multi_class.kept.iter().filter(|kept| **kept).count(), 7);
}

#[test]
fn classes_with_few_or_no_training_videos_are_reported() {
    let mut entries = vec![entry("b.avi", Split::Train, 1, ""), entry("c.avi", Split::Test, 2, "")];
    entries.extend((0..10).map(|number| entry(&format!("{number}.avi"), Split::Train, 0, "")));
    expect(
        &run(entries.clone(), &[], json!({})),
        &["label_gaps", "class_balance"],
        &["label_gaps: C, but 1 test video"],
    );
    entries.push(entry("x.avi", Split::Train, 0, ""));
    expect(&run(entries, &[], json!({})), &["class_balance"], &["class_balance: B has 1"]);
}
