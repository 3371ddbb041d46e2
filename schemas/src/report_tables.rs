//! The rows of the tables of a report: classes, confusions, slices, and differences of two predictions.

use serde::{Deserialize, Serialize};

/// Precision, recall and F1 of a class. Sorted by `class_index`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReportRow {
    /// Class, counted from 0.
    pub class_index: u32,
    /// Its name.
    pub class_name: String,
    /// The share of the predictions of the class that are correct; 0 if there are none.
    pub precision: f64,
    /// The share of the videos of the class that are predicted as it; 0 if there are none.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1_score: f64,
    /// Number of videos that have the class as a label.
    pub support: u64,
    /// Number of videos that the class is predicted for.
    pub num_predicted: u64,
    /// Average precision, with several labels per video; null if no video has the class.
    pub average_precision: Option<f64>,
}

/// A cell of the confusion matrix with at least one video. Sorted by `class_index`, then `predicted_index`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfusionRow {
    /// The label.
    pub class_index: u32,
    /// Its name.
    pub class_name: String,
    /// The prediction.
    pub predicted_index: u32,
    /// Its name.
    pub predicted_name: String,
    /// Number of videos with this label and this prediction.
    pub num_videos: u64,
    /// Their share of the videos with this label.
    pub share_of_label: f64,
    /// Their share of the videos with this prediction.
    pub share_of_prediction: f64,
}

/// A metric of the videos that have something in common. Sorted by `column` and `value`, in the order of the values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceRow {
    /// What the videos are divided by, such as `duration`.
    pub column: String,
    /// What the videos of the slice have in common, such as `2 to 5 s`.
    pub value: String,
    /// Number of evaluated videos in the slice.
    pub num_videos: u64,
    /// Number of classes that are a label of one of them.
    pub num_classes: u64,
    /// Name of the metric.
    pub metric: String,
    /// The metric of these videos.
    pub figure: f64,
    /// Lower end of its interval over videos; null without intervals.
    pub low: Option<f64>,
    /// Upper end of its interval over videos; null without intervals.
    pub high: Option<f64>,
}

/// What two networks predict for a video. Sorted by `video_id` and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// Id of the video.
    pub video_id: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Names of all labels, in the order of their indices.
    pub class_names: Vec<String>,
    /// Name of the class that the first network predicts.
    pub predicted_a: String,
    /// Name of the class that the second network predicts.
    pub predicted_b: String,
    /// Probability that the first network gives its prediction.
    pub probability_a: f32,
    /// Probability that the second network gives its prediction.
    pub probability_b: f32,
    /// What changed from the first to the second network.
    pub change: Change,
}

/// A variant of a network on an engine. Sorted by `variant`. What was not measured is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRow {
    /// Name of the variant: that of the input of the stage.
    pub variant: String,
    /// The engine and its version, such as `onnxruntime 1.31.1`.
    pub engine: String,
    /// Why the engine does not run the variant; empty if it does.
    pub unsupported: String,
    /// The metric of accuracy on the test videos.
    pub accuracy: Option<f64>,
    /// Lower end of its interval.
    pub accuracy_low: Option<f64>,
    /// Upper end of its interval.
    pub accuracy_high: Option<f64>,
    /// Difference of accuracy from the baseline, on the same videos.
    pub change: Option<f64>,
    /// Lower end of the interval of this difference.
    pub change_low: Option<f64>,
    /// Upper end of the interval of this difference.
    pub change_high: Option<f64>,
    /// Share of the videos for which the baseline predicts the same class.
    pub agreement: Option<f64>,
    /// Size of the ONNX file, or of the tensors of the model.
    pub size_bytes: u64,
    /// Number of trained values; null if an ONNX file does not say it.
    pub num_params: Option<u64>,
    /// Multiply-adds for one test clip; null if an ONNX file does not say it.
    pub macs: Option<u64>,
    /// Median time of a forward pass.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the times.
    pub latency_p99_ms: Option<f64>,
    /// Number of times measured.
    pub num_runs: u64,
    /// Largest memory of a process that loads the variant and runs it, the engine included.
    pub peak_memory_bytes: Option<u64>,
}

/// What changed from a first to a second network. A prediction is correct if it is a label of the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Both predict the same class.
    Same,
    /// Only the second is correct.
    Fixed,
    /// Only the first is correct.
    Broken,
    /// The classes differ, and both are correct, which several labels allow.
    BothCorrect,
    /// The classes differ, and neither is correct.
    BothWrong,
}
