//! Frame shards: Parquet files whose rows are frames, each a JPEG, PNG or PPM file. [`ShardWriter`] writes a shard,
//! [`FrameShards`] reads a folder of them.
//!
//! ```text
//! frames/index.parquet          FrameIndexRow, sorted by video_id
//! frames/recipe.json            FrameRecipe: how the images were made
//! frames/shard-00012.parquet    one row group per video, one row per frame
//! ```
//!
//! The columns are `video_id`, `frame_index`, `pts_nanos`, `height`, `width` and `image: {bytes, path}`, the form in which
//! Hugging Face `datasets` stores images; its schema is in the metadata, so that `datasets` decodes them. `image.bytes` is
//! neither compressed nor dictionary-coded, and each frame has a page of its own, so that a reader can load single frames.
//! A row group is a whole video. While it is written, the part that exceeds the memory limit is in a temporary file.

mod page;
mod shard;
mod shards;
mod writer;

pub use crate::buffer::{FrameBuffer, SPILL_BYTES};
pub use shards::FrameShards;
pub use writer::ShardWriter;

use crate::{TableError, read_json};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use pipe_schemas::stages::frames::FrameRecipe;
use std::path::Path;
use std::sync::Arc;

const TABLE: &str = "frames";
const VERSION: u32 = 1;

/// File name of the index, in the folder of the shards.
pub const INDEX_FILE: &str = "index.parquet";

/// File name of the recipe, in the folder of the shards.
pub const RECIPE_FILE: &str = "recipe.json";

/// Reads how the images in a folder of shards were made.
///
/// # Errors
/// [`TableError`] if the folder has no readable `recipe.json`, as with frames from an older version of `pipe`.
pub fn read_recipe(folder: &Path) -> Result<FrameRecipe, TableError> {
    read_json(&folder.join(RECIPE_FILE))
}

/// The column of image files.
const JPEG_COLUMN: &str = "image.bytes";

/// A stored frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// Presentation time, in nanoseconds from an arbitrary start.
    pub pts_nanos: i64,
    /// An image file, usually JPEG.
    pub jpeg: Vec<u8>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("video_id", DataType::Utf8, false),
        Field::new("frame_index", DataType::Int32, false),
        Field::new("pts_nanos", DataType::Int64, false),
        Field::new("height", DataType::Int32, false),
        Field::new("width", DataType::Int32, false),
        // Nullable, because `datasets` decodes only this type. No value is null.
        Field::new("image", DataType::Struct(image_fields()), true),
    ]))
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

#[cfg(test)]
mod tests {
    use super::shard::Shard;
    use super::*;
    use crate::write_rows;
    use pipe_schemas::tables::FrameIndexRow;

    fn jpeg(video: u8, frame: u8) -> Vec<u8> {
        vec![video.wrapping_mul(31) ^ frame; 1000 + 10 * usize::from(frame)]
    }

    fn video(video: u8, count: u8) -> Vec<EncodedFrame> {
        let frame = |index| EncodedFrame { pts_nanos: i64::from(index) * 40_000_000, jpeg: jpeg(video, index) };
        (0..count).map(frame).collect()
    }

    /// Writes videos `a` (5 frames) and `b` (200 frames) into one shard, with an index.
    fn write(folder: &Path) -> Vec<FrameIndexRow> {
        let mut writer = ShardWriter::create(&folder.join("shard-00000.parquet")).expect("created");
        let mut rows = Vec::new();
        for (number, (video_id, count)) in [("a", 5), ("b", 200)].into_iter().enumerate() {
            let row_group = writer.write_video(video_id, &video(number as u8, count), 40, 30).expect("written");
            assert_eq!(row_group as usize, number);
            rows.push(FrameIndexRow {
                video_id: video_id.into(),
                shard: "shard-00000.parquet".into(),
                row_group,
                num_frames: u32::from(count),
                width_px: 40,
                height_px: 30,
                fps: 25.0,
            });
        }
        writer.finish().expect("finished");
        write_rows(&folder.join(INDEX_FILE), &rows).expect("written");
        rows
    }

