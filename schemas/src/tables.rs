//! The rows of every table, as plain structs, and the metadata that tables carry.
//!
//! Column order is field order. `pipe-tables` writes and reads them as Parquet.

use crate::evaluation::Figures;
use serde::{Deserialize, Serialize};

pub use crate::labelling::Labelling;
pub use crate::missing::{MissingCounts, MissingReason, MissingRow};
pub use crate::report_tables::{BenchmarkRow, Change, ClassReportRow, ComparisonRow, ConfusionRow, SliceRow};

/// Name and version of a table, which are written to the Parquet metadata.
pub trait Table {
    /// Name of the table.
    const NAME: &'static str;
    /// Version of the columns; raised when they change.
    const VERSION: u32;
}

macro_rules! table {
    ($row:ty, $name:literal, $version:literal) => {
        impl Table for $row {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
        }
    };
}

table!(VideoRow, "videos", 4);
table!(AnnotationRow, "annotations", 2);
table!(ClassRow, "classes", 1);
table!(FrameIndexRow, "frame_index", 1);
table!(SampleRow, "samples", 3);
table!(MissingRow, "missing", 1);
table!(TrainingLogRow, "training_log", 3);
table!(TrainingStepRow, "training_steps", 1);
table!(PredictionRow, "predictions", 3);
table!(HeatMapRow, "heat_maps", 1);
table!(VideoPredictionRow, "video_predictions", 1);
table!(LrCurveRow, "lr_curve", 1);
table!(ClassReportRow, "class_report", 1);
table!(ConfusionRow, "confusion", 1);
table!(SliceRow, "slices", 1);
table!(BenchmarkRow, "benchmark", 1);
table!(ComparisonRow, "comparison", 1);

/// Maximum number of [`VideoRow::hashes`].
pub const MAX_HASHES_PER_VIDEO: usize = 64;

/// A file that `ingest` examined. Sorted by `video_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRow {
    /// Path below the root without its extension, with `/` between folders: `Biking/v_Biking_g01_c04`.
    pub video_id: String,
    /// Path below the root. With the verdict `odd_name` it begins with `./`, which no other path does, and bytes that are not
    /// UTF-8 are written in hex: `./Biking/caf\xE9.avi`.
    pub path: String,
    /// BLAKE3 digest of the file, in hex.
    pub digest: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// Codec, as FFmpeg names it; empty if there is no video stream.
    pub codec: String,
    /// Width of a coded frame, before it is mirrored and rotated.
    pub width_px: u32,
    /// Height of a coded frame, before it is mirrored and rotated.
    pub height_px: u32,
    /// Numerator of the average frame rate.
    pub fps_num: u32,
    /// Denominator of the average frame rate.
    pub fps_den: u32,
    /// Number of frames in the header of the container; 0 if it has none.
    pub frames_declared: u64,
    /// Number of frames that can be decoded; null with `verify: probe` and for `odd_name`.
    pub frames_decoded: Option<u64>,
    /// Whether left and right are exchanged for display, before the rotation.
    pub mirrored: bool,
    /// Rotation for display, in degrees clockwise: 0, 90, 180 or 270.
    pub rotation: u32,
    /// Width of a pixel in the unit in which its height is `sample_aspect_den`; both are 1 for square pixels, or if unknown.
    pub sample_aspect_num: u32,
    /// Height of a pixel.
    pub sample_aspect_den: u32,
    /// Perceptual hashes of intact frames, four in each second and, after 32, one, up to [`MAX_HASHES_PER_VIDEO`]. A frame of a
    /// single color has no hash. Empty with `verify: probe`.
    pub hashes: Vec<u64>,
    /// Whether the file can be used, and why not.
    pub verdict: Verdict,
    /// Explanation of the verdict; empty for `ok`.
    pub reason: String,
}

