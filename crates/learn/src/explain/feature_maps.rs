//! The layers of a network whose results are feature maps: values per channel, frame, row and column.

use super::cam::{CamMethod, ClassActivationMap, class_activation_map};
use super::heat_map::ExplainError;
use crate::Network;
use crate::error::{At, LearnError};
use crate::similar::nearest;
use pipe_graph::{Graph, Node, NodeId, Op};
use tch::{TchError, Tensor};

/// A layer whose result is a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FeatureLayer {
    /// The node.
    pub(super) id: NodeId,
    axes: Axes,
    /// `[C, T, H, W]`.
    pub(super) shape: [usize; 4],
}

/// The order of a feature map's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axes {
    /// `[N, C, T, H, W]`, or `[N * T, C, H, W]`.
    ChannelsFirst,
    /// `[N, T, H, W, C]`, or `[N * T, H, W, C]`.
    ChannelsLast,
}

/// The result of a layer for one clip, and its gradient.
#[derive(Debug)]
pub struct FeatureMap {
    /// `[K]`.
    pub logits: Tensor,
    /// `[C, T, H, W]`.
    pub activation: Tensor,
    /// The derivative of the logit of the class by the activation, `[C, T, H, W]`.
    pub gradient: Tensor,
    /// Whether the frames are pictures of their own, as in 2-D networks.
    pub per_frame: bool,
}

/// Returns the layers whose results are feature maps and that the logits depend on, in the order of the graph.
pub(super) fn feature_layers(graph: &Graph) -> Vec<FeatureLayer> {
    let used = graph.used_at_inference();
    let axes = axes_of_nodes(graph);
    let layer = |(index, node): (usize, &Node)| {
        let is_pixels = matches!(node.op, Op::Input(_) | Op::FramesToBatch(_));
        let axes = axes[index].filter(|_| used[index] && !is_pixels)?;
        Some(FeatureLayer { id: NodeId(index), axes, shape: axes.shape(node)? })
    };
    graph.nodes.iter().enumerate().filter_map(layer).collect()
}

/// Returns the layer whose map is shown if none is named: of the last feature maps, those that are pooled or flattened, the one with
/// most channels. `None` if attention follows it, because tokens then mix places.
pub fn default_layer(graph: &Graph) -> Option<&str> {
    default_feature_layer(graph).map(|layer| graph.nodes[layer.id.0].name.as_str())
}

fn default_feature_layer(graph: &Graph) -> Option<FeatureLayer> {
    let layers: Vec<_> = feature_layers(graph).into_iter().filter(FeatureLayer::has_places).collect();
    let is_read_by =
        |layer: &FeatureLayer| layers.iter().any(|reader| graph.nodes[reader.id.0].inputs.contains(&layer.id));
    let last = layers.iter().filter(|layer| !is_read_by(layer)).max_by_key(|layer| (layer.shape[0], layer.id))?;
    let attention_follows = graph.nodes[last.id.0..].iter().any(|node| matches!(node.op, Op::Attention(_)));
    (!attention_follows).then_some(*last)
}

/// Finds the layer with a name, or the default one.
pub(super) fn find_layer(graph: &Graph, name: Option<&str>) -> Result<FeatureLayer, ExplainError> {
    let Some(name) = name else {
        let last = || feature_layers(graph).last().map(|layer| graph.nodes[layer.id.0].name.clone());
        return default_feature_layer(graph)
            .ok_or_else(|| ExplainError::NoDefaultLayer { network: graph.name.clone(), last: last() });
    };
    let layers = feature_layers(graph);
    let names = || layers.iter().map(|layer| graph.nodes[layer.id.0].name.as_str());
    match names().position(|known| known == name) {
        Some(at) => Ok(layers[at]),
        None => Err(ExplainError::UnknownLayer {
            network: graph.name.clone(),
            layer: name.to_owned(),
            is_node: graph.nodes.iter().any(|node| node.name == name),
            nearest: nearest(name, names()),
        }),
    }
}

impl FeatureLayer {
    /// Returns whether it has more than one place in a frame.
    fn has_places(&self) -> bool {
        self.shape[2] * self.shape[3] > 1
    }

