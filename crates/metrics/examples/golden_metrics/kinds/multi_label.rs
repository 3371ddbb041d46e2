//! Videos with several labels each: average precision, and sets of labels.

use super::{LIMIT, unknown};
use crate::case::{Case, Figures};
use pipe_metrics::{LabelSets, average_precision};
use serde_json::json;
use std::error::Error;

pub(crate) fn measure(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let size @ [count, num_classes] = [case.number("N")?, case.number("K")?];
    let scores = case.matrix("scores", size, &[])?;
    let targets: Vec<Vec<bool>> = targets(case, size)?;
    let of_class = |class: usize| average_precision((0..count).map(|row| (scores[row][class], targets[row][class])));
    let of_video =
        |row: usize| average_precision((0..num_classes).map(|class| (scores[row][class], targets[row][class])));
    let classes: Vec<Option<f64>> = (0..num_classes).map(of_class).collect();
    let known: Vec<f64> = classes.iter().copied().flatten().collect();
    let videos: Vec<f64> = (0..count).map(|row| of_video(row).unwrap_or(f64::NAN)).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let sets = LabelSets::new(&targets, &scores);
    let mut figures = Figures::default();
    for (name, expected) in case.figures(&["N", "K", "scores", "targets"]) {
        let found = match name {
            // Of no class: NaN.
            "mean_average_precision_mmaction2" => json!(mean(&known)),
            "mmit_map_mmaction2" => json!(mean(&videos)),
            // A class without a video is 0 in scikit-learn.
            "average_precision_per_class_sklearn" => {
                json!(classes.iter().map(|class| class.unwrap_or(0.0)).collect::<Vec<_>>())
            }
            "micro_f1_at_half" => json!(sets.report().micro.f1),
            "macro_f1_at_half" => json!(sets.report().macro_average.f1),
            "weighted_f1_at_half" => json!(sets.report().weighted.f1),
            "subset_accuracy_at_half" => json!(sets.subset_accuracy()),
            "report_text" => json!(sets.report().text(|class| format!("class_{class}"), 2)),
            _ => return Err(unknown(name)),
        };
        figures.compare(name, expected, &found, LIMIT);
    }
    Ok(figures)
}

/// Reads which classes are labels: `[N, K]` of 0 and 1.
fn targets(case: &Case, [count, num_classes]: [usize; 2]) -> Result<Vec<Vec<bool>>, Box<dyn Error>> {
    let targets: Vec<Vec<u8>> = case.parsed("targets")?;
    if targets.len() != count
        || targets.iter().any(|row| row.len() != num_classes || row.iter().any(|value| *value > 1))
    {
        return Err(format!("`targets` are not {count} rows of {num_classes} values 0 or 1").into());
    }
    Ok(targets.into_iter().map(|row| row.into_iter().map(|value| value == 1).collect()).collect())
}