/// Whether a file can be used, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A video without errors.
    Ok,
    /// A video with the same content as a file before it. Usable.
    Duplicate,
    /// A video with frames or parts of frames that can't be decoded, or with errors in its container, whose other frames can.
    /// Usable; found with `verify: decode` only.
    Damaged,
    /// A damaged video, with `on_damage: skip`.
    Rejected,
    /// Frames at the end are missing, because the file was cut off. With `verify: probe`, found only if the first frame is missing.
    Truncated,
    /// No frame can be decoded, or with `verify: decode` fewer than half of them.
    Undecodable,
    /// The video has fewer frames than a clip of the network needs, or is not of a size that it takes. Only in predictions.
    Unsuitable,
    /// The file has no video stream.
    NoVideoStream,
    /// FFmpeg can't open the file.
    Unreadable,
    /// The path is not UTF-8, so that no list can name it. The file was not opened.
    OddName,
    /// Decoding took longer than the limit.
    TimedOut,
    /// Decoding crashed its process.
    Crashed,
}

impl Verdict {
    /// Returns whether later stages use the file.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Duplicate | Self::Damaged)
    }

    /// Returns the words in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Duplicate => "duplicate",
            Self::Damaged => "damaged",
            Self::Rejected => "rejected as damaged",
            Self::Truncated => "truncated",
            Self::Undecodable => "undecodable",
            Self::Unsuitable => "unsuitable for a network",
            Self::NoVideoStream => "without video",
            Self::Unreadable => "unreadable",
            Self::OddName => "not named in UTF-8",
            Self::TimedOut => "timed out",
            Self::Crashed => "crashed the decoder",
        }
    }
}

/// A label of a video, or of a segment of it. Sorted by `split`, `video_id`, start and `class_index`.
///
/// A video with several labels has several rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationRow {
    /// Id of the video in `videos`.
    pub video_id: String,
    /// The list that contains the label.
    pub split: Split,
    /// Class, counted from 0.
    pub class_index: u32,
    /// Name shared by videos that were cut from one source, such as UCF101's `gNN` with its class. Empty if unknown.
    pub group: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Whether `videos` contains the video with a usable verdict. Samples are drawn from such videos only.
    pub present: bool,
    /// File of the list, or the folder whose name is the label.
    pub source_file: String,
    /// Line in the list, from 1; 0 if the label is the name of a folder.
    pub source_line: u32,
}

/// The list that contains a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Videos for training.
    Train,
    /// Videos for evaluation.
    Test,
}

/// A class. Sorted by `class_index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Index, from 0 without gaps.
    pub class_index: u32,
    /// Name in the data set.
    pub class_name: String,
}

/// The location of a video's frames: a row of `index.parquet` in the folder of the shards. Sorted by `video_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameIndexRow {
    /// Id of the video in `videos`.
    pub video_id: String,
    /// File name of the shard.
    pub shard: String,
    /// Position of the row group that holds this video alone, one row per frame, in order.
    pub row_group: u32,
    /// Number of stored frames.
    pub num_frames: u32,
    /// Width of a stored frame.
    pub width_px: u32,
    /// Height of a stored frame.
    pub height_px: u32,
    /// Average rate of the stored frames; 0 if it is unknown.
    pub fps: f64,
}

/// A clip that the network sees. Sorted by `epoch`, then `position`.
///
/// The row and the frame shards determine every pixel: nothing is random when clips are made. The crop is scaled and mirrored,
/// then the operations change its pixels, then it is blended with another clip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// Epoch, from 0; 0 for test views.
    pub epoch: u32,
    /// Position in the order of the epoch, from 0.
    pub position: u32,
    /// Id of the video in `frame_index`.
    pub video_id: String,
    /// Start of the segment that is shown; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment that is shown; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Label, from 0; the first of several.
    pub class_index: u32,
    /// Other labels, ascending; empty unless there are several.
    pub more_class_indices: Vec<u32>,
    /// Number of the view among those of the video or segment, from 0.
    pub view: u32,
    /// Positions of the frames in the video, `T` of them.
    pub frame_indices: Vec<u32>,
    /// Left edge of the crop, in pixels of the stored frame.
    pub crop_x: f32,
    /// Top edge of the crop, in pixels of the stored frame.
    pub crop_y: f32,
    /// Width of the crop, in pixels of the stored frame.
    pub crop_width: f32,
    /// Height of the crop, in pixels of the stored frame.
    pub crop_height: f32,
    /// Whether the crop is mirrored left to right.
    pub flip: bool,
    /// Operations on the pixels, in order, as JSON: `[{"brightness":1.2},"equalize"]`; empty if there are none.
    pub pixel_ops: String,
    /// `position` of the clip of this epoch that it is blended with.
    pub mix_position: Option<u32>,
    /// Share of the other clip in the label and, without `mix_box`, in each pixel; 0 if there is no other clip.
    pub mix_share: f32,
    /// Box that is taken from the other clip: left, top, width and height in pixels of the clip. Empty if all pixels are blended.
    pub mix_box: Vec<u32>,
}

