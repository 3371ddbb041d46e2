//! [`Network`]: a graph with its tensors, run on libtorch.

use crate::error::{At, LearnError};
use crate::init;
use pipe_clips::Draws;
use pipe_graph::{Graph, Node, Op, ParamId, Role};
use pipe_weights::{Checkpoint, LoadReport, MatchError, Wanted, match_weights};
use std::collections::BTreeMap;
use tch::{Device, Kind, TchError, Tensor};

/// A graph with its tensors.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    /// By [`ParamId`].
    params: Vec<Tensor>,
    /// By node: the last node that reads its result.
    last_use: Vec<usize>,
}

/// What the zeros of dropout derive from; each step and node has draws of its own.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The run's seed.
    pub seed: u64,
    /// From 0.
    pub epoch: u32,
    /// From 0.
    pub step: usize,
}

impl Network {
    /// Makes the tensors of `graph` as its `Init`s say, with draws that derive from `seed`.
    pub fn new(graph: Graph, seed: u64) -> Self {
        let tensor = |param: &pipe_graph::Param| {
            let tensor = Tensor::from_slice(&init::values(param, seed)).view(dims(&param.shape).as_slice());
            tensor.set_requires_grad(param.role != Role::Buffer)
        };
        let params = graph.params.iter().map(tensor).collect();
        Self { last_use: last_use(&graph), graph, params }
    }

    /// Returns another graph with the same tensors, such as the network for test clips of another length.
    ///
    /// # Errors
    /// [`LearnError::OtherTensors`] if it has other tensors.
    pub fn with_graph(&self, graph: Graph) -> Result<Self, LearnError> {
        if graph.params != self.graph.params {
            return Err(LearnError::OtherTensors { network: graph.name });
        }
        let params = self.params.iter().map(Tensor::shallow_clone).collect();
        Ok(Self { last_use: last_use(&graph), graph, params })
    }

    /// Returns the graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the number of classes.
    pub fn num_classes(&self) -> usize {
        self.graph.nodes[self.graph.output.0].shape.dims.first().copied().unwrap_or(0)
    }