    /// Returns whether the frames are pictures of their own, as in 2-D networks.
    fn is_per_frame(&self, graph: &Graph) -> bool {
        graph.nodes[self.id.0].shape.dims.len() == 3
    }

    /// Returns the values of one clip as `[C, T, H, W]`.
    fn channels_first(&self, values: &Tensor, per_frame: bool) -> Result<Tensor, TchError> {
        let values = if per_frame { values.shallow_clone() } else { values.f_squeeze_dim(0)? };
        match (self.axes, per_frame) {
            (Axes::ChannelsFirst, true) => values.f_transpose(0, 1),
            (Axes::ChannelsFirst, false) => Ok(values),
            (Axes::ChannelsLast, _) => values.f_permute([3, 0, 1, 2]),
        }
    }
}

/// Runs one clip, and differentiates the logit of a class by the result of a layer.
///
/// # Shapes
/// - `clip`: `[1, C, T, H, W]`
///
/// # Errors
/// [`ExplainError::UnknownLayer`] if the network does not have a feature map in `layer`.
pub fn feature_map(network: &Network, layer: &str, clip: &Tensor, class: usize) -> Result<FeatureMap, ExplainError> {
    let layer = find_layer(network.graph(), Some(layer))?;
    Ok(FeatureMap::of(network, &layer, clip, Some(class))?)
}

impl FeatureMap {
    /// Without a class, it is that of the largest logit.
    pub(super) fn of(
        network: &Network,
        layer: &FeatureLayer,
        clip: &Tensor,
        class: Option<usize>,
    ) -> Result<Self, LearnError> {
        let graph = network.graph();
        let name = &graph.nodes[layer.id.0].name;
        // The gradient flows even if no tensor of the network is trained.
        let clip = clip.detach().set_requires_grad(true);
        let mut activation = None;
        let logits = network.forward_with(&clip, None, |node, value| {
            if node.name == *name {
                activation = Some(value.shallow_clone());
            }
        })?;
        let logits = logits.f_squeeze_dim(0).at(name)?;
        let activation = activation.ok_or_else(|| TchError::Shape("the layer was not computed".into())).at(name)?;
        let class = match class {
            Some(class) => class as i64,
            None => logits.f_argmax(0, false).at(name)?.int64_value(&[]),
        };
        let score = logits.f_select(0, class).at(name)?;
        let gradient = Tensor::f_run_backward(&[score], &[&activation], false, false).at(name)?.swap_remove(0);
        let per_frame = layer.is_per_frame(graph);
        let of_clip = |values: &Tensor| layer.channels_first(&values.detach(), per_frame).at(name);
        let (activation, gradient) = (of_clip(&activation)?, of_clip(&gradient)?);
        Ok(Self { logits: logits.detach(), activation, gradient, per_frame })
    }

    /// Returns the class activation map of the layer.
    pub fn class_activation_map(&self, method: CamMethod) -> Result<ClassActivationMap, LearnError> {
        class_activation_map(method, &self.activation, &self.gradient, self.per_frame).at("a class activation map")
    }
}

impl Axes {
    /// Returns `[C, T, H, W]` of a node; `None` if its result is not a feature map.
    fn shape(self, node: &Node) -> Option<[usize; 4]> {
        let frames = node.shape.per_sample;
        match (self, node.shape.dims.as_slice()) {
            (Self::ChannelsFirst, &[channels, height, width]) | (Self::ChannelsLast, &[height, width, channels]) => {
                Some([channels, frames, height, width])
            }
            (Self::ChannelsFirst, &[channels, frames, height, width])
            | (Self::ChannelsLast, &[frames, height, width, channels])
                if node.shape.per_sample == 1 =>
            {
                Some([channels, frames, height, width])
            }
            _ => None,
        }
    }
}

