//! The stage `evaluate`: runs a trained network or an exported file on every test view.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel`; with `engine: libtorch` |
//! | `exported` | an ONNX file, see `pipe_predict::ExportedModel`; with the other engines |
//! | `frames` | frame shards |
//! | `samples` | the views of each test video, and how many test videos are missing |
//! | `labels` | optional: the groups of videos, for intervals, and the lists that name them |
//! | `videos` | optional: sizes, rates, codecs and folders of videos, for slices |
//!
//! | writes | |
//! |---|---|
//! | `metrics.json` | the metrics of `pipe-metrics` with denominators and intervals, and the number of videos that are missing |
//! | `predictions.parquet` | one row per video |
//! | `report/` | see `pipe_evaluation` |
//!
//! `network.rs` makes logits, `report.rs` all that follows from them; `known.rs` reads before that what is known about the videos. The key has all parameters (the batch size affects rounding), all inputs
//! and the versions of libtorch, libjpeg-turbo, ONNX Runtime and OpenVINO.

mod known;
mod network;
mod report;
mod stage;

pub use stage::Evaluate;
