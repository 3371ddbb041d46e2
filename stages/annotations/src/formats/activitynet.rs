//! Lists of ActivityNet: [`parse`].
//!
//! ```text
//! {"database": {"o1WPnnvs00I": {"duration": 23.86, "subset": "training", "annotations":
//!                               [{"segment": [0.01, 23.86], "label": "Drinking beer"}]},
//! ```
//!
//! Lists of MMAction2 have no `database` and `subset`, and write `v_` before the ids. Each segment becomes a row, with the location
//! of its video.

use super::Role;
use crate::json;
use crate::lists::{Label, ListFile, Row, RowSplit, Segment, Sink};
use pipe_schemas::stages::annotations::AnnotationsParams;
use serde_json::Value;

/// The key that contains the videos in the official lists.
const ROWS: &str = "database";

/// Returns whether each video has `annotations` with `segment` and `label`.
pub(super) fn is_list(file: &ListFile, _params: &AnnotationsParams) -> bool {
    json::all_rows(file, Some(ROWS), |row| {
        let annotations = row.get("annotations").and_then(Value::as_array);
        annotations
            .is_some_and(|list| list.iter().all(|one| one.get("segment").is_some() && one.get("label").is_some()))
    })
}

/// Parses a list.
pub(super) fn parse(file: &ListFile, role: Role, _params: &AnnotationsParams, sink: &mut Sink) {
    let read = json::rows(file, Some(ROWS), |row| {
        let location = row.location(file);
        let Some(id) = row.key else {
            return sink.error(location, "the row has no id", "the list must be a map from video id to video");
        };
        let Some(annotations) = row.value.get("annotations").and_then(Value::as_array) else {
            return sink.error(
                location,
                "the video has no `annotations`",
                "each video must have a list of annotations",
            );
        };
        let split = role.split(row.value.get("subset").and_then(Value::as_str), &location, sink);
        // Video files are named `v_` and the id.
        let alias = id.strip_prefix("v_").map_or_else(|| format!("v_{id}"), str::to_owned);
        let new =
            |split, labels| Row { alias: Some(alias.clone()), ..Row::new(id.clone(), split, labels, location.clone()) };
        if annotations.is_empty() {
            sink.push(new(RowSplit::Unused, vec![]));
        }
        for annotation in annotations {
            let times = |position| annotation.get("segment")?.get(position).map(Value::to_string);
            let times = Segment::parse(&times(0).unwrap_or_default(), &times(1).unwrap_or_default());
            match (annotation.get("label").and_then(Value::as_str), times) {
                (None, _) => {
                    sink.error(location.clone(), "an annotation has no `label`", "each annotation must have one");
                }
                (_, Err(message)) => sink.error(location.clone(), message, Segment::HELP),
                (Some(label), Ok(segment)) => {
                    let label = Label::Cell(sink.intern(label));
                    sink.push(Row { segment: Some(segment), ..new(split.clone(), vec![label]) });
                }
            }
        }
    });
    if let Err((line, message)) = read {
        sink.error(
            file.location(line),
            message,
            "the list must be a map from video id to video, or contain one as `database`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, list, texts};

    fn run(file: &ListFile) -> Result<Vec<String>, Vec<String>> {
        let mut sink = Sink::default();
        parse(file, Role(None), &AnnotationsParams::default(), &mut sink);
        let line = |row: &Row| {
            let times = row.segment.map(|segment| (segment.start_secs, segment.end_secs));
            format!("{} {:?} {:?} {:?} {}", row.path, row.alias, times, row.labels, row.location.line)
        };
        texts(sink.finish(None)).map(|listed| listed.rows.iter().map(line).collect())
    }

    #[test]
    fn each_segment_is_a_row() {
        let text = r#"{"version": "1.3", "database": {
"a": {"subset": "training", "annotations": [{"segment": [0.01, 2], "label": "x"}, {"segment": [3, 4.5], "label": "y"}]},
"b": {"subset": "testing", "annotations": []}}}"#;
        let expect = [
            "a Some(\"v_a\") Some((0.01, 2.0)) [Cell(\"x\")] 2",
            "a Some(\"v_a\") Some((3.0, 4.5)) [Cell(\"y\")] 2",
            "b Some(\"v_b\") None [] 3",
        ];
        assert_eq!(run(&file("a.json", text)).expect("rows"), expect);
        let bad = r#"{"a": {"annotations": [{"segment": [-2, 1], "label": "x"}, {"segment": [1], "label": "y"}, {"segment": [1, 2]}]},
"b": {}, "c": 3}"#;
        let problems = run(&file("a.json", bad)).expect_err("problems");
        let help = Segment::HELP;
        let expect = [
            format!("a.json:1[\"a\"]: `-2` to `1` is not a valid segment; {help}"),
            format!("a.json:1[\"a\"]: `1` to `` is not a valid segment; {help}"),
            "a.json:1[\"a\"]: an annotation has no `label`; each annotation must have one".to_owned(),
            "a.json:2[\"b\"]: the video has no `annotations`; each video must have a list of annotations".to_owned(),
            "a.json:2[\"c\"]: the video has no `annotations`; each video must have a list of annotations".to_owned(),
        ];
        assert_eq!(problems, expect);
    }

    #[test]
    fn a_real_list_is_read() {
        let Some(file) = list("mmaction2/tests/action_test_anno.json") else { return };
        let expect = [
            "v_test1 Some(\"test1\") Some((0.3, 0.6)) [Cell(\"Rock climbing\")] 2",
            "v_test2 Some(\"test2\") Some((1.0, 2.0)) [Cell(\"Drinking beer\")] 18",
        ];
        assert_eq!(run(&file).expect("rows"), expect);
    }
}
