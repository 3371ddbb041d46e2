//! Any CSV, TSV, JSON or JSON Lines file, by the names of its columns: [`parse`].
//!
//! ```text
//! FILE; ACTION CLASSES                                                        airtlab, several labels
//! 3.mp4;slap,kick
//! train,PlayingDhol,v_PlayingDhol_g17_c01,119                                 no header: columns 1, 2, 3, 4
//! {"65097": {"subset": "train", "action": [481, 1, 74]},                      columns `key`, `subset`, `action.0`
//! ```

use super::Role;
use crate::csv::CsvTable;
use crate::json::{self, JsonRow};
use crate::lists::{Label, ListFile, Location, Row, Segment, Sink};
use pipe_schemas::stages::annotations::{AnnotationsParams, Columns};
use serde_json::Value;
use std::borrow::Cow;

/// Parses a table; the extension of the file decides how.
pub(super) fn parse(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    match file.extension() {
        Some("json") => parse_json(file, role, params, sink),
        Some("jsonl") => parse_json_lines(file, role, params, sink),
        _ => parse_csv(file, role, params, sink),
    }
}

fn parse_csv(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let columns = &params.columns;
    let all =
        [&columns.video, &columns.label, &columns.subset, &columns.start, &columns.end, &columns.group].into_iter();
    let wanted: Vec<&str> = all.flatten().map(String::as_str).collect();
    let Some(csv) = CsvTable::open(file, &wanted, columns.header, params.delimiter.as_deref(), sink) else { return };
    csv.each(file, sink, |record, location, sink| {
        let cell = |column: &str| record.get(column).map(Cow::Borrowed);
        let labels = record.get(columns.label.as_deref().unwrap_or_default()).unwrap_or_default();
        let labels: Vec<&str> = match &columns.label_delimiter {
            Some(delimiter) => labels.split(delimiter.as_str()).map(str::trim).collect(),
            None => vec![labels],
        };
        add(columns, role, cell, labels, location, sink);
    });
}

fn parse_json(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let read = json::rows(file, None, |row| add_json(&row, role, params, file.location(row.line), sink));
    if let Err((line, message)) = read {
        sink.error(file.location(line), message, "a JSON table is a list of rows, or a map of rows");
    }
}

fn parse_json_lines(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    for (line, text) in file.lines(sink) {
        match serde_json::from_str(text) {
            Ok(value) => add_json(&JsonRow { key: None, value, line }, role, params, file.location(line), sink),
            Err(error) => {
                sink.error(file.location(line), json::message(&error), "write one JSON object per line");
            }
        }
    }
}

fn add_json(row: &JsonRow, role: Role, params: &AnnotationsParams, location: Location, sink: &mut Sink) {
    let columns = &params.columns;
    let value = |column: &str| if column == "key" && row.key.is_some() { None } else { at(&row.value, column) };
    let cell = |column: &str| match (value(column), &row.key) {
        (None, Some(key)) if column == "key" => Some(Cow::Borrowed(key.as_str())),
        (value, _) => value.and_then(text),
    };
    let label = columns.label.as_deref().unwrap_or_default();
    let labels: Option<Vec<Cow<'_, str>>> = match value(label) {
        Some(Value::Array(items)) if params.multi_class => items.iter().map(text).collect(),
        Some(Value::Array(items)) if items.len() == 1 => items.iter().map(text).collect(),
        Some(Value::Array(_)) => {
            let help = "choose one item, as in `label.0`, or set `multi_class: true`";
            return sink.error(location, format!("`{label}` is a list of labels"), help);
        }
        _ => cell(label).map(|label| vec![label]),
    };
    let labels = labels.unwrap_or_default();
    add(columns, role, cell, labels.iter().map(|label| &**label).collect(), location, sink);
}

/// Returns the value at a path such as `action.0`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    // A key that contains a dot takes precedence over a path.
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
        _ => None,
    }
}

