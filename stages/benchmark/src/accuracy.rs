//! [`TestViews`]: what every variant is evaluated on; [`fill`] writes its accuracy and the difference from the baseline.

use crate::BenchmarkError;
use crate::variant::Variant;
use pipe_clips::{ClipSize, Loader, Takes, TestSamples, TestSamplesError};
use pipe_metrics::{Estimator, Interval, Metric, OF_TRAINING, Resamples, average_views};
use pipe_schemas::evaluation::Bootstrap;
use pipe_schemas::tables::{BenchmarkRow, PredictionRow, SampleRow};
use pipe_stage::{Context, StageError};
use std::sync::Arc;

/// Views per forward pass.
const BATCH_SIZE: usize = 8;

/// The test views, and what reads them.
pub(crate) struct TestViews {
    samples: TestSamples,
    rows: Arc<[SampleRow]>,
    loader: Loader,
}

impl TestViews {
    pub(crate) fn read(context: &Context) -> Result<Self, StageError> {
        let samples =
            TestSamples::read(context.input("samples")?).map_err(StageError::explained(TestSamplesError::help))?;
        let (rows, loader) = (samples.rows.clone().into(), Loader::open(context.input("frames")?)?);
        Ok(Self { samples, rows, loader })
    }

    /// Checks that a variant has the clips and classes of the samples.
    pub(crate) fn check(&self, takes: Takes<'_>) -> Result<(), StageError> {
        self.samples.check(takes).map_err(StageError::explained(TestSamplesError::help))
    }

    pub(crate) fn clip_size(&self) -> ClipSize {
        self.samples.clip_size
    }

    pub(crate) fn num_missing(&self) -> u64 {
        self.samples.missing.total()
    }

    /// Evaluates a variant. `before` and `total` count views of all variants.
    pub(crate) fn predict(
        &self,
        context: &Context,
        variant: &mut Variant,
        before: u64,
        total: u64,
    ) -> Result<Vec<PredictionRow>, StageError> {
        let batches = self.loader.clips(Arc::clone(&self.rows), self.clip_size(), BATCH_SIZE, context.threads())?;
        let logits = variant.logits(batches, |done| {
            context.progress(before + done as u64, total, "views");
            context.check_cancelled()
        })?;
        Ok(average_views(&self.rows, &logits, variant.average_clips, self.samples.labelling, &self.samples.classes)?)
    }

    pub(crate) fn num_views(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Returns the first metric that is defined for the labels: top-1 for one label per video.
    pub(crate) fn metric(&self) -> Result<Metric, BenchmarkError> {
        OF_TRAINING
            .iter()
            .copied()
            .find(|metric| metric.labelling == self.samples.labelling)
            .ok_or(BenchmarkError::NoMetric)
    }
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
    use pipe_schemas::tables::Labelling;

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
        let metric =
            OF_TRAINING.iter().copied().find(|metric| metric.labelling == Labelling::SingleLabel).expect("a metric");
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
