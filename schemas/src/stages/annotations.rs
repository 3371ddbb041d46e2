//! `annotations`: label lists, checked and joined with the `videos` table.

use crate::contract::{
    Check, Contract, InputPort, OddNames, OutputPort, ParamError, Params, PortType, SourceSet, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// Contract of `annotations`.
pub const CONTRACT: Contract = Contract {
    kind: "annotations",
    version: 3,
    summary: "reads label lists, joins them with the videos, and checks both",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[
        InputPort { name: "videos", port_type: PortType::Videos, required: true, or_param: None },
        InputPort { name: "lists", port_type: PortType::Folder, required: false, or_param: Some("root") },
    ],
    outputs: &[
        OutputPort { name: "annotations", port_type: PortType::Annotations, path: "labels" },
        OutputPort { name: "classes", port_type: PortType::Classes, path: "labels/classes.parquet" },
        OutputPort { name: "report", port_type: PortType::Metrics, path: "report.json" },
    ],
    parts: None,
    check: Check::Findings(without_near_duplicates),
    tools: &[],
    schema: schema::<AnnotationsParams>,
    parse: parse::<AnnotationsParams>,
};

/// Leaves out what only decoded videos tell.
fn without_near_duplicates(params: &mut serde_json::Value) {
    params["near_duplicates"] = "off".into();
}

/// Parameters of `annotations`.
///
/// From `label_map` to `with_offset` they say how lists are written, from `off_by_one` on how much each finding matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotationsParams {
    /// How the lists are written.
    pub format: AnnotationFormat,
    /// The folder of the lists; leave it out when the input `lists` is connected.
    #[serde(skip_serializing)]
    pub root: Option<String>,
    /// Which of the official splits of UCF101 or HMDB51, from 1.
    #[schemars(range(min = 1, max = 3))]
    pub split: u32,
    /// The list to learn from, below the folder of the lists.
    pub train: Option<String>,
    /// The list to measure on.
    pub test: Option<String>,
    /// In place of both: one list that says itself which row is which, or that `test_share` splits.
    pub file: Option<String>,
    /// How a list that says it names what is to be learnt from and what to be measured on.
    pub subsets: Subsets,
    /// The share of the videos to measure on, where no list says it. A group is never parted, and a video added later
    /// moves no other.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_share: Option<f64>,
    /// What the draw for `test_share` derives from.
    pub seed: u64,
    /// The names of the classes: one a line in their order (also numbered, or as CSV), or JSON. Without it, numbers
    /// are their own names, and names are sorted.
    pub label_map: Option<String>,
    /// How many classes there are, where no label map says it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub num_classes: Option<u32>,
    /// The number of the first class in the lists: that of the label map if it has numbers, else 0.
    #[schemars(range(min = 0, max = 1))]
    pub first_label: Option<u32>,
    /// What stands between the fields of a line. Found out if it is left out.
    pub delimiter: Option<String>,
    /// Whether a video may have several labels.
    pub multi_class: bool,
    /// Whether the lines of a rawframe list have an offset before the number of frames.
    pub with_offset: bool,
    /// Where a table has what.
    pub columns: Columns,
    /// Which videos are cut from one source, and must not be learnt from and measured on. By default what the format
    /// says: UCF101 and HMDB51 name it.
    pub group: Option<GroupBy>,
    /// Labels that count from 1 where the classes count from 0, or the other way round.
    pub off_by_one: Severity,
    /// A number that is no class. The label is left out.
    pub out_of_range: Severity,
    /// A name that is no class. The label is left out.
    pub unknown_class: Severity,
    /// A class without a training video.
    pub label_gaps: Severity,
    /// A class with less than a tenth of the training videos of the largest one.
    pub class_balance: Severity,
    /// A video that a list names and the folder lacks.
    pub missing: Severity,
    /// A video of the folder that no list names.
    pub unlabelled: Severity,
    /// A video that a list names twice with the same label. It counts once.
    pub duplicates: Severity,
    /// A video, or the same content under two names, with different labels. The first one counts.
    pub conflicting_labels: Severity,
    /// The same video in the training and the test list.
    pub split_overlap: Severity,
    /// The same group in the training and the test list.
    pub group_leakage: Severity,
    /// The same content under two names in the training and the test list.
    pub content_leakage: Severity,
    /// Two files, one in the training and one in the test list, of which half the frames look alike: a video that was coded
    /// anew, scaled or cut a little. Needs `verify: decode` of `ingest`; with `error`, it must be set.
    pub near_duplicates: Severity,
}

