//! The stage `frames`: stores the frames of videos as image files in Parquet shards.
//!
//! It reads the `videos` table and the files that the table names. It writes `frames/index.parquet`, `frames/recipe.json`
//! (how the images were made), and `frames/shard-00012.parquet` and so on (layout: `pipe_tables::frames`). The shard of a video is the first eight bytes of the
//! BLAKE3 hash of its id, read as a little-endian number, modulo `buckets`: an added video changes one shard. A bucket without
//! videos has no file.
//!
//! Each bucket with usable videos is a part, which is made and cached independently:
//!
//! | in the key of a part | not in the key |
//! |---|---|
//! | number of the bucket | `buckets`, which only determines the videos of each part |
//! | `sample`, `resize`, `encode`, `limits` | `on_error`: a part records its unreadable videos, and assembling the parts decides |
//! | its videos: id, content, and the extension of the path, which FFmpeg uses too | the rest of the path, and the columns of `videos`, which follow from the content |
//! | versions of FFmpeg and libjpeg-turbo | other buckets |
//!
//! Videos are decoded in helper processes (`pipe_stage::Helpers`) with limits on time and memory: a video that crashes or hangs
//! the decoder is skipped like any other that can't be decoded. The memory of the stage does not grow with the length of videos.
//!
//! A part in which only some videos changed takes the frames of the others from its older version, with the same bytes as a part
//! made from scratch. Beside its shard, a part has two notes: `index.parquet` with its rows of the index, and `skipped.json` with
//! its videos that can't be decoded.
//!
//! The stage fails if a file does not have the content that the table records.
//!
//! Start with [`plan`], which lists the parts. [`encode`] encodes the frames in helper processes, [`shards`]
//! writes them, and [`notes`] are the files that a part leaves for the index.

mod encode;
mod error;
mod notes;
mod plan;
mod shards;
mod stage;

pub use encode::JOB;
pub use error::FramesError;
pub use stage::Frames;
