//! The messages of `pipe predict` and `pipe serve` with `pipe-infer-worker`: one job on its stdin, and replies on its stdout.

use super::paths;
use pipe_schemas::engines::{ExecutionProvider, InferenceEngine, InferencePrecision};
use pipe_schemas::tables::VideoPredictionRow;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The model, and how it is run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelJob {
    /// The exported file.
    #[serde(with = "paths")]
    pub model: PathBuf,
    /// The program that runs it.
    pub engine: InferenceEngine,
    /// What computes.
    pub provider: ExecutionProvider,
    /// What convolutions and linear layers compute with.
    pub precision: InferencePrecision,
    /// Number of threads, at least 1.
    pub threads: usize,
    /// Number of views per forward pass, at least 1.
    pub batch_size: usize,
}

/// Videos to predict.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictJob {
    /// The exported file, and how it is run.
    pub model: ModelJob,
    /// The videos, in the order of the rows.
    pub videos: Vec<VideoPath>,
    /// A stream instead of videos; it needs windows.
    pub stream: Option<StreamJob>,
    /// Windows of the videos; without it, a video is predicted as a whole.
    pub windows: Option<WindowJob>,
    /// Where to write all rows as Parquet.
    #[serde(with = "paths::optional")]
    pub table: Option<PathBuf>,
    /// The folder for copies of the videos with their predictions.
    #[serde(with = "paths::optional")]
    pub annotate: Option<PathBuf>,
}

/// A video that arrives over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamJob {
    /// Its name in the rows.
    pub name: String,
    /// An RTSP or HTTP URL, or `pipe:N` for a file descriptor that the worker inherits.
    pub url: String,
    /// How many attempts in a row may fail to connect a live stream again.
    pub max_attempts: u32,
}

/// A video to predict.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoPath {
    /// The file.
    #[serde(with = "paths")]
    pub path: PathBuf,
}

/// The windows of long videos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowJob {
    /// Length of a window, in seconds.
    pub length_secs: f64,
    /// Time between the starts of two windows, in seconds.
    pub stride_secs: f64,
    /// Number of windows whose probabilities are averaged.
    pub smoothing: usize,
    /// Alert rules, such as `Biking>=0.8,release=0.5,min=2`.
    pub alerts: Vec<String>,
}

/// A reply to a [`PredictJob`]. The last one is [`PredictReply::Finished`] or [`PredictReply::Failed`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum PredictReply {
    /// The model is ready.
    Ready {
        /// Name and version of the engine.
        engine: String,
        /// Class names by index.
        labels: Vec<String>,
    },
    /// A prediction, or why there is none.
    Row {
        /// The prediction of a video or window, or its verdict.
        row: VideoPredictionRow,
        /// Time from the last frame of a window of a stream to its prediction, in seconds.
        latency_secs: Option<f64>,
    },
    /// An event in a video.
    Event {
        /// The video.
        video_id: String,
        /// Class name.
        class: String,
        /// Start of the first window, in seconds from the first frame.
        start_secs: f64,
        /// End of the last window.
        end_secs: f64,
        /// The highest probability.
        max_probability: f32,
        /// Number of windows.
        num_windows: u64,
    },
    /// A copy of a video with its predictions, or why there is none.
    Annotated {
        /// Name of the video.
        video_id: String,
        /// Path of the copy.
        #[serde(with = "paths::optional")]
        path: Option<PathBuf>,
        /// Why there is no copy, or how it differs in length from the video; empty for a complete copy.
        reason: String,
    },
    /// A stream was interrupted.
    Reconnecting {
        /// The cause, in one line.
        reason: String,
        /// Time until the next attempt.
        pause_secs: f64,
        /// Its number, from 1.
        attempt: u32,
    },
    /// A stream has ended.
    StreamDone(StreamReport),
    /// A video is complete.
    VideoDone,
    /// All videos are complete.
    Finished,
    /// The job failed.
    Failed {
        /// What went wrong, in one line.
        error: String,
        /// Its causes, outermost first.
        causes: Vec<String>,
        /// What to do.
        help: Option<String>,
    },
}

/// What was made of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Number of frames that the network may see.
    pub num_frames: u64,
    /// Number of those in no window that was predicted, because the network was too slow.
    pub num_dropped_frames: u64,
    /// Number of windows.
    pub num_windows: u64,
    /// Number of those that were dropped because the network was too slow.
    pub num_dropped_windows: u64,
    /// How often the stream was opened.
    pub num_connections: u64,
    /// Mean time from the last frame of a window to its prediction, in seconds.
    pub mean_latency_secs: f64,
    /// The longest such time.
    pub max_latency_secs: f64,
    /// What the decoder passed over, per connection that was not intact.
    pub damage: Vec<String>,
}

/// An HTTP server of predictions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeJob {
    /// The exported file, and how it is run.
    pub model: ModelJob,
    /// Address and port to listen on, such as `127.0.0.1:8000`; port 0 stands for a free one.
    pub address: String,
    /// The folder below which requests may name videos; without it they must upload them.
    #[serde(with = "paths::optional")]
    pub root: Option<PathBuf>,
    /// Largest size of an uploaded video.
    pub max_upload_bytes: u64,
    /// Longest time for a request, from its first byte to the response.
    pub timeout_secs: u64,
    /// Maximum number of connections.
    pub max_connections: usize,
}

/// A message of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum ServeReply {
    /// It accepts requests.
    Listening {
        /// Address and port.
        address: String,
        /// Name and version of the engine.
        engine: String,
    },
    /// It has answered all requests, and ended.
    Stopped {
        /// Number of requests.
        num_requests: u64,
    },
    /// It could not start.
    Failed {
        /// What went wrong, in one line.
        error: String,
        /// Its causes, outermost first.
        causes: Vec<String>,
        /// What to do.
        help: Option<String>,
    },
}