    #[test]
    fn frames_are_read_back_in_any_order() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        assert_eq!(shards.index().len(), 2);
        assert!(shards.find("c").is_none());
        let check = |video_id: &str, number: u8, indices: &[u32]| {
            let row = shards.find(video_id).expect("there");
            let expect: Vec<_> = indices.iter().map(|&index| jpeg(number, index as u8)).collect();
            assert_eq!(shards.read(row, indices).expect("read"), expect, "{video_id} {indices:?}");
        };
        check("a", 0, &[0, 1, 2, 3, 4]);
        check("b", 1, &[199, 0, 57, 57, 56, 199, 199]);
        check("b", 1, &[3]);
        check("b", 1, &[]);
        // The length of an image changes the length of its page header.
        for bytes in [0, 1, 59, 60, 8_000, 70_000, 3_000_000] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut writer = ShardWriter::create(&folder.path().join("shard-00000.parquet")).expect("created");
            let frame = EncodedFrame { pts_nanos: 0, jpeg: vec![7; bytes] };
            writer.write_video("a", &[frame.clone(), frame], 40, 30).expect("written");
            writer.finish().expect("finished");
            let row = FrameIndexRow { num_frames: 2, ..shards.index()[0].clone() };
            write_rows(&folder.path().join(INDEX_FILE), std::slice::from_ref(&row)).expect("written");
            let shards = FrameShards::open(folder.path()).expect("opened");
            assert_eq!(shards.read(&row, &[1, 0]).expect("read"), [vec![7; bytes], vec![7; bytes]]);
        }
    }

    #[test]
    fn a_whole_video_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let index = folder.path().join("elsewhere");
        fs_err::rename(folder.path().join(INDEX_FILE), &index).expect("moved");
        let shards = FrameShards::open_with_index(folder.path(), &index).expect("opened");
        let read = |row: &FrameIndexRow| shards.read_video(row, folder.path());
        assert_eq!(read(&rows[0]).expect("read").to_vec().expect("frames"), video(0, 5));
        assert_eq!(read(&rows[1]).expect("read").to_vec().expect("frames"), video(1, 200));
        let times: Vec<i64> = (0..200).map(|index| index * 40_000_000).collect();
        assert_eq!(shards.pts_nanos(&rows[1]).expect("read"), times);
        let error = read(&FrameIndexRow { video_id: "c".into(), ..rows[1].clone() }).err().expect("another");
        assert!(error.to_string().ends_with("row group 1 does not hold the video `c`"), "{error}");
    }

    #[test]
    fn threads_read_in_parallel() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        let row = shards.find("b").expect("there");
        std::thread::scope(|scope| {
            for start in 0..8_u32 {
                let shards = &shards;
                scope.spawn(move || {
                    for index in (start..200).step_by(8) {
                        assert_eq!(shards.read(row, &[index]).expect("read"), [jpeg(1, index as u8)]);
                    }
                });
            }
        });
    }

    #[test]
    fn equal_frames_are_equal_bytes_and_each_has_a_page() {
        let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        write(one.path());
        write(two.path());
        let bytes = |folder: &Path| fs_err::read(folder.join("shard-00000.parquet")).expect("read");
        assert_eq!(bytes(one.path()), bytes(two.path()));
        let shard = Shard::open(&one.path().join("shard-00000.parquet")).expect("opened");
        let pages = shard.metadata.metadata().page_index_for_row_group(1);
        let count = |column| pages.page_locations(column).expect("an offset index").len();
        assert_eq!((count(1), count(5)), (1, 200)); // frame_index and image.bytes
    }

    /// If this fails, raise the versions of the stages that write shards: stores contain other bytes.
    #[test]
    fn bytes_stay_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let digest = |name: &str| {
            let bytes = fs_err::read(folder.path().join(name)).expect("read");
            blake3::hash(&bytes).to_hex()[..16].to_owned()
        };
        assert_eq!([digest("shard-00000.parquet"), digest(INDEX_FILE)], ["e69a553af0811bd1", "3932b8965a32e914"]);
    }

    #[test]
    fn missing_frames_and_videos_are_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let shards = FrameShards::open(folder.path()).expect("opened");
        let check = |row: &FrameIndexRow, indices: &[u32], expect: &str| {
            let error = shards.read(row, indices).expect_err("not there");
            assert!(error.to_string().contains(expect), "{error}");
        };
        check(&rows[0], &[0, 5], "frame 5 of video `a` does not exist: it has frames 0 to 4");
        check(&FrameIndexRow { row_group: 7, ..rows[0].clone() }, &[0], "row group 7 does not exist");
        check(&FrameIndexRow { num_frames: 4, ..rows[0].clone() }, &[0], "5 frames");
        check(&FrameIndexRow { shard: "other".into(), ..rows[0].clone() }, &[0], "is not in the index");
    }

    #[test]
    fn a_broken_shard_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = write(folder.path());
        let path = folder.path().join("shard-00000.parquet");
        let bytes = fs_err::read(&path).expect("read");
        for length in [0, 3, 100, bytes.len() / 2, bytes.len() - 1] {
            fs_err::write(&path, &bytes[..length]).expect("written");
            let shards = FrameShards::open(folder.path()).expect("opened");
            shards.read(&rows[1], &[199]).expect_err("truncated");
        }
    }

    #[test]
    fn a_video_without_frames_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = ShardWriter::create(&folder.path().join("a.parquet")).expect("created");
        assert!(writer.write_video("a", &[], 1, 1).is_err());
    }
}
