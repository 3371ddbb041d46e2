//! `annotations`: label lists, checked and joined with the `videos` table.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OddNames, OutputPort, ParamError, Params, PortType, SourceSet, Worker, parse,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;

/// Contract of `annotations`.
pub const CONTRACT: Contract = Contract {
    kind: "annotations",
    version: 4,
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
    numerics: Numerics::Exact,
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
    /// Whether a video may have several labels. The network then learns to tell each class by itself.
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
}

impl AnnotationsParams {
    fn named_files(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let files =
            [("train", &self.train), ("test", &self.test), ("file", &self.file), ("label_map", &self.label_map)];
        files.into_iter().filter_map(|(param, file)| file.as_ref().map(|file| (param, file)))
    }
}

impl Params for AnnotationsParams {
    fn check(&self) -> Vec<ParamError> {
        check::check(self)
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
