//! Videos with one label each: confusions, reports, probabilities, calibration and ties.

use super::{LIMIT, LIMIT_AT_TEMPERATURE, LIMIT_OF_TEMPERATURE, unknown};
use crate::case::{Case, Figures};
use pipe_metrics::{
    Calibration, ClassReport, ConfusionMatrix, Normalise, Scores, Ties, argmax, balanced_accuracy, brier, cohen_kappa,
    fit_temperature, is_among_highest, log_loss, mean_class_accuracy, negative_log_likelihood, softmax,
};
use serde_json::{Map, Value, json};
use std::error::Error;

/// Number of bins of a case that does not name it in a figure such as `ece15`.
const NUM_BINS: usize = 15;

/// The largest number of classes, so that a wrong one is an error and does not fill the memory.
const MAX_CLASSES: usize = 5_000;

/// Temperatures are equal if their cross-entropies differ by no more than this, relative to cross-entropies above 1.
const FLAT: f64 = 1e-12;

const INPUTS: &[&str] = &["N", "K", "labels", "logits", "target_names", "digits"];

/// Labels, logits and what follows from them.
struct Scored {
    labels: Vec<u32>,
    logits: Vec<Vec<f64>>,
    probabilities: Vec<Vec<f64>>,
    predictions: Vec<u32>,
    matrix: ConfusionMatrix,
}

pub(crate) fn measure(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let scored = Scored::read(case)?;
    let fitted = fit_temperature(&scored.logits, &scored.labels);
    let given = case.optional("temperature").and_then(Value::as_f64).filter(|given| given.is_finite() && *given > 0.0);
    let temperatures = [fitted, given.unwrap_or(fitted)];
    let num_bins = num_bins(case)?;
    let (mut figures, nll) = (Figures::default(), |at| negative_log_likelihood(&scored.logits, &scored.labels, at));
    for (name, expected) in case.figures(INPUTS) {
        let (found, limit) = match name {
            "predictions" => (json!(scored.predictions), 0.0),
            "top_k" => (json!(top_k(expected, &scored.probabilities, &scored.labels, Ties::LastWins)?), LIMIT),
            "log_loss" => (json!(log_loss(&scored.probabilities, &scored.labels)), LIMIT),
            "brier" => (json!(brier(&scored.probabilities, &scored.labels)), LIMIT),
            "nll" => (json!(nll(1.0)), LIMIT),
            "nll_at_temperature" => (json!(nearest(expected, temperatures.map(nll))), LIMIT_AT_TEMPERATURE),
            "temperature" => match given {
                Some(given) if is_minimum(nll(given), nll(fitted)) => (json!(given), LIMIT_OF_TEMPERATURE),
                _ => (json!(fitted), LIMIT_OF_TEMPERATURE),
            },
            "report_text" => (json!(report_text(case, &scored.matrix)?), 0.0),
            "ece_bins" => (bins(&scored.calibration(1.0, num_bins)), LIMIT),
            _ => match (calibration(name, expected, &scored, temperatures)?, of_matrix(name, &scored.matrix)) {
                (Some((found, limit)), _) => (json!(found), limit),
                (None, Some(found)) => (found, LIMIT),
                (None, None) => return Err(unknown(name)),
            },
        };
        figures.compare(name, expected, &found, limit);
    }
    Ok(figures)
}

/// Labels and predictions without scores.
pub(crate) fn measure_degenerate(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let num_classes = case.number("K")?;
    let count = case.parsed::<Vec<u32>>("labels")?.len();
    let (labels, predictions) =
        (case.classes("labels", count, num_classes)?, case.classes("predictions", count, num_classes)?);
    let matrix = confusion_matrix(&labels, &predictions, num_classes)?;
    let mut figures = Figures::default();
    for (name, expected) in case.figures(&["N", "K", "labels", "predictions", "target_names", "digits"]) {
        let found = match name {
            "report_text" => json!(report_text(case, &matrix)?),
            _ => of_matrix(name, &matrix).ok_or_else(|| unknown(name))?,
        };
        figures.compare(name, expected, &found, LIMIT);
    }
    Ok(figures)
}

