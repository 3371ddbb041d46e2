//! How far the confidences of predictions are true: `calibration.json` and `reliability.png`.

use crate::EvaluationError;
use pipe_metrics::{Bin, Calibration, fit_temperature, negative_log_likelihood, softmax};
use pipe_pictures::{Reliability, ReliabilityBin};
use pipe_schemas::tables::PredictionRow;
use pipe_tables::write_json;
use serde::Serialize;
use std::path::Path;

const NUM_BINS: usize = 15;

/// The content of `calibration.json`.
#[derive(Debug, Serialize)]
struct Content {
    num_videos: usize,
    /// Expected calibration error of the probabilities.
    ece: f64,
    /// Maximum calibration error of the probabilities.
    mce: f64,
    /// Mean probability of the predicted classes.
    mean_confidence: f64,
    /// Share of the videos that are predicted correctly.
    accuracy: f64,
    bins: Vec<BinContent>,
    temperature: Temperature,
}

#[derive(Debug, Serialize)]
struct BinContent {
    /// Confidences of the bin are above this.
    above: f64,
    /// Confidences of the bin are not above this.
    up_to: f64,
    num_videos: u64,
    /// `null` if there are no videos.
    confidence: Option<f64>,
    /// `null` if there are no videos.
    accuracy: Option<f64>,
}

/// The number by which the mean logits of a video would be divided, so that the cross-entropy of these videos is the lowest. It is fitted on the
/// evaluated videos themselves, so the errors at it are optimistic.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "they are the keys of the file")]
struct Temperature {
    temperature: f64,
    /// Cross-entropy of the softmax of the mean logits.
    nll: f64,
    /// The same of the mean logits divided by the temperature.
    nll_at_temperature: f64,
    /// Expected calibration error of the softmax of the mean logits.
    ece_of_logits: f64,
    /// The same of the mean logits divided by the temperature.
    ece_at_temperature: f64,
    /// Maximum calibration error of the mean logits divided by the temperature.
    mce_at_temperature: f64,
}

/// Writes `calibration.json` and `reliability.png`.
pub(crate) fn write(predictions: &[PredictionRow], folder: &Path) -> Result<(), EvaluationError> {
    let found = Calibration::of_rows(&predictions.iter().collect::<Vec<_>>(), NUM_BINS);
    let num_correct = predictions.iter().filter(|row| row.predicted_index == row.class_index).count();
    let content = Content {
        num_videos: predictions.len(),
        ece: found.ece,
        mce: found.mce,
        mean_confidence: found.confidence(),
        accuracy: num_correct as f64 / predictions.len().max(1) as f64,
        bins: found.bins.iter().map(bin).collect(),
        temperature: temperature(predictions),
    };
    write_json(&folder.join("calibration.json"), &content)?;
    let at = &content.temperature;
    let picture = Reliability {
        title: format!("{} videos: ECE {:.3}, MCE {:.3}", predictions.len(), found.ece, found.mce),
        subtitle: format!("at temperature {:.2}: ECE {:.3}", at.temperature, at.ece_at_temperature),
        bins: found.bins.iter().map(drawn).collect(),
    };
    fs_err::write(folder.join("reliability.png"), picture.to_png()?)?;
    Ok(())
}

fn bin(bin: &Bin) -> BinContent {
    let known = |value: f64| (bin.num_videos > 0).then_some(value);
    BinContent {
        above: bin.low,
        up_to: bin.high,
        num_videos: bin.num_videos,
        confidence: known(bin.confidence),
        accuracy: known(bin.accuracy),
    }
}

fn drawn(bin: &Bin) -> ReliabilityBin {
    ReliabilityBin { num_videos: bin.num_videos, confidence: bin.confidence, accuracy: bin.accuracy }
}

fn temperature(predictions: &[PredictionRow]) -> Temperature {
    let logits: Vec<Vec<f64>> =
        predictions.iter().map(|row| row.logits.iter().map(|logit| f64::from(*logit)).collect()).collect();
    let labels: Vec<u32> = predictions.iter().map(|row| row.class_index).collect();
    let temperature = fit_temperature(&logits, &labels);
    let calibration = |temperature: f64| {
        let scaled = |row: &Vec<f64>| softmax(&row.iter().map(|logit| logit / temperature).collect::<Vec<_>>());
        Calibration::of_probabilities(&logits.iter().map(scaled).collect::<Vec<_>>(), &labels, NUM_BINS)
    };
    let at = calibration(temperature);
    Temperature {
        temperature,
        nll: negative_log_likelihood(&logits, &labels, 1.0),
        nll_at_temperature: negative_log_likelihood(&logits, &labels, temperature),
        ece_of_logits: calibration(1.0).ece,
        ece_at_temperature: at.ece,
        mce_at_temperature: at.mce,
    }
}
