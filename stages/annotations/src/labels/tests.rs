//! Tests of class indices.

use super::*;
use serde_json::{Value, json};

/// Resolves one row per label, and returns the classes (`-` for none) and the findings.
fn run(labels: &[&str], classes: Option<(&[&str], Option<u32>)>, params: Value) -> (String, Vec<String>) {
    let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
    let rows = labels.iter().zip(1..).map(|(label, line)| {
        let location = Location { file: "l".into(), line, row: None };
        Row::new("a", RowSplit::Known(Split::Train), vec![Label::Cell((*label).into())], location)
    });
    let classes = classes.map(|(names, first_number)| ClassList {
        names: names.iter().map(ToString::to_string).collect(),
        locations: vec![],
        first_number,
    });
    let resolved = resolve(ParsedLists { rows: rows.collect(), classes }, &params).expect("resolved");
    let index = |entry: &Entry| entry.classes.first().map_or("-".to_owned(), ToString::to_string);
    let found = [resolved.off_by_one, resolved.out_of_range, resolved.unknown_class];
    let found = found.into_iter().flat_map(|found| found.examples).collect();
    (resolved.entries.iter().map(index).collect::<Vec<_>>().join(" "), found)
}

#[track_caller]
fn check(labels: &[&str], classes: Option<(&[&str], Option<u32>)>, params: Value, indices: &str, found: &[&str]) {
    let expect = (indices.to_owned(), found.iter().map(ToString::to_string).collect());
    assert_eq!(run(labels, classes, params), expect);
}

#[test]
fn names_and_numbers_become_class_indices() {
    check(&["b", "a", "b"], None, json!({}), "1 0 1", &[]);
    check(&["0", "2", "1"], None, json!({}), "0 2 1", &[]);
    check(&["b", "a"], Some((&["b", "a"], None)), json!({}), "0 1", &[]);
    check(&["1", "0"], Some((&["b", "a"], None)), json!({}), "1 0", &[]);
    check(&["1", "2"], Some((&["b", "a"], Some(1))), json!({}), "0 1", &[]);
    check(&["1", "0"], Some((&["1", "0"], None)), json!({}), "0 1", &[]);
    check(&["air_drumming", "a"], Some((&["air drumming", "a"], None)), json!({}), "0 1", &[]);
    check(&["1", "2"], None, json!({"first_label": 1}), "0 1", &[]);
}

#[test]
fn a_label_far_above_the_number_of_labels_is_an_error() {
    let classes = |labels: &[i64], params: Value| {
        let location = Location { file: "l".into(), line: 1, row: None };
        let row = |label| Row::new("a", RowSplit::Known(Split::Train), vec![Label::Number(label)], location.clone());
        let rows = labels.iter().copied().map(row).collect();
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        resolve(ParsedLists { rows, classes: None }, &params)
            .map(|resolved| resolved.classes.names.len())
            .map_err(|error| error.to_string())
    };
    let years = "the label 2021 (l:1) would make 2,022 classes, but the lists have only 3 different labels";
    assert_eq!(classes(&[2019, 2020, 2021], json!({})), Err(years.to_owned()));
    assert!(classes(&[i64::MAX], json!({})).is_err_and(|error| error.contains("only 1 different label")));
    assert_eq!(classes(&[0, 2, 5], json!({})), Ok(6));
    assert_eq!(classes(&[0, 50], json!({"num_classes": 101})), Ok(101));
}

#[test]
fn labels_off_by_one_are_reported() {
    let map: Option<(&[&str], Option<u32>)> = Some((&["a", "b", "c"], None));
    check(
        &["1", "2", "3"],
        map,
        json!({"label_map": "m"}),
        "1 2 -",
        &["labels go from 1 to 3, classes from 0 to 2; set `first_label: 1` (l:3)", "3 is not between 0 and 2 (l:3)"],
    );
    let open = "labels go from 1 to 2, classes from 0 to 2; set `first_label: 1` (l:2)";
    check(&["1", "2"], None, json!({}), "1 2", &[open]);
    let down = "labels go from 0 to 2, classes from 1 to 3; set `first_label: 0` (l:1)";
    check(
        &["0", "1", "2"],
        map,
        json!({"first_label": 1, "label_map": "m"}),
        "- 0 1",
        &[down, "0 is not between 1 and 3 (l:1)"],
    );
    // A class without a video is not a shift.
    check(&["1", "2"], map, json!({"label_map": "m"}), "1 2", &[]);
    // `num_classes` set to the highest label instead of one more.
    check(&["0", "1", "2"], None, json!({"num_classes": 2}), "0 1 -", &["2 is not between 0 and 1 (l:3)"]);
}

#[test]
fn unknown_labels_are_not_classes() {
    let map: Option<(&[&str], Option<u32>)> = Some((&["Archery", "b"], None));
    let expect = ["`archery` (l:1), did you mean `Archery`?", "`` (l:2)", "`-1` (l:3)"];
    check(&["archery", "", "-1", "b"], map, json!({}), "- - - 1", &expect);
    let far = i64::MAX.to_string();
    let (indices, found) = run(&["0", &far, "-1"], None, json!({"num_classes": 3}));
    assert_eq!((indices.as_str(), found.len()), ("0 - -", 2));
}
