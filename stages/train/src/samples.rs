//! What the samples folder holds, checked against the parameters.

use crate::TrainError;
use pipe_clips::ClipSize;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{ClassRow, Preprocessing, SampleRow};
use pipe_stage::StageError;
use pipe_tables::read_rows;
use std::path::Path;
use std::sync::Arc;

/// What the samples folder holds.
pub(crate) struct Samples {
    pub(crate) preprocessing: Preprocessing,
    /// Names by class index.
    pub(crate) classes: Vec<String>,
    /// By epoch, as many as are trained.
    pub(crate) epochs: Vec<Arc<[SampleRow]>>,
    pub(crate) test: Arc<[SampleRow]>,
    /// Clips left out of an epoch because they would be a batch of their own.
    pub(crate) num_left_out: usize,
}

impl Samples {
    pub(crate) fn read(folder: &Path, params: &TrainParams) -> Result<Self, StageError> {
        let path = folder.join("preprocessing.json");
        let preprocessing: Preprocessing = serde_json::from_slice(&fs_err::read(&path)?)
            .map_err(|source| TrainError::Preprocessing { path, source })?;
        let classes: Vec<ClassRow> = read_rows(&folder.join("classes.parquet"))?;
        let misplaced = classes.iter().enumerate().find(|(place, class)| class.class_index as usize != *place);
        if let Some((place, class)) = misplaced {
            return Err(TrainError::Classes { class_index: class.class_index, place }.into());
        }
        let (max_epochs, drawn) = (params.train_cfg.max_epochs, preprocessing.epochs);
        if max_epochs > drawn {
            return Err(StageError::from(TrainError::Epochs { max_epochs, drawn })
                .with_help(format!("draw more (`epochs: {max_epochs}` of the `augment` stage), or train fewer")));
        }
        let rows: Vec<SampleRow> = read_rows(&folder.join("train.parquet"))?;
        if rows.is_empty() {
            let num_missing = preprocessing.num_missing_train;
            return Err(StageError::from(TrainError::NoSamples { num_missing })
                .with_help("see what `ingest` and `frames` say of the videos"));
        }
        let (epochs, num_left_out) = by_epoch(rows, max_epochs, params.train_dataloader.batch_size as usize)?;
        let test: Vec<SampleRow> = read_rows(&folder.join("test.parquet"))?;
        let classes = classes.into_iter().map(|class| class.class_name).collect();
        Ok(Self { preprocessing, classes, epochs, test: test.into(), num_left_out })
    }

    /// Returns what a clip of so many frames looks like.
    pub(crate) fn clip_size(&self, frames: u32) -> ClipSize {
        let Preprocessing { height_px, width_px, .. } = self.preprocessing;
        ClipSize { frames: frames as usize, height: height_px as usize, width: width_px as usize }
    }
}

