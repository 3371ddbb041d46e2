//! Compares networks: logits, parameters, entries and names of the state dict, and multiply-adds.

use crate::architectures::{Architecture, architecture};
use crate::formula;
use pipe_graph::ops::recurrent::{Cell, Recurrent};
use pipe_graph::{ClipShape, Graph, Node, Op, Role};
use pipe_learn::Network;
use pipe_models::{Layout, Link, Theirs, import};
use pipe_schemas::networks::ModelParams;
use pipe_weights::{Checkpoint, Tensor};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::error::Error;

/// The largest accepted difference of logits, relative to the largest logit.
pub(crate) const LIMIT: f64 = 2e-5;
/// The largest accepted difference of the norm of a part's output; the files have six digits.
const STAGE_LIMIT: f64 = 1e-4;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    arch: String,
    num_classes: usize,
    gain: f64,
    /// `[N, C, T, H, W]`.
    input: [usize; 5],
    /// Tensors that are not made by formula, but keep the values that the network gives them.
    #[serde(default)]
    kept_as_built: Vec<String>,
    params: usize,
    entries: usize,
    keys_sha256: String,
    macs: u64,
    logits: Vec<Vec<f64>>,
    /// Name, shape, mean and 2-norm of each part's output.
    stages: Vec<(String, Vec<usize>, f64, f64)>,
}

/// The name and shape of a tensor in a state dict.
type Entry = (String, Vec<usize>);

/// The number of values and the 2-norm of a node's result.
struct Output {
    len: usize,
    norm: f64,
}

/// What a case gave.
struct Measured {
    difference: f64,
    /// The first part whose output no node has.
    first_stage: Option<String>,
    /// Counts that differ, with both values.
    counts: Vec<String>,
}

/// Compares all cases of the files, prints a row for each, and returns the number of cases that differ.
#[expect(clippy::print_stdout, reason = "the report of a program")]
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    pipe_learn::pin_threads();
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let text = fs_err::read_to_string(path)?;
        let file: File = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        for case in file.cases.iter().filter(|case| only.is_none_or(|only| case.id == only)) {
            compared += 1;
            let row = match measure(case) {
                Ok(Measured { difference, first_stage, counts }) => {
                    let equal = difference <= LIMIT && counts.is_empty();
                    failed += usize::from(!equal);
                    let verdict = if equal { "equal" } else { "DIFFERS" };
                    let stage = first_stage.filter(|_| difference > LIMIT);
                    let stage = stage.map(|stage| format!("; first different part: {stage}")).unwrap_or_default();
                    let counts = counts.iter().map(|count| format!("; {count}")).collect::<String>();
                    format!("{verdict:8} {:36} {difference:9.1e}{stage}{counts}", case.id)
                }
                Err(error) => {
                    failed += 1;
                    format!("FAILED   {:36} {error}", case.id)
                }
            };
            println!("{row}");
        }
    }
    println!(
        "{} of {compared} cases within {LIMIT:e} of the largest logit, with equal parameters, names and multiply-adds",
        compared - failed
    );
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}

fn measure(case: &Case) -> Result<Measured, Box<dyn Error>> {
    let Architecture { backbone, map, spelling } = architecture(&case.arch)?;
    let [_, channels, frames, height, width] = case.input;
    let params = ModelParams { backbone, ..ModelParams::default() };
    let graph = pipe_models::build(&params, ClipShape { channels, frames, height, width }, case.num_classes)
        .map_err(|error| chain(&error))?;
    let layout = map.layout(&graph)?;
    let mut counts = Vec::new();
    let mut check = |what: &str, found: String, expected: String| {
        if found != expected {
            counts.push(format!("{what} {found} instead of {expected}"));
        }
    };
    let entries = entries(&layout, spelling);
    check("parameters", num_params(&layout).to_string(), case.params.to_string());
    check("entries", entries.len().to_string(), case.entries.to_string());
    check("names", digest(&entries), case.keys_sha256.clone());
    check("multiply-adds", (graph.macs() + counted_more(case, &graph)).to_string(), case.macs.to_string());
    let mut network = Network::new(graph, 0);
    let checkpoint = checkpoint(case, &layout, spelling, &network);
    network.set(&import(&map, &layout, checkpoint)?.tensors);
    let mut outputs = Vec::new();
    let observe = |_: &pipe_graph::Node, value: &tch::Tensor| {
        let norm = value.to_kind(tch::Kind::Double).norm().double_value(&[]);
        outputs.push(Output { len: value.numel(), norm });
    };
    let difference = logits_difference(&network, case.input, &case.logits, observe)?;
    Ok(Measured { difference, first_stage: first_stage(case, &outputs), counts })
}

