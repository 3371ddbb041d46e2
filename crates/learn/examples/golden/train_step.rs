//! Compares steps of training in float64: losses, gradients, weights after a step of SGD, running statistics, and the losses of the next
//! two steps with the same batch. Everything is compared by the names and shapes of the tensors of the original.

use crate::architectures::{Architecture, architectures};
use crate::cases::{self, Row};
use crate::config::{self, Config};
use crate::formula;
use crate::networks::{chain, checkpoint, spelled};
use pipe_graph::{ClipShape, Graph, Op, Role};
use pipe_learn::{
    AccumulatedBatches, Gradients, Labels, Network, Objective, Optimizer, Piece, TrainingStep, clip_gradients,
};
use pipe_models::{Layout, import};
use pipe_schemas::losses::{CrossEntropyLoss, Loss};
use pipe_schemas::networks::{ClsHead, ModelParams};
use pipe_schemas::stages::train;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use tch::{Kind, Tensor};

/// The largest accepted relative difference.
const LIMIT: f64 = 1e-6;
/// The part of the norm of all gradients that counts as 0: biases of keys have no gradient, and the originals' is rounding.
const ZERO: f64 = 1e-9;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "id")]
    _id: Option<String>,
    arch: String,
    num_classes: usize,
    gain: f64,
    /// From which alone the network is built, if the case has it.
    config: Option<Config>,
    /// `[N, C, T, H, W]`.
    input: [usize; 5],
    labels: Vec<i64>,
    /// The beginnings of names of trained tensors, such as `pooler.* and classifier.*`; `all` by default.
    trainable: Option<String>,
    #[serde(default)]
    sgd: SgdParams,
    trainable_tensors: Option<usize>,
    trainable_params: Option<usize>,
    loss: f64,
    loss_main: Option<f64>,
    loss_aux: Option<f64>,
    grad_norm: f64,
    /// Sum and 2-norm.
    grads: BTreeMap<String, [f64; 2]>,
    updated: BTreeMap<String, [f64; 2]>,
    #[serde(default)]
    buffers: BTreeMap<String, [f64; 2]>,
    /// The 2-norm of the step.
    delta: BTreeMap<String, f64>,
    losses_of_the_next_two_steps_same_batch: [f64; 2],
    #[serde(rename = "float32_rel_difference")]
    _float32_rel_difference: Option<serde_json::Value>,
}

/// The parameters of a step; those of `GOLDEN.md` where a case has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SgdParams {
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    label_smoothing: f64,
}

impl Default for SgdParams {
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.9, weight_decay: 1e-4, label_smoothing: 0.1 }
    }
}

/// Compares all cases of the files, and returns the number of those that differ.
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let condition = format!("with all figures within {LIMIT:e} in float64");
    cases::compare(files, only, |case: &Case| Ok(measure(case)?.row()), &condition)
}

/// The figures of a case.
#[derive(Default)]
struct Differences {
    count: usize,
    /// The largest relative difference.
    largest: f64,
    /// Figures that differ, with both values.
    wrong: Vec<String>,
}

impl Differences {
    fn row(self) -> Row {
        let Self { count, largest, wrong } = self;
        let is_equal = wrong.is_empty();
        let wrong = wrong.iter().map(|text| format!("; {text}")).collect::<String>();
        Row { is_equal, text: format!("{count} figures, largest difference {largest:.1e}{wrong}") }
    }

    /// Compares numbers relative to the largest of the expected one and `scale`.
    fn add(&mut self, what: &str, found: f64, expected: f64, scale: f64) {
        let difference = (found - expected).abs() / expected.abs().max(scale).max(f64::MIN_POSITIVE);
        self.count += 1;
        self.largest = if difference.is_nan() { f64::INFINITY } else { self.largest.max(difference) };
        if difference.is_nan() || difference > LIMIT {
            self.wrong.push(format!("{what} {found:e} instead of {expected:e}"));
        }
    }

    /// Compares sums and norms of tensors. A sum is compared relative to the norm, because its terms cancel out.
    fn add_tensors(
        &mut self,
        what: &str,
        found: &BTreeMap<String, Tensor>,
        expected: &BTreeMap<String, [f64; 2]>,
        zero: f64,
    ) {
        for (name, [sum, norm]) in expected {
            let Some(tensor) = found.get(name) else {
                self.wrong.push(format!("{what} of `{name}`: the network has no such tensor"));
                continue;
            };
            self.add(
                &format!("sum of {what} of `{name}`"),
                tensor.sum(Kind::Double).double_value(&[]),
                *sum,
                norm.max(zero),
            );
            self.add(&format!("norm of {what} of `{name}`"), tensor.norm().double_value(&[]), *norm, zero);
        }
    }
}