/// Returns the digest of rows: every column, strings and lists with their lengths before them.
pub(crate) fn digest(rows: &[SampleRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        // All are named, so that a column that is added can't be forgotten here.
        let SampleRow {
            epoch,
            position,
            video_id,
            start_secs,
            end_secs,
            class_index,
            more_class_indices,
            view,
            frame_indices,
            crop_x,
            crop_y,
            crop_width,
            crop_height,
            flip,
            pixel_ops,
            mix_position,
            mix_share,
            mix_box,
        } = row;
        for text in [video_id, pixel_ops] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for list in [frame_indices, mix_box, more_class_indices] {
            hasher.update(&(list.len() as u64).to_le_bytes());
            for number in list {
                hasher.update(&number.to_le_bytes());
            }
        }
        for number in [*epoch, *position, *class_index, *view, mix_position.unwrap_or(0)] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [crop_x, crop_y, crop_width, crop_height, mix_share] {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        for time in [start_secs, end_secs] {
            hasher.update(&[u8::from(time.is_some())]);
            hasher.update(&time.unwrap_or(0.0).to_bits().to_le_bytes());
        }
        hasher.update(&[u8::from(*flip), u8::from(mix_position.is_some())]);
    }
    hasher.finalize().to_hex().to_string()
}

type Epochs = Vec<Arc<[SampleRow]>>;

/// Cuts the rows, which are sorted by epoch, into epochs; returns with them how many clips an epoch loses.
fn by_epoch(rows: Vec<SampleRow>, max_epochs: u32, batch_size: usize) -> Result<(Epochs, usize), TrainError> {
    let mut epochs = vec![Vec::new(); max_epochs as usize];
    for row in rows {
        if let Some(epoch) = epochs.get_mut(row.epoch as usize) {
            epoch.push(row);
        }
    }
    let mut num_left_out = 0;
    for (epoch, rows) in epochs.iter_mut().enumerate() {
        if rows.is_empty() {
            return Err(TrainError::EmptyEpoch { epoch: epoch as u32 });
        }
        if batch_size > 1 && rows.len() > 1 && rows.len() % batch_size == 1 {
            let left_out = rows.pop().map(|row| row.position);
            num_left_out = 1;
            // What was to be blended with it is shown alone.
            for row in rows.iter_mut().filter(|row| row.mix_position.is_some() && row.mix_position == left_out) {
                (row.mix_position, row.mix_share, row.mix_box) = (None, 0.0, Vec::new());
            }
        }
    }
    Ok((epochs.into_iter().map(Arc::from).collect(), num_left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u32, position: u32) -> SampleRow {
        SampleRow {
            epoch,
            position,
            video_id: "a".into(),
            class_index: 0,
            view: 0,
            frame_indices: vec![0],
            crop_x: 0.0,
            crop_y: 0.0,
            crop_width: 1.0,
            crop_height: 1.0,
            flip: false,
            ..SampleRow::default()
        }
    }

    fn check(clips: u32, batch_size: usize, expect: usize) {
        let rows = (0..2).flat_map(|epoch| (0..clips).map(move |position| row(epoch, position))).collect();
        let (epochs, left_out) = by_epoch(rows, 1, batch_size).expect("epochs");
        assert_eq!(epochs.len(), 1, "only what is trained");
        assert_eq!((epochs[0].len(), left_out), (expect, clips as usize - expect));
    }

    #[test]
    fn a_last_batch_of_one_clip_is_left_out() {
        check(9, 4, 8);
        check(10, 4, 10);
        check(8, 4, 8);
        check(3, 1, 3);
        check(1, 4, 1);
    }

    #[test]
    fn clips_are_not_blended_with_one_that_is_left_out() {
        let mixed = |position, with| SampleRow { mix_position: Some(with), mix_share: 0.5, ..row(0, position) };
        let rows = vec![mixed(0, 1), mixed(1, 2), mixed(2, 0)];
        let (epochs, _) = by_epoch(rows, 1, 2).expect("epochs");
        assert_eq!(*epochs[0], [mixed(0, 1), row(0, 1)]);
    }

    #[test]
    fn every_column_is_in_the_digest() {
        let same = row(1, 2);
        assert_eq!(digest(&[row(1, 2)]), digest(std::slice::from_ref(&same)));
        let changes: [fn(&mut SampleRow); 18] = [
            |row| row.epoch = 7,
            |row| row.position = 7,
            |row| row.video_id = "b".into(),
            |row| row.start_secs = Some(0.0),
            |row| row.end_secs = Some(0.0),
            |row| row.class_index = 7,
            |row| row.more_class_indices = vec![7],
            |row| row.view = 7,
            |row| row.frame_indices = vec![0, 0],
            |row| row.crop_x = 0.5,
            |row| row.crop_y = 0.5,
            |row| row.crop_width = 0.5,
            |row| row.crop_height = 0.5,
            |row| row.flip = true,
            |row| row.pixel_ops = "[]".into(),
            |row| row.mix_position = Some(0),
            |row| row.mix_share = 0.5,
            |row| row.mix_box = vec![0],
        ];
        let changed = changes.map(|change| {
            let mut changed = row(1, 2);
            change(&mut changed);
            digest(&[changed])
        });
        let different: std::collections::BTreeSet<_> = changed.into_iter().chain([digest(&[same])]).collect();
        assert_eq!(different.len(), 19);
    }

    #[test]
    fn an_epoch_without_samples_is_an_error() {
        let error = by_epoch(vec![row(0, 0)], 2, 4).expect_err("an error");
        assert_eq!(error.to_string(), "epoch 2 has no samples");
    }
}
