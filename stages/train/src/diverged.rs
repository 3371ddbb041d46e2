//! [`diverged`]: explains a loss or a gradient that is not finite, with the clips of its batch.

use crate::TrainError;
use crate::epochs::Run;
use crate::error::Stopped;
use crate::pictures::draw;
use pipe_learn::LearnError;
use pipe_schemas::tables::SampleRow;
use pipe_stage::StageError;
use std::path::PathBuf;

const PICTURE: &str = "batch.png";

/// Maximum number of videos that the error names.
const MAX_NAMED: usize = 8;

/// A batch, as rows of its epoch.
pub(crate) struct Batch<'a> {
    /// The rows of the epoch in order.
    pub(crate) rows: &'a [SampleRow],
    /// The position of the first clip.
    pub(crate) first: usize,
    /// The number of clips; the last batch may have fewer.
    pub(crate) len: usize,
}

/// Returns the error, after a picture of the batch was written next to the log of the run.
pub(crate) fn diverged(run: &Run, batch: &Batch, what: &'static str, epoch: u32, step: usize) -> StageError {
    let clips: Vec<&SampleRow> = batch.rows.iter().skip(batch.first).take(batch.len).collect();
    let picture = write_picture(run, batch.rows, &clips);
    let more = clips.len().saturating_sub(MAX_NAMED);
    let names: Vec<&str> = clips.iter().take(MAX_NAMED).map(|row| row.video_id.as_str()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = match picture {
        Ok(path) => format!("they are shown in {}", path.display()),
        Err(error) => format!("a picture of them can't be written: {}", error.chain().join(": ")),
    };
    let help = Stopped::Learn(LearnError::Diverged { what, epoch, step }).help();
    let error = TrainError::Diverged { what, epoch, step, clips: format!("{}{more}", names.join(", ")), shown };
    StageError::from(error).with_optional_help(help)
}

fn write_picture(run: &Run, rows: &[SampleRow], clips: &[&SampleRow]) -> Result<PathBuf, StageError> {
    let sheet = draw(run.samples, &run.loader, rows, clips, run.context.threads())?;
    let path = run.context.diagnostic(PICTURE)?;
    fs_err::write(&path, sheet.to_png()?)?;
    Ok(path)
}
