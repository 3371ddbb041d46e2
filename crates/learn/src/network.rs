//! [`Network`]: a graph with its tensors. It runs the nodes in order; `kernels.rs` computes each of them.

use crate::convert::{copy_into, dims, to_weights};
use crate::error::{At, LearnError};
use crate::freezing::Freezing;
use crate::init;
use crate::kernels::{Call, TrainingStep, run, run_together};
use crate::schedule::{Schedule, Turn};
use crate::{Device, ProcessGroup};
use pipe_graph::{Auxiliary, Graph, Node, NodeId, Op, Role};
use pipe_models::{Imported, Layout, LoadReport, NameMap, StateDict, import};
use pipe_schemas::networks::Project;
use pipe_weights::{Checkpoint, MatchError};
use std::collections::BTreeMap;
use std::sync::Arc;
use tch::{Kind, TchError, Tensor};

/// A graph with its tensors.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    /// Indexed by [`ParamId`](pipe_graph::ParamId).
    params: Vec<Tensor>,
    inference: Schedule,
    training: Schedule,
    /// What is not trained; `None` if everything is.
    freezing: Option<Freezing>,
    /// The kind of 16 bits that training computes with where it may; `None` for 32 bits everywhere.
    low_precision: Option<Kind>,
    /// The processes whose batches have common statistics in batch normalisations.
    sync_bn: Option<Arc<ProcessGroup>>,
}

impl Network {
    /// Initialises the tensors of `graph` with random draws that derive from `seed`.
    pub fn new(graph: Graph, seed: u64) -> Self {
        let tensor = |param: &pipe_graph::Param| {
            let tensor = Tensor::from_slice(&init::values(param, seed)).view(dims(&param.shape).as_slice());
            tensor.set_requires_grad(param.role != Role::Buffer)
        };
        let params = graph.params.iter().map(tensor).collect();
        Self::with_params(graph, params)
    }

    /// Returns a network of another graph that shares the tensors of this one, such as the graph for test clips of another length.
    ///
    /// # Errors
    /// [`LearnError::OtherTensors`] if the tensors of the graphs differ.
    pub fn with_graph(&self, graph: Graph) -> Result<Self, LearnError> {
        if graph.params != self.graph.params {
            return Err(LearnError::OtherTensors { network: graph.name });
        }
        let params = self.params.iter().map(Tensor::shallow_clone).collect();
        Ok(Self::with_params(graph, params))
    }

    pub(crate) fn with_params(graph: Graph, params: Vec<Tensor>) -> Self {
        let (inference, training) = (Schedule::of_inference(&graph), Schedule::of_training(&graph));
        Self { inference, training, graph, params, freezing: None, low_precision: None, sync_bn: None }
    }

    /// Takes a part of the network out of training. Nothing is differentiated below the lowest node that is trained.
    pub(crate) fn freeze(&mut self, freezing: Freezing) {
        for (tensor, frozen) in self.params.iter_mut().zip(&freezing.frozen) {
            if *frozen {
                *tensor = tensor.set_requires_grad(false);
            }
        }
        self.freezing = Some(freezing);
    }

    /// Returns the nodes and the shapes of the tensors.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the network with tensors of another kind, such as 64-bit floats.
    #[must_use]
    pub fn to_kind(self, kind: Kind) -> Self {
        let convert = |tensor: &Tensor| tensor.detach().to_kind(kind).set_requires_grad(tensor.requires_grad());
        Self { params: self.params.iter().map(convert).collect(), ..self }
    }

    /// Returns the network with its tensors on a device.
    #[must_use]
    pub fn to_device(self, device: Device) -> Self {
        let device = device.torch();
        let convert = |tensor: &Tensor| tensor.detach().to_device(device).set_requires_grad(tensor.requires_grad());
        Self { params: self.params.iter().map(convert).collect(), ..self }
    }

    /// Returns where the tensors are.
    pub(crate) fn device(&self) -> tch::Device {
        self.params.first().map_or(tch::Device::Cpu, Tensor::device)
    }

    /// Lets training compute in 16 bits, `Kind::BFloat16` or `Kind::Half`, where that is safe. Weights, inference, normalisations,
    /// means and losses stay in 32 bits.
    pub fn set_low_precision(&mut self, kind: Option<Kind>) {
        self.low_precision = kind;
    }

    /// Lets batch normalisations take statistics of the batches of all processes together in training.
    pub(crate) fn synchronise_batch_norm(&mut self, group: Arc<ProcessGroup>) {
        self.sync_bn = Some(group);
    }