    /// Takes the tensors of `checkpoint`; see [`match_weights`] for what must fit.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> Result<LoadReport, MatchError> {
        let head = |id: usize| self.graph.head.contains(&ParamId(id));
        let params = self.graph.params.iter().enumerate();
        let wanted: Vec<Wanted> =
            params.map(|(id, param)| Wanted { name: &param.name, shape: &param.shape, head: head(id) }).collect();
        let report = match_weights(&wanted, checkpoint)?;
        let tensors = self.graph.params.iter().zip(&mut self.params);
        for (param, tensor) in tensors.filter(|(param, _)| report.matched.contains(&param.name)) {
            if let Some(values) = checkpoint.tensors.get(&param.name) {
                copy_into(tensor, values);
            }
        }
        Ok(report)
    }

    /// Returns all tensors by name.
    pub fn tensors(&self) -> BTreeMap<String, pipe_weights::Tensor> {
        let named = self.graph.params.iter().zip(&self.params);
        named.map(|(param, tensor)| (param.name.clone(), to_weights(tensor))).collect()
    }

    /// Returns the tensors that are trained, by name.
    pub(crate) fn trained(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let named = self.graph.params.iter().zip(&self.params);
        named.filter(|(param, _)| param.role != Role::Buffer).map(|(param, tensor)| (param.name.as_str(), tensor))
    }

    /// Refuses tensors with numbers that are not finite.
    pub fn check_finite(&self) -> Result<(), LearnError> {
        for (param, tensor) in self.graph.params.iter().zip(&self.params) {
            if tensor.isfinite().all().int64_value(&[]) == 0 {
                return Err(LearnError::NotFinite { name: param.name.clone() });
            }
        }
        Ok(())
    }

    /// Runs the network; with `dropout`, in training mode: batch normalisation uses the batch's own statistics and
    /// moves the running ones.
    ///
    /// # Shapes
    /// - `clips`: `[N, C, T, H, W]`
    /// - returns: `[N, K]`, logits
    pub fn forward(&self, clips: &Tensor, dropout: Option<Dropout>) -> Result<Tensor, LearnError> {
        let expected = &self.graph.nodes[0].shape.dims;
        let found = clips.size();
        if found.len() != 5 || found[1..] != dims(expected) {
            let found = found.into_iter().skip(1).collect();
            return Err(LearnError::InputShape { expected: expected.clone(), found });
        }
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.graph.nodes.len());
        for (position, node) in self.graph.nodes.iter().enumerate() {
            let value =
                if position == 0 { clips.shallow_clone() } else { self.run(node, &values, dropout).at(&node.name)? };
            values.push(Some(value));
            for input in node.inputs.iter().filter(|input| self.last_use[input.0] == position) {
                values[input.0] = None;
            }
        }
        let missing = || TchError::Shape("the graph's output was not computed".into());
        values[self.graph.output.0].take().ok_or_else(missing).at("the output")
    }

    fn run(&self, node: &Node, values: &[Option<Tensor>], dropout: Option<Dropout>) -> Result<Tensor, TchError> {
        let input = |place: usize| {
            let value = node.inputs.get(place).and_then(|input| values.get(input.0)?.as_ref());
            value.ok_or_else(|| TchError::Shape("an input of the node comes after it".into()))
        };
        let x = input(0)?;
        let param = |id: ParamId| &self.params[id.0];
        match &node.op {
            Op::Input => Ok(x.shallow_clone()),
            Op::FramesToBatch => x.f_permute([0, 2, 1, 3, 4])?.f_reshape(rows_of(node)),
            Op::Conv { weight, bias, stride, padding, groups } => {
                let (stride, padding, ones) = (dims(stride), dims(padding), vec![1; stride.len()]);
                let (weight, bias, groups) = (param(*weight), bias.map(param), *groups as i64);
                if stride.len() == 2 {
                    x.f_conv2d(weight, bias, stride, padding, ones, groups)
                } else {
                    x.f_conv3d(weight, bias, stride, padding, ones, groups)
                }
            }
            Op::BatchNorm { weight, bias, running_mean, running_var, eps, momentum } => {
                let [weight, bias, mean, var] = [*weight, *bias, *running_mean, *running_var].map(|id| Some(param(id)));
                x.f_batch_norm(weight, bias, mean, var, dropout.is_some(), *momentum, *eps, false)
            }
            Op::Relu => x.f_relu(),
            Op::Relu6 => x.f_relu6(),
            Op::MaxPool { kernel, stride, padding } => {
                let (kernel, stride, padding, ones) =
                    (dims(kernel), dims(stride), dims(padding), vec![1; kernel.len()]);
                if kernel.len() == 2 {
                    x.f_max_pool2d(kernel, stride, padding, ones, false)
                } else {
                    x.f_max_pool3d(kernel, stride, padding, ones, false)
                }
            }
            Op::GlobalAvgPool => x.f_mean_dim((2..x.dim() as i64).collect::<Vec<_>>(), false, None::<Kind>),
            Op::SegmentMean => {
                let frames = self.graph.nodes[node.inputs[0].0].shape.per_sample as i64;
                x.f_reshape([-1, frames, x.size()[1]])?.f_mean_dim([1].as_slice(), false, None::<Kind>)
            }
            Op::Linear { weight, bias } => x.f_linear(param(*weight), Some(param(*bias))),
            Op::Add => x.f_add(input(1)?),
            Op::Dropout { ratio } => match dropout {
                Some(dropout) if *ratio > 0.0 => x.f_mul(&dropout_mask(&x.size(), *ratio, &node.name, dropout)?),
                _ => Ok(x.shallow_clone()),
            },
            Op::TemporalShift { frames, shift_div } => temporal_shift(x, *frames, *shift_div),
        }
    }
}

fn last_use(graph: &Graph) -> Vec<usize> {
    let mut last_use: Vec<usize> = (0..graph.nodes.len()).collect();
    for (position, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            last_use[input.0] = position;
        }
    }
    last_use[graph.output.0] = usize::MAX;
    last_use
}

/// Returns `[-1, dims…]` of a node.
fn rows_of(node: &Node) -> Vec<i64> {
    [vec![-1], dims(&node.shape.dims)].concat()
}

