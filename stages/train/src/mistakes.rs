//! What the test samples show beside the metrics: a picture of the most confident mistakes, and classes that are never predicted.
//!
//! Both are notes of the link that was validated: the stage writes them for the last validation.

use crate::samples::Samples;
use crate::validate::Validation;
use pipe_clips::Loader;
use pipe_evaluation::mistakes;
use pipe_schemas::tables::PredictionRow;
use pipe_stage::protocol::{MadePart, MakePart};
use pipe_stage::{Context, StageError};
use std::collections::BTreeSet;
use std::path::Path;

const PICTURE: &str = "mistakes.png";
const NEVER_PREDICTED: &str = "never_predicted.json";

/// Maximum number of mistakes in the picture.
const MAX_MISTAKES: usize = 6;

/// Maximum number of classes that the warning names.
const MAX_NAMED: usize = 8;

/// What is kept of a validation.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    /// A PNG file; empty if nothing was predicted wrongly.
    pub(crate) picture: Vec<u8>,
    /// The classes, from 0, that are labels of test samples and were predicted for none.
    pub(crate) never_predicted: Vec<u32>,
}

impl Mistakes {
    /// Looks for them in a validation.
    pub(crate) fn find(
        context: &Context,
        samples: &Samples,
        loader: &Loader,
        validation: &Validation,
    ) -> Result<Self, StageError> {
        let size = samples.clip_size(samples.preprocessing.test_frames);
        let Validation { predictions, views, .. } = validation;
        let sheet = mistakes::sheet(predictions, views, loader, size, MAX_MISTAKES, context.threads())?;
        let picture = sheet.map(|sheet| sheet.to_png()).transpose()?.unwrap_or_default();
        Ok(Self { picture, never_predicted: never_predicted(predictions) })
    }

    /// Keeps them with a link.
    pub(crate) fn write(&self, part: &MakePart) -> Result<(), StageError> {
        if !self.picture.is_empty() {
            fs_err::write(part.note(PICTURE)?, &self.picture)?;
        }
        Ok(pipe_tables::write_json(&part.note(NEVER_PREDICTED)?, &self.never_predicted)?)
    }

    /// Reads those of a link that was validated.
    pub(crate) fn read(part: &MadePart) -> Result<Self, StageError> {
        Ok(Self {
            picture: read_optional(&part.note(PICTURE))?,
            never_predicted: pipe_tables::read_json(&part.note(NEVER_PREDICTED))?,
        })
    }

    /// Returns a warning about classes that are never predicted, if there are any.
    pub(crate) fn warning(&self, classes: &[String]) -> Option<String> {
        let count = self.never_predicted.len();
        let name = |class: &u32| classes.get(*class as usize).map_or("?", String::as_str);
        let named: Vec<&str> = self.never_predicted.iter().take(MAX_NAMED).map(name).collect();
        let more = if count > MAX_NAMED { format!(" and {} more", count - MAX_NAMED) } else { String::new() };
        let (is, plural) = if count == 1 { ("is", "") } else { ("are", "es") };
        (count > 0)
            .then(|| format!("{count} class{plural} {is} predicted for no test video: {}{more}", named.join(", ")))
    }
}

/// Returns an empty file if there is none.
fn read_optional(path: &Path) -> Result<Vec<u8>, StageError> {
    match fs_err::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => Ok(read?),
    }
}

/// Returns the classes that are labels and are predicted for no sample, ascending.
fn never_predicted(predictions: &[PredictionRow]) -> Vec<u32> {
    let labels =
        predictions.iter().flat_map(|row| std::iter::once(row.class_index).chain(row.more_class_indices.clone()));
    let predicted: BTreeSet<u32> = predictions.iter().map(|row| row.predicted_index).collect();
    labels.collect::<BTreeSet<u32>>().difference(&predicted).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class_index: u32, probabilities: &[f32]) -> PredictionRow {
        let highest = (0..).zip(probabilities).max_by(|a, b| a.1.total_cmp(b.1));
        PredictionRow {
            class_index,
            predicted_index: highest.expect("a class").0,
            probabilities: probabilities.to_vec(),
            ..PredictionRow::default()
        }
    }

    #[test]
    fn classes_without_a_prediction_are_named() {
        let rows = [row(0, &[0.9, 0.1, 0.0]), row(2, &[0.9, 0.1, 0.0]), row(1, &[0.9, 0.1, 0.0])];
        let never_predicted = never_predicted(&rows);
        assert_eq!(never_predicted, [1, 2]);
        let classes = ["a", "b", "c"].map(str::to_owned);
        let mistakes = Mistakes { never_predicted, ..Mistakes::default() };
        assert_eq!(mistakes.warning(&classes).as_deref(), Some("2 classes are predicted for no test video: b, c"));
        assert_eq!(Mistakes::default().warning(&classes), None);
    }
}
