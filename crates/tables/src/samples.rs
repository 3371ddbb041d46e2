//! [`SamplesFolder`]: the artifact of the stage `augment`.

use crate::{TableError, num_rows, read_json, read_rows, write_json, write_rows};
use pipe_schemas::tables::{ClassRow, MissingRow, Preprocessing, SampleRow};
use std::path::{Path, PathBuf};

/// The clips that a network is trained and tested on.
///
/// ```text
/// samples/train/epoch-0000.parquet   SampleRow: the clips of the first epoch, in the order in which they are shown
/// samples/train/epoch-0001.parquet
/// samples/test.parquet               SampleRow: the test views, in the order of the videos
/// samples/classes.parquet            ClassRow
/// samples/missing.parquet            MissingRow: the listed videos and segments that have no samples
/// samples/preprocessing.json         Preprocessing
/// ```
///
/// An epoch is a file of its own, so that a reader holds one epoch at a time and that more epochs leave the files of the
/// first ones as they are.
#[derive(Debug, Clone)]
pub struct SamplesFolder {
    path: PathBuf,
}

impl SamplesFolder {
    /// Returns the artifact at `path`. Each file is read when it is asked for.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads the clips of one epoch of training, sorted by position.
    pub fn epoch(&self, epoch: u32) -> Result<Vec<SampleRow>, TableError> {
        read_rows(&self.epoch_path(epoch))
    }

    /// Returns the number of clips of an epoch without reading them.
    pub fn num_clips(&self, epoch: u32) -> Result<usize, TableError> {
        num_rows::<SampleRow>(&self.epoch_path(epoch))
    }

    /// Returns the digest of an epoch's file, in hex. Equal rows give equal digests.
    pub fn epoch_digest(&self, epoch: u32) -> Result<String, TableError> {
        digest(&self.epoch_path(epoch))
    }

    /// Reads the test views, sorted by position.
    pub fn test(&self) -> Result<Vec<SampleRow>, TableError> {
        read_rows(&self.test_path())
    }

    /// Returns the number of test views without reading them.
    pub fn num_test_views(&self) -> Result<usize, TableError> {
        num_rows::<SampleRow>(&self.test_path())
    }

    /// Returns the digest of the file of test views, in hex. Equal rows give equal digests.
    pub fn test_digest(&self) -> Result<String, TableError> {
        digest(&self.test_path())
    }

    /// Reads the classes, sorted by index.
    pub fn classes(&self) -> Result<Vec<ClassRow>, TableError> {
        read_rows(&self.classes_path())
    }

    /// Reads the listed videos and segments that have no samples.
    pub fn missing(&self) -> Result<Vec<MissingRow>, TableError> {
        read_rows(&self.missing_path())
    }

    /// Reads what the clips look like.
    pub fn preprocessing(&self) -> Result<Preprocessing, TableError> {
        read_json(&self.preprocessing_path())
    }

    /// Writes the clips of one epoch of training.
    pub fn write_epoch(&self, epoch: u32, rows: &[SampleRow]) -> Result<(), TableError> {
        let path = self.epoch_path(epoch);
        fs_err::create_dir_all(path.parent().unwrap_or(&self.path))?;
        write_rows(&path, rows)
    }

    /// Writes the test views.
    pub fn write_test(&self, rows: &[SampleRow]) -> Result<(), TableError> {
        fs_err::create_dir_all(&self.path)?;
        write_rows(&self.test_path(), rows)
    }

    /// Writes the classes.
    pub fn write_classes(&self, classes: &[ClassRow]) -> Result<(), TableError> {
        fs_err::create_dir_all(&self.path)?;
        write_rows(&self.classes_path(), classes)
    }

    /// Writes the listed videos and segments that have no samples.
    pub fn write_missing(&self, rows: &[MissingRow]) -> Result<(), TableError> {
        fs_err::create_dir_all(&self.path)?;
        write_rows(&self.missing_path(), rows)
    }

    /// Writes what the clips look like.
    pub fn write_preprocessing(&self, preprocessing: &Preprocessing) -> Result<(), TableError> {
        fs_err::create_dir_all(&self.path)?;
        write_json(&self.preprocessing_path(), preprocessing)
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn epoch_path(&self, epoch: u32) -> PathBuf {
        self.path.join(format!("train/epoch-{epoch:04}.parquet"))
    }

    fn test_path(&self) -> PathBuf {
        self.path.join("test.parquet")
    }

    fn classes_path(&self) -> PathBuf {
        self.path.join("classes.parquet")
    }

    fn missing_path(&self) -> PathBuf {
        self.path.join("missing.parquet")
    }

    fn preprocessing_path(&self) -> PathBuf {
        self.path.join("preprocessing.json")
    }
}

fn digest(path: &Path) -> Result<String, TableError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs_err::File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::augment::ClipPipeline;
    use pipe_schemas::tables::{Labelling, MissingReason, Split};

    fn row(epoch: u32, position: u32) -> SampleRow {
        SampleRow { epoch, position, video_id: "a".into(), frame_indices: vec![4, 5], ..SampleRow::default() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let samples = SamplesFolder::open(folder.path().join("samples"));
        let (first, second) = ([row(0, 0), row(0, 1)], [row(1, 0)]);
        samples.write_epoch(0, &first).expect("written");
        samples.write_epoch(1, &second).expect("written");
        samples.write_test(&second).expect("written");
        let classes = [ClassRow { class_index: 0, class_name: "Archery".into() }];
        samples.write_classes(&classes).expect("written");
        let missing = [MissingRow {
            split: Split::Test,
            video_id: "b".into(),
            start_secs: Some(0.5),
            end_secs: Some(1.5),
            reason: MissingReason::TooShort,
            num_frames: 4,
            source_file: "test.txt".into(),
            source_line: 3,
        }];
        samples.write_missing(&missing).expect("written");
        let preprocessing = Preprocessing {
            train_frames: 8,
            test_frames: 8,
            height_px: 112,
            width_px: 96,
            epochs: 2,
            labelling: Labelling::MultiLabel,
            test: ClipPipeline::default(),
            num_missing_test: 0,
            num_missing_train: 0,
        };
        samples.write_preprocessing(&preprocessing).expect("written");
        let read = SamplesFolder::open(samples.path());
        assert_eq!((read.epoch(0).expect("read"), read.num_clips(0).expect("read")), (first.to_vec(), 2));
        assert_eq!((read.epoch(1).expect("read"), read.test().expect("read")), (second.to_vec(), second.to_vec()));
        assert_eq!(read.classes().expect("read"), classes);
        assert_eq!(read.missing().expect("read"), missing);
        assert_eq!(read.preprocessing().expect("read"), preprocessing);
        let digests =
            [read.epoch_digest(0), read.epoch_digest(1), read.test_digest()].map(|digest| digest.expect("read"));
        assert!(digests[0] != digests[1] && digests[1] == digests[2], "{digests:?}");
        let error = read.epoch(2).expect_err("not drawn").to_string();
        assert!(error.contains("epoch-0002.parquet"), "{error}");
    }
}
