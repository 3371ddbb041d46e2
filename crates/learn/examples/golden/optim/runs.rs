//! Runs of optimisers and of averages on small tensors, whose values and gradients follow from formulas.

use super::report::Differences;
use super::{Problem, remove_unmatched_keys};
use crate::formula::Draws;
use pipe_graph::Role;
use pipe_learn::{
    AccumulatedBatches, Average, Gradients, Layer, Optimizer, ParamGroup, ParamGroups, TrainedTensor, clip_gradients,
};
use pipe_schemas::stages::train::{ClipGrad, Constructor, EmaType, OptimWrapper, Sgd, TrainParams};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use tch::{Kind, Tensor};

/// The loss of [`accumulation`].
const ACCUMULATED_LOSS: &str = "sum over tensors of sum(p * v(name#gradK))";

/// The largest number of iterations of a case, so that a wrong one is an error and does not run for ever.
const MAX_ITERATIONS: usize = 1_000_000;

/// A run of an optimiser.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptimizerCase {
    optimizer: Value,
    paramwise_cfg: Option<Value>,
    constructor: Option<Constructor>,
    clip_grad: Option<ClipGrad>,
    grad_scale: f64,
    #[serde(default)]
    groups: BTreeMap<String, Group>,
    steps: Vec<Step>,
}

/// The settings of a tensor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) lr: f64,
    pub(super) weight_decay: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    grad_norm2_before: Option<f64>,
    grad_norm2_after: Option<f64>,
    params: BTreeMap<String, Vec<f64>>,
}

/// The tensors of a problem and what an optimiser reads of them.
struct Weights {
    names: Vec<String>,
    infos: Vec<TrainedTensor>,
    tensors: Vec<Tensor>,
}

impl Weights {
    fn new(problem: &Problem) -> Self {
        let names: Vec<String> = problem.tensors.keys().cloned().collect();
        let tensor = |name: &String| drawn(name, &problem.tensors[name]).set_requires_grad(true);
        let tensors = names.iter().map(tensor).collect();
        Self { infos: names.iter().map(|name| info(name, problem)).collect(), names, tensors }
    }

    fn values(&self, name: &str) -> Result<Vec<f64>, Box<dyn Error>> {
        let position = self.names.iter().position(|known| known == name);
        let tensor = &self.tensors[position.ok_or_else(|| format!("`{name}` is not a tensor of the problem"))?];
        Ok(Vec::try_from(tensor.detach().flatten(0, -1))?)
    }
}

/// Returns the tensor with the values `v(name)`.
fn drawn(name: &str, shape: &[usize]) -> Tensor {
    let draws = Draws::new(name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|index| draws.signed(index)).collect();
    let shape: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
    Tensor::from_slice(&values).view(shape.as_slice())
}

/// Returns what rules read of a tensor. Its layer follows from the axes of the layer's `weight`: one of a normalisation, two of a linear
/// layer, more of a convolution.
fn info(name: &str, problem: &Problem) -> TrainedTensor {
    let (module, slot) = name.rsplit_once('.').unwrap_or(("", name));
    let weight = problem.tensors.get(&format!("{module}.weight"));
    let layer = match (weight.map(Vec::len), slot) {
        (Some(1), "weight" | "bias") => Layer::Norm,
        (Some(2), "weight" | "bias") => Layer::Linear,
        (Some(3..), "weight" | "bias") => Layer::Conv,
        _ => Layer::Other,
    };
    let shape = problem.tensors.get(name).cloned().unwrap_or_default();
    TrainedTensor { name: name.to_owned(), mmaction2: vec![name.to_owned()], shape, layer }
}

/// Reads parameters as `train` does, with all checks.
pub(super) fn wrapper(
    mut fields: Map<String, Value>,
    constructor: Constructor,
) -> Result<OptimWrapper, Box<dyn Error>> {
    // The keys of this constructor are `paramwise_cfg` itself.
    let is_swin = constructor == Constructor::SwinOptimWrapperConstructor;
    if let Some(cfg) = fields.get_mut("paramwise_cfg").filter(|cfg| is_swin && cfg.get("custom_keys").is_none()) {
        *cfg = json!({ "custom_keys": cfg });
    }
    fields.insert("constructor".to_owned(), json!(constructor));
    fields.retain(|_, value| !value.is_null());
    let params: TrainParams = serde_json::from_value(json!({ "optim_wrapper": fields }))?;
    match pipe_schemas::contract::Params::check(&params).into_iter().next() {
        Some(error) => Err(format!("{}: {}", error.path.join("."), error.message).into()),
        None => Ok(params.optim_wrapper),
    }
}