impl SampleRow {
    /// Returns all labels.
    pub fn class_indices(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(self.class_index).chain(self.more_class_indices.iter().copied())
    }

    /// Returns the key that the views of one sample share: the video, and the times of its segment as bits. The bits sort like
    /// the times, because no time is negative.
    pub fn sample(&self) -> (&str, Option<u64>, Option<u64>) {
        (&self.video_id, self.start_secs.map(f64::to_bits), self.end_secs.map(f64::to_bits))
    }
}

/// The results of one epoch of training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingLogRow {
    /// Epoch, from 0. Messages and progress count from 1.
    pub epoch: u32,
    /// Number of clips that were shown.
    pub num_clips: u32,
    /// Number of clips that were drawn but not shown: 1 if the last one would have been a batch of its own.
    pub num_left_out: u32,
    /// Learning rate of the first step.
    pub lr: f64,
    /// Mean loss of the clips of the epoch, each as it was when its step came.
    pub loss: f64,
    /// Share of these clips whose highest logit is that of their class.
    pub top1: f64,
    /// Mean over the steps of the optimiser of the norm of all gradients together, before clipping.
    pub grad_norm: f64,
    /// Metrics of the test samples, if they were evaluated after this epoch: columns `val_top1`, `val_loss`, ….
    pub validation: Option<Figures>,
}

/// The results of one step of training. Sorted by `step`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingStepRow {
    /// Number of the step in the whole training, from 1.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u32,
    /// Number of clips in the batch.
    pub num_clips: u32,
    /// Learning rate.
    pub lr: f64,
    /// Loss of the batch, before the step.
    pub loss: f64,
    /// Share of the clips of the batch whose highest logit is that of their class, before the step.
    pub top1: f64,
    /// Norm of all gradients together, before clipping: the 2-norm, or that of `clip_grad.norm_type`. `None` if the optimiser's step comes
    /// with a later batch, as `accumulative_counts` says.
    pub grad_norm: Option<f64>,
}

/// A step of `lr_finder`. Sorted by `step`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LrCurveRow {
    /// Number of the step, from 0.
    pub step: u32,
    /// Learning rate of the step.
    pub lr: f64,
    /// Loss of the batch, before the step.
    pub loss: f64,
    /// Mean of this loss and those around it.
    pub smoothed_loss: f64,
}

/// The prediction for a video or a segment. Sorted by `video_id` and times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// Id of the video in `frame_index`.
    pub video_id: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Label, from 0; the first of several.
    pub class_index: u32,
    /// Other labels, ascending; empty unless there are several.
    pub more_class_indices: Vec<u32>,
    /// Names of all labels, in the order of their indices.
    pub class_names: Vec<String>,
    /// Class with the highest probability.
    pub predicted_index: u32,
    /// Name of that class.
    pub predicted_name: String,
    /// Number of views that were averaged.
    pub num_views: u32,
    /// Mean logits of the views, `K` of them.
    pub logits: Vec<f32>,
    /// Probabilities by `average_clips`, `K` of them. They sum to 1, except if a video may have several labels.
    pub probabilities: Vec<f32>,
}

impl PredictionRow {
    /// Returns all labels.
    pub fn class_indices(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(self.class_index).chain(self.more_class_indices.iter().copied())
    }
}

