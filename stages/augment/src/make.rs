//! [`make`]: draws the rows of parts and writes each part in its own folder.
//!
//! A thread holds the rows of one epoch at a time, however many epochs there are. Parts of which clips are stored are made one
//! after the other, each by all threads, because a clip costs a thousand times what its row does.

use crate::clips::{self, StoredClips};
use crate::draw::{Drawn, Size, test_rows, train_epoch};
use crate::error::AugmentError;
use crate::inputs::{Inputs, Lists};
use crate::parts::Part;
use pipe_clips::samplers::frames_per_clip;
use pipe_clips::{ClipSize, Loader};
use pipe_schemas::stages::augment::CONTRACT;
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts};
use pipe_stage::{Context, StageError};
use pipe_tables::{SamplesFolder, read_json, write_json};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the samples lie in the output.
pub(crate) const SAMPLES: &str = CONTRACT.outputs[0].path;

const NOTE: &str = "drawn.json";

/// The facts of a part that the summary and the checks over all parts need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) num_rows: u64,
    /// Size of all clips; `None` if there are none.
    pub(crate) size: Option<Size>,
    pub(crate) stored: Option<StoredClips>,
}

impl Note {
    pub(crate) fn read(part: &MadePart) -> Result<Self, StageError> {
        Ok(read_json(&part.note(NOTE))?)
    }
}

/// Makes `parts`, in parallel.
pub(crate) fn make(
    context: &Context,
    inputs: &Inputs,
    lists: &Lists<'_>,
    parts: &MakeParts,
) -> Result<Made, StageError> {
    let mut maker =
        Maker { context, inputs, lists, loader: None, total: parts.parts.len() as u64, done: AtomicU64::new(0) };
    let part = |part| Ok::<_, AugmentError>((named(part)?, part));
    let all = parts.parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let (stored, plain): (Vec<_>, Vec<_>) = all.into_iter().partition(|(part, _)| part.is_stored(&inputs.params));
    if !stored.is_empty() {
        maker.loader = Some(Loader::open(context.input("frames")?)?);
    }
    context.thread_pool()?.install(|| {
        let made: Vec<Result<(), StageError>> = plain.par_iter().map(|(part, to)| maker.part(*part, to)).collect();
        // The first error in the order of parts, whichever thread met one first.
        made.into_iter().collect::<Result<(), StageError>>()?;
        stored.iter().try_for_each(|(part, to)| maker.part(*part, to))
    })?;
    Ok(Made::All)
}

fn named(part: &MakePart) -> Result<Part, AugmentError> {
    Part::from_name(&part.name).ok_or_else(|| AugmentError::UnknownPart { part: part.name.clone() })
}

struct Maker<'a> {
    context: &'a Context,
    inputs: &'a Inputs,
    lists: &'a Lists<'a>,
    /// The frames, if clips are stored.
    loader: Option<Loader>,
    /// Parts to make.
    total: u64,
    /// Parts made.
    done: AtomicU64,
}

impl Maker<'_> {
    fn part(&self, part: Part, to: &MakePart) -> Result<(), StageError> {
        self.context.check_cancelled()?;
        let params = &self.inputs.params;
        let samples = SamplesFolder::open(to.file(SAMPLES)?);
        let (drawn, sampler) = match part {
            Part::Epoch(epoch) => (train_epoch(params, &self.lists.train.videos, epoch), &params.train.sampler),
            Part::Test => (test_rows(&params.test, &self.lists.test.videos), &params.test.sampler),
        };
        let Drawn { rows, size } = drawn.map_err(AugmentError::into_stage_error)?;
        match part {
            Part::Epoch(epoch) => samples.write_epoch(epoch, &rows)?,
            Part::Test => samples.write_test(&rows)?,
        }
        let num_rows = rows.len() as u64;
        let stored = match (&self.loader, &size) {
            (Some(loader), Some(size)) if part.is_stored(params) => {
                let shards = clips::Shards {
                    folder: to.file(clips::FOLDER)?,
                    name: match part {
                        Part::Epoch(epoch) => format!("train-{epoch:04}"),
                        Part::Test => "test".to_owned(),
                    },
                    rows: Arc::from(rows),
                    size: clip_size(frames_per_clip(sampler), size),
                    num_classes: self.inputs.classes.len(),
                };
                Some(clips::write(self.context, loader, &shards)?)
            }
            _ => None,
        };
        write_json(&to.note(NOTE)?, &Note { num_rows, size, stored })?;
        self.context.part_finished(&to.name);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.context.progress(done, self.total, "parts");
        Ok(())
    }
}

/// Returns the size of clips of `frames` frames.
pub(crate) fn clip_size(frames: u32, size: &Size) -> ClipSize {
    let (width, height) = size.width_height;
    ClipSize { frames: frames as usize, height: height as usize, width: width as usize }
}
