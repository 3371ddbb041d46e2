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
//! Files are spread over 16 parts by their paths, each kept and made alone:
//!
//! | decides a part | left out |
//! |---|---|
//! | number of the part | other parts |
//! | `verify`, `limits` | `on_error`, and what a file counts as that is the copy of another: judged when parts are put together |
//! | its files: path and content | `root`, `include` and `exclude`, which only decide which files there are |
//! | version of FFmpeg | |
//!
//! A part in which some files changed takes what was found in the others from its older version: an added video is looked
//! at alone, and a run that is killed goes on where it was.
//!
//! A file whose name is not UTF-8 is not opened: it has the verdict `odd_name`, a path that begins with `./` and holds what is not
//! UTF-8 in hex, and a reason that asks to rename it.
//!
//! A `video_id` is the path without its extension: `Biking/v_Biking_g01_c04`. Where two files would share one
//! (`a.avi` and `a.mp4`), each of them keeps its extension.

mod error;
mod examine;
mod ids;
mod parts;
mod stage;

pub use error::IngestError;
pub use examine::JOB;
pub use stage::Ingest;
