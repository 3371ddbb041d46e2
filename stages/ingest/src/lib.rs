//! The stage `ingest`: a folder of files becomes the `videos` table.
//!
//! It reads the folder of the input `folder` or of the parameter `root`, and writes `videos.parquet`: a row for each file
//! that fits the globs, usable or not, with its digest, what FFmpeg finds in it, and a verdict with its reason. Names and
//! contents of these files, the parameters and FFmpeg's version decide the table; where the folder lies does not. Files are
//! looked at in helpers (`pipe_stage::Helpers`), with limits on time and memory, and never changed.
//!
//! With `verify: decode`, a row also has a few perceptual hashes of the video, by which `annotations` finds copies that were
//! coded anew.
//!
//! A `video_id` is the path without its extension: `Biking/v_Biking_g01_c04`. Where two files would share one
//! (`a.avi` and `a.mp4`), each of them keeps its extension.

mod error;
mod examine;
mod ids;
mod stage;

pub use error::IngestError;
pub use examine::JOB;
pub use stage::Ingest;