/// Adds a row. `cell` returns the value of a column.
fn add<'a>(
    columns: &Columns,
    role: Role,
    cell: impl Fn(&str) -> Option<Cow<'a, str>>,
    labels: Vec<&str>,
    location: Location,
    sink: &mut Sink,
) {
    let named = |column: &Option<String>| column.as_deref().and_then(&cell);
    let name = |column: &Option<String>| column.clone().unwrap_or_default();
    let Some(video) = named(&columns.video).filter(|video| !video.is_empty()) else {
        let message = format!("the row has no `{}`", name(&columns.video));
        return sink.error(location, message, "each row must name its video");
    };
    if labels.is_empty() || labels.iter().any(|label| label.is_empty()) {
        let message = format!("the row has no `{}`", name(&columns.label));
        return sink.error(location, message, "each row must have a label; remove rows without one");
    }
    let subset = named(&columns.subset);
    if columns.subset.is_some() && subset.is_none() {
        let message = format!("the row has no `{}`", name(&columns.subset));
        return sink.error(location, message, "each row must have a subset");
    }
    let segment = match (named(&columns.start), named(&columns.end)) {
        (Some(start), Some(end)) if !(start.is_empty() && end.is_empty()) => match Segment::parse(&start, &end) {
            Ok(segment) => Some(segment),
            Err(message) => return sink.error(location, message, Segment::HELP),
        },
        _ => None,
    };
    let split = role.split(subset.as_deref(), &location, sink);
    let labels = labels.into_iter().map(|label| Label::Name(sink.intern(label))).collect();
    let group = named(&columns.group).unwrap_or_default().into_owned();
    sink.push(Row { group, segment, ..Row::new(video, split, labels, location) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::RowSplit;
    use crate::test_data::{file, list, texts};
    use serde_json::json;

    fn run(file: &ListFile, params: Value) -> Result<Vec<Row>, Vec<String>> {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let mut sink = Sink::default();
        parse(file, Role(None), &params, &mut sink);
        texts(sink.finish(None)).map(|listed| listed.rows)
    }

    fn line(row: &Row) -> String {
        let labels: Vec<String> = row
            .labels
            .iter()
            .map(|label| match label {
                Label::Name(name) => name.to_string(),
                Label::Number(number) => number.to_string(),
            })
            .collect();
        let subset = if let RowSplit::Subset(word) = &row.split { word } else { "" };
        let segment = row.segment.map(|segment| format!(" {}-{}", segment.start_secs, segment.end_secs));
        format!(
            "{} {} {subset}{} {}:{}",
            row.path,
            labels.join("+"),
            segment.unwrap_or_default(),
            row.group,
            row.location.line
        )
    }

    #[track_caller]
    fn check(name: &str, text: &str, params: Value, expect: &[&str]) {
        let rows = run(&file(name, text), params).expect("rows");
        assert_eq!(rows.iter().map(line).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn csv_columns_are_found_by_name() {
        let columns =
            json!({"columns": {"video": "f", "label": "c", "subset": "s", "start": "a", "end": "b", "group": "g"}});
        check(
            "a.csv",
            "x;f;c;s;a;b;g\n;v, 1.mp4;run;train;0.5;2;G\n\n;v2;\"a;b\";val;;;\n",
            columns,
            &["v, 1.mp4 run train 0.5-2 G:2", "v2 a;b val :4"],
        );
        let multi_class = json!({"multi_class": true, "columns": {"video": "f", "label": "c", "label_delimiter": ","}});
        check("a.tsv", "f\tc\na b\tx, y", multi_class, &["a b x+y  :2"]);
        let numbered = json!({"columns": {"video": "2", "label": "1", "header": false}});
        check("a.csv", "run,a.mp4\nwalk,b.mp4", numbered, &["a.mp4 run  :1", "b.mp4 walk  :2"]);
    }

    #[test]
    fn json_values_are_found_by_path() {
        let map = "{\"65\": {\"subset\": \"train\", \"action\": [481, 1]},\n\"66\": {\"subset\": \"val\", \"action\": [7, 2]}}";
        let columns = json!({"columns": {"video": "key", "label": "action.0", "subset": "subset"}});
        check("a.json", map, columns, &["65 481 train :1", "66 7 val :2"]);
        let list = "[{\"filename\": \"t.mp4\", \"label\": {\"action\": [2, 3]}}]";
        let multi_class = json!({"multi_class": true, "columns": {"video": "filename", "label": "label.action"}});
        check("a.json", list, multi_class, &["t.mp4 2+3  :1"]);
        let lines = "{\"v\": \"a\", \"l\": \"x\"}\n{\"v\": \"b\", \"l\": \"y\"}";
        check("a.jsonl", lines, json!({"columns": {"video": "v", "label": "l"}}), &["a x  :1", "b y  :2"]);
    }

    #[test]
    fn incomplete_rows_are_errors() {
        let check = |name: &str, text: &str, columns: Value, expect: &[&str]| {
            assert_eq!(run(&file(name, text), json!({"columns": columns})).expect_err("problems"), expect);
        };
        let two = json!({"video": "f", "label": "c"});
        check("a.csv", "f,x\na,b", two.clone(), &["a.csv:1: column `c` not found; the columns are `f`, `x`"]);
        check(
            "a.csv",
            "f,c\na\n,b\nc,",
            two.clone(),
            &[
                "a.csv:2: 1 fields, but the first line has 2; put fields that contain `,` in quotes",
                "a.csv:3: the row has no `f`; each row must name its video",
                "a.csv:4: the row has no `c`; each row must have a label; remove rows without one",
            ],
        );
        let segments = json!({"video": "f", "label": "c", "start": "a", "end": "b"});
        let help = Segment::HELP;
        check(
            "a.csv",
            "f,c,a,b\nv,l,2,1\nv,l,nan,3\nv,l,,3",
            segments,
            &[
                &format!("a.csv:2: `2` to `1` is not a valid segment; {help}"),
                &format!("a.csv:3: `nan` to `3` is not a valid segment; {help}"),
                &format!("a.csv:4: `` to `3` is not a valid segment; {help}"),
            ],
        );
        check(
            "a.json",
            "[{\"f\": \"a\", \"c\": [1, 2]},\n{\"c\": 1}, 3]",
            two.clone(),
            &[
                "a.json:1: `c` is a list of labels; choose one item, as in `label.0`, or set `multi_class: true`",
                "a.json:2: the row has no `f`; each row must name its video",
                "a.json:2: the row has no `f`; each row must name its video",
            ],
        );
        check("a.jsonl", "{", two, &["a.jsonl:1: EOF while parsing an object; write one JSON object per line"]);
    }

    #[test]
    fn real_tables_are_read() {
        let check = |path: &str, params: Value, count: usize, first: &str, last: &str| {
            let Some(file) = list(path) else { return };
            let rows = run(&file, params).expect(path);
            assert_eq!(
                (rows.len(), line(&rows[0]).as_str(), line(&rows[count - 1]).as_str()),
                (count, first, last),
                "{path}"
            );
        };
        let airtlab = json!({"multi_class": true, "columns": {"video": "FILE", "label": "ACTION CLASSES", "label_delimiter": ","}});
        check("airtlab/violent-action-classes.csv", airtlab, 115, "1.mp4 slap  :2", "115.mp4 push+fight  :116");
        let data_file = json!({"columns": {"subset": "1", "label": "2", "video": "3", "header": false}});
        let first = "v_PlayingDhol_g17_c01 PlayingDhol train :1";
        let last = "v_BenchPress_g06_c04 BenchPress test :13320";
        check("ucf101/data_file.csv", data_file, 13_320, first, last);
        let wlasl = json!({"columns": {"video": "key", "label": "action.0", "subset": "subset"}});
        check("wlasl/nslt_2000.json", wlasl, 21_095, "65097 481 train :1", "38344 427 train :1");
        let raw = json!({"columns": {"video": "video_dir", "label": "label"}});
        check("mmaction2/tests/rawvideo_test_anno.json", raw, 1, "rawvideo_dataset 1  :2", "rawvideo_dataset 1  :2");
        let hvu = json!({"multi_class": true, "columns": {"video": "filename", "label": "label.concept"}});
        let concepts = "tmp.mp4 250+131+42+51+57+155+122  ";
        check("mmaction2/tests/hvu_video_test_anno.json", hvu, 2, &format!("{concepts}:2"), &format!("{concepts}:12"));
    }
}
