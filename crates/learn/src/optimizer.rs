//! [`Optimizer`]: moves tensors against their gradients, with PyTorch's semantics.

use crate::convert::{copy_into, dims, to_weights};
use pipe_schemas::stages::train;
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::Tensor;

/// Added to the root of the second moment; PyTorch's default.
const ADAM_EPS: f64 = 1e-8;
/// Under which the number of steps stands among the tensors of [`Optimizer::tensors`].
const STEPS: &str = "steps";

/// Moves tensors against their gradients.
#[derive(Debug)]
pub struct Optimizer {
    params: train::Optimizer,
    steps: i64,
    /// By trained tensor; empty before the first step.
    state: Vec<State>,
}

/// What is kept of earlier gradients of a tensor.
#[derive(Debug)]
struct State {
    /// SGD: the momentum buffer. `AdamW`: the first moment.
    first: Tensor,
    /// `AdamW`: the second moment.
    second: Option<Tensor>,
}

impl Optimizer {
    /// Makes an optimiser that has not seen a gradient.
    pub fn new(params: &train::Optimizer) -> Self {
        Self { params: params.clone(), steps: 0, state: Vec::new() }
    }

    /// Returns the rule and its numbers.
    pub(crate) fn params(&self) -> &train::Optimizer {
        &self.params
    }

    /// Moves each tensor against its gradient.
    pub fn step(&mut self, lr: f64, tensors: &mut [Tensor], gradients: Vec<Tensor>) {
        self.steps += 1;
        tch::no_grad(|| match self.params {
            train::Optimizer::SGD { momentum, weight_decay, nesterov, .. } => {
                self.sgd(lr, momentum, weight_decay, nesterov, tensors, gradients);
            }
            train::Optimizer::AdamW { betas, weight_decay, .. } => {
                self.adamw(lr, betas, weight_decay, tensors, &gradients);
            }
        });
    }

    fn sgd(
        &mut self,
        lr: f64,
        momentum: f64,
        decay: f64,
        nesterov: bool,
        tensors: &mut [Tensor],
        gradients: Vec<Tensor>,
    ) {
        let first_step = self.state.is_empty();
        for (place, (tensor, gradient)) in tensors.iter_mut().zip(gradients).enumerate() {
            let mut direction = if decay == 0.0 { gradient } else { gradient + &*tensor * decay };
            if momentum != 0.0 {
                if first_step {
                    self.state.push(State { first: direction.copy(), second: None });
                } else {
                    let buffer = &mut self.state[place].first;
                    let _ = buffer.g_mul_scalar_(momentum).g_add_(&direction);
                }
                let buffer = &self.state[place].first;
                direction = if nesterov { direction + buffer * momentum } else { buffer.shallow_clone() };
            }
            let _ = tensor.g_sub_(&(direction * lr));
        }
    }

    fn adamw(&mut self, lr: f64, betas: [f64; 2], decay: f64, tensors: &mut [Tensor], gradients: &[Tensor]) {
        if self.state.is_empty() {
            let zeros = |tensor: &Tensor| State { first: tensor.zeros_like(), second: Some(tensor.zeros_like()) };
            self.state = gradients.iter().map(zeros).collect();
        }
        let steps = self.steps as f64;
        let [first_correction, second_correction] = betas.map(|beta| 1.0 - beta.powf(steps));
        for ((tensor, gradient), state) in tensors.iter_mut().zip(gradients).zip(&mut self.state) {
            let _ = tensor.g_mul_scalar_(1.0 - lr * decay);
            let _ = state.first.g_mul_scalar_(betas[0]).g_add_(&(gradient * (1.0 - betas[0])));
            let Some(second) = &mut state.second else { continue };
            let _ = second.g_mul_scalar_(betas[1]).g_add_(&(gradient * gradient * (1.0 - betas[1])));
            let root = second.sqrt() / second_correction.sqrt() + ADAM_EPS;
            let _ = tensor.g_sub_(&(&state.first / root * (lr / first_correction)));
        }
    }

    /// Returns what it keeps of earlier gradients, to go on from; `names` are those of the trained tensors.
    pub(crate) fn tensors<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Weights> {
        let steps = Weights { shape: Vec::new(), dtype: Dtype::I64, bytes: self.steps.to_le_bytes().into() };
        let mut tensors = BTreeMap::from([(STEPS.to_owned(), steps)]);
        for (name, state) in names.zip(&self.state) {
            tensors.insert(format!("first.{name}"), to_weights(&state.first));
            if let Some(second) = &state.second {
                tensors.insert(format!("second.{name}"), to_weights(second));
            }
        }
        tensors
    }