/// Where in a frame of a clip the evidence for a class is. Sorted by sample and `clip_frame`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatMapRow {
    /// Id of the video in `frame_index`.
    pub video_id: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Number of the view among those of the video or segment, from 0.
    pub view: u32,
    /// The class that evidence was searched for.
    pub target_index: u32,
    /// Position of the frame in the clip, from 0.
    pub clip_frame: u32,
    /// Position of the frame in the video, from 0.
    pub frame_index: u32,
    /// Height of the clip in pixels.
    pub height_px: u32,
    /// Width of the clip in pixels.
    pub width_px: u32,
    /// From 0 to 1, row by row from the top; 1 is the strongest evidence of the clip.
    pub values: Vec<f32>,
}

/// The prediction of a video without labels, or of a window of it; or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPredictionRow {
    /// Id of the video; in `pipe predict`, the path as it was given.
    pub video_id: String,
    /// Start of the window in seconds from the first frame; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the window; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Whether there is a prediction: with `ok` and `damaged`.
    pub verdict: Verdict,
    /// Explanation of the verdict; empty for `ok`.
    pub reason: String,
    /// Class with the highest probability.
    pub predicted_index: Option<u32>,
    /// Name of that class; empty if there is no prediction.
    pub predicted_name: String,
    /// Number of views that were averaged.
    pub num_views: u32,
    /// Mean logits of the views, `K` of them; empty if there is no prediction.
    pub logits: Vec<f32>,
    /// Probabilities by `average_clips`, `K` of them; empty if there is no prediction.
    pub probabilities: Vec<f32>,
}

impl VideoPredictionRow {
    /// Returns the row of a video without a prediction.
    pub fn without(video_id: &str, verdict: Verdict, reason: String) -> Self {
        Self {
            video_id: video_id.to_owned(),
            start_secs: None,
            end_secs: None,
            verdict,
            reason,
            predicted_index: None,
            predicted_name: String::new(),
            num_views: 0,
            logits: Vec::new(),
            probabilities: Vec::new(),
        }
    }

    /// Returns the row of a prediction. `damage` is what the decoder passed over, or empty.
    pub fn of(prediction: PredictionRow, damage: &str) -> Self {
        let PredictionRow {
            video_id,
            start_secs,
            end_secs,
            predicted_index,
            predicted_name,
            num_views,
            logits,
            probabilities,
            ..
        } = prediction;
        Self {
            video_id,
            start_secs,
            end_secs,
            verdict: if damage.is_empty() { Verdict::Ok } else { Verdict::Damaged },
            reason: damage.to_owned(),
            predicted_index: Some(predicted_index),
            predicted_name,
            num_views,
            logits,
            probabilities,
        }
    }

    /// Returns the classes with the highest probabilities, highest first; the first of equal ones comes first.
    pub fn top(&self, count: usize) -> Vec<(u32, f32)> {
        let mut classes: Vec<(u32, f32)> = (0..).zip(self.probabilities.iter().copied()).collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        classes.truncate(count);
        classes
    }
}

/// How clips are made for a network, and how many samples could not be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Number of frames `T` of a training clip.
    pub train_frames: u32,
    /// Number of frames `T` of a test clip.
    pub test_frames: u32,
    /// Height `H` of a clip.
    pub height_px: u32,
    /// Width `W` of a clip.
    pub width_px: u32,
    /// Number of epochs that were drawn.
    pub epochs: u32,
    /// Whether a video may have several labels.
    pub labelling: Labelling,
    /// Sampler and transforms of test clips, which every use of the network must apply.
    pub test: crate::stages::augment::ClipPipeline,
    /// Number of listed test videos and segments that have no samples; see [`MissingRow`].
    pub num_missing_test: u64,
    /// Number of listed training videos and segments that have no samples; see [`MissingRow`].
    pub num_missing_train: u64,
}

/// The description of a trained network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Parameters of the network.
    pub model: crate::networks::ModelParams,
    /// Class names by index.
    pub classes: Vec<String>,
    /// How its clips are made.
    pub preprocessing: Preprocessing,
    /// BLAKE3 digest of the graph, in hex.
    pub graph_digest: String,
    /// Number of epochs that it was trained; 0 for a published checkpoint.
    pub epochs: u32,
    /// The channels that were removed from the network of `model`, one entry for each time that it was pruned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruning: Vec<crate::RemovedChannels>,
}
