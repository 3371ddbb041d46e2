//! [`Faithfulness`]: whether the network needs the pixels that a heat map marks.

use super::{Method, Removal};
use crate::tables::MissingCounts;
use serde::Serialize;

/// The content of `faithfulness.json`. A heat map is faithful if the probability of the class falls more when the marked pixels are removed
/// than when random regions of the same size and shape are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Faithfulness {
    /// The method.
    pub method: Method,
    /// The layer of the heat maps; the last attention for attention rollout.
    pub layer: String,
    /// Number of frames, rows and columns of that layer.
    pub layer_grid: [usize; 3],
    /// How pixels are removed.
    pub removal: Removal,
    /// Share of the pixels that are removed.
    pub region: f64,
    /// Number of random regions per video.
    pub num_random_regions: u32,
    /// Number of videos that the means are over: those with a heat map that marks anything.
    pub num_videos: u64,
    /// Number of videos that were explained, but whose heat map is the same everywhere.
    pub num_without_marks: u64,
    /// Number of videos with test samples, from which the videos were chosen; segments count as videos.
    pub num_test_videos: u64,
    /// Why other videos of the test list have no samples.
    pub missing: MissingCounts,
    /// Mean probability of the class; `None` without videos, as the other means.
    pub probability: Option<f64>,
    /// The same without the marked pixels.
    pub without_marked: Option<f64>,
    /// The same without random regions, averaged over them.
    pub without_random: Option<f64>,
    /// Number of videos whose probability falls more without the marked pixels than without random ones on average.
    pub num_faithful: u64,
    /// Each video, in the order of the contact sheet.
    pub videos: Vec<VideoFaithfulness>,
}

/// The figures of one video.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VideoFaithfulness {
    /// Id of the video.
    pub video_id: String,
    /// Start of the segment; `None` for the whole video.
    pub start_secs: Option<f64>,
    /// End of the segment; `None` for the whole video.
    pub end_secs: Option<f64>,
    /// Name of the label; the first of several.
    pub label: String,
    /// Name of the predicted class, over all views.
    pub predicted: String,
    /// Name of the class that evidence is searched for.
    pub target: String,
    /// Number of the view that is shown, from 0.
    pub view: u32,
    /// Whether the heat map marks anything; the probabilities below are not measured if not.
    pub has_marks: bool,
    /// Probability of the class on the shown view.
    pub probability: f64,
    /// The same without the marked pixels.
    pub without_marked: Option<f64>,
    /// The same without each random region.
    pub without_random: Vec<f64>,
}
