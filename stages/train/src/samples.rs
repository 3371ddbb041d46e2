//! [`Samples`]: the samples folder, checked against the parameters and read epoch by epoch.

use crate::TrainError;
use pipe_clips::ClipSize;
use pipe_learn::Piece;
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{MissingCounts, Preprocessing, SampleRow, Split};
use pipe_stage::StageError;
use pipe_tables::{SamplesFolder, TableError};
use std::path::Path;
use std::sync::Arc;

/// The samples folder.
pub(crate) struct Samples {
    folder: SamplesFolder,
    /// Number of clips per step, of all processes together.
    pub(crate) batch_size: usize,
    /// Number of processes that share a step.
    num_processes: u32,
    /// Whether batch normalisations take statistics of the whole step.
    sync_bn: bool,
    pub(crate) preprocessing: Preprocessing,
    /// Names by class index.
    pub(crate) classes: Vec<String>,
    /// Number of clips by epoch, for the epochs that are trained.
    pub(crate) num_clips: Vec<usize>,
    /// Number of steps of all epochs, if `max_iters` limits it.
    max_iters: Option<usize>,
    pub(crate) num_test_views: usize,
}

impl Samples {
    /// Reads everything but the rows of clips.
    pub(crate) fn read(folder: &Path, params: &TrainParams) -> Result<Self, StageError> {
        let folder = SamplesFolder::open(folder);
        let preprocessing = folder.preprocessing()?;
        let classes = folder.classes()?;
        let misplaced = classes.iter().enumerate().find(|(place, class)| class.class_index as usize != *place);
        if let Some((place, class)) = misplaced {
            return Err(TrainError::Classes { class_index: class.class_index, place }.into());
        }
        let num_clips = num_clips(&folder, params, preprocessing.epochs)?;
        if num_clips.iter().all(|num_clips| *num_clips == 0) {
            let missing = MissingCounts::of(&folder.missing()?, Split::Train);
            return Err(StageError::from(TrainError::NoSamples { missing })
                .with_help("see the warnings of `ingest`, `annotations`, `frames` and `augment`"));
        }
        if let Some(epoch) = num_clips.iter().position(|num_clips| *num_clips == 0) {
            return Err(TrainError::EmptyEpoch { epoch: epoch as u32 }.into());
        }
        Ok(Self {
            batch_size: params.clips_per_batch() as usize,
            num_processes: params.num_processes.0,
            sync_bn: params.sync_bn,
            classes: classes.into_iter().map(|class| class.class_name).collect(),
            num_test_views: folder.num_test_views()?,
            num_clips,
            max_iters: params.train_cfg.max_iters.map(|max_iters| max_iters as usize),
            preprocessing,
            folder,
        })
    }

    /// Returns the number of epochs that are trained.
    pub(crate) fn num_epochs(&self) -> u32 {
        self.num_clips.len() as u32
    }

    /// Returns the number of steps of an epoch. The last one may have fewer than there are batches.
    pub(crate) fn num_steps(&self, epoch: u32) -> usize {
        let num_batches = self.num_batches(epoch);
        match self.max_iters {
            Some(max_iters) if epoch + 1 == self.num_epochs() => {
                let before: usize = (0..epoch).map(|epoch| self.num_batches(epoch)).sum();
                num_batches.min(max_iters.saturating_sub(before))
            }
            Some(_) | None => num_batches,
        }
    }

    /// Returns the number of batches of an epoch.
    pub(crate) fn num_batches(&self, epoch: u32) -> usize {
        num_batches(self.num_clips(epoch), self.batch_size)
    }

    /// Returns whether `max_iters` ends training within an epoch.
    pub(crate) fn is_cut(&self, epoch: u32) -> bool {
        epoch < self.num_epochs() && self.num_steps(epoch) < self.num_batches(epoch)
    }

    /// Returns the number of steps that an epoch counts for schedules with `convert_to_iter_based`: that of the first one.
    pub(crate) fn steps_per_epoch(&self) -> usize {
        self.num_batches(0)
    }

    /// Reads the clips of an epoch. A last clip that would be a batch of its own is left out.
    pub(crate) fn epoch(&self, epoch: u32) -> Result<Arc<[SampleRow]>, TableError> {
        let mut rows = self.folder.epoch(epoch)?;
        if leaves_one_out(rows.len(), self.batch_size) {
            leave_last_out(&mut rows);
        }
        Ok(rows.into())
    }

    /// Returns the digest of the clips of an epoch as they were drawn.
    pub(crate) fn epoch_digest(&self, epoch: u32) -> Result<String, TableError> {
        self.folder.epoch_digest(epoch)
    }

    /// Returns the number of clips that were drawn for an epoch.
    fn num_clips(&self, epoch: u32) -> usize {
        self.num_clips.get(epoch as usize).copied().unwrap_or(0)
    }

    /// Returns the number of clips of an epoch that are drawn but not shown, so that no batch has a single clip: 0 or 1.
    pub(crate) fn num_left_out(&self, epoch: u32) -> u32 {
        let ends_before = self.num_steps(epoch) < self.num_batches(epoch);
        u32::from(!ends_before && leaves_one_out(self.num_clips(epoch), self.batch_size))
    }