impl OptimizerCase {
    pub(super) fn measure(&self, problem: &Problem) -> Result<Differences, Box<dyn Error>> {
        let fields = [
            ("optimizer", self.optimizer.clone()),
            ("clip_grad", json!(self.clip_grad)),
            ("paramwise_cfg", json!(self.paramwise_cfg)),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut wrapper = wrapper(fields, self.constructor.unwrap_or_default())?;
        let mut weights = Weights::new(problem);
        remove_unmatched_keys(&mut wrapper, &weights.infos);
        let groups = ParamGroups::new(&wrapper, &weights.infos)?;
        let mut found = Differences::default();
        for (name, group) in &self.groups {
            let position = weights.names.iter().position(|known| known == name);
            let position = position.ok_or_else(|| format!("`{name}` is not a tensor of the problem"))?;
            compare_group(&mut found, name, groups.groups()[position], group);
        }
        let rates: Vec<f64> = groups.groups().iter().map(|group| group.lr).collect();
        let decays = groups.groups().iter().map(|group| group.weight_decay).collect();
        let mut optimizer = Optimizer::new(&wrapper.optimizer, decays);
        for (number, step) in self.steps.iter().enumerate() {
            self.step(number, step, &wrapper, &rates, &mut optimizer, &mut weights, &mut found)?;
        }
        Ok(found)
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a run")]
    fn step(
        &self,
        number: usize,
        step: &Step,
        wrapper: &OptimWrapper,
        rates: &[f64],
        optimizer: &mut Optimizer,
        weights: &mut Weights,
        found: &mut Differences,
    ) -> Result<(), Box<dyn Error>> {
        let gradient = |(info, weight): (&TrainedTensor, &Tensor)| {
            drawn(&format!("{}#grad{number}", info.name), &info.shape) * self.grad_scale + weight.detach() * 0.5
        };
        let mut gradients: Vec<Tensor> = weights.infos.iter().zip(&weights.tensors).map(gradient).collect();
        if let Some(expected) = step.grad_norm2_before {
            found.value(&format!("step {number}: norm before"), norm2(&gradients), expected);
        }
        let _ = clip_gradients(&mut gradients, wrapper.clip_grad.as_ref())?;
        if let Some(expected) = step.grad_norm2_after {
            found.value(&format!("step {number}: norm after"), norm2(&gradients), expected);
        }
        optimizer.step(rates, &mut weights.tensors, gradients)?;
        for (name, expected) in &step.params {
            found.values(&format!("step {number}: {name}"), &weights.values(name)?, expected);
        }
        Ok(())
    }
}

pub(super) fn compare_group(found: &mut Differences, name: &str, group: ParamGroup, expected: &Group) {
    found.value(&format!("lr of {name}"), group.lr, expected.lr);
    found.value(&format!("weight decay of {name}"), group.weight_decay, expected.weight_decay);
}

fn norm2(gradients: &[Tensor]) -> f64 {
    let squares = gradients.iter().map(|gradient| gradient.square().sum(Kind::Double).double_value(&[]));
    squares.sum::<f64>().sqrt()
}

/// Compares a run with accumulated gradients. Values are under `TENSOR_after_each_iteration`, with `_` for the dots of the name.
pub(super) fn accumulation(mut case: Map<String, Value>, problem: &Problem) -> Result<Differences, Box<dyn Error>> {
    let mut take = |name: &str| case.remove(name).ok_or_else(|| format!("`{name}` is missing"));
    let count: usize = serde_json::from_value(take("accumulative_counts")?)?;
    let iterations: usize = serde_json::from_value(take("iterations")?)?;
    check_iterations(iterations)?;
    let lr: f64 = serde_json::from_value(take("lr")?)?;
    let (optimizer, loss) = (take("optimizer")?, take("loss")?);
    if optimizer != "SGD without momentum" || loss != ACCUMULATED_LOSS {
        return Err(format!("the optimiser {optimizer} or the loss {loss} is not known").into());
    }
    let mut weights = Weights::new(problem);
    let mut expected: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for (key, values) in case {
        let is_key = |name: &&String| key == format!("{}_after_each_iteration", name.replace('.', "_"));
        let name = weights.names.iter().find(is_key).ok_or_else(|| format!("`{key}` is not known"))?;
        expected.insert(name.clone(), serde_json::from_value(values)?);
    }
    let sgd = pipe_schemas::stages::train::Optimizer::SGD(Sgd { lr: lr.into(), ..Sgd::default() });
    let mut optimizer = Optimizer::new(&sgd, vec![0.0; weights.names.len()]);
    let mut gradients = Gradients::default();
    let mut found = Differences::default();
    for iteration in 0..iterations {
        let product = |(info, weight): (&TrainedTensor, &Tensor)| {
            (weight * drawn(&format!("{}#grad{iteration}", info.name), &info.shape)).sum(Kind::Double)
        };
        let loss: Tensor = weights.infos.iter().zip(&weights.tensors).map(product).sum();
        let batches = AccumulatedBatches::of(iteration, iterations, count);
        gradients.add(&loss, batches, &weights.tensors)?;
        if batches.is_complete {
            optimizer.step(&vec![lr; weights.names.len()], &mut weights.tensors, gradients.take())?;
        }
        for (name, values) in &expected {
            let values = values.get(iteration).ok_or_else(|| format!("`{name}` has no value for each iteration"))?;
            found.values(&format!("iteration {iteration}: {name}"), &weights.values(name)?, values);
        }
    }
    Ok(found)
}

fn check_iterations(iterations: usize) -> Result<(), String> {
    if iterations > MAX_ITERATIONS {
        Err(format!("{iterations} iterations are more than {MAX_ITERATIONS}"))
    } else {
        Ok(())
    }
}

/// The values of tensors by name.
type Tensors = BTreeMap<String, Vec<f64>>;

/// A run of an average. The tensors at step `K` are `v(name#stepK)`, with `K` from 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmaCase {
    #[serde(rename = "type")]
    ema_type: EmaType,
    params: Map<String, Value>,
    updates: Vec<BTreeMap<String, Value>>,
}

impl EmaCase {
    pub(super) fn measure(&self) -> Result<Differences, Box<dyn Error>> {
        let mut params = self.params.clone();
        params.insert("type".to_owned(), json!(self.ema_type));
        let params: TrainParams = serde_json::from_value(json!({ "ema": params }))?;
        if let Some(error) = pipe_schemas::contract::Params::check(&params).into_iter().next() {
            return Err(format!("{}: {}", error.path.join("."), error.message).into());
        }
        let ema = params.ema.unwrap_or_default();
        let updates = self.updates.iter().map(values).collect::<Result<Vec<_>, _>>()?;
        let (_, first) = updates.first().ok_or("there are no updates")?;
        let names: Vec<(&String, usize)> =
            first.iter().filter(|(name, _)| !is_counter(name)).map(|(name, values)| (name, values.len())).collect();
        let at = |step: usize| -> Vec<Tensor> {
            names.iter().map(|(name, len)| drawn(&format!("{name}#step{step}"), &[*len])).collect()
        };
        let start = at(0);
        let roles = names.iter().map(|(name, _)| (name.as_str(), role(name)));
        let mut average = Average::new(&ema, roles.zip(&start).map(|((name, role), tensor)| (name, role, tensor)))?;
        let mut found = Differences::default();
        let last = updates.iter().map(|(steps, _)| *steps).max().unwrap_or(0);
        check_iterations(last)?;
        for step in 1..=last {
            average.update(true, at(step).iter())?;
            for (_, expected) in updates.iter().filter(|(steps, _)| *steps == step) {
                compare_average(&mut found, step, &names, &average, expected)?;
                // An integer is copied with the first update, and later only if buffers are not averaged.
                let counter = if ema.update_buffers { 1 } else { step };
                for (name, values) in expected.iter().filter(|(name, _)| is_counter(name)) {
                    found.values(&format!("step {step}: {name}"), &[counter as f64], values);
                }
            }
        }
        Ok(found)
    }
}

fn compare_average(
    found: &mut Differences,
    step: usize,
    names: &[(&String, usize)],
    average: &Average,
    expected: &Tensors,
) -> Result<(), Box<dyn Error>> {
    for (name, values) in expected.iter().filter(|(name, _)| !is_counter(name)) {
        let position = names.iter().position(|(known, _)| *known == name);
        let tensor = &average.tensors()[position.ok_or_else(|| format!("`{name}` is not in the first update"))?];
        found.values(&format!("step {step}: {name}"), &Vec::<f64>::try_from(tensor)?, values);
    }
    Ok(())
}

/// Returns the number of steps of an update, and its tensors.
fn values(update: &BTreeMap<String, Value>) -> Result<(usize, Tensors), Box<dyn Error>> {
    let steps = update.get("steps").and_then(Value::as_u64).ok_or("`steps` of an update is missing")?;
    let tensors = update.iter().filter(|(name, _)| *name != "steps").map(|(name, value)| {
        let values = if value.is_array() { value.clone() } else { json!([value]) };
        Ok((name.clone(), serde_json::from_value(values)?))
    });
    Ok((steps as usize, tensors.collect::<Result<_, serde_json::Error>>()?))
}

fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

fn role(name: &str) -> Role {
    if name.ends_with("running_mean") || name.ends_with("running_var") { Role::Buffer } else { Role::Weight }
}
