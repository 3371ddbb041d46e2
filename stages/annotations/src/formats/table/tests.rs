//! Tests of tables, with made and real files.

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
            Label::Name(name) | Label::Cell(name) => name.to_string(),
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
    let map =
        "{\"65\": {\"subset\": \"train\", \"action\": [481, 1]},\n\"66\": {\"subset\": \"val\", \"action\": [7, 2]}}";
    let columns = json!({"columns": {"video": "key", "label": "action.0", "subset": "subset"}});
    check("a.json", map, columns, &["65 481 train :1", "66 7 val :2"]);
    let list = "[{\"filename\": \"t.mp4\", \"label\": {\"action\": [2, 3]}}]";
    let multi_class = json!({"multi_class": true, "columns": {"video": "filename", "label": "label.action"}});
    check("a.json", list, multi_class, &["t.mp4 2+3  :1"]);
    let lines = "{\"v\": \"a\", \"l\": \"x\"}\n{\"v\": \"b\", \"l\": \"y\"}";
    check("a.jsonl", lines, json!({"columns": {"video": "v", "label": "l"}}), &["a x  :1", "b y  :2"]);
}

#[test]
fn segments_of_charades_and_epic_are_rows() {
    let charades = json!({"columns": {"video": "key", "segments": "actions", "subset": "subset"}});
    let text = "{\"7UPGT\": {\"subset\": \"training\", \"actions\": [[12, 11.9, 21.2], [0, 0.0, 3]]}, \"X\": {\"subset\": \"testing\", \"actions\": []}}";
    check("a.json", text, charades, &["7UPGT 12 training 11.9-21.2 :1", "7UPGT 0 training 0-3 :1", "X   :1"]);
    let csv = json!({"columns": {"video": "id", "segments": "actions"}});
    let text = "id,actions\n7UPGT,c092 11.90 21.20;c147 0.00 12.60\nX,\n";
    check("a.csv", text, csv, &["7UPGT c092  11.9-21.2 :2", "7UPGT c147  0-12.6 :2", "X   :3"]);
    let epic = json!({"columns": {"video": "v", "labels": ["verb", "noun"], "start": "a", "end": "b"}});
    let text = "v,a,b,verb,noun\nP01_01,00:00:01.5,00:01:02.25,take,plate\nP01_02,1:00,2:00:00,7,3\n";
    check("a.csv", text, epic.clone(), &["P01_01 take plate  1.5-62.25 :2", "P01_02 7 3  60-7200 :3"]);
    let missing = run(&file("a.csv", "v,a,b,verb,noun\nP,1,2,take,\n"), epic).expect_err("a problem");
    assert_eq!(
        missing,
        ["a.csv:2: the row has no `verb` or no `noun`; each row must have a label; remove rows without one"]
    );
}

#[test]
fn excel_files_and_quoted_labels_are_read() {
    let two = json!({"columns": {"video": "f", "label": "c"}});
    check("a.csv", "sep=;\nf;c\na, b.mp4;run\n", two.clone(), &["a, b.mp4 run  :3"]);
    check("a.csv", "f, c\na.mp4, 0\nb.mp4, 1\n", two.clone(), &["a.mp4 0  :2", "b.mp4 1  :3"]);
    let labels = |text: &str| {
        run(&file("a.csv", text), two.clone())
            .expect("rows")
            .into_iter()
            .map(|row| row.labels[0].clone())
            .collect::<Vec<_>>()
    };
    let expect = [Label::Name("1.5".into()), Label::Cell("2".into()), Label::Cell("2.0".into())];
    assert_eq!(labels("f,c\na,\"1.5\"\nb,\"2\"\nc,2.0\n"), expect);
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
        "f,c,a,b\nv,l,-2,1\nv,l,nan,3\nv,l,,3",
        segments,
        &[
            &format!("a.csv:2: `-2` to `1` is not a valid segment; {help}"),
            &format!("a.csv:3: `nan` to `3` is not a valid segment; {help}"),
            &format!("a.csv:4: `` to `3` is not a valid segment; {help}"),
        ],
    );
    check(
        "a.json",
        "[{\"f\": \"a\", \"c\": [1, 2]},{\"c\": 1}, 3,{\"f\": \"a\"},{\"f\": \"a\", \"c\": null}]",
        two.clone(),
        &[
            "a.json:1[0]: `c` is a list of labels; choose one item, as in `label.0`, or set `multi_class: true`",
            "a.json:1[1]: the row has no `f`; each row must name its video",
            "a.json:1[2]: the row has no `f`; each row must name its video",
            "a.json:1[3]: the row has no `c`; each row must have a label; remove rows without one",
            "a.json:1[4]: the row has no `c`; each row must have a label; remove rows without one",
        ],
    );
    check(
        "a.json",
        "{\"x\": {\"c\": [[1, 2.0, 3.5]]}, \"y\": {\"c\": {\"name\": 1}}, \"z\": {\"c\": [{\"name\": 1}]}}",
        json!({"video": "key", "label": "c"}),
        &[
            "a.json:1[\"x\"]: `c` is a list of lists, not a label; if its items are `[class, start, end]`, set `segments` \
             instead of `label`; otherwise choose one, as in `label.0.0`",
            "a.json:1[\"y\"]: `c` is a map, not a label; choose a value of it, as in `label.name`",
            "a.json:1[\"z\"]: `c` is a list of maps, not a label; choose a value, as in `label.0.name`",
        ],
    );
    check(
        "a.json",
        "{\"x\": {\"a\": [[1, 2.0]]}, \"y\": {\"a\": [[1, \"b\", 2]]}, \"z\": {}}",
        json!({"video": "key", "segments": "a"}),
        &[
            "a.json:1[\"x\"]: `[1,2.0]` is not `[class, start, end]`; write a list of `[class, start, end]`",
            &format!("a.json:1[\"y\"]: `b` to `2` is not a valid segment; {help}"),
            "a.json:1[\"z\"]: the row has no list `a`; write a list of `[class, start, end]`",
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
    let airtlab =
        json!({"multi_class": true, "columns": {"video": "FILE", "label": "ACTION CLASSES", "label_delimiter": ","}});
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
