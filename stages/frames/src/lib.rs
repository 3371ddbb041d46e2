//! The stage `frames`: videos become image files in Parquet shards.
//!
//! It reads the `videos` table and the files that it names, and writes `frames/index.parquet` with
//! `frames/shard-00012.parquet` and so on (layout: `pipe_tables::frames`). A video's shard is the first eight bytes of
//! BLAKE3 of its id, read as a little-endian number, modulo `buckets`: an added video touches one shard. A bucket without
//! videos has no file.
//!
//! Each bucket with usable videos is a part, kept and made alone:
//!
//! | decides a part | left out |
//! |---|---|
//! | number of the bucket | `buckets`, which only decides what lies in which |
//! | `sample`, `resize`, `encode`, `limits` | `on_error`: an unreadable video is noted in its part, and judged when parts are put together |
//! | its videos: id, content, and what stands behind the last dot of the path, which FFmpeg goes by too | the rest of the path, and the columns of `videos`, all of which follow from the content |
//! | versions of FFmpeg and libjpeg-turbo | other buckets |
//!
//! Videos are decoded in helpers (`pipe_stage::Helpers`), with limits on time and memory: one that crashes or hangs the
//! decoder is skipped like any other that can't be decoded. What a stage holds in memory does not grow with the length of
//! its videos.
//!
//! A part in which only some videos changed takes the frames of the others from its older version, and gives the
//! bytes of one made from scratch. Beside its shard a part has two notes: `index.parquet`, its rows of the index, and
//! `skipped.json`, its videos that can't be decoded.
//!
//! A file whose content is not that of the table stops the stage.
//!
//! [`plan`] lists the parts, [`encode`] makes the frames that `pipe_video::RecipeFrames` keeps, [`shards`] writes them, and
//! [`notes`] are what a part leaves for the index.

mod encode;
mod error;
mod notes;
mod plan;
mod shards;
mod stage;

pub use encode::JOB;
pub use error::FramesError;
pub use stage::Frames;