    /// Returns the length of the logits of a clip.
    pub fn num_classes(&self) -> usize {
        self.graph.nodes[self.graph.output.0].shape.dims.first().copied().unwrap_or(0)
    }

    /// Loads the tensors of a checkpoint with our own names.
    ///
    /// # Errors
    /// [`MatchError`] if other tensors than those of the classifier do not fit.
    pub fn load(&mut self, checkpoint: Checkpoint) -> Result<LoadReport, MatchError> {
        let layout = Layout::own(&self.graph);
        let Imported { tensors, report, .. } = import(&NameMap::same(Project::Pipe), &layout, checkpoint)?;
        self.set(&tensors);
        Ok(report)
    }

    /// Overwrites tensors, given by our names and with the shapes of the network, as [`import`] returns them. The others stay.
    pub fn set(&mut self, tensors: &StateDict) {
        for (param, tensor) in self.graph.params.iter().zip(&mut self.params) {
            if let Some(values) = tensors.get(&param.name).filter(|values| values.shape == param.shape) {
                copy_into(tensor, values);
            }
        }
    }

    /// Returns copies of all tensors by name.
    pub fn tensors(&self) -> BTreeMap<String, pipe_weights::Tensor> {
        self.named_tensors().map(|(name, tensor)| (name.to_owned(), to_weights(tensor))).collect()
    }

