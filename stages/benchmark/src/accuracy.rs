//! [`TestViews`]: what every variant is evaluated on; [`fill`] writes its accuracy and the difference from the baseline.

use crate::BenchmarkError;
use crate::variant::Variant;
use pipe_clips::{ClipSize, Loader};
use pipe_metrics::{ALL, Estimator, Interval, Metric, Resamples, average_views};
use pipe_schemas::evaluation::Bootstrap;
use pipe_schemas::tables::{BenchmarkRow, Labelling, MissingCounts, PredictionRow, Preprocessing, SampleRow, Split};
use pipe_stage::{Context, StageError};
use pipe_tables::SamplesFolder;
use std::sync::Arc;

/// Views per forward pass.
const BATCH_SIZE: usize = 8;

/// The test views, and what they are compared with.
pub(crate) struct TestViews {
    rows: Arc<[SampleRow]>,
    classes: Vec<String>,
    pub(crate) clip_size: ClipSize,
    labelling: Labelling,
    pub(crate) num_missing: u64,
    loader: Loader,
}

impl TestViews {
    pub(crate) fn read(context: &Context) -> Result<Self, StageError> {
        let samples = SamplesFolder::open(context.input("samples")?);
        let rows = samples.test()?;
        let Preprocessing { test_frames, height_px, width_px, labelling, .. } = samples.preprocessing()?;
        let missing = MissingCounts::of(&samples.missing()?, Split::Test);
        let num_missing = missing.total();
        if rows.is_empty() {
            return Err(StageError::from(BenchmarkError::NoSamples { missing })
                .with_help("see the warnings of `ingest`, `annotations`, `frames` and `augment`"));
        }
        let [frames, height, width] = [test_frames, height_px, width_px].map(|size| size as usize);
        Ok(Self {
            rows: rows.into(),
            classes: samples.classes()?.into_iter().map(|class| class.class_name).collect(),
            clip_size: ClipSize { frames, height, width },
            labelling,
            num_missing,
            loader: Loader::open(context.input("frames")?)?,
        })
    }

    /// Checks that a variant has the clips and classes of the samples.
    pub(crate) fn check(&self, name: &str, variant: &Variant) -> Result<(), StageError> {
        let variant_name = || name.to_owned();
        if variant.clip_size != self.clip_size {
            let (expected, found) = (clip_text(variant.clip_size), clip_text(self.clip_size));
            return Err(StageError::from(BenchmarkError::OtherClips { variant: variant_name(), expected, found })
                .with_help("connect the samples that the network was trained with"));
        }
        if variant.classes != self.classes {
            let (expected, found) = (variant.classes.len(), self.classes.len());
            return Err(BenchmarkError::OtherClasses { variant: variant_name(), expected, found }.into());
        }
        Ok(())
    }

    /// Evaluates a variant. `before` and `total` count views of all variants.
    pub(crate) fn predict(
        &self,
        context: &Context,
        variant: &mut Variant,
        before: u64,
        total: u64,
    ) -> Result<Vec<PredictionRow>, StageError> {
        let batches = self.loader.clips(Arc::clone(&self.rows), self.clip_size, BATCH_SIZE, context.threads())?;
        let logits = variant.logits(batches, |done| {
            context.progress(before + done as u64, total, "views");
            context.check_cancelled()
        })?;
        Ok(average_views(&self.rows, &logits, variant.average_clips, self.labelling, &self.classes)?)
    }

    pub(crate) fn num_views(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Returns the first metric that is defined for the labels: top-1 for one label per video.
    pub(crate) fn metric(&self) -> Result<Metric, BenchmarkError> {
        ALL.iter().copied().find(|metric| metric.labelling == self.labelling).ok_or(BenchmarkError::NoMetric)
    }
}

fn clip_text(size: ClipSize) -> String {
    let plural = if size.frames == 1 { "" } else { "s" };
    format!("{} frame{plural} of {}x{} px", size.frames, size.width, size.height)
}

/// Fills in the accuracy of a row with intervals over videos, and the change from the baseline on the same draws of videos.
pub(crate) fn fill(
    row: &mut BenchmarkRow,
    bootstrap: &Bootstrap,
    metric: Metric,
    predictions: &[PredictionRow],
    baseline: &[PredictionRow],
) {
    let units: Vec<Vec<usize>> = (0..predictions.len()).map(|position| vec![position]).collect();
    let [own, other] = [predictions, baseline].map(|rows| Estimator::new(rows, &[metric]));
    let value = |estimator: &Estimator<'_>, positions: &[usize]| estimator.values(positions)[0];
    let all: Vec<usize> = (0..predictions.len()).collect();
    let (accuracy, before) = (value(&own, &all), value(&other, &all));
    (row.accuracy, row.change) = (Some(accuracy), Some(accuracy - before));
    let same = predictions.iter().zip(baseline).filter(|(a, b)| a.predicted_index == b.predicted_index).count();
    row.agreement = Some(same as f64 / predictions.len().max(1) as f64);

    let mut resamples = Resamples::new(&units, bootstrap.seed);
    let (mut values, mut changes) = (Vec::new(), Vec::new());
    for _ in 0..bootstrap.samples {
        let drawn = resamples.draw();
        let accuracy = value(&own, &drawn);
        values.push(accuracy);
        changes.push(accuracy - value(&other, &drawn));
    }
    let ends = |values: Vec<f64>| {
        let found = Interval::of(values, bootstrap.confidence);
        found.map(|found| (found.low, found.high)).unzip()
    };
    (row.accuracy_low, row.accuracy_high) = ends(values);
    (row.change_low, row.change_high) = ends(changes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(correct: &[bool]) -> Vec<PredictionRow> {
        let row = |(at, correct): (usize, &bool)| PredictionRow {
            video_id: format!("v{at}"),
            class_index: 0,
            predicted_index: u32::from(!correct),
            probabilities: if *correct { vec![0.9, 0.1] } else { vec![0.1, 0.9] },
            ..PredictionRow::default()
        };
        correct.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_change_is_paired() {
        let metric = ALL.iter().copied().find(|metric| metric.labelling == Labelling::SingleLabel).expect("a metric");
        let (baseline, variant) = (rows(&[true, true, false, true]), rows(&[true, false, false, true]));
        let mut row = BenchmarkRow::default();
        fill(&mut row, &Bootstrap::default(), metric, &variant, &baseline);
        assert_eq!((row.accuracy, row.change, row.agreement), (Some(0.5), Some(-0.25), Some(0.75)));
        assert!(row.change_low.expect("drawn") >= -1.0 && row.change_high.expect("drawn") <= 0.0, "{row:?}");
        // The same predictions do not differ in any draw.
        fill(&mut row, &Bootstrap::default(), metric, &baseline, &baseline);
        assert_eq!((row.change_low, row.change_high), (Some(0.0), Some(0.0)));
        let none = Bootstrap { samples: 0, ..Bootstrap::default() };
        fill(&mut row, &none, metric, &baseline, &baseline);
        assert_eq!((row.accuracy, row.accuracy_low, row.change_low), (Some(0.75), None, None));
    }
}