    /// Returns the last clip as it was drawn for an epoch.
    pub(crate) fn last_clip(&self, epoch: u32) -> Result<Option<SampleRow>, TableError> {
        Ok(self.folder.epoch(epoch)?.pop())
    }

    /// Returns the smallest number of clips of a step that a process shows, unless the step has fewer: from a single clip, a batch
    /// normalisation can't always take statistics.
    pub(crate) fn smallest_piece(&self) -> usize {
        if self.batch_size > self.num_processes as usize { 2 } else { 1 }
    }

    /// Returns the epoch with the smallest batch, and the number of clips of that batch from which a batch normalisation takes statistics.
    pub(crate) fn smallest_batch(&self) -> Option<(u32, usize)> {
        let smallest = |epoch| {
            let most = self.num_steps(epoch) * self.batch_size;
            let num_clips = (self.num_clips(epoch) - self.num_left_out(epoch) as usize).min(most);
            let rest = num_clips % self.batch_size;
            let step = if rest == 0 { self.batch_size.min(num_clips) } else { rest };
            let pieces = if self.sync_bn { 1 } else { self.num_processes };
            let lens = (0..pieces).map(|rank| Piece::of(step, rank, pieces, self.smallest_piece()).len);
            (epoch, lens.min().unwrap_or(step))
        };
        (0..self.num_epochs()).map(smallest).min_by_key(|(_, num_clips)| *num_clips)
    }

    /// Reads the test views.
    pub(crate) fn test(&self) -> Result<Arc<[SampleRow]>, TableError> {
        Ok(self.folder.test()?.into())
    }

    /// Returns the digest of the test views.
    pub(crate) fn test_digest(&self) -> Result<String, TableError> {
        self.folder.test_digest()
    }

    /// Returns the size of a clip of `frames` frames.
    pub(crate) fn clip_size(&self, frames: u32) -> ClipSize {
        let Preprocessing { height_px, width_px, .. } = self.preprocessing;
        ClipSize { frames: frames as usize, height: height_px as usize, width: width_px as usize }
    }
}

/// Returns the number of clips of each epoch that is trained.
fn num_clips(folder: &SamplesFolder, params: &TrainParams, drawn: u32) -> Result<Vec<usize>, StageError> {
    let of_epochs = |num_epochs| (0..num_epochs).map(|epoch| folder.num_clips(epoch)).collect::<Result<Vec<_>, _>>();
    let Some(max_iters) = params.train_cfg.max_iters else {
        let max_epochs = params.train_cfg.num_epochs().unwrap_or_default();
        if max_epochs > drawn {
            return Err(StageError::from(TrainError::Epochs { max_epochs, drawn })
                .with_help(format!("set `epochs: {max_epochs}` in the `augment` stage, or lower `max_epochs`")));
        }
        return Ok(of_epochs(max_epochs)?);
    };
    let mut num_clips = of_epochs(drawn)?;
    let mut num_steps = 0;
    let is_last = |clips: &usize| {
        num_steps += num_batches(*clips, params.clips_per_batch() as usize);
        num_steps >= max_iters as usize
    };
    if let Some(last) = num_clips.iter().position(is_last) {
        num_clips.truncate(last + 1);
    } else if num_steps > 0 {
        let error = TrainError::Iters { max_iters, drawn, num_steps };
        return Err(StageError::from(error).with_help("raise `epochs` in the `augment` stage, or lower `max_iters`"));
    }
    Ok(num_clips)
}

/// Returns the number of batches of an epoch.
fn num_batches(num_clips: usize, batch_size: usize) -> usize {
    (num_clips - usize::from(leaves_one_out(num_clips, batch_size))).div_ceil(batch_size)
}

/// Returns whether the last batch would be a single clip, whose statistics would stand for the whole batch.
fn leaves_one_out(num_clips: usize, batch_size: usize) -> bool {
    batch_size > 1 && num_clips > 1 && num_clips % batch_size == 1
}

/// Removes the last clip. A clip that was to be blended with it is shown without blending.
fn leave_last_out(rows: &mut Vec<SampleRow>) {
    let left_out = rows.pop().map(|row| row.position);
    for row in rows.iter_mut().filter(|row| row.mix_position.is_some() && row.mix_position == left_out) {
        (row.mix_position, row.mix_share, row.mix_box) = (None, 0.0, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: u32) -> SampleRow {
        SampleRow { position, video_id: "a".into(), frame_indices: vec![0], ..SampleRow::default() }
    }

    #[test]
    fn a_last_batch_of_one_clip_is_left_out() {
        assert!(leaves_one_out(9, 4));
        for (num_clips, batch_size) in [(10, 4), (8, 4), (3, 1), (1, 4)] {
            assert!(!leaves_one_out(num_clips, batch_size), "{num_clips} clips, {batch_size} per batch");
        }
    }

    #[test]
    fn clips_are_not_blended_with_one_that_is_left_out() {
        let mixed = |position, with| SampleRow { mix_position: Some(with), mix_share: 0.5, ..row(position) };
        let mut rows = vec![mixed(0, 1), mixed(1, 2), mixed(2, 0)];
        leave_last_out(&mut rows);
        assert_eq!(rows, [mixed(0, 1), row(1)]);
    }
}