    /// Returns all tensors by name, in the order of the graph.
    pub fn named_tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.graph.params.iter().map(|param| param.name.as_str()).zip(&self.params)
    }

    /// Returns all tensors by name and role, in the order of the graph.
    pub(crate) fn with_roles(&self) -> impl Iterator<Item = (&str, Role, &Tensor)> {
        self.graph.params.iter().zip(&self.params).map(|(param, tensor)| (param.name.as_str(), param.role, tensor))
    }

    /// Returns the trained tensors by name, without buffers and without what is frozen.
    pub(crate) fn trained(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let trainable = self.with_roles().enumerate().filter(|(_, (_, role, _))| *role != Role::Buffer);
        trainable.filter(|(id, _)| !self.is_frozen(*id)).map(|(_, (name, _, tensor))| (name, tensor))
    }

    /// Returns the positions of the trained tensors among all tensors other than buffers.
    pub(crate) fn positions_of_trained(&self) -> Vec<usize> {
        let trainable = self.with_roles().enumerate().filter(|(_, (_, role, _))| *role != Role::Buffer);
        let positions = trainable.enumerate().filter(|(_, (id, _))| !self.is_frozen(*id));
        positions.map(|(position, _)| position).collect()
    }

    fn is_frozen(&self, id: usize) -> bool {
        self.freezing.as_ref().is_some_and(|freezing| freezing.frozen[id])
    }

    /// Checks that all values of all tensors are finite.
    pub fn check_finite(&self) -> Result<(), LearnError> {
        for (param, tensor) in self.graph.params.iter().zip(&self.params) {
            if tensor.isfinite().all().int64_value(&[]) == 0 {
                return Err(LearnError::NotFinite { name: param.name.clone() });
            }
        }
        Ok(())
    }

    /// Runs the network. In training, batch normalisation uses the statistics of the batch and updates the running ones.
    ///
    /// # Shapes
    /// - `clips`: `[N, C, T, H, W]`
    /// - returns: `[N, K]`, logits
    pub fn forward(&self, clips: &Tensor, training: Option<TrainingStep>) -> Result<Tensor, LearnError> {
        self.forward_with(clips, training, |_, _| {})
    }

    /// Runs the network in training, and returns the logits and those of the auxiliary classifier.
    ///
    /// # Shapes
    /// - `clips`: `[N, C, T, H, W]`
    /// - returns: `[N, K]` each
    pub fn forward_training(&self, clips: &Tensor, step: TrainingStep) -> Result<(Tensor, Option<Tensor>), LearnError> {
        let mut values = self.values(clips, Some(step), |_, _| {})?;
        let auxiliary = self.graph.auxiliary.map(|auxiliary| take(&mut values, auxiliary.output)).transpose()?;
        Ok((take(&mut values, self.graph.output)?, auxiliary))
    }

    /// Returns the loss of the logits, plus that of the auxiliary classifier times its weight.
    pub fn total_loss(&self, main: &Tensor, auxiliary: Option<&Tensor>) -> Result<Tensor, TchError> {
        match (auxiliary, self.graph.auxiliary) {
            (Some(loss), Some(Auxiliary { loss_weight, .. })) => main.f_add(&loss.f_mul_scalar(loss_weight)?),
            _ => Ok(main.shallow_clone()),
        }
    }

    /// Runs the network as [`forward`](Self::forward) does, and passes the result of each node to `observe`.
    pub fn forward_with(
        &self,
        clips: &Tensor,
        training: Option<TrainingStep>,
        observe: impl FnMut(&Node, &Tensor),
    ) -> Result<Tensor, LearnError> {
        take(&mut self.values(clips, training, observe)?, self.graph.output)
    }

    /// Computes the nodes in order, and returns the results that no other node reads.
    fn values(
        &self,
        clips: &Tensor,
        training: Option<TrainingStep>,
        mut observe: impl FnMut(&Node, &Tensor),
    ) -> Result<Vec<Option<Tensor>>, LearnError> {
        let expected = &self.graph.nodes[0].shape.dims;
        let found = clips.size();
        if found.len() != 5 || found[1..] != dims(expected) {
            let found = found.into_iter().skip(1).collect();
            return Err(LearnError::InputShape { expected: expected.clone(), found });
        }
        let schedule = if training.is_some() { &self.training } else { &self.inference };
        let mut values: Vec<Option<Tensor>> = self.graph.nodes.iter().map(|_| None).collect();
        for Turn { nodes, released } in &schedule.turns {
            let mut keep = |position: usize, value, values: &mut Vec<Option<Tensor>>| {
                observe(&self.graph.nodes[position], &value);
                values[position] = Some(value);
            };
            if let Some((last, value)) = self.run_together(nodes, clips, &values, training)? {
                keep(last, value, &mut values);
            } else {
                for position in nodes {
                    let call = self.call_in_pass(*position, clips, &values, training)?;
                    let value = run(&call).at(&call.node.name)?;
                    keep(*position, value, &mut values);
                }
            }
            for position in released {
                values[*position] = None;
            }
        }
        Ok(values)
    }

    /// Computes the nodes of a turn together, and returns the last one's position and result; `None` if they are computed one by one.
    fn run_together(
        &self,
        nodes: &[usize],
        clips: &Tensor,
        values: &[Option<Tensor>],
        training: Option<TrainingStep>,
    ) -> Result<Option<(usize, Tensor)>, LearnError> {
        let [first, .., last] = nodes else { return Ok(None) };
        let call = self.call_in_pass(*first, clips, values, training)?;
        let mut inputs = nodes[1..].iter().flat_map(|node| &self.graph.nodes[*node].inputs);
        let residual = inputs.find_map(|input| values[input.0].as_ref());
        let last_node = &self.graph.nodes[*last];
        let value = run_together(&call, residual, &last_node.op).at(&last_node.name)?;
        Ok(value.map(|value| (*last, value)))
    }

    /// Looks up the arguments of a node, which depend on what is frozen.
    fn call_in_pass<'a>(
        &'a self,
        position: usize,
        clips: &'a Tensor,
        values: &'a [Option<Tensor>],
        training: Option<TrainingStep>,
    ) -> Result<Call<'a>, LearnError> {
        let node = &self.graph.nodes[position];
        let is_eval = self.freezing.as_ref().is_some_and(|freezing| freezing.is_eval(position));
        let call = self.call(node, clips, values, training.filter(|_| !is_eval)).at(&node.name)?;
        Ok(Call { low_precision: self.low_precision.filter(|_| training.is_some()), ..call })
    }

    /// Looks up the inputs and tensors of a node.
    pub(crate) fn call<'a>(
        &'a self,
        node: &'a Node,
        clips: &'a Tensor,
        values: &'a [Option<Tensor>],
        training: Option<TrainingStep>,
    ) -> Result<Call<'a>, TchError> {
        let inputs: Option<Vec<&Tensor>> = if matches!(node.op, Op::Input(_)) {
            Some(vec![clips])
        } else {
            node.inputs.iter().map(|input| values.get(input.0)?.as_ref()).collect()
        };
        Ok(Call {
            node,
            inputs: inputs.ok_or_else(|| TchError::Shape("an input of the node comes after it".into()))?,
            input_shapes: node.inputs.iter().map(|input| &self.graph.nodes[input.0].shape).collect(),
            params: node.params.iter().map(|param| (param.slot, &self.params[param.id.0])).collect(),
            training,
            low_precision: None,
            sync_bn: self.sync_bn.as_deref(),
            device: self.device(),
        })
    }
}

/// Takes the result of a node.
fn take(values: &mut [Option<Tensor>], id: NodeId) -> Result<Tensor, LearnError> {
    let missing = || TchError::Shape("the graph's output was not computed".into());
    values.get_mut(id.0).and_then(Option::take).ok_or_else(missing).at("the output")
}
