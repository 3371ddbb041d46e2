//! [`FrameShards`]: reads any frames of any video through the index.

use super::INDEX_FILE;
use super::page::jpeg_of_page;
use super::shard::Shard;
use crate::buffer::FrameBuffer;
use crate::{TableError, read_rows};
use bytes::Bytes;
use parquet::file::metadata::RowGroupMetaData;
use pipe_schemas::tables::FrameIndexRow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The shards of a folder. Threads can read them in parallel.
pub struct FrameShards {
    folder: PathBuf,
    index: Vec<FrameIndexRow>,
    shards: BTreeMap<String, OnceLock<Shard>>,
}

impl FrameShards {
    /// Reads the index of `folder`. A shard is opened when it is first read.
    pub fn open(folder: &Path) -> Result<Self, TableError> {
        Self::open_with_index(folder, &folder.join(INDEX_FILE))
    }

    /// Reads an index that is not in the folder of its shards.
    pub fn open_with_index(folder: &Path, path: &Path) -> Result<Self, TableError> {
        let index: Vec<FrameIndexRow> = read_rows(path)?;
        let content = |message| TableError::Content { path: path.into(), message };
        if let Some(pair) = index.windows(2).find(|pair| pair[0].video_id >= pair[1].video_id) {
            let (first, second) = (&pair[0].video_id, &pair[1].video_id);
            return Err(content(format!("`{first}` comes before `{second}`, but rows must be sorted and distinct")));
        }
        if let Some(row) = index.iter().find(|row| row.shard.contains('/') || row.shard.starts_with('.')) {
            return Err(content(format!(
                "`{}` of video `{}` is not the name of a file in the folder of the index",
                row.shard, row.video_id
            )));
        }
        let shards = index.iter().map(|row| (row.shard.clone(), OnceLock::new())).collect();
        Ok(Self { folder: folder.into(), index, shards })
    }

    /// Returns the rows of the index, sorted by `video_id`.
    pub fn index(&self) -> &[FrameIndexRow] {
        &self.index
    }

    /// Returns the row of a video.
    pub fn find(&self, video_id: &str) -> Option<&FrameIndexRow> {
        let found = self.index.binary_search_by(|row| row.video_id.as_str().cmp(video_id));
        found.ok().map(|position| &self.index[position])
    }

    /// Returns frames of the video at `row` as image files, in the order of `frame_indices`.
    ///
    /// They are slices of the mapped file: only the pages of these frames are read, and nothing is copied.
    ///
    /// # Errors
    /// [`TableError::Content`] if a frame does not exist, or the shard does not match the index.
    pub fn read(&self, row: &FrameIndexRow, frame_indices: &[u32]) -> Result<Vec<Bytes>, TableError> {
        let shard = self.shard_of(row)?;
        let content = |message| TableError::Content { path: self.folder.join(&row.shard), message };
        if let Some(index) = frame_indices.iter().find(|&&index| index >= row.num_frames) {
            let last = row.num_frames.saturating_sub(1);
            return Err(content(format!(
                "frame {index} of video `{}` does not exist: it has frames 0 to {last}",
                row.video_id
            )));
        }
        let pages = shard.metadata.metadata().page_index_for_row_group(row.row_group as usize);
        let pages = pages.page_locations(shard.jpeg_column).map_or(&[][..], Vec::as_slice);
        let frame = |index: &u32| {
            let page = pages.get(*index as usize).filter(|page| page.first_row_index == i64::from(*index))?;
            let start = usize::try_from(page.offset).ok()?;
            let end = start.checked_add(usize::try_from(page.compressed_page_size).ok()?)?;
            let place = jpeg_of_page(shard.source.get(start..end)?)?;
            Some(shard.source.slice(start + place.start..start + place.end))
        };
        let found = |index: &u32| {
            let missing = || content(format!("frame {index} of video `{}` has no page of its own", row.video_id));
            frame(index).ok_or_else(missing)
        };
        frame_indices.iter().map(found).collect()
    }

    /// Returns the presentation times of the frames of the video at `row`, ascending.
    ///
    /// # Errors
    /// [`TableError::Content`] if the shard does not match the index.
    pub fn pts_nanos(&self, row: &FrameIndexRow) -> Result<Vec<i64>, TableError> {
        let times = self.shard_of(row)?.read_times(row.row_group as usize);
        times.map_err(|source| TableError::Parquet { path: self.folder.join(&row.shard), source })
    }

    /// Reads all frames of the video at `row`. Temporary files of the buffer are in `folder`.
    ///
    /// # Errors
    /// [`TableError::Content`] if the shard does not match the index.
    pub fn read_video(&self, row: &FrameIndexRow, folder: &Path) -> Result<FrameBuffer, TableError> {
        let shard = self.shard_of(row)?;
        let path = || self.folder.join(&row.shard);
        let mut frames = FrameBuffer::new(folder);
        let video_ids = shard
            .read_all(row.row_group as usize, &mut frames)
            .map_err(|source| TableError::Parquet { path: path(), source })?;
        if video_ids.iter().any(|video_id| *video_id != row.video_id) || frames.len() != row.num_frames as usize {
            let message = format!("row group {} does not hold the video `{}`", row.row_group, row.video_id);
            return Err(TableError::Content { path: path(), message });
        }
        Ok(frames)
    }

    /// Returns the shard of a video after comparing its number of frames with the index.
    fn shard_of(&self, row: &FrameIndexRow) -> Result<&Shard, TableError> {
        let shard = self.shard(&row.shard)?;
        let row_groups = shard.metadata.metadata().row_groups();
        let stored = row_groups.get(row.row_group as usize).map(RowGroupMetaData::num_rows);
        if stored == Some(i64::from(row.num_frames)) {
            return Ok(shard);
        }
        let found = stored.map_or("does not exist".to_owned(), |count| format!("has {count} frames"));
        let message = format!(
            "row group {} {found}, expected the {} frames of video `{}`",
            row.row_group, row.num_frames, row.video_id
        );
        Err(TableError::Content { path: self.folder.join(&row.shard), message })
    }

    fn shard(&self, name: &str) -> Result<&Shard, TableError> {
        let path = self.folder.join(name);
        let Some(cell) = self.shards.get(name) else {
            let message = "this shard is not in the index".to_owned();
            return Err(TableError::Content { path, message });
        };
        if let Some(shard) = cell.get() {
            return Ok(shard);
        }
        // If two threads open it, one of the two is kept.
        let shard = Shard::open(&path)?;
        Ok(cell.get_or_init(|| shard))
    }
}
