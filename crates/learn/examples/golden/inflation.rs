//! Compares inflated networks: weights of a 2-D network by formula, inflated; the logits, and sums of inflated tensors.

use crate::architectures::architectures;
use crate::cases::{self, Row};
use crate::formula;
use crate::networks::{LIMIT, chain, logits_difference};
use pipe_graph::{ClipShape, Graph};
use pipe_learn::Network;
use pipe_models::{LoadOptions, flat_layout, load};
use pipe_schemas::networks::{Backbone, ModelParams};
use pipe_weights::{Checkpoint, Tensor};
use serde::Deserialize;
use std::error::Error;

/// The largest accepted relative difference of a sum or norm; the files have seven digits.
const SUM_LIMIT: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    arch: String,
    num_classes: usize,
    gain: f64,
    /// `[N, C, T, H, W]`.
    input: [usize; 5],
    /// The sum of the first convolution.
    stem_weight_sum: Option<f64>,
    /// The convolution `layer3.0.conv1`.
    layer3_0_conv1: Option<Inflated>,
    logits: Vec<Vec<f64>>,
}

/// An inflated tensor.
#[derive(Deserialize)]
struct Inflated {
    shape: Vec<usize>,
    sum: f64,
    norm: f64,
}

/// Compares all cases of the files, and returns the number of those that differ.
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let row = |case: &Case| {
        let (difference, wrong) = measure(case)?;
        let is_equal = difference <= LIMIT && wrong.is_empty();
        let wrong = wrong.iter().map(|text| format!("; {text}")).collect::<String>();
        Ok(Row { is_equal, text: format!("{difference:9.1e}{wrong}") })
    };
    let condition = format!("within {LIMIT:e} of the largest logit, with equal sums");
    cases::compare(files, only, row, &condition)
}

/// Returns the largest difference of the logits, and the sums that differ.
fn measure(case: &Case) -> Result<(f64, Vec<String>), Box<dyn Error>> {
    let backbone = architectures(&case.arch, case.input)?.swap_remove(0).backbone;
    let [_, channels, frames, height, width] = case.input;
    let graph = graph(&backbone, ClipShape { channels, frames, height, width }, case.num_classes)?;
    let options = LoadOptions { inflate: true, ..LoadOptions::default() };
    let loaded =
        load(&backbone, &graph, flat_checkpoint(&backbone, &graph, case.gain)?, &options).map_err(|e| chain(&e))?;
    let mut tensors = loaded.tensors;
    let wrong = differing_sums(case, &graph, &tensors);
    // What is not inflated has values by formula.
    for param in graph.params.iter().filter(|param| loaded.report.reinitialised.contains(&param.name)) {
        let values = formula::weights(&param.name, &param.shape, case.gain);
        tensors.insert(param.name.clone(), Tensor::from_f32(param.shape.clone(), &values));
    }
    let mut network = Network::new(graph, 0);
    network.set(&tensors);
    Ok((logits_difference(&network, case.input, &case.logits, |_, _| {})?, wrong))
}

fn graph(backbone: &Backbone, clip: ClipShape, num_classes: usize) -> Result<Graph, Box<dyn Error>> {
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    Ok(pipe_models::build(&params, clip, num_classes).map_err(|error| chain(&error))?)
}

/// Makes the checkpoint of the 2-D network, by the formula on its names.
fn flat_checkpoint(backbone: &Backbone, graph: &Graph, gain: f64) -> Result<Checkpoint, Box<dyn Error>> {
    let layout = flat_layout(backbone, graph)?;
    let tensor = |tensor: &pipe_models::Theirs| {
        let name = tensor.spellings.first()?.clone();
        let values = formula::weights(&name, &tensor.shape, gain);
        Some((name, Tensor::from_f32(tensor.shape.clone(), &values)))
    };
    Ok(Checkpoint { tensors: layout.theirs().filter_map(tensor).collect(), ..Checkpoint::default() })
}

/// Returns the sums of inflated tensors that differ from those of the case, or that no tensor has.
fn differing_sums(case: &Case, graph: &Graph, tensors: &pipe_models::StateDict) -> Vec<String> {
    let find = |end: &str| {
        let param = graph.params.iter().find(|param| param.name.ends_with(end))?;
        tensors.get(&param.name).map(|tensor| (tensor.shape.clone(), tensor.to_f32()))
    };
    let mut wrong = Vec::new();
    let mut check = |what: &str, found: f64, expected: f64| {
        if (found - expected).abs() > SUM_LIMIT * expected.abs() {
            wrong.push(format!("{what} {found} instead of {expected}"));
        }
    };
    let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
    if let Some(expected) = case.stem_weight_sum {
        let found = find("conv1.conv.weight").map_or(f64::NAN, |(_, values)| sum(&values));
        check("sum of the stem", found, expected);
    }
    if let Some(expected) = &case.layer3_0_conv1 {
        let (shape, values) = find("layer3.0.conv1.conv.weight").unwrap_or_default();
        let norm = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        check("sum of layer3.0.conv1", sum(&values), expected.sum);
        check("norm of layer3.0.conv1", norm, expected.norm);
        if shape != expected.shape {
            wrong.push(format!("layer3.0.conv1 has shape {shape:?} instead of {:?}", expected.shape));
        }
    }
    wrong
}