fn measure(case: &Case) -> Result<Differences, Box<dyn Error>> {
    let mut training = Training::new(case)?;
    let mut differences = Differences::default();
    training.check_counts(case, &mut differences);

    let before = training.by_their_names(|name| training.tensor(name));
    let losses = training.backward()?;
    differences.add("loss", losses.total, case.loss, 0.0);
    for (what, found, expected) in
        [("main loss", Some(losses.main), case.loss_main), ("auxiliary loss", losses.auxiliary, case.loss_aux)]
    {
        match (found, expected) {
            (_, None) => {}
            (Some(found), Some(expected)) => differences.add(what, found, expected, 0.0),
            (None, Some(_)) => differences.wrong.push(format!("the network has no {what}")),
        }
    }
    let gradients = training.by_their_names(|name| training.gradient(name));
    differences.add_tensors("gradient", &gradients, &case.grads, ZERO * case.grad_norm);

    differences.add("norm of gradients", training.update(&case.sgd)?, case.grad_norm, 0.0);
    let after = training.by_their_names(|name| training.tensor(name));
    differences.add_tensors("weights", &after, &case.updated, 0.0);
    differences.add_tensors("statistics", &after, &case.buffers, 0.0);
    for (name, expected) in &case.delta {
        match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) => {
                let step = (after - before).norm().double_value(&[]);
                differences.add(&format!("step of `{name}`"), step, *expected, 0.0);
            }
            _ => differences.wrong.push(format!("step of `{name}`: the network has no such tensor")),
        }
    }
    for (index, expected) in case.losses_of_the_next_two_steps_same_batch.iter().enumerate() {
        differences.add(&format!("loss of step {}", index + 2), training.backward()?.total, *expected, 0.0);
        training.update(&case.sgd)?;
    }
    Ok(differences)
}

/// The losses of a batch.
struct Losses {
    total: f64,
    main: f64,
    auxiliary: Option<f64>,
}

/// A network in training, in float64.
struct Training {
    network: Network,
    layout: Layout,
    spelling: usize,
    /// The names and tensors of ours that are trained, and their gradients after [`Self::backward`].
    names: Vec<String>,
    weights: Vec<Tensor>,
    gradients: Vec<Tensor>,
    optimizer: Optimizer,
    objective: Objective,
    clips: Tensor,
    labels: Labels,
}

impl Training {
    fn new(case: &Case) -> Result<Self, Box<dyn Error>> {
        let [num_clips, channels, frames, height, width] = case.input;
        if case.labels.len() != num_clips
            || case.labels.iter().any(|label| !(0..case.num_classes as i64).contains(label))
        {
            return Err(format!("`labels` are not {num_clips} of {} classes", case.num_classes).into());
        }
        let Architecture { backbone, map, spelling } = match &case.config {
            Some(config) => config::architectures(config)?.swap_remove(0),
            None => architectures(&case.arch, case.input)?.swap_remove(0),
        };
        let cls_head = ClsHead { label_smooth_eps: case.sgd.label_smoothing, ..ClsHead::default() };
        let params = ModelParams { backbone, cls_head, ..ModelParams::default() };
        let clip = ClipShape { channels, frames, height, width };
        let graph = pipe_models::build(&params, clip, case.num_classes).map_err(|error| chain(&error))?;
        let layout = map.layout(&graph)?;
        let mut network = Network::new(without_dropout(graph), 0);
        let checkpoint = checkpoint(&[], case.gain, &layout, spelling, &network);
        network.set(&import(&map, &layout, checkpoint)?.tensors);
        let network = network.to_kind(Kind::Double);
        let names = trained(case, &layout, spelling)?;
        let tensors: BTreeMap<&str, &Tensor> = network.named_tensors().collect();
        let weights = names.iter().filter_map(|name| Some(tensors.get(name.as_str())?.shallow_clone())).collect();
        let SgdParams { lr, momentum, weight_decay, .. } = case.sgd;
        let sgd = train::Sgd { lr: train::LearningRate::Number(lr), momentum, weight_decay, ..train::Sgd::default() };
        Ok(Self {
            optimizer: Optimizer::new(&train::Optimizer::SGD(sgd), vec![weight_decay; names.len()]),
            objective: Objective::new(Loss::CrossEntropyLoss(CrossEntropyLoss::default()), &params.cls_head),
            clips: Tensor::from_slice(&formula::clip(case.input))
                .to_kind(Kind::Double)
                .view(case.input.map(|n| n as i64)),
            labels: Labels::Classes(Tensor::from_slice(&case.labels)),
            gradients: Vec::new(),
            network,
            layout,
            spelling,
            names,
            weights,
        })
    }