/// Scores of which many are equal.
pub(crate) fn measure_ties(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let (count, num_classes) = (case.number("N")?, case.number("K")?);
    let labels = case.classes("labels", count, num_classes)?;
    let scores = case.matrix("scores", [count, num_classes], &labels)?;
    let predictions: Vec<u32> = scores.iter().map(|row| argmax(row) as u32).collect();
    let matrix = confusion_matrix(&labels, &predictions, num_classes)?;
    let mut figures = Figures::default();
    for (name, expected) in case.figures(&["N", "K", "labels", "scores"]) {
        let found = match name {
            "top_k_last_index_wins" => json!(top_k(expected, &scores, &labels, Ties::LastWins)?),
            "top_k_first_index_wins" => json!(top_k(expected, &scores, &labels, Ties::FirstWins)?),
            "argmax_first_index_wins" => json!(predictions),
            // Numpy's default sort is not stable: the file says what it gave on one processor.
            "numpy_default_argsort_here" => {
                figures.leave_out("numpy_default_argsort_here, the order of equal scores in an unstable sort");
                continue;
            }
            _ => of_matrix(name, &matrix).ok_or_else(|| unknown(name))?,
        };
        figures.compare(name, expected, &found, LIMIT);
    }
    Ok(figures)
}

impl Scored {
    fn read(case: &Case) -> Result<Self, Box<dyn Error>> {
        let (count, num_classes) = (case.number("N")?, case.number("K")?);
        let labels = case.classes("labels", count, num_classes)?;
        let logits = case.matrix("logits", [count, num_classes], &labels)?;
        let predictions: Vec<u32> = logits.iter().map(|row| argmax(row) as u32).collect();
        let matrix = confusion_matrix(&labels, &predictions, num_classes)?;
        Ok(Self { probabilities: logits.iter().map(|row| softmax(row)).collect(), labels, logits, predictions, matrix })
    }

    fn calibration(&self, temperature: f64, num_bins: usize) -> Calibration {
        let scaled = |row: &Vec<f64>| softmax(&row.iter().map(|logit| logit / temperature).collect::<Vec<_>>());
        let probabilities: Vec<Vec<f64>> = self.logits.iter().map(scaled).collect();
        Calibration::of_probabilities(&probabilities, &self.labels, num_bins)
    }
}

fn confusion_matrix(
    labels: &[u32],
    predictions: &[u32],
    num_classes: usize,
) -> Result<ConfusionMatrix, Box<dyn Error>> {
    if num_classes > MAX_CLASSES {
        return Err(format!("`K` is above {MAX_CLASSES}").into());
    }
    let pairs = labels.iter().copied().zip(predictions.iter().copied());
    Ok(ConfusionMatrix::of(pairs, num_classes).ok_or("a class is out of range")?)
}

/// Returns the figure of a confusion matrix with this name.
fn of_matrix(name: &str, matrix: &ConfusionMatrix) -> Option<Value> {
    let three = |scores: Scores| json!([scores.precision, scores.recall, scores.f1]);
    let all = || ClassReport::of_all(matrix);
    let rows = |values: Vec<f64>| json!(values.chunks(matrix.num_classes().max(1)).collect::<Vec<_>>());
    Some(match name {
        "accuracy" => json!(matrix.accuracy()),
        "balanced_accuracy" => json!(balanced_accuracy(matrix)),
        "mean_class_accuracy_mmaction2" => json!(mean_class_accuracy(matrix)),
        "cohen_kappa" => json!(cohen_kappa(matrix)),
        "confusion_matrix" => json!(matrix.rows().collect::<Vec<_>>()),
        "confusion_matrix_mmaction2_union_labels" => {
            json!(matrix.of_classes(&matrix.present()).rows().collect::<Vec<_>>())
        }
        "confusion_normalised_true" => rows(matrix.normalised(Normalise::True)),
        "confusion_normalised_pred" => rows(matrix.normalised(Normalise::Pred)),
        "confusion_normalised_all" => rows(matrix.normalised(Normalise::All)),
        "classification_report_all_labels" => report(&all()),
        "classification_report_present_labels" => report(&ClassReport::of_present(matrix)),
        "micro" => three(all().micro),
        "macro" => three(all().macro_average),
        "weighted" => three(all().weighted),
        _ => return None,
    })
}

/// Returns a report as scikit-learn's `output_dict=True` does.
fn report(report: &ClassReport) -> Value {
    let row = |scores: Scores, support: u64| json!({ "precision": scores.precision, "recall": scores.recall, "f1-score": scores.f1, "support": support });
    let mut rows: Map<String, Value> =
        report.classes.iter().map(|class| (class.class.to_string(), row(class.scores, class.support))).collect();
    rows.insert("accuracy".to_owned(), json!(report.micro.f1));
    rows.insert("macro avg".to_owned(), row(report.macro_average, report.support));
    rows.insert("weighted avg".to_owned(), row(report.weighted, report.support));
    Value::Object(rows)
}