/// A way to write labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationFormat {
    /// Told from the files, if they leave no doubt: never `rawframe_list`, `class_folder` or `table`.
    Auto,
    /// `classInd.txt`, `trainlist0K.txt`, `testlist0K.txt`; labels from 1.
    Ucf101,
    /// `<class>_test_splitK.txt`: 0 is unused, 1 training, 2 test.
    Hmdb51,
    /// `path label` a line: MMAction2's video lists, SlowFast, VideoMAE.
    VideoList,
    /// `folder frames label` a line: MMAction2's rawframe lists, matched with the videos they were cut from.
    RawframeList,
    /// CSV with `label,youtube_id,time_start,time_end,split`.
    Kinetics,
    /// JSON with `id`, `label` and `template`, and a label map.
    Sthv2,
    /// JSON with `annotations: [{segment, label}]` a video.
    Activitynet,
    /// A folder a class, and perhaps `train` and `test` (or `val`) above; no lists.
    ClassFolder,
    /// Any CSV, TSV or JSON, by `columns`.
    Table,
}

/// The names of the rows that are used; others are left out, and counted.
///
/// By default rows to learn from are called `train` or `training`, rows to measure on `val`, `valid`, `validate`,
/// `validation`, `test` or `testing`. A data set with two of the latter kind needs `test`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subsets {
    /// To learn from.
    pub train: Vec<String>,
    /// To measure on.
    pub test: Vec<String>,
}

/// Columns of a table, by name: of the first line in a CSV, of the keys in a JSON file, where `action.0` is the first
/// item of the list `action`, and `key` the key of a row in a map of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Its path, or its name without folder or extension.
    pub video: Option<String>,
    /// A class, by name or number.
    pub label: Option<String>,
    /// What stands between several labels of a cell, with `multi_class`.
    pub label_delimiter: Option<String>,
    /// Which row is learnt from and which is measured on; see `subsets`.
    pub subset: Option<String>,
    /// Where the segment begins, in seconds.
    pub start: Option<String>,
    /// Where the segment ends, in seconds.
    pub end: Option<String>,
    /// What a video is cut from.
    pub group: Option<String>,
    /// Whether the first line of a CSV names its columns; else they are called 1, 2, 3 and so on.
    pub header: bool,
}

/// Which videos are cut from one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GroupBy {
    /// Not known.
    None,
    /// UCF101's `gNN`, within the class.
    Ucf101,
    /// HMDB51's source, within the class: the official splits keep these apart.
    Hmdb51,
    /// HMDB51's source, in all classes: the official splits do not keep these apart.
    Hmdb51Film,
    /// The first capture group in the listed path, or the whole match.
    Regex(String),
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The stage fails.
    Error,
    /// It is counted and shown.
    Warn,
    /// It is counted.
    Off,
}

impl Default for AnnotationsParams {
    fn default() -> Self {
        Self {
            format: AnnotationFormat::Auto,
            root: None,
            split: 1,
            train: None,
            test: None,
            file: None,
            subsets: Subsets::default(),
            test_share: None,
            seed: 0,
            label_map: None,
            num_classes: None,
            first_label: None,
            delimiter: None,
            multi_class: false,
            with_offset: false,
            columns: Columns::default(),
            group: None,
            off_by_one: Severity::Error,
            out_of_range: Severity::Error,
            unknown_class: Severity::Error,
            label_gaps: Severity::Warn,
            class_balance: Severity::Warn,
            missing: Severity::Error,
            unlabelled: Severity::Warn,
            duplicates: Severity::Warn,
            conflicting_labels: Severity::Error,
            split_overlap: Severity::Error,
            group_leakage: Severity::Error,
            content_leakage: Severity::Error,
            near_duplicates: Severity::Warn,
        }
    }
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            video: None,
            label: None,
            label_delimiter: None,
            subset: None,
            start: None,
            end: None,
            group: None,
            header: true,
        }
    }
}

impl AnnotationFormat {
    /// Returns the word in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ucf101 => "ucf101",
            Self::Hmdb51 => "hmdb51",
            Self::VideoList => "video_list",
            Self::RawframeList => "rawframe_list",
            Self::Kinetics => "kinetics",
            Self::Sthv2 => "sthv2",
            Self::Activitynet => "activitynet",
            Self::ClassFolder => "class_folder",
            Self::Table => "table",
        }
    }

    /// Whether its lists are those that `train`, `test` or `file` name.
    fn reads_named_lists(self) -> bool {
        !matches!(self, Self::Auto | Self::Ucf101 | Self::Hmdb51 | Self::ClassFolder)
    }

    /// Whether a parameter that not all formats have says something in this one.
    fn has_param(self, param: &str) -> bool {
        let by_name = self == Self::Auto || self.reads_named_lists();
        match param {
            "test_share" => by_name || self == Self::ClassFolder,
            "subsets" => {
                matches!(self, Self::Auto | Self::Kinetics | Self::Activitynet | Self::ClassFolder | Self::Table)
            }
            "delimiter" | "multi_class" => matches!(self, Self::VideoList | Self::RawframeList | Self::Table),
            "with_offset" => self == Self::RawframeList,
            "columns" => self == Self::Table,
            _ => by_name,
        }
    }
}

