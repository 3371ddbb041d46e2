//! [`Builder`]: builds a [`Graph`] node by node and checks each node when it is appended.

use crate::check::infer_node;
use crate::ops::input::Input;
use crate::shape::check_size;
use crate::{
    Auxiliary, ClipShape, Graph, GraphError, Layer, Node, NodeId, NodeParam, Op, Param, ParamId, Shape, ShapeError,
    TensorSpec,
};
use std::collections::BTreeSet;

/// A graph under construction.
///
/// ```
/// use pipe_graph::ops::{conv::ConvParams, frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool};
/// use pipe_graph::ops::{linear::LinearParams, relu::Relu, segment_mean::SegmentMean};
/// use pipe_graph::{Builder, ClipShape, Init};
///
/// let mut g = Builder::new("tiny", ClipShape { channels: 3, frames: 8, height: 32, width: 32 })?;
/// let x = g.node("frames", g.input(), FramesToBatch)?; // [N * 8, 3, 32, 32]
/// let x = g.node("conv1", x, ConvParams { out_channels: 16, kernel: [3; 2], padding: [1; 2], ..ConvParams::default() })?;
/// let x = g.node("relu", x, Relu)?;
/// let x = g.node("avgpool", x, GlobalAvgPool)?; // [N * 8, 16]
/// let x = g.node("consensus", x, SegmentMean)?; // [N, 16]
/// let x = g.node("fc", x, LinearParams { out_features: 5, init: Init::Normal { std: 0.01 }, bias: true })?; // [N, 5]
/// let graph = g.finish(x, x)?;
/// assert_eq!(graph.params[0].name, "conv1.weight");
/// # Ok::<(), pipe_graph::GraphError>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    name: String,
    nodes: Vec<Node>,
    params: Vec<Param>,
    names: BTreeSet<String>,
    /// The second classifier and its layer with a row per class.
    auxiliary: Option<(Auxiliary, NodeId)>,
}

impl Builder {
    /// Starts a graph with its input, `[N, C, T, H, W]`.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if an axis is 0 or the clip is too large.
    pub fn new(name: &str, clip: ClipShape) -> Result<Self, GraphError> {
        let (nodes, params, names) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut builder = Self { name: name.to_owned(), nodes, params, names, auxiliary: None };
        builder.node("clip", [], Input { clip })?;
        Ok(builder)
    }

    /// Returns the node of the input, `[N, C, T, H, W]`.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Returns the shape of a node's result.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`] if there is no such node.
    pub fn shape(&self, x: NodeId) -> Result<&Shape, GraphError> {
        self.nodes.get(x.0).map(|node| &node.shape).ok_or(GraphError::UnknownNode { id: x })
    }

    /// Returns the number of channels of a node's result.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`] if there is no such node.
    pub fn channels(&self, x: NodeId) -> Result<usize, GraphError> {
        Ok(self.shape(x)?.dims.first().copied().unwrap_or(0))
    }

    /// Appends a node and returns its id. The names of its tensors are `NAME.SLOT`, such as `conv1.weight`;
    /// the tensor of a table has the name of the node.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the layer does not fit its inputs, [`GraphError::DuplicateName`] if the name is taken, and
    /// [`GraphError::UnknownNode`] if an input does not exist.
    pub fn node<L>(&mut self, name: &str, inputs: impl AsRef<[NodeId]>, layer: L) -> Result<NodeId, GraphError>
    where
        L: Layer,
        Op: From<L::Op>,
    {
        let inputs = inputs.as_ref().to_vec();
        let shapes = inputs.iter().map(|id| self.shape(*id)).collect::<Result<Vec<_>, _>>()?;
        let at_node = |source: ShapeError| GraphError::Shape { node: name.to_owned(), source };
        let (op, tensors) = layer.resolve(&shapes).map_err(at_node)?;
        let params = tensors.into_iter().map(|spec| self.param(name, spec)).collect::<Result<_, _>>()?;
        let shape = Shape { per_sample: 1, dims: Vec::new() };
        let mut node = Node { name: name.to_owned(), op: op.into(), inputs, params, shape };
        node.shape = infer_node(&node, &self.nodes, &self.params)?;
        self.take_name(name)?;
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Sets a second classifier, whose loss is added to that of the logits in training. `classifier` is its layer with a row per class.
    pub fn set_auxiliary(&mut self, auxiliary: Auxiliary, classifier: NodeId) {
        self.auxiliary = Some((auxiliary, classifier));
    }

    /// Ends the graph. `output` are the logits; the tensors of `classifier` depend on the number of classes.
    ///
    /// # Errors
    /// [`GraphError::Output`] if `output` is not `[N, K]`, [`GraphError::Head`] if `classifier` has no tensors.
    pub fn finish(self, output: NodeId, classifier: NodeId) -> Result<Graph, GraphError> {
        let mut head = self.head(output, classifier)?;
        if let Some((auxiliary, classifier)) = self.auxiliary {
            head.extend(self.head(auxiliary.output, classifier)?);
        }
        let auxiliary = self.auxiliary.map(|(auxiliary, _)| auxiliary);
        Ok(Graph { name: self.name, nodes: self.nodes, params: self.params, output, auxiliary, head })
    }

    /// Returns the tensors of a classifier and checks its logits.
    fn head(&self, output: NodeId, classifier: NodeId) -> Result<Vec<ParamId>, GraphError> {
        let node = |id: NodeId| self.nodes.get(id.0).ok_or(GraphError::UnknownNode { id });
        let (last, classifier) = (node(output)?, node(classifier)?);
        if last.shape.per_sample != 1 || last.shape.dims.len() != 1 {
            let Shape { per_sample: rows, dims } = last.shape.clone();
            return Err(GraphError::Output { node: last.name.clone(), rows, dims });
        }
        if classifier.params.is_empty() {
            return Err(GraphError::Head { node: classifier.name.clone() });
        }
        Ok(classifier.params.iter().map(|param| param.id).collect())
    }

    fn param(&mut self, node: &str, spec: TensorSpec) -> Result<NodeParam, GraphError> {
        let TensorSpec { slot, shape, role, init } = spec;
        check_size(&shape).map_err(|source| GraphError::Shape { node: node.to_owned(), source })?;
        // A table is a tensor itself: both have one name.
        let name = if slot.is_empty() { node.to_owned() } else { format!("{node}.{slot}") };
        if !slot.is_empty() {
            self.take_name(&name)?;
        }
        self.params.push(Param { name, shape, role, init });
        Ok(NodeParam { slot, id: ParamId(self.params.len() - 1) })
    }

    fn take_name(&mut self, name: &str) -> Result<(), GraphError> {
        if self.names.insert(name.to_owned()) {
            return Ok(());
        }
        Err(GraphError::DuplicateName { name: name.to_owned() })
    }
}
