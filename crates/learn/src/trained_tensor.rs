//! [`TrainedTensor`]: what rules for single tensors read of a tensor: its names, its layer and its shape.

use pipe_graph::{Graph, Node, NodeParam, Op, Param, Role};
use pipe_models::{Layout, Link, NameMap, name_maps};
use pipe_schemas::networks::{Backbone, Project};
use std::collections::BTreeMap;

/// A tensor that can be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedTensor {
    /// Our name.
    pub name: String,
    /// MMAction2's names; our name with the prefix `backbone.` or `cls_head.` if MMAction2 does not have the network. There are several
    /// if MMAction2 stores the tensor in pieces.
    pub mmaction2: Vec<String>,
    /// The sizes of all axes, as MMAction2 has them.
    pub shape: Vec<usize>,
    /// The layer that it belongs to.
    pub layer: Layer,
}

/// The layer of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// A normalisation.
    Norm,
    /// A convolution over two or three axes.
    Conv,
    /// A linear layer.
    Linear,
    /// Any other, such as a table of positions or a recurrent layer.
    Other,
}

impl TrainedTensor {
    /// Returns the tensors of a network that can be trained, in the order of the graph.
    pub fn of(backbone: &Backbone, graph: &Graph) -> Vec<Self> {
        let nodes = first_nodes(graph);
        let maps = name_maps(backbone);
        let links = maps.iter().find(|map| map.project == Project::Mmaction2).map(|map| links(map, graph));
        let tensor = |(id, param): (usize, &Param)| {
            let (mmaction2, shape) = match links.as_ref().map(|links| links.get(param.name.as_str())) {
                Some(Some(link)) => theirs(link, param),
                Some(None) => (vec![param.name.clone()], param.shape.clone()),
                None => {
                    let part = if graph.head.iter().any(|head| head.0 == id) { "cls_head" } else { "backbone" };
                    (vec![format!("{part}.{}", param.name)], param.shape.clone())
                }
            };
            let layer = nodes.get(&id).map_or(Layer::Other, |node| layer(&node.op));
            Self { name: param.name.clone(), mmaction2, shape, layer }
        };
        let trained = graph.params.iter().enumerate().filter(|(_, param)| param.role != Role::Buffer);
        trained.map(tensor).collect()
    }

    /// Returns all names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.mmaction2).map(String::as_str)
    }

    /// Returns whether a name contains `key`.
    pub fn matches(&self, key: &str) -> bool {
        self.names().any(|name| name.contains(key))
    }

    /// Returns the name as MMAction2 has it; our own if MMAction2 stores it in pieces.
    pub fn mmaction2_name(&self) -> &str {
        if let [name] = self.mmaction2.as_slice() { name } else { &self.name }
    }

    /// Returns whether the name of the tensor within its layer is `bias`.
    pub fn is_bias(&self) -> bool {
        self.mmaction2_name().rsplit('.').next() == Some("bias")
    }

    /// Returns whether the tensor belongs to a 2-D convolution with as many groups as input channels.
    pub fn is_depthwise_2d(&self, all: &[Self]) -> bool {
        let layer_name = |tensor: &Self| tensor.name.rsplit_once('.').map(|(layer, _)| layer.to_owned());
        let is_weight = |tensor: &&Self| tensor.shape.len() == 4 && layer_name(tensor) == layer_name(self);
        self.layer == Layer::Conv && all.iter().find(is_weight).is_some_and(|weight| weight.shape[1] == 1)
    }
}

fn layer(op: &Op) -> Layer {
    if matches!(op, Op::BatchNorm(_) | Op::LayerNorm(_)) {
        Layer::Norm
    } else if matches!(op, Op::Conv(_)) {
        Layer::Conv
    } else if matches!(op, Op::Linear(_)) {
        Layer::Linear
    } else {
        Layer::Other
    }
}

/// Returns the first node that reads each tensor.
fn first_nodes(graph: &Graph) -> BTreeMap<usize, &Node> {
    let mut nodes = BTreeMap::new();
    for node in &graph.nodes {
        for NodeParam { id, .. } in &node.params {
            nodes.entry(id.0).or_insert(node);
        }
    }
    nodes
}

/// Returns the links to MMAction2 by our names.
fn links(map: &NameMap, graph: &Graph) -> BTreeMap<String, Link> {
    let links = map.layout(graph).map(|layout: Layout| layout.links).unwrap_or_default();
    links
        .into_iter()
        .flat_map(|link| link.ours.clone().into_iter().map(move |ours| (ours.name, link.clone())))
        .collect()
}

/// Returns MMAction2's names of a tensor, and its shape.
fn theirs(link: &Link, param: &Param) -> (Vec<String>, Vec<usize>) {
    let names = link.theirs.iter().filter_map(|tensor| tensor.spellings.first().cloned()).collect();
    let shape = match (link.ours.as_slice(), link.theirs.as_slice()) {
        ([_], [tensor]) => tensor.shape.clone(),
        _ => param.shape.clone(),
    };
    (names, shape)
}

#[cfg(test)]
pub(crate) mod testing {
    use pipe_graph::{ClipShape, Graph};
    use pipe_schemas::networks::{Backbone, ModelParams};

    /// Builds a network for clips of 16 frames of 64 x 64 pixels, and 5 classes.
    pub(crate) fn network(backbone: &str) -> (Backbone, Graph) {
        let backbone: Backbone = serde_json::from_str(backbone).expect("valid");
        let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
        let clip = ClipShape { channels: 3, frames: 16, height: 64, width: 64 };
        (backbone, pipe_models::build(&params, clip, 5).expect("fits"))
    }
}
