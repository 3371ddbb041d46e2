//! [`Average`]: an average of the weights, as MMEngine's `EMAHook` keeps it.

use crate::Network;
use crate::convert::{copy_into, copy_of, dims, to_weights};
use crate::error::{At, LearnError};
use pipe_graph::Role;
use pipe_schemas::stages::train::Ema;
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// The name of the number of batches among [`Average::tensors`].
const STEPS: &str = "steps";

/// An average of the tensors of a network.
#[derive(Debug)]
pub struct Average {
    params: Ema,
    /// Names of the tensors, and whether they are averaged; the others are copied.
    names: Vec<(String, bool)>,
    tensors: Vec<Tensor>,
    /// Number of batches that were counted.
    steps: i64,
}

impl Average {
    /// Returns the average before the first batch: copies of `tensors`. Buffers are those whose role is [`Role::Buffer`].
    pub fn new<'a>(
        params: &Ema,
        tensors: impl Iterator<Item = (&'a str, Role, &'a Tensor)>,
    ) -> Result<Self, LearnError> {
        let (mut names, mut copies) = (Vec::new(), Vec::new());
        for (name, role, tensor) in tensors {
            names.push((name.to_owned(), params.update_buffers || role != Role::Buffer));
            copies.push(copy_of(tensor).at(name)?);
        }
        Ok(Self { params: params.clone(), names, tensors: copies, steps: 0 })
    }

    /// Counts a batch after the optimiser's step, and moves the average towards the weights. `begun` says whether the batch is one of
    /// those that are averaged; before them the average is a copy.
    pub fn update<'a>(&mut self, begun: bool, tensors: impl Iterator<Item = &'a Tensor>) -> Result<(), LearnError> {
        let _no_grad = tch::no_grad_guard();
        let copies = !begun || self.steps == 0;
        let skips = self.steps % self.params.interval() != 0;
        let share = self.params.share(self.steps);
        let step = |average: &mut Tensor, is_averaged: bool, tensor: &Tensor| -> Result<(), TchError> {
            if copies || !is_averaged {
                average.f_copy_(tensor)
            } else if skips {
                Ok(())
            } else {
                average.f_lerp_(tensor, share).map(drop)
            }
        };
        for ((average, (name, is_averaged)), tensor) in self.tensors.iter_mut().zip(&self.names).zip(tensors) {
            step(average, *is_averaged, tensor).at(name)?;
        }
        self.steps += i64::from(begun);
        Ok(())
    }

    /// Returns the averages, in the order of the tensors.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Returns the network with the average in place of its tensors. They share memory.
    pub(crate) fn network(&self, network: &Network) -> Network {
        Network::with_params(network.graph().clone(), self.tensors.iter().map(Tensor::shallow_clone).collect())
    }

    /// Returns the state, from which [`Self::restore`] continues. What is only copied follows from the network.
    pub(crate) fn state(&self) -> BTreeMap<String, Weights> {
        let steps = Weights { shape: Vec::new(), dtype: Dtype::I64, bytes: self.steps.to_le_bytes().into() };
        let averaged = self.names.iter().zip(&self.tensors).filter(|((_, is_averaged), _)| *is_averaged);
        let averaged = averaged.map(|((name, _), tensor)| (format!("average.{name}"), to_weights(tensor)));
        std::iter::once((STEPS.to_owned(), steps)).chain(averaged).collect()
    }

    /// Continues from a state that [`Self::state`] returned, with the tensors of the network at that time. Returns the names of tensors
    /// that are missing or have another shape.
    pub(crate) fn restore<'a>(
        &mut self,
        state: &BTreeMap<String, Weights>,
        tensors: impl Iterator<Item = &'a Tensor>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        match state.get(STEPS).and_then(|steps| steps.bytes.first_chunk().copied()) {
            Some(steps) => self.steps = i64::from_le_bytes(steps),
            None => missing.push(STEPS.to_owned()),
        }
        for ((average, (name, is_averaged)), tensor) in self.tensors.iter_mut().zip(&self.names).zip(tensors) {
            if !is_averaged {
                tch::no_grad(|| average.copy_(tensor));
                continue;
            }
            let key = format!("average.{name}");
            match state.get(&key).filter(|values| dims(&values.shape) == average.size()) {
                Some(values) => copy_into(average, values),
                None => missing.push(key),
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::train::EmaType;

    /// Averages the values 1, 2, 4, 8 of a weight and of a buffer, and checks the averages after each.
    fn check(params: &Ema, begins_at: usize, weights: [f64; 4], buffers: [f64; 4]) {
        let at = |value: f64| [Tensor::from_slice(&[value]), Tensor::from_slice(&[value])];
        let [weight, buffer] = at(0.0);
        let start = [("w", Role::Weight, &weight), ("b", Role::Buffer, &buffer)];
        let mut average = Average::new(params, start.into_iter()).expect("copies");
        for (position, value) in [1.0, 2.0, 4.0, 8.0].into_iter().enumerate() {
            average.update(position >= begins_at, at(value).iter()).expect("an update");
            for (tensor, expect) in average.tensors().iter().zip([weights[position], buffers[position]]) {
                let found = tensor.double_value(&[0]);
                assert!((found - expect).abs() < 1e-12, "{position}: {found}, not {expect}, with {params:?}");
            }
        }
    }

    #[test]
    fn averages_by_hand() {
        let ema = Ema { momentum: Some(0.25), ..Ema::default() };
        let newest = [1.0, 2.0, 4.0, 8.0];
        check(&ema, 0, [1.0, 1.25, 1.9375, 3.453_125], newest);
        check(
            &Ema { update_buffers: true, ..ema.clone() },
            0,
            [1.0, 1.25, 1.9375, 3.453_125],
            [1.0, 1.25, 1.9375, 3.453_125],
        );
        // Before it begins it is a copy, and so it is at the first batch.
        check(&ema, 2, [1.0, 2.0, 4.0, 5.0], newest);
        // Every second batch: the third is averaged.
        check(&Ema { interval: Some(2), ..ema }, 0, [1.0, 1.0, 1.75, 1.75], newest);
        let mean = Ema { ema_type: EmaType::StochasticWeightAverage, ..Ema::default() };
        check(&mean, 0, [1.0, 1.5, 7.0 / 3.0, 3.75], newest);
    }
}
