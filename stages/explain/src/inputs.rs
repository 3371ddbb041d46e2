//! [`TestVideos`]: the test views of the samples, grouped by video.

use crate::ExplainError;
use pipe_schemas::tables::{MissingCounts, ModelCard, Preprocessing, SampleRow, Split};
use pipe_stage::StageError;
use pipe_tables::SamplesFolder;
use std::path::Path;

/// The test views of the samples, grouped by video.
#[derive(Debug)]
pub(crate) struct TestVideos {
    /// The views of each video or segment, in the order of the samples.
    pub(crate) videos: Vec<Vec<SampleRow>>,
    /// Why other videos of the test list have no samples.
    pub(crate) missing: MissingCounts,
}

impl TestVideos {
    /// Reads the samples, and checks that the model takes their clips.
    pub(crate) fn read(folder: &Path, card: &ModelCard) -> Result<Self, StageError> {
        let samples = SamplesFolder::open(folder);
        let (expected, found) = (clip_format(&card.preprocessing), clip_format(&samples.preprocessing()?));
        if expected != found {
            return Err(ExplainError::OtherClips { expected, found }.into());
        }
        let classes: Vec<String> = samples.classes()?.into_iter().map(|class| class.class_name).collect();
        if classes != card.classes {
            let error = ExplainError::OtherClasses { expected: card.classes.len(), found: classes.len() };
            return Err(StageError::from(error).with_help("explain on the samples that the model was trained with"));
        }
        let missing = MissingCounts::of(&samples.missing()?, Split::Test);
        let rows = samples.test()?;
        if rows.is_empty() {
            return Err(StageError::from(ExplainError::NoSamples { missing })
                .with_help("see the warnings of `ingest`, `annotations`, `frames` and `augment`"));
        }
        Ok(Self { videos: by_video(rows), missing })
    }
}

/// Groups rows of the same video or segment, in the order of their first row.
fn by_video(rows: Vec<SampleRow>) -> Vec<Vec<SampleRow>> {
    let mut videos: Vec<Vec<SampleRow>> = Vec::new();
    for row in rows {
        match videos.last_mut() {
            Some(views) if views[0].sample() == row.sample() => views.push(row),
            _ => videos.push(vec![row]),
        }
    }
    videos
}

/// Returns what a test clip looks like, such as `8 frames of 112x112 px`.
fn clip_format(preprocessing: &Preprocessing) -> String {
    let Preprocessing { test_frames, height_px, width_px, .. } = preprocessing;
    let plural = if *test_frames == 1 { "" } else { "s" };
    format!("{test_frames} frame{plural} of {width_px}x{height_px} px")
}