/// Returns the largest difference between the logits of a clip by formula and the expected ones, relative to the largest expected one.
pub(crate) fn logits_difference(
    network: &Network,
    input: [usize; 5],
    expected: &[Vec<f64>],
    observe: impl FnMut(&pipe_graph::Node, &tch::Tensor),
) -> Result<f64, Box<dyn Error>> {
    let clips = tch::Tensor::from_slice(&formula::clip(input)).view(input.map(|size| size as i64).as_slice());
    let logits = tch::no_grad(|| network.forward_with(&clips, None, observe)).map_err(|error| chain(&error))?;
    let logits = Vec::<f32>::try_from(logits.contiguous().view(-1))?;
    let num_expected = expected.iter().map(Vec::len).sum::<usize>();
    if expected.len() != input[0] || logits.len() != num_expected {
        return Err(format!("{} logits instead of {num_expected}", logits.len()).into());
    }
    let expected = expected.iter().flatten();
    let largest = expected.clone().fold(0.0_f64, |largest, logit| largest.max(logit.abs()));
    let difference = expected.zip(&logits).fold(0.0_f64, |most, (a, b)| most.max((a - f64::from(*b)).abs())) / largest;
    // A NaN compares false with the limit everywhere else.
    Ok(if logits.iter().all(|logit| logit.is_finite()) { difference } else { f64::INFINITY })
}

/// Returns the multiply-adds that the files count and our networks do not have: those of a GRU again, which PyTorch computes as separate
/// products, so that they were counted as products and as a recurrence; and those of Inception's classifier for all frames but one,
/// because the original classifies each frame and averages the logits, while ours averages the features, which is equal.
fn counted_more(case: &Case, graph: &Graph) -> u64 {
    let frames = case.input[2] as u64;
    let factor = |node: &Node| match &node.op {
        Op::Recurrent(Recurrent { cell: Cell::Gru, .. }) => 1,
        Op::Linear(_) if case.arch == "tsn_inception_v3" && node.name == "fc" => frames - 1,
        _ => 0,
    };
    graph.nodes.iter().map(|node| factor(node) * graph.node_macs(node)).sum()
}

/// Returns the names and shapes of the state dict, as the project of the case writes it.
fn entries(layout: &Layout, spelling: usize) -> Vec<Entry> {
    let stored = layout.theirs().filter_map(|tensor| Some((spelled(tensor, spelling)?, tensor.shape.clone())));
    let derived = layout.derived.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone()));
    let mut entries: Vec<Entry> = stored.chain(derived).collect();
    entries.sort();
    entries
}

/// Returns the name of a tensor in the state dict; `None` for zeros, which are not stored.
fn spelled(tensor: &Theirs, spelling: usize) -> Option<String> {
    tensor.spellings.get(spelling).or(tensor.spellings.last()).cloned()
}

/// Returns the number of trained values in the state dict.
fn num_params(layout: &Layout) -> usize {
    let trained = |link: &&Link| link.ours.iter().all(|tensor| tensor.role != Role::Buffer);
    let stored = |tensor: &&Theirs| !tensor.spellings.is_empty();
    let tensors = layout.links.iter().filter(trained).flat_map(|link| &link.theirs).filter(stored);
    tensors.map(|tensor| tensor.shape.iter().product::<usize>()).sum()
}

fn digest(entries: &[(String, Vec<usize>)]) -> String {
    let mut hasher = Sha256::new();
    for (name, shape) in entries {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        let sizes = if sizes.is_empty() { "scalar".to_owned() } else { sizes.join("x") };
        hasher.update(format!("{name} {sizes}\n"));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the state dict, by the formula on the project's names.
fn checkpoint(case: &Case, layout: &Layout, spelling: usize, network: &Network) -> Checkpoint {
    let built = if case.kept_as_built.is_empty() { BTreeMap::new() } else { network.tensors() };
    let tensor = |(link, tensor): (&Link, &Theirs)| {
        let name = spelled(tensor, spelling)?;
        let values = if case.kept_as_built.contains(&name) {
            built.get(&link.ours.first()?.name)?.to_f32()
        } else {
            formula::weights(&name, &tensor.shape, case.gain)
        };
        Some((name, Tensor::from_f32(tensor.shape.clone(), &values)))
    };
    let tensors = layout.links.iter().flat_map(|link| link.theirs.iter().map(move |tensor| (link, tensor)));
    Checkpoint { tensors: tensors.filter_map(tensor).collect(), ..Checkpoint::default() }
}

/// Returns the first part of the original whose output no node of ours has.
fn first_stage(case: &Case, outputs: &[Output]) -> Option<String> {
    let has = |shape: &[usize], norm: f64| {
        let len: usize = shape.iter().product();
        outputs.iter().any(|output| output.len == len && (output.norm - norm).abs() <= STAGE_LIMIT * norm)
    };
    case.stages.iter().find(|(_, shape, _, norm)| !has(shape, *norm)).map(|(name, ..)| name.clone())
}

/// Returns an error and its causes as one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
