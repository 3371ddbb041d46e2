//! `annotations`: label lists, checked and joined with the `videos` table.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OddNames, OutputPort, ParamError, Params, PortType, Selection, SourceSet,
    Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;
mod format;

pub use format::AnnotationFormat;
use format::{HMDB51_FILES, Lists, UCF101_FILES};

/// Contract of `annotations`.
pub const CONTRACT: Contract = Contract {
    kind: "annotations",
    version: 6,
    summary: "reads label lists, joins them with the videos and checks both",
    worker: Some(Worker::Data),
    open_ports: None,
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

/// The figure of the summary that is the number of classes.
pub const NUM_CLASSES: &str = "num_classes";

/// Turns off the check that needs decoded videos.
fn without_near_duplicates(params: &mut serde_json::Value) {
    params["near_duplicates"] = "off".into();
}

/// Parameters of `annotations`.
///
/// `label_map` to `with_offset` describe how the lists are written; `off_by_one` and the parameters after it set the
/// severity of each check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotationsParams {
    /// How the lists are written.
    pub format: AnnotationFormat,
    /// The folder that contains the lists. Leave it out if the input `lists` is connected.
    #[serde(skip_serializing)]
    pub root: Option<String>,
    /// Number of the official split of UCF101 or HMDB51: 1, 2 or 3.
    #[schemars(range(min = 1, max = 3))]
    pub split: u32,
    /// The list of training videos, relative to the folder of the lists.
    pub train: Option<String>,
    /// The list of test videos, relative to the folder of the lists.
    pub test: Option<String>,
    /// One list instead of `train` and `test`. Its rows name their subset (see `subsets`), or `test_share` splits them.
    pub file: Option<String>,
    /// Which subsets of a list are training and test videos.
    pub subsets: Subsets,
    /// Share of the videos to hold out for testing, between 0 and 1, if the lists define no split. The videos of a group stay
    /// together, and adding a video later does not move any other.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_share: Option<f64>,
    /// Seed of the random split that `test_share` makes.
    pub seed: u64,
    /// A file that names the classes: one name per line in class order, `number name` lines, CSV or JSON. Without it,
    /// class names come from the lists in alphabetical order, and numeric labels are their own names.
    pub label_map: Option<String>,
    /// Number of classes, if there is no label map.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub num_classes: Option<u32>,
    /// The number that the lists use for the first class, 0 or 1. Default: the first number of the label map, or 0.
    #[schemars(range(min = 0, max = 1))]
    pub first_label: Option<u32>,
    /// The text between the fields of a line. Detected from the first line by default.
    pub delimiter: Option<String>,
    /// Allow several labels per video. Training then uses one sigmoid per class instead of a softmax over all classes.
    pub multi_class: bool,
    /// Lines of a rawframe list have the number of the first frame before the number of frames.
    pub with_offset: bool,
    /// The columns of a table.
    pub columns: Columns,
    /// How to find videos that were cut from the same source, which must not be in both training and test. By default, what
    /// the format defines: UCF101 and HMDB51 name the source.
    pub group: Option<GroupBy>,
    /// Check: labels look shifted by one, such as labels from 1 with classes that count from 0.
    pub off_by_one: Severity,
    /// Check: a numeric label is not the number of a class. The label is ignored.
    pub out_of_range: Severity,
    /// Check: a label is not the name of a class. The label is ignored.
    pub unknown_class: Severity,
    /// Check: a class has no training video.
    pub label_gaps: Severity,
    /// Check: a class has training videos, but no test video.
    pub test_gaps: Severity,
    /// Check: all training or all test videos have the same class.
    pub single_class: Severity,
    /// Check: no training video is present; or no test video, although there is a test list, a test subset or `test_share`.
    pub empty_split: Severity,
    /// Check: a class has less than a tenth of the training videos of the largest class.
    pub class_balance: Severity,
    /// Check: a listed video is missing from the folder, or can't be decoded.
    pub missing: Severity,
    /// Check: a listed name fits several videos, or several listed names fit one video. They count as missing.
    pub ambiguous: Severity,
    /// Check: a video in the folder is not in any list.
    pub unlabelled: Severity,
    /// Check: a segment ends before it begins. It is left out.
    pub segment_order: Severity,
    /// Check: a segment begins after the end of its video, and is left out, or ends more than a second after it.
    pub segment_range: Severity,
    /// Check: a video is listed more than once with the same label. It counts once.
    pub duplicates: Severity,
    /// Check: a video, or the same content under two names, is listed with different labels. The first label counts.
    pub conflicting_labels: Severity,
    /// Check: a video is in both the training and the test list.
    pub split_overlap: Severity,
    /// Check: videos of one group are in both the training and the test list.
    pub group_leakage: Severity,
    /// Check: the same content is in both the training and the test list, under two names.
    pub content_leakage: Severity,
    /// Check: a training and a test video share at least half of their frames, such as re-encoded, scaled or trimmed copies.
    /// Needs `verify: decode` in the stage `ingest`; without it the check is skipped, or fails if set to `error`.
    pub near_duplicates: Severity,
}

