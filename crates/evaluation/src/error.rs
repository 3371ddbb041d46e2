//! [`EvaluationError`]: why predictions cannot be evaluated.

use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::Labelling;
use std::path::PathBuf;

/// Why predictions cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum EvaluationError {
    /// A metric is asked for that the labels do not allow.
    #[error("`metric_list` has `{}`, which is not defined for videos with {}", metric_name(*metric), labels(*labelling))]
    Undefined { metric: MetricName, labelling: Labelling },
    /// A row of predictions is not possible.
    #[error("the prediction {place} of {input}: {problem}")]
    Row {
        /// The input or file that has it.
        input: String,
        /// The name of the video or segment.
        place: String,
        problem: String,
    },
    /// A table has no predictions.
    #[error("{input} has no predictions")]
    Empty { input: String },
    /// Two tables, or a table and a list of classes, give a class different names.
    #[error("class {class_index} is `{one}` in {one_input}, `{other}` in {other_input}")]
    OtherClass { class_index: u32, one: String, one_input: String, other: String, other_input: String },
    /// Two tables, or a table and a list of classes, have different numbers of classes.
    #[error("{one_input} has {one} classes, {other_input} has {other}")]
    NumClasses { one: usize, one_input: String, other: usize, other_input: String },
    /// A video has other labels in another table.
    #[error("`{video}` is labelled {one} in {one_input}, {other} in {other_input}")]
    OtherLabels { video: String, one: String, one_input: String, other: String, other_input: String },
    /// Tables have no video or segment in common.
    #[error("no {noun} is in all predictions")]
    NoneInCommon {
        /// `video` or `segment`.
        noun: &'static str,
    },
    /// The parameter `slices` names a file that is not a table of slices.
    #[error("{}: line {line}: {problem}", path.display())]
    Slices { path: PathBuf, line: u64, problem: String },
    /// A table or a JSON file cannot be written.
    #[error(transparent)]
    Table(#[from] pipe_tables::TableError),
    /// A text or a picture cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A frame of a picture cannot be read.
    #[error(transparent)]
    Clip(#[from] pipe_clips::ClipError),
}

/// Returns a metric as users write it.
fn metric_name(metric: MetricName) -> String {
    serde_json::to_value(metric).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

fn labels(labelling: Labelling) -> &'static str {
    match labelling {
        Labelling::SingleLabel => "one label each",
        Labelling::MultiLabel => "several labels",
    }
}
