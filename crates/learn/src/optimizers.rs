//! [`Optimizer`]: changes the weights of a network against their gradients, with PyTorch's semantics.
//!
//! To add an optimiser, write `optimizers/NAME.rs` with `impl Rule for` its parameters in
//! `pipe_schemas::stages::train`, and add it to `rule`.

mod adamw;
mod sgd;

use crate::convert::{copy_into, dims, to_weights};
use pipe_schemas::stages::train;
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::Tensor;

/// The name of the number of steps among [`Optimizer::tensors`].
const STEPS: &str = "steps";

/// How an optimiser changes one weight tensor.
trait Rule {
    /// Returns the names of the tensors that are kept for each weight tensor, in PyTorch's spelling. They have its shape and
    /// are zero before the first step.
    fn buffers(&self) -> &'static [&'static str];

    /// Changes `weight` in place. `buffers` are in the order of [`Self::buffers`].
    fn step(&self, now: Now, weight: &mut Tensor, gradient: Tensor, buffers: &mut [Tensor]);
}

/// The state of training at a step.
#[derive(Debug, Clone, Copy)]
struct Now {
    lr: f64,
    /// Number of the step, counted from 1.
    step: i64,
}

fn rule(params: &train::Optimizer) -> &dyn Rule {
    match params {
        train::Optimizer::SGD(params) => params,
        train::Optimizer::AdamW(params) => params,
    }
}

/// Changes the weights of a network against their gradients.
#[derive(Debug)]
pub struct Optimizer {
    params: train::Optimizer,
    num_steps: i64,
    /// The tensors of [`Rule::buffers`], by weight tensor; empty before the first step.
    buffers: Vec<Vec<Tensor>>,
}

impl Optimizer {
    /// Returns an optimiser before its first step.
    pub fn new(params: &train::Optimizer) -> Self {
        Self { params: params.clone(), num_steps: 0, buffers: Vec::new() }
    }

    /// Changes each weight against its gradient.
    pub fn step(&mut self, lr: f64, weights: &mut [Tensor], gradients: Vec<Tensor>) {
        let rule = rule(&self.params);
        if self.num_steps == 0 {
            let zeros = |weight: &Tensor| rule.buffers().iter().map(|_| weight.detach().zeros_like()).collect();
            self.buffers = weights.iter().map(zeros).collect();
        }
        self.num_steps += 1;
        let now = Now { lr, step: self.num_steps };
        tch::no_grad(|| {
            for ((weight, gradient), buffers) in weights.iter_mut().zip(gradients).zip(&mut self.buffers) {
                rule.step(now, weight, gradient, buffers);
            }
        });
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
    pub(super) fn check(params: &train::Optimizer, gradients: &[f32], expect: &[f32]) {
        let mut optimizer = Optimizer::new(params);
        let mut weights = [Tensor::from_slice(&[1.0f32])];
        for (gradient, expect) in gradients.iter().zip(expect) {
            optimizer.step(params.lr().expect("a rate"), &mut weights, vec![Tensor::from_slice(&[*gradient])]);
            let found = weights[0].double_value(&[0]) as f32;
            assert!((found - expect).abs() < 1e-6, "{found}, not {expect}, with {params:?}");
        }
    }

    #[test]
    fn a_missing_buffer_is_reported() {
        let params = train::OptimWrapper::default().optimizer;
        let mut optimizer = Optimizer::new(&params);
        let mut weights = [Tensor::from_slice(&[1.0f32])];
        optimizer.step(0.1, &mut weights, vec![Tensor::from_slice(&[1.0f32])]);
        let named = || std::iter::once(("w", &weights[0]));
        let mut tensors = optimizer.tensors(std::iter::once("w"));
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["momentum_buffer.w", "steps"]);
        assert_eq!(Optimizer::new(&params).restore(named(), &tensors), Vec::<String>::new());
        tensors.remove("momentum_buffer.w");
        assert_eq!(Optimizer::new(&params).restore(named(), &tensors), ["momentum_buffer.w"]);
    }
}