    fn check_counts(&self, case: &Case, differences: &mut Differences) {
        let mut check = |what: &str, found: usize, expected: Option<usize>| {
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                differences.wrong.push(format!("{found} trained {what} instead of {expected}"));
            }
        };
        let is_trained = |link: &&pipe_models::Link| link.ours.iter().all(|tensor| self.names.contains(&tensor.name));
        let links = self.layout.links.iter().filter(is_trained);
        let stored: Vec<_> =
            links.flat_map(|link| &link.theirs).filter(|tensor| !tensor.spellings.is_empty()).collect();
        check("tensors", stored.len(), case.trainable_tensors);
        let values = stored.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        check("values", values, case.trainable_params);
    }

    /// Computes the losses, and keeps the gradients.
    fn backward(&mut self) -> Result<Losses, Box<dyn Error>> {
        let step = TrainingStep { seed: 0, epoch: 0, step: 0, piece: Piece::whole(self.clips.size()[0] as usize) };
        let (logits, auxiliary) = self.network.forward_training(&self.clips, step).map_err(|error| chain(&error))?;
        let main = self.objective.loss(&logits, &self.labels)?;
        let auxiliary = auxiliary.map(|logits| self.objective.loss(&logits, &self.labels)).transpose()?;
        let total = self.network.total_loss(&main, auxiliary.as_ref())?;
        let mut gradients = Gradients::default();
        gradients.add(&total, AccumulatedBatches { len: 1, is_complete: true }, &self.weights)?;
        self.gradients = gradients.take();
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        Ok(Losses { total: value(&total), main: value(&main), auxiliary: auxiliary.as_ref().map(value) })
    }

    /// Makes a step with the gradients, and returns their norm.
    fn update(&mut self, sgd: &SgdParams) -> Result<f64, Box<dyn Error>> {
        let mut gradients = std::mem::take(&mut self.gradients);
        let norm = clip_gradients(&mut gradients, None)?;
        let rates = vec![sgd.lr; self.weights.len()];
        self.optimizer.step(&rates, &mut self.weights, gradients).map_err(|error| chain(&error))?;
        Ok(norm.double_value(&[]))
    }

    /// Returns a copy of a tensor of ours.
    fn tensor(&self, name: &str) -> Option<Tensor> {
        self.network.named_tensors().find(|(found, _)| *found == name).map(|(_, tensor)| tensor.detach().copy())
    }

    fn gradient(&self, name: &str) -> Option<Tensor> {
        let at = self.names.iter().position(|found| found == name)?;
        self.gradients.get(at).map(Tensor::shallow_clone)
    }

    /// Divides tensors of ours as the original does. Those that it does not have, and those without a value, are left out.
    fn by_their_names(&self, value: impl Fn(&str) -> Option<Tensor>) -> BTreeMap<String, Tensor> {
        let mut named = BTreeMap::new();
        for link in &self.layout.links {
            let parts: Option<Vec<Tensor>> =
                link.ours.iter().map(|tensor| Some(value(&tensor.name)?.reshape(-1))).collect();
            let Some(values) = parts.map(|parts| Tensor::cat(&parts, 0)) else { continue };
            let mut start = 0;
            for tensor in &link.theirs {
                let len = tensor.shape.iter().product::<usize>() as i64;
                if let Some(name) = spelled(tensor, self.spelling) {
                    named.insert(name, values.narrow(0, start, len));
                }
                start += len;
            }
        }
        named
    }
}

/// Returns the names of ours of the tensors that a case trains: those whose names in the original match a pattern.
fn trained(case: &Case, layout: &Layout, spelling: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let patterns: Vec<&str> = match case.trainable.as_deref().unwrap_or("all") {
        "all" => vec!["*"],
        patterns => patterns.split(" and ").collect(),
    };
    let matches = |name: &str| {
        patterns
            .iter()
            .any(|pattern| pattern.strip_suffix('*').map_or(name == *pattern, |start| name.starts_with(start)))
    };
    let mut names = Vec::new();
    for link in &layout.links {
        let mut theirs = link.theirs.iter().filter_map(|tensor| spelled(tensor, spelling));
        if theirs.any(|name| matches(&name)) {
            let trained = link.ours.iter().filter(|tensor| tensor.role != Role::Buffer);
            names.extend(trained.map(|tensor| tensor.name.clone()));
        }
    }
    if names.is_empty() { Err(format!("no tensor matches {patterns:?}").into()) } else { Ok(names) }
}

fn without_dropout(mut graph: Graph) -> Graph {
    for node in &mut graph.nodes {
        match &mut node.op {
            Op::Dropout(op) => op.ratio = 0.0,
            Op::DropPath(op) => op.rate = 0.0,
            _ => {}
        }
    }
    graph
}
