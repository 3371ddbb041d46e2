//! ActivityNet's lists: [`parse`].
//!
//! ```text
//! {"database": {"o1WPnnvs00I": {"duration": 23.86, "subset": "training", "annotations":
//!                               [{"segment": [0.01, 23.86], "label": "Drinking beer"}]},
//! ```
//!
//! MMAction2 leaves `database` and `subset` out and writes `v_` before the ids. A row is a segment; its place is that of
//! its video.

use super::Role;
use super::table::{SECONDS, segment};
use crate::json;
use crate::lists::{Label, ListFile, Part, Row, Sink};
use serde_json::Value;

/// Where the official lists have their rows.
pub(super) const ROWS: &str = "database";

/// Reads the segments of a list.
pub(super) fn parse(file: &ListFile, role: Role, sink: &mut Sink) {
    let read = json::rows(file, Some(ROWS), |row| {
        let place = file.place(row.line);
        let Some(id) = row.key else {
            return sink.problem(place, "the row has no id", "the list is a map from id to video");
        };
        let Some(annotations) = row.value.get("annotations").and_then(Value::as_array) else {
            return sink.problem(place, "the video has no `annotations`", "each video has a list of them");
        };
        let part = role.part(row.value.get("subset").and_then(Value::as_str), &place, sink);
        // The files are called `v_` and the id.
        let alias = id.strip_prefix("v_").map_or_else(|| format!("v_{id}"), str::to_owned);
        let new =
            |part, labels| Row { alias: Some(alias.clone()), ..Row::new(id.clone(), part, labels, place.clone()) };
        if annotations.is_empty() {
            sink.row(new(Part::Unused, vec![]));
        }
        for annotation in annotations {
            let times = |position| annotation.get("segment")?.get(position).map(Value::to_string);
            let times = segment(&times(0).unwrap_or_default(), &times(1).unwrap_or_default());
            match (annotation.get("label").and_then(Value::as_str), times) {
                (None, _) => sink.problem(place.clone(), "an annotation has no `label`", "each has a label"),
                (_, Err(message)) => sink.problem(place.clone(), message, SECONDS),
                (Some(label), Ok(segment)) => {
                    let label = Label::Name(sink.word(label));
                    sink.row(Row { segment: Some(segment), ..new(part.clone(), vec![label]) });
                }
            }
        }
    });
    if let Err((line, message)) = read {
        sink.problem(file.place(line), message, "the list is a map from id to video, or has one as `database`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, list, texts};

    fn run(file: &ListFile) -> Result<Vec<String>, Vec<String>> {
        let mut sink = Sink::default();
        parse(file, Role(None), &mut sink);
        let line = |row: &Row| {
            let times = row.segment.map(|segment| (segment.start_secs, segment.end_secs));
            format!("{} {:?} {:?} {:?} {}", row.path, row.alias, times, row.labels, row.place.line)
        };
        texts(sink.finish(None)).map(|listed| listed.rows.iter().map(line).collect())
    }

    #[test]
    fn segments_are_rows() {
        let text = r#"{"version": "1.3", "database": {
"a": {"subset": "training", "annotations": [{"segment": [0.01, 2], "label": "x"}, {"segment": [3, 4.5], "label": "y"}]},
"b": {"subset": "testing", "annotations": []}}}"#;
        let expect = [
            "a Some(\"v_a\") Some((0.01, 2.0)) [Name(\"x\")] 2",
            "a Some(\"v_a\") Some((3.0, 4.5)) [Name(\"y\")] 2",
            "b Some(\"v_b\") None [] 3",
        ];
        assert_eq!(run(&file("a.json", text)).expect("rows"), expect);
        let bad = r#"{"a": {"annotations": [{"segment": [2, 1], "label": "x"}, {"segment": [1], "label": "y"}, {"segment": [1, 2]}]},
"b": {}, "c": 3}"#;
        let problems = run(&file("a.json", bad)).expect_err("problems");
        let expect = [
            "a.json:1: `2` to `1` is no segment; write its start and its end in seconds, the start first",
            "a.json:1: `1` to `` is no segment; write its start and its end in seconds, the start first",
            "a.json:1: an annotation has no `label`; each has a label",
            "a.json:2: the video has no `annotations`; each video has a list of them",
            "a.json:2: the video has no `annotations`; each video has a list of them",
        ];
        assert_eq!(problems, expect);
    }

    #[test]
    fn the_real_list_is_read() {
        let Some(file) = list("mmaction2/tests/action_test_anno.json") else { return };
        let expect = [
            "v_test1 Some(\"test1\") Some((0.3, 0.6)) [Name(\"Rock climbing\")] 2",
            "v_test2 Some(\"test2\") Some((1.0, 2.0)) [Name(\"Drinking beer\")] 18",
        ];
        assert_eq!(run(&file).expect("rows"), expect);
    }
}
