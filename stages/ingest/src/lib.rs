//! The stage `ingest`: lists the videos of a folder in the `videos` table.
//!
//! It reads the folder of the input `folder` or of the parameter `root`, and writes `videos.parquet` with one row for each file
//! that matches the globs, usable or not: its digest, its properties according to FFmpeg, and a verdict with its reason. The table
//! depends on the names and contents of these files, the parameters and the version of FFmpeg, but not on the location of the
//! folder. Files are examined in helper processes (`pipe_stage::Helpers`) with limits on time and memory, and never changed.
//!
//! With `verify: decode`, a row also has a few perceptual hashes of the video, with which `annotations` finds copies that were
//! encoded again.
//!
//! Files are distributed over 16 parts by their paths. Each part is made and cached independently:
//!
//! | in the key of a part | not in the key |
//! |---|---|
//! | number of the part | other parts |
//! | `verify`, `limits` | `on_error`, `on_damage` and duplicates, which are decided when the parts are assembled |
//! | its files: path and content | `root`, `include` and `exclude`, which only determine the list of files |
//! | version of FFmpeg | |
//!
//! A part in which some files changed takes the results for the others from its older version: only an added video is examined,
//! and a run that was killed continues where it stopped.
//!
//! A file with a name that is not UTF-8 is not opened. It has the verdict `odd_name`, a path that begins with `./` and has the
//! other bytes in hex, and a reason with the advice to rename it.
//!
//! A `video_id` is the path without its extension: `Biking/v_Biking_g01_c04`. If two files would share an id (`a.avi` and
//! `a.mp4`), both keep their extension.

mod error;
mod examine;
mod ids;
mod parts;
mod stage;

pub use error::IngestError;
pub use examine::JOB;
pub use stage::Ingest;
