//! The stage `explain`: where in test clips a network finds the evidence for a class, and whether it needs what is marked.
//!
//! | reads | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `frames`, `samples` | the test views; one view of each chosen video is shown, the one in the middle |
//!
//! | writes | |
//! |---|---|
//! | `heat_maps.parquet` | a row per frame of the shown clips, see `pipe_schemas::tables::HeatMapRow` |
//! | `faithfulness.json` | the probability of the class with and without the marked pixels, see `pipe_schemas::stages::explain::Faithfulness` |
//! | `contact_sheet.png` | the frames of each clip, and below them the same with heat maps |
//! | `videos/` | an MP4 file per video: the frames with heat maps |
//!
//! The key holds the parameters, all inputs, and the versions of libtorch, libjpeg-turbo and FFmpeg.

mod clip;
mod error;
mod pictures;
mod region;
mod select;
mod stage;

pub use error::ExplainError;
pub use region::{marked, removed, shifted};
pub use stage::Explain;
