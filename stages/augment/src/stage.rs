//! [`Augment`]: plans the parts, makes them, and writes what describes all of them.

use crate::clips::StoredClips;
use crate::draw::Size;
use crate::error::AugmentError;
use crate::inputs::{Inputs, Lists};
use crate::make::{Note, SAMPLES, clip_size, make};
use crate::parts::{Part, plan};
use crate::sheet;
use pipe_clips::samplers::frames_per_clip;
use pipe_schemas::stages::augment::CONTRACT;
use pipe_schemas::tables::Preprocessing;
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, StageError, Summary, grouped};
use pipe_tables::SamplesFolder;

/// The stage `augment`.
pub struct Augment;

impl PartedStage for Augment {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        let inputs = Inputs::read(context)?;
        plan(context, &inputs, &inputs.lists(context)?)
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        let inputs = Inputs::read(context)?;
        make(context, &inputs, &inputs.lists(context)?, parts)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        let inputs = Inputs::read(context)?;
        let lists = inputs.lists(context)?;
        lists.warn(context, &inputs.params);
        let notes = parts.iter().map(Note::read).collect::<Result<Vec<_>, _>>()?;
        let size = one_size(&notes)?;
        let params = &inputs.params;
        let preprocessing = Preprocessing {
            train_frames: frames_per_clip(&params.train.sampler),
            test_frames: frames_per_clip(&params.test.sampler),
            height_px: size.width_height.1,
            width_px: size.width_height.0,
            epochs: params.epochs,
            labelling: inputs.labelling,
            test: params.test.clone(),
            num_missing_test: lists.test.num_missing().total(),
            num_missing_train: lists.train.num_missing().total(),
        };
        let samples = SamplesFolder::open(context.output(SAMPLES)?);
        samples.write_classes(&inputs.classes)?;
        samples.write_missing(&lists.missing())?;
        samples.write_preprocessing(&preprocessing)?;
        let first = parts.iter().find(|part| Part::from_name(&part.name) == Some(Part::Epoch(0)));
        let first = first.ok_or_else(|| AugmentError::UnknownPart { part: Part::Epoch(0).name() })?;
        let rows = SamplesFolder::open(first.file(SAMPLES)).epoch(0)?;
        let clips = clip_size(preprocessing.train_frames, size);
        let (path, frames) = (context.output("contact_sheet.png")?, context.input("frames")?);
        sheet::write(&path, frames, &rows, &inputs.classes, clips, context.threads())?;
        Ok(summary(&lists, rows.len() as u64, params.epochs, parts, &notes))
    }
}

/// Returns the size that the clips of all parts have.
fn one_size(notes: &[Note]) -> Result<&Size, StageError> {
    let mut sizes = notes.iter().filter_map(|note| note.size.as_ref());
    let first = sizes.next().ok_or_else(|| StageError::message("no clips were drawn"))?;
    sizes.try_for_each(|size| first.check(Some(size))).map_err(AugmentError::into_stage_error)?;
    Ok(first)
}

fn summary(lists: &Lists<'_>, num_clips: u64, epochs: u32, parts: &[MadePart], notes: &[Note]) -> Summary {
    let test = parts.iter().position(|part| Part::from_name(&part.name) == Some(Part::Test));
    let num_views = test.map_or(0, |place| notes[place].num_rows);
    let counted = |count: u64, noun: &str| format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" });
    let (clips, epochs) = (counted(num_clips, "training clip"), counted(u64::from(epochs), "epoch"));
    let mut lines = vec![format!("{clips} x {epochs}, {}", counted(num_views, "test view"))];
    lines.extend(lists.summary_line());
    let mut stored = StoredClips::default();
    notes.iter().filter_map(|note| note.stored).for_each(|part| stored.add(part));
    if stored.num_shards > 0 {
        let StoredClips { num_clips, num_shards, size_bytes } = stored;
        let (clips, shards, megabytes) =
            (grouped(num_clips), grouped(num_shards), grouped(size_bytes.div_ceil(1_000_000)));
        lines.push(format!("{clips} clips stored in {shards} shards, {megabytes} MB"));
    }
    Summary::lines(lines)
}

#[cfg(test)]
mod tests;
