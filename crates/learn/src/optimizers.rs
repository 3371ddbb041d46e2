//! [`Optimizer`]: changes the weights of a network against their gradients, with PyTorch's semantics.
//!
//! No rule reads a value back from the device, so that a step is queued as a whole. To add an optimiser, write `optimizers/NAME.rs`
//! with `impl Rule for` its parameters in `pipe_schemas::stages::train`, and add it to `rule`.

mod adam;
mod rmsprop;
mod sgd;

use crate::convert::{copy_into, dims, to_weights};
use crate::error::{At, LearnError};
use pipe_schemas::stages::train;
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// The name of the number of steps among [`Optimizer::tensors`].
const STEPS: &str = "steps";

/// How an optimiser changes one weight tensor.
trait Rule {
    /// Returns the names of the tensors that are kept for each weight tensor, in PyTorch's spelling. They have its shape and
    /// are zero before the first step.
    fn buffers(&self) -> Vec<&'static str>;

    /// Changes weights that have the same settings, in place. The values of the gradients may be overwritten.
    fn step(&self, now: Now, tensors: Tensors) -> Result<(), TchError>;
}

/// The settings of a step for some of the weight tensors.
#[derive(Debug, Clone, Copy)]
struct Now {
    lr: f64,
    weight_decay: f64,
    /// Number of the step, counted from 1.
    step: i64,
}

/// Weight tensors, and what belongs to each.
#[derive(Debug, Default)]
struct Tensors {
    weights: Vec<Tensor>,
    /// They have the layout of their weights in memory, in whose order the fused kernels of libtorch read them.
    gradients: Vec<Tensor>,
    /// A list for each of [`Rule::buffers`]. They have the layout of their weights, too.
    buffers: Vec<Vec<Tensor>>,
}

/// Returns a gradient whose values are in memory in the order of those of `weight`. The values of convolutions may have other orders.
fn with_layout_of(weight: &Tensor, gradient: Tensor) -> Result<Tensor, TchError> {
    let (size, stride) = (weight.size(), weight.stride());
    if stride == gradient.stride() {
        return Ok(gradient);
    }
    // The stride of an axis of size 1 does not matter.
    let differ = |((size, a), b): ((&i64, &i64), i64)| *size > 1 && *a != b;
    if !size.iter().zip(&stride).zip(gradient.stride()).any(differ) {
        return gradient.f_as_strided(size, stride, None);
    }
    let mut copy = weight.detach().f_empty_like()?;
    copy.f_copy_(&gradient)?;
    Ok(copy)
}

fn rule(params: &train::Optimizer) -> &dyn Rule {
    match params {
        train::Optimizer::SGD(params) => params,
        train::Optimizer::Adam(params) => params,
        train::Optimizer::AdamW(params) => params,
        train::Optimizer::RMSprop(params) => params,
    }
}

/// Changes the weights of a network against their gradients.
#[derive(Debug)]
pub struct Optimizer {
    params: train::Optimizer,
    /// The weight decay of each weight tensor.
    weight_decays: Vec<f64>,
    num_steps: i64,
    /// The tensors of [`Rule::buffers`], by weight tensor; empty before the first step.
    buffers: Vec<Vec<Tensor>>,
}

impl Optimizer {
    /// Returns an optimiser before its first step. Each weight tensor has its weight decay.
    pub fn new(params: &train::Optimizer, weight_decays: Vec<f64>) -> Self {
        Self { params: params.clone(), weight_decays, num_steps: 0, buffers: Vec::new() }
    }

    /// Changes each weight against its gradient, with the learning rate of each. Weights without a gradient stay. The values of
    /// gradients are overwritten: no two of them share memory.
    pub fn step(&mut self, rates: &[f64], weights: &mut [Tensor], gradients: Vec<Tensor>) -> Result<(), LearnError> {
        let rule = rule(&self.params);
        let _no_grad = tch::no_grad_guard();
        if self.num_steps == 0 {
            let zeros = |weight: &Tensor| rule.buffers().iter().map(|_| weight.detach().f_zeros_like()).collect();
            self.buffers = weights.iter().map(zeros).collect::<Result<_, _>>().at("the optimiser")?;
        }
        self.num_steps += 1;
        // By the bits of the settings: the fewer groups, the fewer calls.
        let mut groups: BTreeMap<[u64; 2], (Now, Tensors)> = BTreeMap::new();
        let settings = rates.iter().zip(&self.weight_decays);
        for (((weight, gradient), buffers), (lr, weight_decay)) in
            weights.iter().zip(gradients).zip(&self.buffers).zip(settings)
        {
            if !gradient.defined() {
                continue;
            }
            let now = Now { lr: *lr, weight_decay: *weight_decay, step: self.num_steps };
            let key = [lr.to_bits(), weight_decay.to_bits()];
            let (_, tensors) = groups.entry(key).or_insert_with(|| {
                (now, Tensors { buffers: buffers.iter().map(|_| Vec::new()).collect(), ..Tensors::default() })
            });
            tensors.gradients.push(with_layout_of(weight, gradient).at("the optimiser")?);
            tensors.weights.push(weight.shallow_clone());
            for (list, buffer) in tensors.buffers.iter_mut().zip(buffers) {
                list.push(buffer.shallow_clone());
            }
        }
        groups.into_values().try_for_each(|(now, tensors)| rule.step(now, tensors)).at("the optimiser")
    }

