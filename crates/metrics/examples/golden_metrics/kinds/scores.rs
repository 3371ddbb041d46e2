//! Scores that become one: views of a video, and networks of a fusion.

use super::{LIMIT, unknown};
use crate::case::{Case, Figures};
use crate::formula;
use pipe_metrics::{argmax, fuse, mean_of_views, softmax};
use serde_json::{Value, json};
use std::error::Error;

/// Views, averaged as probabilities and as logits.
pub(crate) fn measure_views(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let videos = views(case.get("logits")?)?;
    let average = |to_scores: fn(&[f64]) -> Vec<f64>| -> Vec<Vec<f64>> {
        let of_video =
            |views: &Vec<Vec<f64>>| mean_of_views(&views.iter().map(|view| to_scores(view)).collect::<Vec<_>>());
        videos.iter().map(of_video).collect()
    };
    let (prob, score) = (average(softmax), average(<[f64]>::to_vec));
    let best = |scores: &[Vec<f64>]| json!(scores.iter().map(|row| argmax(row)).collect::<Vec<_>>());
    let mut figures = Figures::default();
    for (name, expected) in case.figures(&["logits"]) {
        let found = match name {
            "prob" => json!(prob),
            "score" => json!(score),
            "argmax_prob" => best(&prob),
            "argmax_score" => best(&score),
            _ => return Err(unknown(name)),
        };
        figures.compare(name, expected, &found, LIMIT);
    }
    Ok(figures)
}

/// Reads `[videos, views, classes]`: numbers, or a formula with its shape.
fn views(value: &Value) -> Result<Vec<Vec<Vec<f64>>>, Box<dyn Error>> {
    let Value::String(text) = value else {
        let videos: Vec<Vec<Vec<f64>>> = serde_json::from_value(value.clone())?;
        let num_classes = videos.iter().flatten().next().map_or(0, Vec::len);
        if videos.iter().any(|views| views.is_empty() || views.iter().any(|view| view.len() != num_classes)) {
            return Err("`logits` are not one or more views of a video, all with the same number of classes".into());
        }
        return Ok(videos);
    };
    let shape = shape(text).filter(|shape| shape.len() == 3);
    let [videos, views, classes]: [usize; 3] =
        shape.and_then(|shape| shape.try_into().ok()).ok_or_else(|| format!("`{text}` has no shape of 3 numbers"))?;
    let values = formula::values(text, &[videos, views, classes], &[])?.swap_remove(0);
    let of_video = |video: &[f64]| video.chunks(classes.max(1)).map(<[f64]>::to_vec).collect();
    Ok(values.chunks((views * classes).max(1)).map(of_video).collect())
}

/// Several networks, with a coefficient for each.
pub(crate) fn measure_fusion(case: &Case) -> Result<Figures, Box<dyn Error>> {
    let coefficients: Vec<f64> = case.parsed("coefficients")?;
    let networks: Vec<Vec<Vec<f64>>> = match case.get("scores")? {
        Value::String(text) => {
            let [count, num_classes]: [usize; 2] = shape(text)
                .and_then(|shape| shape.try_into().ok())
                .ok_or_else(|| format!("`{text}` has no shape of 2 numbers"))?;
            let rows = |values: Vec<f64>| values.chunks(num_classes.max(1)).map(<[f64]>::to_vec).collect();
            formula::values(text, &[count, num_classes], &[])?.into_iter().map(rows).collect()
        }
        networks => serde_json::from_value(networks.clone())?,
    };
    let scores: Vec<&[Vec<f64>]> = networks.iter().map(Vec::as_slice).collect();
    let fused = fuse(&scores, &coefficients).ok_or("scores and coefficients do not fit each other")?;
    let mut figures = Figures::default();
    for (name, expected) in case.figures(&["scores", "coefficients"]) {
        let found = match name {
            "fused" => json!(fused),
            "argmax" => json!(fused.iter().map(|row| argmax(row)).collect::<Vec<_>>()),
            _ => return Err(unknown(name)),
        };
        figures.compare(name, expected, &found, LIMIT);
    }
    Ok(figures)
}

/// Returns the shape in a formula: the numbers in its brackets.
fn shape(text: &str) -> Option<Vec<usize>> {
    let (_, rest) = text.split_once('[')?;
    let numbers = rest.split_once(']')?.0.split(',').map(|part| part.split_whitespace().next()?.parse().ok());
    numbers.collect::<Option<Vec<usize>>>().filter(|shape| formula::num_values(shape).is_some())
}
