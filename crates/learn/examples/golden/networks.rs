//! Compares networks: logits, parameters, entries and names of the state dict, and multiply-adds.

use crate::architectures::{Architecture, architectures};
use crate::cases::{self, Row};
use crate::config::{self, Config, Entry};
use crate::formula;
use pipe_graph::ops::recurrent::{Cell, Recurrent};
use pipe_graph::{ClipShape, Graph, Node, Op, Role};
use pipe_learn::Network;
use pipe_models::{Layout, Link, Theirs, import};
use pipe_schemas::networks::{Backbone, ModelParams};
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
struct Case {
    arch: String,
    num_classes: Option<usize>,
    /// From which alone the network is built, if the case has it.
    config: Option<Config>,
    #[serde(default)]
    gain: f64,
    /// `[N, C, T, H, W]`; the clip of `config` if the case has no logits.
    input: Option<[usize; 5]>,
    /// Tensors that are not made by formula, but keep the values that the network gives them.
    #[serde(default)]
    kept_as_built: Vec<String>,
    params: usize,
    entries: usize,
    keys_sha256: String,
    params_without_predictor: Option<usize>,
    entries_without_predictor: Option<usize>,
    macs: Option<u64>,
    logits: Option<Vec<Vec<f64>>>,
    /// The logits with positions on the grid of the clip.
    logits_input_grid: Option<Vec<Vec<f64>>>,
    /// Name, shape, mean and 2-norm of each part's output.
    #[serde(default)]
    stages: Vec<(String, Vec<usize>, f64, f64)>,
}

/// The number of values and the 2-norm of a node's result.
struct Output {
    len: usize,
    norm: f64,
}

/// What a case gave.
struct Measured {
    /// The largest difference of logits, relative to the largest logit; `None` for a case without logits.
    difference: Option<f64>,
    /// The same with positions on the grid of the clip, if the case has these logits.
    difference_input_grid: Option<f64>,
    /// The first part whose output no node has.
    first_stage: Option<String>,
    /// Counts that differ, with both values.
    counts: Vec<String>,
}

/// Compares all cases of the files, and returns the number of those that differ.
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let condition = format!("within {LIMIT:e} of the largest logit, with equal parameters, names and multiply-adds");
    cases::compare(files, only, |case: &Case| Ok(measure(case)?.row()), &condition)
}

impl Measured {
    fn is_equal(&self) -> bool {
        // A case without logits compares counts only.
        let within = |difference: Option<f64>| difference.is_none_or(|difference| difference <= LIMIT);
        within(self.difference) && within(self.difference_input_grid) && self.counts.is_empty()
    }

    fn row(self) -> Row {
        let is_equal = self.is_equal();
        let Self { difference, difference_input_grid, first_stage, counts } = self;
        let number = difference.map_or("no logits".to_owned(), |difference| format!("{difference:.1e}"));
        let grid = difference_input_grid.map(|difference| format!("; on the grid of the clip {difference:.1e}"));
        let stage = first_stage.filter(|_| difference.is_some_and(|difference| difference > LIMIT));
        let stage = stage.map(|stage| format!("; first different part: {stage}"));
        let counts = counts.iter().map(|count| format!("; {count}")).collect::<String>();
        let text = format!("{number:>9}{}{}{counts}", grid.unwrap_or_default(), stage.unwrap_or_default());
        Row { is_equal, text }
    }
}

/// The network of a case, with the names of its tensors.
struct Built {
    architecture: Architecture,
    graph: Graph,
    layout: Layout,
    /// Tensors of the state dict that a classifier never runs.
    unused: Vec<Entry>,
    /// All tensors of the state dict.
    entries: Vec<Entry>,
}

fn measure(case: &Case) -> Result<Measured, Box<dyn Error>> {
    let clip = match (case.input, &case.config) {
        (Some([_, channels, frames, height, width]), _) => ClipShape { channels, frames, height, width },
        (None, Some(config)) => config::clip(config)?,
        (None, None) => return Err("the case has neither `input` nor `config`".into()),
    };
    let built = built(case, clip)?;
    let counts = counts(case, &built);
    let (Some(expected), Some(input)) = (&case.logits, case.input) else {
        return Ok(Measured { difference: None, difference_input_grid: None, first_stage: None, counts });
    };
    let (difference, first_stage) = compare_logits(case, &built, input, expected)?;
    let mut difference_input_grid = None;
    if let Some(expected) = &case.logits_input_grid {
        let backbone = config::on_the_grid_of_the_clip(&built.architecture.backbone);
        let backbone = backbone.ok_or("only V-JEPA 2 has `logits_input_grid`")?;
        let graph = graph(case, &backbone, clip)?;
        difference_input_grid = Some(compare_logits(case, &Built { graph, ..built }, input, expected)?.0);
    }
    Ok(Measured { difference: Some(difference), difference_input_grid, first_stage, counts })
}

fn graph(case: &Case, backbone: &Backbone, clip: ClipShape) -> Result<Graph, Box<dyn Error>> {
    // The map of a pretraining leaves out the classifier.
    let of_pretraining = case.config.as_ref().is_some_and(config::is_pretraining).then_some(1);
    let num_classes = case.num_classes.or(of_pretraining).ok_or("the case has no `num_classes`")?;
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    Ok(pipe_models::build(&params, clip, num_classes).map_err(|error| chain(&error))?)
}

