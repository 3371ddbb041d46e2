//! Any CSV, TSV or JSON, by the names of its columns: [`parse`]; and [`Csv`], which other formats read with.
//!
//! ```text
//! FILE; ACTION CLASSES                                                        airtlab, several labels
//! 3.mp4;slap,kick
//! train,PlayingDhol,v_PlayingDhol_g17_c01,119                                 no header: columns 1, 2, 3, 4
//! {"65097": {"subset": "train", "action": [481, 1, 74]},                      columns `key`, `subset`, `action.0`
//! ```

use super::Role;
use crate::csv;
use crate::json::{self, JsonRow};
use crate::lists::{Label, ListFile, Place, Row, Segment, Sink, short};
use pipe_schemas::stages::annotations::{AnnotationsParams, Columns};
use serde_json::Value;
use std::borrow::Cow;

/// What may part the fields of a CSV, likelier ones first.
const DELIMITERS: [&str; 4] = [",", ";", "\t", "|"];

/// Reads the rows of a table.
pub(super) fn parse(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    match file.name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => parse_json(file, role, params, sink),
        Some("jsonl") => parse_json_lines(file, role, params, sink),
        _ => parse_csv(file, role, params, sink),
    }
}

/// The lines of a CSV whose columns are known.
pub(super) struct Csv<'a> {
    lines: Vec<(u32, &'a str)>,
    delimiter: String,
    columns: Vec<String>,
}

impl<'a> Csv<'a> {
    /// Finds the columns `wanted`, and the delimiter if it is not given. If they aren't there, that goes to `sink`.
    pub(super) fn open(
        file: &'a ListFile,
        wanted: &[&str],
        header: bool,
        delimiter: Option<&str>,
        sink: &mut Sink,
    ) -> Option<Self> {
        let mut lines = file.lines(sink);
        let Some(&(line, first)) = lines.first() else {
            sink.problem(file.place(1), "the list is empty", "a table has a line a video");
            return None;
        };
        let columns = |delimiter: &str| -> Vec<String> {
            let fields = csv::fields(first, delimiter).unwrap_or_default();
            if header { fields } else { (1..=fields.len()).map(|number| number.to_string()).collect() }
        };
        let missing = |columns: &[String]| {
            wanted.iter().copied().filter(|name| !columns.iter().any(|column| column == name)).collect::<Vec<_>>()
        };
        let candidates = delimiter.map_or_else(|| DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
        let Some(delimiter) = candidates.iter().find(|delimiter| missing(&columns(delimiter)).is_empty()) else {
            // Of several delimiters, the one that parts the line into most fields is meant.
            let columns =
                candidates.iter().map(|delimiter| columns(delimiter)).rev().max_by_key(Vec::len).unwrap_or_default();
            let lacking = missing(&columns).join("`, `");
            let known: Vec<String> = columns.iter().map(|name| short(name)).collect();
            let message = format!("there is no column `{lacking}`");
            sink.problem(file.place(line), message, format!("the columns are `{}`", known.join("`, `")));
            return None;
        };
        let (delimiter, columns) = ((*delimiter).to_owned(), columns(delimiter));
        if header {
            lines.remove(0);
        }
        Some(Self { lines, delimiter, columns })
    }

    /// Calls `each` for every line that has as many fields as there are columns; others go to the sink.
    pub(super) fn each(&self, file: &ListFile, sink: &mut Sink, mut each: impl FnMut(Record<'_>, Place, &mut Sink)) {
        for (line, text) in &self.lines {
            let place = file.place(*line);
            match csv::fields(text, &self.delimiter) {
                Ok(fields) if fields.len() == self.columns.len() => {
                    each(Record { columns: &self.columns, fields: &fields }, place, sink);
                }
                Ok(fields) => {
                    let message = format!("{} fields where the first line has {}", fields.len(), self.columns.len());
                    sink.problem(place, message, format!("put a field with `{}` into quotes", self.delimiter));
                }
                Err(message) => sink.problem(place, message, csv::QUOTES),
            }
        }
    }
}

/// A line of a CSV.
pub(super) struct Record<'a> {
    columns: &'a [String],
    fields: &'a [String],
}

impl Record<'_> {
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let position = self.columns.iter().position(|name| name == column)?;
        self.fields.get(position).map(String::as_str)
    }
}