    /// Returns the state, from which [`Self::restore`] continues. `names` are those of the weights.
    pub(crate) fn tensors<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Weights> {
        let steps = Weights { shape: Vec::new(), dtype: Dtype::I64, bytes: self.num_steps.to_le_bytes().into() };
        let mut tensors = BTreeMap::from([(STEPS.to_owned(), steps)]);
        for (name, buffers) in names.zip(&self.buffers) {
            for (buffer, tensor) in rule(&self.params).buffers().iter().zip(buffers) {
                tensors.insert(format!("{buffer}.{name}"), to_weights(tensor));
            }
        }
        tensors
    }

    /// Continues from a state that [`Self::tensors`] returned. Returns the names of tensors that are missing or have another
    /// shape.
    pub(crate) fn restore<'a>(
        &mut self,
        weights: impl Iterator<Item = (&'a str, &'a Tensor)>,
        tensors: &BTreeMap<String, Weights>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        match tensors.get(STEPS).and_then(|steps| steps.bytes.first_chunk().copied()) {
            Some(steps) => self.num_steps = i64::from_le_bytes(steps),
            None => missing.push(STEPS.to_owned()),
        }
        self.buffers.clear();
        if self.num_steps == 0 {
            return missing;
        }
        for (name, weight) in weights {
            let mut restored = |buffer: &&str| {
                let mut copy = weight.detach().zeros_like();
                let key = format!("{buffer}.{name}");
                match tensors.get(&key).filter(|values| dims(&values.shape) == weight.size()) {
                    Some(values) => copy_into(&mut copy, values),
                    None => missing.push(key),
                }
                copy
            };
            self.buffers.push(rule(&self.params).buffers().iter().map(&mut restored).collect());
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes one weight of value 1 with each gradient, and compares it with `expect` after each step.
    #[track_caller]
    pub(super) fn check(params: &train::Optimizer, gradients: &[f64], expect: &[f64]) {
        let mut optimizer = Optimizer::new(params, vec![params.weight_decay()]);
        let mut weights = [Tensor::from_slice(&[1.0f64])];
        for (gradient, expect) in gradients.iter().zip(expect) {
            let gradients = vec![Tensor::from_slice(&[*gradient])];
            optimizer.step(&[params.lr().expect("a rate")], &mut weights, gradients).expect("a step");
            let found = weights[0].double_value(&[0]);
            assert!((found / expect - 1.0).abs() < 1e-12, "{found}, not {expect}, with {params:?}");
        }
    }

    #[test]
    fn each_weight_has_its_rate_and_decay_and_may_have_no_gradient() {
        let sgd = train::Optimizer::SGD(train::Sgd { lr: 0.5.into(), ..train::Sgd::default() });
        let mut optimizer = Optimizer::new(&sgd, vec![0.0, 0.1, 0.1]);
        let mut weights = [2.0f64, 2.0, 2.0].map(|value| Tensor::from_slice(&[value]));
        let gradients = vec![Tensor::from_slice(&[1.0f64]), Tensor::from_slice(&[1.0f64]), Tensor::new()];
        optimizer.step(&[0.5, 0.25, 0.5], &mut weights, gradients).expect("a step");
        for (weight, expect) in weights.iter().zip([1.5, 2.0 - 0.25 * 1.2, 2.0]) {
            assert!((weight.double_value(&[0]) - expect).abs() < 1e-12, "{weight:?}, not {expect}");
        }
    }

    #[test]
    fn the_layout_in_memory_does_not_matter() {
        let params = [
            train::Optimizer::SGD(train::Sgd { momentum: 0.5, weight_decay: 0.1, ..train::Sgd::default() }),
            train::OptimWrapper::default().optimizer,
        ];
        for params in params {
            let channels_last = |x: &Tensor| crate::memory_format::channels_last(x).expect("arranged");
            let values = Tensor::arange(24, (tch::Kind::Double, tch::Device::Cpu));
            // The gradient of the last one has the same order of values with another stride of the axis of size 1.
            for size in [[2, 3, 2, 2], [6, 4, 1, 1]] {
                let plain = values.view(size);
                let [mut expected, mut found] = [[plain.copy()], [channels_last(&plain)]];
                for (weights, gradient) in [(&mut expected, plain.copy()), (&mut found, plain.copy())] {
                    let mut optimizer = Optimizer::new(&params, vec![params.weight_decay()]);
                    optimizer.step(&[0.1], weights, vec![channels_last(&gradient)]).expect("a step");
                    optimizer.step(&[0.1], weights, vec![gradient]).expect("a step");
                }
                assert_eq!(expected, found, "{params:?}");
            }
        }
    }

    #[test]
    fn a_missing_buffer_is_reported() {
        let params = train::OptimWrapper::default().optimizer;
        let fresh = || Optimizer::new(&params, vec![0.0]);
        let mut optimizer = fresh();
        let mut weights = [Tensor::from_slice(&[1.0f32])];
        optimizer.step(&[0.1], &mut weights, vec![Tensor::from_slice(&[1.0f32])]).expect("a step");
        let named = || std::iter::once(("w", &weights[0]));
        let mut tensors = optimizer.tensors(std::iter::once("w"));
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["momentum_buffer.w", "steps"]);
        assert_eq!(fresh().restore(named(), &tensors), Vec::<String>::new());
        tensors.remove("momentum_buffer.w");
        assert_eq!(fresh().restore(named(), &tensors), ["momentum_buffer.w"]);
    }
}
