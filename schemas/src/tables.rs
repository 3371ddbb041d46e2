//! The rows of every table, as plain structs, and the metadata that tables carry.
//!
//! Column order is field order. `pipe-tables` writes and reads them as Parquet.

use serde::{Deserialize, Serialize};

/// A table's name and the version of its columns; both stand in the Parquet metadata.
pub trait Table {
    /// The table's name, as in DESIGN.md.
    const NAME: &'static str;
    /// Raised when columns change.
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

table!(VideoRow, "videos", 3);
table!(AnnotationRow, "annotations", 2);
table!(ClassRow, "classes", 1);
table!(FrameIndexRow, "frame_index", 1);
table!(SampleRow, "samples", 3);
table!(TrainingLogRow, "training_log", 1);
table!(PredictionRow, "predictions", 2);

/// What `ingest` found in a file. Sorted by `video_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRow {
    /// The path below the root, without its extension, with `/` between folders: `Biking/v_Biking_g01_c04`.
    pub video_id: String,
    /// The path below the root. With the verdict `odd_name` it begins with `./`, as no other does, and what is not UTF-8 is
    /// written in hex: `./Biking/caf\xE9.avi`.
    pub path: String,
    /// BLAKE3 of the file, in hex.
    pub digest: String,
    /// Of the file.
    pub size_bytes: u64,
    /// FFmpeg's name of the codec; empty without a video stream.
    pub codec: String,
    /// As coded, before rotation.
    pub width_px: u32,
    /// As coded, before rotation.
    pub height_px: u32,
    /// Average frame rate.
    pub fps_num: u32,
    /// Average frame rate.
    pub fps_den: u32,
    /// Frames that the container declares; 0 if it does not.
    pub frames_declared: u64,
    /// Frames that could be decoded, up to the first that could not; null with `verify: probe` and for `odd_name`.
    pub frames_decoded: Option<u64>,
    /// Degrees clockwise: 0, 90, 180 or 270.
    pub rotation: u32,
    /// Perceptual hashes of the first sound frame of each second, up to 64; a frame in which nothing is to be seen has none.
    /// Empty with `verify: probe`.
    pub hashes: Vec<u64>,
    /// Whether the file is usable.
    pub verdict: Verdict,
    /// Why not, or what is wrong all the same, in words; empty for `ok`.
    pub reason: String,
}

/// Whether a file is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is a video.
    Ok,
    /// It is one, with the same content as a file before it. Usable.
    Duplicate,
    /// It decodes to its end, but parts of frames had to be made up. Usable; found with `verify: decode` only.
    Damaged,
    /// Frames that it declares are not there: it was cut short, or a part of it is lost. With `verify: probe`, only where
    /// that concerns the first frame.
    Truncated,
    /// A frame can't be decoded: the first one, or with `verify: decode` any.
    Undecodable,
    /// It opens, but holds no video.
    NoVideoStream,
    /// FFmpeg can't open it.
    Unreadable,
    /// Its name, or that of a folder that it is in, is not UTF-8, so that no list can name it. It was not opened.
    OddName,
    /// Decoding it took more time than is allowed.
    TimedOut,
    /// Decoding it ended the process that did so.
    Crashed,
}

impl Verdict {
    /// Returns whether the file is used.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Duplicate | Self::Damaged)
    }
}

/// A label of a video, or of a segment of it. Sorted by `split`, `video_id`, start and `class_index`.
///
/// A video with several labels has several rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationRow {
    /// As in `videos`.
    pub video_id: String,
    /// The list it stands in.
    pub split: Split,
    /// From 0.
    pub class_index: u32,
    /// Videos cut from one source: UCF101's `gNN` with its class. Empty if not known.
    pub group: String,
    /// Where the segment begins; `None` if the whole video is meant.
    pub start_secs: Option<f64>,
    /// Where the segment ends.
    pub end_secs: Option<f64>,
    /// Whether `videos` has it with a verdict that is usable. Samples are drawn from these only.
    pub present: bool,
    /// The list, or the folder that is the label.
    pub source_file: String,
    /// From 1; 0 where the label is the name of a folder.
    pub source_line: u32,
}

/// Which list a video stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure on.
    Test,
}

/// A class. Sorted by `class_index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRow {
    /// From 0, without gaps.
    pub class_index: u32,
    /// As in the data set.
    pub class_name: String,
}

/// Where the frames of a video lie: `index.parquet` beside the shards. Sorted by `video_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameIndexRow {
    /// As in `videos`.
    pub video_id: String,
    /// The shard's file name.
    pub shard: String,
    /// The row group that holds this video and no other; one row a frame, in order.
    pub row_group: u32,
    /// Frames stored.
    pub num_frames: u32,
    /// As stored.
    pub width_px: u32,
    /// As stored.
    pub height_px: u32,
    /// Average rate of the stored frames.
    pub fps: f64,
}