/// Builds the network of a case. If several networks are possible, it is the one with the names and shapes of the case, or else the
/// first one.
fn built(case: &Case, clip: ClipShape) -> Result<Built, Box<dyn Error>> {
    let ClipShape { channels, frames, height, width } = clip;
    let possible = match &case.config {
        Some(config) => config::architectures(config)?,
        None => architectures(&case.arch, [1, channels, frames, height, width])?,
    };
    let mut first = None;
    for architecture in possible {
        let built = graph(case, &architecture.backbone, clip).and_then(|graph| {
            let layout = architecture.map.layout(&graph)?;
            let project = architecture.map.project;
            let unused = case.config.as_ref().map_or(Ok(Vec::new()), |config| config::unused(config, project))?;
            let entries = entries(&layout, architecture.spelling, &unused);
            Ok(Built { architecture, graph, layout, unused, entries })
        });
        if built.as_ref().is_ok_and(|built| digest(&built.entries) == case.keys_sha256) {
            return built;
        }
        first = first.or(Some(built));
    }
    first.unwrap_or_else(|| Err("the case has no network".into()))
}

/// Returns the counts that differ.
fn counts(case: &Case, built: &Built) -> Vec<String> {
    let unused = &built.unused;
    let mut counts = Vec::new();
    let mut check = |what: &str, found: u64, expected: Option<u64>| {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            counts.push(format!("{what} {found} instead of {expected}"));
        }
    };
    let unused_values: usize = unused.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let (params, entries) = (num_params(&built.layout), built.entries.len());
    check("parameters", (params + unused_values) as u64, Some(case.params as u64));
    check("entries", entries as u64, Some(case.entries as u64));
    check("parameters without predictor", params as u64, case.params_without_predictor.map(|count| count as u64));
    let expected = case.entries_without_predictor.map(|count| count as u64);
    check("entries without predictor", (entries - unused.len()) as u64, expected);
    check("multiply-adds", built.graph.macs() + counted_more(case, &built.graph), case.macs);
    let names = digest(&built.entries);
    if names != case.keys_sha256 {
        counts.push(format!("names {names} instead of {}", case.keys_sha256));
    }
    counts
}

/// Returns the largest difference of logits, relative to the largest logit, and the first part that differs.
fn compare_logits(
    case: &Case,
    built: &Built,
    input: [usize; 5],
    expected: &[Vec<f64>],
) -> Result<(f64, Option<String>), Box<dyn Error>> {
    let mut network = Network::new(built.graph.clone(), 0);
    let checkpoint = checkpoint(&case.kept_as_built, case.gain, &built.layout, built.architecture.spelling, &network);
    network.set(&import(&built.architecture.map, &built.layout, checkpoint)?.tensors);
    let mut outputs = Vec::new();
    let observe = |_: &pipe_graph::Node, value: &tch::Tensor| {
        let norm = value.to_kind(tch::Kind::Double).norm().double_value(&[]);
        outputs.push(Output { len: value.numel(), norm });
    };
    let difference = logits_difference(&network, input, expected, observe)?;
    Ok((difference, first_stage(case, &outputs)))
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
    let frames = graph.nodes[0].shape.dims[1] as u64;
    let factor = |node: &Node| match &node.op {
        Op::Recurrent(Recurrent { cell: Cell::Gru, .. }) => 1,
        Op::Linear(_) if case.arch == "tsn_inception_v3" && node.name == "fc" => frames - 1,
        _ => 0,
    };
    graph.nodes.iter().map(|node| factor(node) * graph.node_macs(node)).sum()
}

/// Returns the names and shapes of the state dict, as the project of the case writes it.
fn entries(layout: &Layout, spelling: usize, unused: &[Entry]) -> Vec<Entry> {
    let stored = layout.theirs().filter_map(|tensor| Some((spelled(tensor, spelling)?, tensor.shape.clone())));
    let derived = layout.derived.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone()));
    let mut entries: Vec<Entry> = stored.chain(derived).chain(unused.iter().cloned()).collect();
    entries.sort();
    entries
}

/// Returns the name of a tensor in the state dict; `None` for zeros, which are not stored.
pub(crate) fn spelled(tensor: &Theirs, spelling: usize) -> Option<String> {
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

/// Makes the state dict, by the formula on the project's names. Tensors of `kept` keep the values that the network gives them.
pub(crate) fn checkpoint(
    kept: &[String],
    gain: f64,
    layout: &Layout,
    spelling: usize,
    network: &Network,
) -> Checkpoint {
    let built = if kept.is_empty() { BTreeMap::new() } else { network.tensors() };
    let tensor = |(link, tensor): (&Link, &Theirs)| {
        let name = spelled(tensor, spelling)?;
        let values = if kept.contains(&name) {
            built.get(&link.ours.first()?.name)?.to_f32()
        } else {
            formula::weights(&name, &tensor.shape, gain)
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
