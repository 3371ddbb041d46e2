//! The stage `predict`: runs an exported network on videos, with the preprocessing that its file contains.
//!
//! | reads | |
//! |---|---|
//! | `exported` | an ONNX file with the metadata `pipe_schemas::ExportMetadata` |
//! | `videos` | the videos; their files are decoded in helper processes with limits on time and memory |
//!
//! | writes | |
//! |---|---|
//! | `video_predictions.parquet` | one row per video: its prediction, or the reason why there is none |
//!
//! The key has the parameters, the inputs, and the versions of FFmpeg, libjpeg-turbo, ONNX Runtime and OpenVINO.
//!
//! `pipe predict` uses [`VideoReader`], [`open_classifiers`], [`predict_videos`], [`predict_windows`] and [`predict_stream`] without the stage, and `pipe serve` [`predict_one`].

mod annotate;
mod classifiers;
mod error;
mod reader;
mod stage;
mod stream;
mod videos;
mod windows;

pub use annotate::{ANNOTATE_JOB, Annotator};
pub use classifiers::open_classifiers;
pub use error::PredictStageError;
pub use reader::{JOB, ReadVideo, Unusable, VideoReader};
pub use stage::Predict;
pub use stream::{STREAM_JOB, StreamItem, StreamPlan, predict_stream};
pub use videos::{VideoFile, predict_one, predict_videos};
pub use windows::{WindowItem, WindowPlan, predict_windows};