/// The names of the subsets to use. Rows of other subsets are ignored and counted in the report.
///
/// By default, training rows are `train` or `training`, and test rows are `val`, `valid`, `validate`, `validation`, `test` or
/// `testing`. A data set that has both a validation and a test subset must set `test`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subsets {
    /// Subsets of training videos.
    pub train: Vec<String>,
    /// Subsets of test videos.
    pub test: Vec<String>,
}

/// The columns of a table.
///
/// In CSV, a column is named as in the first line. In JSON, a column is a key; `action.0` is the first item of the list
/// `action`, and `key` is the key of a row if the file is a map of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Path of the video, or its file name without folder or extension.
    pub video: Option<String>,
    /// Class, by name or number.
    pub label: Option<String>,
    /// Instead of `label`: columns whose texts together are the class, such as `[verb, noun]`.
    pub labels: Vec<String>,
    /// The text between several labels in one cell. Needs `multi_class: true`.
    pub label_delimiter: Option<String>,
    /// Subset of the row; see `subsets`.
    pub subset: Option<String>,
    /// Start of the segment, in seconds or as `hours:minutes:seconds`, or in frames; see `segment_unit`.
    pub start: Option<String>,
    /// End of the segment, in the unit of `start`.
    pub end: Option<String>,
    /// Instead of `label`, `start` and `end`: the segments of a row, as `[[class, start, end], …]` in JSON or
    /// `class start end;class start end` in CSV.
    pub segments: Option<String>,
    /// Unit of `start`, `end` and `segments`.
    pub segment_unit: SegmentUnit,
    /// Source that the video was cut from; see `group_leakage`.
    pub group: Option<String>,
    /// The first line of a CSV file names its columns. If false, columns are named 1, 2, 3 and so on.
    pub header: bool,
}

/// The unit of the times of segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentUnit {
    /// Seconds from the start of the video.
    #[default]
    Seconds,
    /// Frames of the video, counted from 0, at its frame rate.
    Frames,
}

/// How to find videos that were cut from the same source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GroupBy {
    /// No groups.
    None,
    /// UCF101: the class and the `gNN` in the file name.
    Ucf101,
    /// HMDB51: the source in the file name, per class. The official splits keep these groups together.
    Hmdb51,
    /// HMDB51: the source in the file name, across classes. The official splits do not keep these groups together.
    Hmdb51Film,
    /// A regular expression that is matched with the listed path. The group is its first capture group, or the whole match.
    Regex(String),
}

/// What happens when a check finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The stage fails.
    Error,
    /// A warning is shown, and the findings are counted in the report.
    Warn,
    /// The findings are only counted in the report.
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
            test_gaps: Severity::Warn,
            single_class: Severity::Warn,
            empty_split: Severity::Error,
            class_balance: Severity::Warn,
            missing: Severity::Error,
            ambiguous: Severity::Error,
            unlabelled: Severity::Warn,
            segment_order: Severity::Error,
            segment_range: Severity::Warn,
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
            labels: Vec::new(),
            label_delimiter: None,
            subset: None,
            start: None,
            end: None,
            segments: None,
            segment_unit: SegmentUnit::default(),
            group: None,
            header: true,
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
        let fixed =
            |files: &[&str]| files.iter().map(|file| file.replace("{split}", &self.split.to_string())).collect();
        let named: Vec<String> = self.named_files().map(|(_, file)| literal_glob(file)).collect();
        let include: Vec<String> = match self.format.rules().lists {
            Lists::Fixed(files) => fixed(files),
            Lists::Detected if named.is_empty() => fixed(&[&UCF101_FILES[..], &HMDB51_FILES].concat()),
            Lists::Detected | Lists::Named => named,
            Lists::None => return Vec::new(),
        };
        let set = |root: &String| SourceSet {
            param: "root",
            root: root.into(),
            include: include.clone(),
            exclude: vec![],
            odd_names: OddNames::Refused,
            selection: Selection::Exact,
        };
        self.root.iter().map(set).collect()
    }

    fn unread_inputs(&self) -> &'static [&'static str] {
        if matches!(self.format.rules().lists, Lists::None) { &["lists"] } else { &[] }
    }

    fn conditional_inputs(&self) -> &'static [(&'static str, &'static str)] {
        &[("lists", "format"), ("lists", "root")]
    }
}

/// Returns a glob that matches only `path`.
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