    /// Takes back what [`Self::tensors`] returned. Returns the names that are missing.
    pub(crate) fn restore<'a>(
        &mut self,
        trained: impl Iterator<Item = (&'a str, &'a Tensor)>,
        tensors: &BTreeMap<String, Weights>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        let steps = tensors.get(STEPS).and_then(|steps| steps.bytes.first_chunk().copied());
        match steps {
            Some(steps) => self.steps = i64::from_le_bytes(steps),
            None => missing.push(STEPS.to_owned()),
        }
        self.state.clear();
        let (keeps_first, keeps_second) = match self.params {
            train::Optimizer::SGD { momentum, .. } => (momentum != 0.0 && self.steps > 0, false),
            train::Optimizer::AdamW { .. } => (self.steps > 0, self.steps > 0),
        };
        if !keeps_first {
            return missing;
        }
        for (name, tensor) in trained {
            let mut restored = |kind: &str| {
                let mut copy = tensor.detach().zeros_like();
                let key = format!("{kind}.{name}");
                match tensors.get(&key).filter(|values| dims(&values.shape) == tensor.size()) {
                    Some(values) => copy_into(&mut copy, values),
                    None => missing.push(key),
                }
                copy
            };
            self.state.push(State { first: restored("first"), second: keeps_second.then(|| restored("second")) });
        }
        missing
    }
}

/// Scales gradients so that their 2-norm together is at most `max_norm`, as PyTorch's `clip_grad_norm_` does; without
/// `max_norm` they stay. Returns the norm before.
pub(crate) fn clip_gradients(gradients: &mut [Tensor], max_norm: Option<f64>) -> f64 {
    let squares = gradients.iter().map(|gradient| gradient.norm().double_value(&[]).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    let scale = max_norm.map_or(1.0, |max_norm| max_norm / (norm + 1e-6));
    if scale < 1.0 {
        for gradient in gradients {
            let _ = gradient.g_mul_scalar_(scale);
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves one number from 1 with the gradients given; `expect` is where it stands after each step.
    fn check(params: &train::Optimizer, gradients: &[f32], expect: &[f32]) {
        let mut optimizer = Optimizer::new(params);
        let mut tensors = [Tensor::from_slice(&[1.0f32])];
        for (gradient, expect) in gradients.iter().zip(expect) {
            optimizer.step(params.lr(), &mut tensors, vec![Tensor::from_slice(&[*gradient])]);
            let found = tensors[0].double_value(&[0]) as f32;
            assert!((found - expect).abs() < 1e-6, "{found}, not {expect}, with {params:?}");
        }
    }

    #[test]
    fn sgd_by_hand() {
        let sgd =
            |momentum, weight_decay, nesterov| train::Optimizer::SGD { lr: 0.1, momentum, weight_decay, nesterov };
        check(&sgd(0.0, 0.0, false), &[1.0, 2.0], &[0.9, 0.7]);
        // buffer: 1, then 0.9 * 1 + 2 = 2.9
        check(&sgd(0.9, 0.0, false), &[1.0, 2.0], &[0.9, 0.61]);
        // direction: 1 + 0.9 * 1 = 1.9, then 2 + 0.9 * 2.9 = 4.61
        check(&sgd(0.9, 0.0, true), &[1.0, 2.0], &[0.81, 0.349]);
        // gradient: 1 + 0.5 * 1 = 1.5, then 2 + 0.5 * 0.85 = 2.425; buffer: 1.5, then 1.35 + 2.425 = 3.775
        check(&sgd(0.9, 0.5, false), &[1.0, 2.0], &[0.85, 0.4725]);
    }

    #[test]
    fn adamw_by_hand() {
        let adamw = train::Optimizer::AdamW { lr: 0.1, betas: [0.9, 0.999], weight_decay: 0.5 };
        // Step 1: 1 * (1 - 0.05) - 0.1 * 1. Step 2: m = 0.29 / 0.19, v = 0.004999 / 0.001999, 0.85 * 0.95 - 0.1 * m / sqrt(v).
        let second = 0.85 * 0.95 - 0.1 * (0.29 / 0.19) / (0.004_999_f64 / 0.001_999).sqrt();
        check(&adamw, &[1.0, 2.0], &[0.85, second as f32]);
    }

    #[test]
    fn gradients_are_clipped_to_their_norm_together() {
        let mut gradients = [Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[4.0f32])];
        assert!((clip_gradients(&mut gradients, None) - 5.0).abs() < 1e-9);
        assert!((clip_gradients(&mut gradients, Some(10.0)) - 5.0).abs() < 1e-9);
        assert!((gradients[0].double_value(&[0]) - 3.0).abs() < 1e-9);
        clip_gradients(&mut gradients, Some(1.0));
        assert!((gradients[0].double_value(&[0]) - 0.6).abs() < 1e-6);
        assert!((gradients[1].double_value(&[0]) - 0.8).abs() < 1e-6);
    }
}