impl AnnotationsParams {
    /// Returns the parameters that not all formats have and that are not as by default.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            ("train", self.train.is_some()),
            ("test", self.test.is_some()),
            ("file", self.file.is_some()),
            ("subsets", self.subsets != Subsets::default()),
            ("test_share", self.test_share.is_some()),
            ("label_map", self.label_map.is_some()),
            ("num_classes", self.num_classes.is_some()),
            ("first_label", self.first_label.is_some()),
            ("delimiter", self.delimiter.is_some()),
            ("multi_class", self.multi_class),
            ("with_offset", self.with_offset),
            ("columns", self.columns != Columns::default()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    fn named_files(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let files =
            [("train", &self.train), ("test", &self.test), ("file", &self.file), ("label_map", &self.label_map)];
        files.into_iter().filter_map(|(param, file)| file.as_ref().map(|file| (param, file)))
    }

    /// Checks which lists are named.
    fn check_lists(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        let format = self.format.name();
        if self.file.is_some() && (self.train.is_some() || self.test.is_some()) {
            wrong(&["file"], "`file` stands in place of `train` and `test`".into(), "take `file` away, or the others");
        } else if self.format.reads_named_lists() && self.file.is_none() && self.train.is_none() {
            let help = "train: a file below `root`, and test: another; or file: one that holds both";
            wrong(&["format"], format!("`{format}` does not know its lists by name"), help);
        }
        for (param, file) in self.named_files() {
            let below =
                Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !below || file.is_empty() {
                wrong(&[param], format!("`{file}` is no file below `root`"), "a path without `..`, relative to `root`");
            }
        }
        if self.format == AnnotationFormat::Sthv2 && self.label_map.is_none() {
            let help = "label_map: something-something-v2-labels.json";
            wrong(&["format"], "`sthv2` needs the order of its classes".into(), help);
        }
    }

    /// Checks what says how the lists are written.
    fn check_fields(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        for (name, column) in [("video", &self.columns.video), ("label", &self.columns.label)] {
            if self.format == AnnotationFormat::Table && column.is_none() {
                wrong(
                    &["columns"],
                    format!("`columns` does not say where `{name}` is"),
                    "columns: { video: path, label: class }",
                );
            }
        }
        if self.columns.start.is_some() != self.columns.end.is_some() {
            wrong(&["columns"], "a segment has a start and an end".into(), "give `start` and `end`, or neither");
        }
        if self.columns.label_delimiter.is_some() && !self.multi_class {
            let help = "multi_class: true, or no `label_delimiter`";
            wrong(
                &["columns", "label_delimiter"],
                "a video has one label unless `multi_class` says otherwise".into(),
                help,
            );
        }
        let delimiters = [
            (&["delimiter"] as &[&str], &self.delimiter),
            (&["columns", "label_delimiter"], &self.columns.label_delimiter),
        ];
        for (path, delimiter) in delimiters {
            if delimiter.as_ref().is_some_and(|text| text.is_empty() || text.contains(['\n', '\r', '"'])) {
                wrong(path, "it does not part the fields of a line".into(), "one or more characters, as in \", \"");
            }
        }
        if self.test_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            wrong(
                &["test_share"],
                "it leaves one of the two lists empty".into(),
                "a number between 0 and 1, such as 0.2",
            );
        } else if self.test_share.is_some() && (self.train.is_some() || self.test.is_some()) {
            let help = "file: the list to be parted, in place of `train` and `test`";
            wrong(&["test_share"], "`train` and `test` part the videos already".into(), help);
        }
        if self.label_map.is_some() && self.num_classes.is_some() {
            wrong(&["num_classes"], "the label map says how many classes there are".into(), "take one of the two away");
        }
    }
}