/// Returns zeros in a share of `ratio`, else `1 / (1 - ratio)`. They are drawn here, not by libtorch, whose generator is
/// global and whose draws depend on its version.
fn dropout_mask(size: &[i64], ratio: f64, node: &str, dropout: Dropout) -> Result<Tensor, TchError> {
    let Dropout { seed, epoch, step } = dropout;
    let mut draws = Draws::new(seed, &["dropout", node, &epoch.to_string(), &step.to_string()]);
    let kept = (1.0 / (1.0 - ratio)) as f32;
    let len: i64 = size.iter().product();
    let mask: Vec<f32> = (0..len).map(|_| if draws.unit() < ratio { 0.0 } else { kept }).collect();
    Tensor::f_from_slice(&mask)?.f_view(size)
}

/// Shifts by concatenation; see [`Op::TemporalShift`].
///
/// # Shapes
/// - `x` and returns: `[N * T, C, H, W]`
fn temporal_shift(x: &Tensor, frames: usize, shift_div: usize) -> Result<Tensor, TchError> {
    let size = x.size();
    let [frames, channels] = [frames as i64, size[1]];
    let fold = channels / shift_div as i64;
    // As [N, C, T, H, W] it has the layout of channels-last video if x has that of channels-last images, and keeps it.
    let clip = x.f_view([-1, frames, channels, size[2], size[3]].as_slice())?.f_permute([0, 2, 1, 3, 4])?;
    let (earlier, later) = (clip.f_narrow(1, 0, fold)?, clip.f_narrow(1, fold, fold)?);
    let zeros = earlier.f_narrow(2, 0, 1)?.f_zeros_like()?;
    let earlier = Tensor::f_cat(&[&earlier.f_narrow(2, 1, frames - 1)?, &zeros], 2)?;
    let later = Tensor::f_cat(&[&zeros, &later.f_narrow(2, 0, frames - 1)?], 2)?;
    let rest = clip.f_narrow(1, 2 * fold, channels - 2 * fold)?;
    Tensor::f_cat(&[earlier, later, rest], 1)?.f_permute([0, 2, 1, 3, 4])?.f_reshape(size)
}

pub(crate) fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|dim| *dim as i64).collect()
}

/// Copies a tensor to plain bytes.
pub(crate) fn to_weights(tensor: &Tensor) -> pipe_weights::Tensor {
    let shape = tensor.size().into_iter().map(|dim| dim as usize).collect();
    let mut values = vec![0f32; tensor.numel()];
    tensor.detach().to_device(Device::Cpu).contiguous().copy_data(&mut values, tensor.numel());
    pipe_weights::Tensor::from_f32(shape, &values)
}

/// Copies plain bytes into a tensor of the same shape.
pub(crate) fn copy_into(tensor: &mut Tensor, values: &pipe_weights::Tensor) {
    let values = Tensor::from_slice(&values.to_f32()).view(tensor.size().as_slice());
    tch::no_grad(|| tensor.copy_(&values));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporal_shift_of_field_notes() {
        // 3 frames of 4 channels, shift_div 4.
        let x = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4, 1, 1]);
        let y = temporal_shift(&x, 3, 4).expect("shifted");
        let values = Vec::<f32>::try_from(y.reshape([-1])).expect("values");
        assert_eq!(values, [4.0, 0.0, 2.0, 3.0, 8.0, 1.0, 6.0, 7.0, 0.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn temporal_shift_keeps_samples_apart() {
        let x = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4, 1, 1]);
        let twice = Tensor::cat(&[&x, &(&x + 100.0)], 0);
        let alone = temporal_shift(&(&x + 100.0), 3, 4).expect("shifted");
        let together = temporal_shift(&twice, 3, 4).expect("shifted").narrow(0, 3, 3);
        assert_eq!(alone, together);
    }

    #[test]
    fn dropout_keeps_the_mean_and_differs_by_step() {
        let mask =
            |step| dropout_mask(&[100, 100], 0.4, "dropout", Dropout { seed: 0, epoch: 0, step }).expect("a mask");
        let mean = mask(0).mean(Kind::Double).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(mask(0), mask(0));
        assert_ne!(mask(0), mask(1));
    }
}