fn parse_csv(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let columns = &params.columns;
    let all =
        [&columns.video, &columns.label, &columns.subset, &columns.start, &columns.end, &columns.group].into_iter();
    let wanted: Vec<&str> = all.flatten().map(String::as_str).collect();
    let Some(csv) = Csv::open(file, &wanted, columns.header, params.delimiter.as_deref(), sink) else { return };
    csv.each(file, sink, |record, place, sink| {
        let cell = |column: &str| record.get(column).map(Cow::Borrowed);
        let labels = record.get(columns.label.as_deref().unwrap_or_default()).unwrap_or_default();
        let labels: Vec<&str> = match &columns.label_delimiter {
            Some(delimiter) => labels.split(delimiter.as_str()).map(str::trim).collect(),
            None => vec![labels],
        };
        add(columns, role, cell, labels, place, sink);
    });
}

fn parse_json(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let read = json::rows(file, None, |row| add_json(&row, role, params, file.place(row.line), sink));
    if let Err((line, message)) = read {
        sink.problem(file.place(line), message, "a table is a list, or a map, of rows");
    }
}

fn parse_json_lines(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    for (line, text) in file.lines(sink) {
        match serde_json::from_str(text) {
            Ok(value) => add_json(&JsonRow { key: None, value, line }, role, params, file.place(line), sink),
            Err(error) => {
                let text = error.to_string();
                let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
                sink.problem(file.place(line), message, "a line is a row in JSON");
            }
        }
    }
}

fn add_json(row: &JsonRow, role: Role, params: &AnnotationsParams, place: Place, sink: &mut Sink) {
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
            let help = "choose one, as in `label.0`, or set `multi_class: true`";
            return sink.problem(place, format!("`{label}` is a list of labels"), help);
        }
        _ => cell(label).map(|label| vec![label]),
    };
    let labels = labels.unwrap_or_default();
    add(columns, role, cell, labels.iter().map(|label| &**label).collect(), place, sink);
}

/// Returns the value at a path such as `action.0`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    // A key with a dot in it goes before a path.
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

/// Adds a row whose cells `cell` returns.
fn add<'a>(
    columns: &Columns,
    role: Role,
    cell: impl Fn(&str) -> Option<Cow<'a, str>>,
    labels: Vec<&str>,
    place: Place,
    sink: &mut Sink,
) {
    let named = |column: &Option<String>| column.as_deref().and_then(&cell);
    let name = |column: &Option<String>| column.clone().unwrap_or_default();
    let Some(video) = named(&columns.video).filter(|video| !video.is_empty()) else {
        let message = format!("the row has no `{}`", name(&columns.video));
        return sink.problem(place, message, "each row names its video");
    };
    if labels.is_empty() || labels.iter().any(|label| label.is_empty()) {
        let message = format!("the row has no `{}`", name(&columns.label));
        return sink.problem(place, message, "each row has a label; leave out rows without one");
    }
    let subset = named(&columns.subset);
    if columns.subset.is_some() && subset.is_none() {
        let message = format!("the row has no `{}`", name(&columns.subset));
        return sink.problem(place, message, "each row says of which subset it is");
    }
    let segment = match (named(&columns.start), named(&columns.end)) {
        (Some(start), Some(end)) if !(start.is_empty() && end.is_empty()) => match segment(&start, &end) {
            Ok(segment) => Some(segment),
            Err(message) => return sink.problem(place, message, SECONDS),
        },
        _ => None,
    };
    let part = role.part(subset.as_deref(), &place, sink);
    let labels = labels.into_iter().map(|label| Label::Name(sink.word(label))).collect();
    let group = named(&columns.group).unwrap_or_default().into_owned();
    sink.row(Row { group, segment, ..Row::new(video, part, labels, place) });
}

/// What to do about an error of [`segment`].
pub(super) const SECONDS: &str = "write its start and its end in seconds, the start first";