impl Params for AnnotationsParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        let mut wrong = |path: &[&str], message: String, help: &str| {
            errors.push(ParamError {
                path: path.iter().map(ToString::to_string).collect(),
                message,
                help: help.into(),
            });
        };
        let format = self.format;
        for param in self.given().into_iter().filter(|param| !format.has_param(param)) {
            wrong(
                &[param],
                format!("`{}` has no `{param}`", format.name()),
                "take it away, or choose another `format`",
            );
        }
        if format == AnnotationFormat::ClassFolder && self.root.is_some() {
            wrong(&["root"], "`class_folder` reads no lists".into(), "take it away");
        }
        self.check_lists(&mut wrong);
        self.check_fields(&mut wrong);
        errors
    }

    fn sources(&self) -> Vec<SourceSet> {
        let ucf101 = || {
            let split = self.split;
            ["classInd.txt".to_owned(), format!("trainlist0{split}.txt"), format!("testlist0{split}.txt")]
        };
        let hmdb51 = || [format!("**/*_test_split{}.txt", self.split)];
        let named: Vec<String> = self.named_files().map(|(_, file)| literal_glob(file)).collect();
        let include: Vec<String> = match self.format {
            AnnotationFormat::Ucf101 => ucf101().into(),
            AnnotationFormat::Hmdb51 => hmdb51().into(),
            AnnotationFormat::Auto if named.is_empty() => ucf101().into_iter().chain(hmdb51()).collect(),
            AnnotationFormat::ClassFolder => return Vec::new(),
            _ => named,
        };
        let set = |root: &String| SourceSet {
            param: "root",
            root: root.into(),
            include: include.clone(),
            exclude: vec![],
            odd_names: OddNames::Refused,
        };
        self.root.iter().map(set).collect()
    }

    fn unread_inputs(&self) -> &'static [&'static str] {
        if self.format == AnnotationFormat::ClassFolder { &["lists"] } else { &[] }
    }
}

/// Returns a glob that matches this path and no other.
fn literal_glob(path: &str) -> String {
    let path = path.trim_start_matches("./");
    path.chars().map(|c| if "*?[]{}\\".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(params: Value, expect: &[&str]) {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let found = params.check().into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message));
        assert_eq!(found.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn formats_have_parameters_of_their_own() {
        check(json!({}), &[]);
        check(json!({"format": "ucf101", "split": 2, "missing": "warn"}), &[]);
        check(json!({"format": "class_folder", "test_share": 0.2, "group": {"regex": "^[^_]*"}}), &[]);
        check(json!({"format": "video_list", "train": "a.txt", "test": "lists/b.txt", "delimiter": ","}), &[]);
        let columns = json!({"video": "FILE", "label": "CLASSES", "label_delimiter": ","});
        check(json!({"format": "table", "file": "a.csv", "multi_class": true, "columns": columns}), &[]);
        check(
            json!({"format": "hmdb51", "train": "a.txt", "label_map": "../m.txt"}),
            &[
                "train: `hmdb51` has no `train`",
                "label_map: `hmdb51` has no `label_map`",
                "label_map: `../m.txt` is no file below `root`",
            ],
        );
        check(json!({"format": "class_folder", "root": "x"}), &["root: `class_folder` reads no lists"]);
    }

    #[test]
    fn lists_and_columns_must_be_told() {
        check(json!({"format": "kinetics", "test": "a.csv"}), &["format: `kinetics` does not know its lists by name"]);
        check(
            json!({"format": "kinetics", "file": "a.csv", "test": "b.csv"}),
            &["file: `file` stands in place of `train` and `test`"],
        );
        check(json!({"format": "sthv2", "train": "a.json"}), &["format: `sthv2` needs the order of its classes"]);
        check(
            json!({"format": "table", "file": "a.csv", "columns": {"label": "b", "start": "c"}, "test_share": 1}),
            &[
                "columns: `columns` does not say where `video` is",
                "columns: a segment has a start and an end",
                "test_share: it leaves one of the two lists empty",
            ],
        );
        check(
            json!({"format": "video_list", "train": "a", "delimiter": "", "num_classes": 2, "label_map": "b"}),
            &[
                "delimiter: it does not part the fields of a line",
                "num_classes: the label map says how many classes there are",
            ],
        );
    }

    #[test]
    fn only_the_lists_that_are_read_are_in_the_key() {
        let globs = |params: Value| {
            let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
            params.sources().into_iter().flat_map(|set| set.include).collect::<Vec<_>>()
        };
        assert_eq!(globs(json!({"format": "hmdb51", "root": "x", "split": 3})), ["**/*_test_split3.txt"]);
        let lists = json!({"format": "video_list", "root": "x", "train": "a [1].txt", "label_map": "./b/c.txt"});
        assert_eq!(globs(lists), ["a [[]1[]].txt", "b/c.txt"]);
        assert_eq!(globs(json!({"format": "class_folder"})), [""; 0]);
    }
}