/// Returns the text about all classes. Classes are called `class_0` unless the case has `target_names`, and it has 2 digits unless the case
/// has `digits`.
fn report_text(case: &Case, matrix: &ConfusionMatrix) -> Result<String, Box<dyn Error>> {
    let names: Vec<String> = match case.optional("target_names") {
        Some(_) => case.parsed("target_names")?,
        None => (0..matrix.num_classes()).map(|class| format!("class_{class}")).collect(),
    };
    if names.len() != matrix.num_classes() {
        return Err(format!("`target_names` are not {}", matrix.num_classes()).into());
    }
    let digits = if case.optional("digits").is_some() { case.number("digits")?.min(17) } else { 2 };
    Ok(ClassReport::of_all(matrix).text(|class| names[class].clone(), digits))
}

/// Returns the accuracies for the `k` of the expected object.
fn top_k(
    expected: &Value,
    scores: &[Vec<f64>],
    labels: &[u32],
    ties: Ties,
) -> Result<Map<String, Value>, Box<dyn Error>> {
    let expected = expected.as_object().ok_or("top-k accuracies are an object by `k`")?;
    let accuracy = |k: &String| -> Result<(String, Value), Box<dyn Error>> {
        let number: usize = k.parse().map_err(|_| format!("`{k}` is not a number `k`"))?;
        let hit = |(row, label): (&Vec<f64>, &u32)| is_among_highest(row, *label as usize, number, ties);
        let hits = scores.iter().zip(labels).filter(|pair| hit(*pair)).count();
        Ok((k.clone(), json!(hits as f64 / labels.len().max(1) as f64)))
    };
    expected.keys().map(accuracy).collect()
}

/// Returns a figure such as `ece15`, `mce10` or `ece15_at_temperature`, with its limit; `None` if the name is not of this form.
fn calibration(
    name: &str,
    expected: &Value,
    scored: &Scored,
    temperatures: [f64; 2],
) -> Result<Option<(f64, f64)>, Box<dyn Error>> {
    let (error, at_temperature) = name.strip_suffix("_at_temperature").map_or((name, false), |error| (error, true));
    let Some(number) = error.strip_prefix("ece").or_else(|| error.strip_prefix("mce")) else { return Ok(None) };
    let Ok(num_bins) = number.parse::<usize>() else { return Ok(None) };
    if !(1..=10_000).contains(&num_bins) {
        return Err(format!("`{name}` has no number of bins from 1 to 10000").into());
    }
    let at = |temperature| {
        let found = scored.calibration(temperature, num_bins);
        if error.starts_with("ece") { found.ece } else { found.mce }
    };
    Ok(Some(if at_temperature {
        (nearest(expected, temperatures.map(at)), LIMIT_AT_TEMPERATURE)
    } else {
        (at(1.0), LIMIT)
    }))
}

/// Returns the figure at the fitted temperature, or that at the temperature of the case, whichever is nearer. The temperature, which is
/// compared on its own, has 7 decimals in the file, and may be one of many that are equally good.
fn nearest(expected: &Value, [at_fitted, at_given]: [f64; 2]) -> f64 {
    match expected.as_f64() {
        Some(expected) if (at_given - expected).abs() < (at_fitted - expected).abs() => at_given,
        _ => at_fitted,
    }
}

/// Returns the number of bins that a figure of the case names.
fn num_bins(case: &Case) -> Result<usize, Box<dyn Error>> {
    let numbers = case.figures(INPUTS).filter_map(|(name, _)| name.strip_prefix("ece")?.parse::<usize>().ok());
    match numbers.max() {
        Some(number) if !(1..=10_000).contains(&number) => Err("a number of bins is not from 1 to 10000".into()),
        number => Ok(number.unwrap_or(NUM_BINS)),
    }
}

/// Returns the bins with videos: position, number of videos, mean confidence, accuracy.
fn bins(calibration: &Calibration) -> Value {
    let with_videos = calibration.bins.iter().enumerate().filter(|(_, bin)| bin.num_videos > 0);
    json!(with_videos.map(|(at, bin)| json!([at, bin.num_videos, bin.confidence, bin.accuracy])).collect::<Vec<_>>())
}

/// Returns whether a temperature with the cross-entropy `given` is as good as the one with the lowest. Where the cross-entropy is flat, or
/// falls up to the end of the interval, a search such as scipy's stops at some temperature before that.
fn is_minimum(given: f64, lowest: f64) -> bool {
    (given - lowest).abs() <= FLAT * lowest.max(1.0)
}