/// A clip to be shown to the network. Sorted by `epoch`, then `position`.
///
/// With the shards it decides every pixel: nothing is drawn where clips are made. What comes first is done first: the crop
/// is scaled and mirrored, the operations change its pixels, then it is blended with another clip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// From 0; 0 for test rows.
    pub epoch: u32,
    /// Place in the epoch's order, from 0.
    pub position: u32,
    /// As in `frame_index`.
    pub video_id: String,
    /// Where the segment begins that is shown; `None` if the whole video is.
    pub start_secs: Option<f64>,
    /// Where it ends.
    pub end_secs: Option<f64>,
    /// Its label, from 0; the first of several.
    pub class_index: u32,
    /// Its other labels, rising; empty unless it has several.
    pub more_class_indices: Vec<u32>,
    /// Number of the view of this video or segment, from 0.
    pub view: u32,
    /// Stored frames, by position in the video, `T` of them.
    pub frame_indices: Vec<u32>,
    /// Left edge of the crop, in pixels of the stored frame.
    pub crop_x: f32,
    /// Upper edge.
    pub crop_y: f32,
    /// Width.
    pub crop_width: f32,
    /// Height.
    pub crop_height: f32,
    /// Whether the crop is mirrored left and right.
    pub flip: bool,
    /// Operations on the pixels, in order, as JSON: `[{"brightness":1.2},"equalize"]`. Empty if there are none.
    pub pixel_ops: String,
    /// The clip of this epoch, by `position`, that it is blended with.
    pub mix_position: Option<u32>,
    /// How much of the label and, without `mix_box`, of each pixel comes from that clip; 0 without one.
    pub mix_share: f32,
    /// The box that is taken from that clip: left, top, width and height in pixels of the clip. Empty if all is blended.
    pub mix_box: Vec<u32>,
}

impl SampleRow {
    /// Returns all its labels.
    pub fn class_indices(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(self.class_index).chain(self.more_class_indices.iter().copied())
    }

    /// Returns what the views of one sample have in common: the video, and the bits of the times of its segment. It sorts
    /// as the times do, because none is negative.
    pub fn sample(&self) -> (&str, Option<u64>, Option<u64>) {
        (&self.video_id, self.start_secs.map(f64::to_bits), self.end_secs.map(f64::to_bits))
    }
}

/// An epoch of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingLogRow {
    /// From 0.
    pub epoch: u32,
    /// At the epoch's start.
    pub lr: f64,
    /// Mean cross-entropy over the epoch's clips, in nats.
    pub loss: f64,
    /// Share of clips right while training.
    pub top1: f64,
    /// Mean 2-norm of the gradient before clipping.
    pub grad_norm: f64,
    /// On the test samples, if evaluated after this epoch.
    pub val_top1: Option<f64>,
    /// On the test samples, if evaluated after this epoch.
    pub val_loss: Option<f64>,
}

/// What the network says of a video, or of a segment of it. Sorted by `video_id` and times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// As in `frame_index`.
    pub video_id: String,
    /// Where the segment begins; `None` if the whole video is meant.
    pub start_secs: Option<f64>,
    /// Where it ends.
    pub end_secs: Option<f64>,
    /// The label; the first of several.
    pub class_index: u32,
    /// The other labels, rising; empty unless there are several.
    pub more_class_indices: Vec<u32>,
    /// The class with the highest probability.
    pub predicted_index: u32,
    /// Views averaged.
    pub num_views: u32,
    /// Mean of the views' logits, `K` of them.
    pub logits: Vec<f32>,
    /// By `average_clips`, `K` of them. They sum to 1 if there is one label; of several, each is by itself.
    pub probabilities: Vec<f32>,
}

impl PredictionRow {
    /// Returns all its labels.
    pub fn class_indices(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(self.class_index).chain(self.more_class_indices.iter().copied())
    }
}

/// How many labels a video may have: `labelling.json` of a labels folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labelling {
    /// One: the classes exclude each other, and softmax makes their probabilities.
    #[default]
    SingleLabel,
    /// Several: each class is a question by itself, and the logistic function makes its probability.
    MultiLabel,
}

/// `preprocessing.json` of a samples folder: what a clip must look like for the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// `T` of a training clip.
    pub train_frames: u32,
    /// `T` of a test clip.
    pub test_frames: u32,
    /// `H`.
    pub height_px: u32,
    /// `W`.
    pub width_px: u32,
    /// Epochs drawn.
    pub epochs: u32,
    /// Whether videos have several labels.
    pub labelling: Labelling,
    /// The test pipeline, to be repeated wherever the network is used.
    pub test: crate::stages::augment::ClipPipeline,
    /// Videos of the test list that are absent or could not be decoded, and segments without a frame.
    pub num_missing_test: u64,
    /// Likewise of the training list.
    pub num_missing_train: u64,
}

/// `model.json` of a model folder; beside it lie `checkpoint.safetensors` and `weights.json` (the load report).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The network.
    pub model: crate::networks::ModelParams,
    /// By index.
    pub classes: Vec<String>,
    /// What a clip must look like.
    pub preprocessing: Preprocessing,
    /// BLAKE3 of the graph, in hex.
    pub graph_digest: String,
    /// Epochs trained.
    pub epochs: u32,
}