/// Reads a start and an end in seconds.
///
/// # Errors
/// If they are none.
pub(super) fn segment(start: &str, end: &str) -> Result<Segment, String> {
    let secs = |text: &str| text.trim().parse::<f64>().ok().filter(|secs| secs.is_finite() && *secs >= 0.0);
    match (secs(start), secs(end)) {
        (Some(start_secs), Some(end_secs)) if start_secs < end_secs => Ok(Segment { start_secs, end_secs }),
        _ => Err(format!("`{}` to `{}` is no segment", short(start), short(end))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Part;
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
        let subset = if let Part::Subset(word) = &row.part { word } else { "" };
        let segment = row.segment.map(|segment| format!(" {}-{}", segment.start_secs, segment.end_secs));
        format!(
            "{} {} {subset}{} {}:{}",
            row.path,
            labels.join("+"),
            segment.unwrap_or_default(),
            row.group,
            row.place.line
        )
    }

    #[track_caller]
    fn check(name: &str, text: &str, params: Value, expect: &[&str]) {
        let rows = run(&file(name, text), params).expect("rows");
        assert_eq!(rows.iter().map(line).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn columns_are_found_by_name() {
        let columns =
            json!({"columns": {"video": "f", "label": "c", "subset": "s", "start": "a", "end": "b", "group": "g"}});
        check(
            "a.csv",
            "x;f;c;s;a;b;g\n;v, 1.mp4;run;train;0.5;2;G\n\n;v2;\"a;b\";val;;;\n",
            columns,
            &["v, 1.mp4 run train 0.5-2 G:2", "v2 a;b val :4"],
        );
        let several = json!({"multi_class": true, "columns": {"video": "f", "label": "c", "label_delimiter": ","}});
        check("a.tsv", "f\tc\na b\tx, y", several, &["a b x+y  :2"]);
        let numbered = json!({"columns": {"video": "2", "label": "1", "header": false}});
        check("a.csv", "run,a.mp4\nwalk,b.mp4", numbered, &["a.mp4 run  :1", "b.mp4 walk  :2"]);
    }

    #[test]
    fn json_is_read_by_path() {
        let map = "{\"65\": {\"subset\": \"train\", \"action\": [481, 1]},\n\"66\": {\"subset\": \"val\", \"action\": [7, 2]}}";
        let columns = json!({"columns": {"video": "key", "label": "action.0", "subset": "subset"}});
        check("a.json", map, columns, &["65 481 train :1", "66 7 val :2"]);
        let list = "[{\"filename\": \"t.mp4\", \"label\": {\"action\": [2, 3]}}]";
        let several = json!({"multi_class": true, "columns": {"video": "filename", "label": "label.action"}});
        check("a.json", list, several, &["t.mp4 2+3  :1"]);
        let lines = "{\"v\": \"a\", \"l\": \"x\"}\n{\"v\": \"b\", \"l\": \"y\"}";
        check("a.jsonl", lines, json!({"columns": {"video": "v", "label": "l"}}), &["a x  :1", "b y  :2"]);
    }

    #[test]
    fn rows_that_lack_something_are_named() {
        let check = |name: &str, text: &str, columns: Value, expect: &[&str]| {
            assert_eq!(run(&file(name, text), json!({"columns": columns})).expect_err("problems"), expect);
        };
        let two = json!({"video": "f", "label": "c"});
        check("a.csv", "f,x\na,b", two.clone(), &["a.csv:1: there is no column `c`; the columns are `f`, `x`"]);
        check(
            "a.csv",
            "f,c\na\n,b\nc,",
            two.clone(),
            &[
                "a.csv:2: 1 fields where the first line has 2; put a field with `,` into quotes",
                "a.csv:3: the row has no `f`; each row names its video",
                "a.csv:4: the row has no `c`; each row has a label; leave out rows without one",
            ],
        );
        let segments = json!({"video": "f", "label": "c", "start": "a", "end": "b"});
        let help = "write its start and its end in seconds, the start first";
        check(
            "a.csv",
            "f,c,a,b\nv,l,2,1\nv,l,nan,3\nv,l,,3",
            segments,
            &[
                &format!("a.csv:2: `2` to `1` is no segment; {help}"),
                &format!("a.csv:3: `nan` to `3` is no segment; {help}"),
                &format!("a.csv:4: `` to `3` is no segment; {help}"),
            ],
        );
        check(
            "a.json",
            "[{\"f\": \"a\", \"c\": [1, 2]},\n{\"c\": 1}, 3]",
            two.clone(),
            &[
                "a.json:1: `c` is a list of labels; choose one, as in `label.0`, or set `multi_class: true`",
                "a.json:2: the row has no `f`; each row names its video",
                "a.json:2: the row has no `f`; each row names its video",
            ],
        );
        check("a.jsonl", "{", two, &["a.jsonl:1: EOF while parsing an object; a line is a row in JSON"]);
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