/// Follows the axes of the clip through the graph. A node has those of its first input that has them, unless it makes other axes.
fn axes_of_nodes(graph: &Graph) -> Vec<Option<Axes>> {
    let mut all: Vec<Option<Axes>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let same_rank = |id: &&NodeId| graph.nodes[id.0].shape.dims.len() == node.shape.dims.len();
        let inherited = || node.inputs.iter().filter(same_rank).find_map(|id| all[id.0]);
        let axes = if matches!(node.op, Op::Input(_)) {
            Some(Axes::ChannelsFirst)
        } else if matches!(node.op, Op::FramesToBatch(_)) {
            node.inputs.first().and_then(|id| all[id.0])
        } else if let Op::Permute(op) = &node.op {
            inherited().and_then(|axes| permuted(axes, &op.axes))
        } else if let Some(map) = map_of_joined(graph, node) {
            all[map.0].filter(|axes| *axes == Axes::ChannelsLast)
        } else if makes_other_axes(&node.op) {
            None
        } else {
            inherited()
        };
        all.push(axes);
    }
    all
}

fn permuted(axes: Axes, order: &[usize]) -> Option<Axes> {
    let unchanged = order.iter().enumerate().all(|(place, axis)| place == *axis);
    match (axes, order) {
        _ if unchanged => Some(axes),
        (Axes::ChannelsFirst, [1, 2, 3, 0] | [1, 2, 0]) => Some(Axes::ChannelsLast),
        (Axes::ChannelsLast, [3, 0, 1, 2] | [2, 0, 1]) => Some(Axes::ChannelsFirst),
        _ => None,
    }
}

/// If a node is the last of three that make one place of neighbouring ones, with all their channels, returns what they join: `[T, H, W, C]`
/// becomes `[T, H / h, h, W / w, w, C]`, `[T, H / h, W / w, w, h, C]` and `[T, H / h, W / w, h * w * C]`.
fn map_of_joined(graph: &Graph, node: &Node) -> Option<NodeId> {
    let input = |node: &Node| node.inputs.first().copied();
    let ordered = &graph.nodes[input(node)?.0];
    let pairs = &graph.nodes[input(ordered)?.0];
    let map = input(pairs)?;
    let (Op::Reshape(_), Op::Permute(order), Op::Reshape(_)) = (&node.op, &ordered.op, &pairs.op) else { return None };
    let (&[frames, height, width, channels], &[of_pairs, rows, _, columns, _, _]) =
        (graph.nodes[map.0].shape.dims.as_slice(), pairs.shape.dims.as_slice())
    else {
        return None;
    };
    let joined = channels * (height / rows) * (width / columns);
    let keeps_places = matches!(order.axes.as_slice(), [0, 1, 3, 2 | 4, 2 | 4, 5]);
    (keeps_places && of_pairs == frames && node.shape.dims == [frames, rows, columns, joined]).then_some(map)
}

/// Returns whether the axes of the result are not those of the inputs, even if there are as many.
fn makes_other_axes(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_)
            | Op::Flatten(_)
            | Op::Expand(_)
            | Op::Attention(_)
            | Op::Recurrent(_)
            | Op::Table(_)
            | Op::RelPosBias(_)
            | Op::WindowMask(_)
            | Op::DecomposedRelPos(_)
            | Op::Rotary(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained_tensor::testing::network;

    fn default_of(backbone: &str) -> Option<(String, [usize; 4])> {
        let (_, graph) = network(backbone);
        let layer = default_feature_layer(&graph)?;
        Some((graph.nodes[layer.id.0].name.clone(), layer.shape))
    }

    #[test]
    fn the_default_is_the_last_feature_map() {
        let check = |backbone: &str, name: &str, shape: [usize; 4]| {
            assert_eq!(default_of(backbone), Some((name.to_owned(), shape)), "{backbone}");
        };
        check(r#"{"type": "ResNet", "depth": 18}"#, "layer4.1.relu", [512, 16, 2, 2]);
        check(r#"{"type": "R3D"}"#, "layer4.1.relu", [512, 2, 4, 4]);
        check(r#"{"type": "SwinTransformer3D"}"#, "norm", [768, 8, 2, 2]);
    }

    #[test]
    fn networks_whose_tokens_mix_places_have_no_default() {
        for name in ["VisionTransformer", "MViT"] {
            let backbone = format!(r#"{{"type": "{name}", "SIZE": [64, 64]}}"#);
            let size = if name == "MViT" { "spatial_size" } else { "img_size" };
            assert_eq!(default_of(&backbone.replace("SIZE", size)), None, "{name}");
        }
    }
}
