//! The stage `frames`: videos become JPEG frames in Parquet shards.
//!
//! It reads the `videos` table and the files that it names, and writes `frames/index.parquet` with
//! `frames/shard-00012.parquet` and so on (layout: `pipe_tables::frames`). A video's shard is the first eight bytes of
//! BLAKE3 of its id, read as a little-endian number, modulo `buckets`: an added video touches one shard. A bucket without
//! videos has no file.
//!
//! The table, the files' contents, the parameters and the versions of FFmpeg and libjpeg-turbo decide every byte. A file
//! whose content is not that of the table stops the stage.
//!
//! [`sample`] says which frames are kept, [`encode`] makes them, [`shards`] writes them.

mod encode;
mod error;
mod sample;
mod shards;
mod stage;

pub use error::FramesError;
pub use stage::Frames;
