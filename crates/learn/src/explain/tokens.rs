//! [`TokenFlow`]: attention rollout through the attentions of a network, from its result back to the places of a clip.

use super::feature_maps::feature_layers;
use super::heat_map::ExplainError;
use super::rollout::{HeadFusion, attention_with_residual, divide_by_row_sums, fuse_heads};
use crate::Network;
use crate::error::{At, LearnError};
use crate::kernels::attention_weights;
use pipe_graph::{Graph, Node, NodeId, Op, Shape};
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, TchError, Tensor};

/// The attentions of a network whose tokens keep their places: those of the first feature map, and perhaps a class token.
#[derive(Debug)]
pub(super) struct TokenFlow {
    /// `[T, H, W]` of the tokens.
    pub(super) grid: [usize; 3],
    /// The attentions in order.
    layers: Vec<(NodeId, Tokens)>,
    class_token: ClassToken,
}

/// The tokens that attend to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tokens {
    /// All of a clip: `[1, L, L]`.
    Clip,
    /// Those of a frame and a class token: `[T, 1 + P, 1 + P]`.
    Frame,
    /// Those at one place: `[P, T, T]`.
    Place,
    /// A query attends to all of a clip: `[1, 1, L]`.
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClassToken {
    Absent,
    /// One for the clip. Where frames attend on their own, each has a copy, and the mean of the copies stays.
    OfClip,
    /// One for each frame, whose logits are averaged.
    OfFrames,
}

/// How much each token counts.
struct Relevance {
    /// Of the class token, as a share for each frame, `[T]`.
    class_token: Tensor,
    /// `[T, P]`.
    places: Tensor,
}

impl TokenFlow {
    /// Finds the attentions of a network.
    ///
    /// # Errors
    /// [`ExplainError::NoAttention`] or [`ExplainError::TokensMove`] if attention rollout is not defined for the network.
    pub(super) fn of(graph: &Graph) -> Result<Self, ExplainError> {
        let network = || graph.name.clone();
        let is_attention = |node: &&Node| matches!(node.op, Op::Attention(_));
        let first = graph.nodes.iter().position(|node| is_attention(&node));
        let first = first.ok_or_else(|| ExplainError::NoAttention { network: network() })?;
        let patches = feature_layers(graph).into_iter().rfind(|layer| layer.id.0 < first);
        let patches = patches.ok_or_else(|| ExplainError::NoAttention { network: network() })?;
        let [_, frames, height, width] = patches.shape;
        let grid = [frames, height, width];
        let used = graph.used_at_inference();
        let attentions = graph.nodes.iter().enumerate().filter(|(index, node)| used[*index] && is_attention(node));
        let layers = attentions.map(|(index, node)| {
            let tokens = attended(graph, node, grid);
            let moves = || ExplainError::TokensMove { network: network(), node: node.name.clone() };
            tokens.map(|tokens| (NodeId(index), tokens)).ok_or_else(moves)
        });
        let layers: Vec<_> = layers.collect::<Result<_, _>>()?;
        let query_inside = layers.iter().rev().skip(1).find(|(_, tokens)| *tokens == Tokens::Query);
        if let Some((id, _)) = query_inside {
            return Err(ExplainError::TokensMove { network: network(), node: graph.nodes[id.0].name.clone() });
        }
        let class_token = class_token(graph, &layers, grid);
        Ok(Self { grid, layers, class_token })
    }

    /// Returns the name of the last attention.
    pub(super) fn last_attention<'a>(&self, graph: &'a Graph) -> &'a str {
        self.layers.last().map_or("", |(id, _)| &graph.nodes[id.0].name)
    }

    /// Returns the relevance of the tokens of one clip, `[T, H, W]`, and its logits, `[K]`.
    ///
    /// # Shapes
    /// - `clip`: `[1, C, T, H, W]`
    pub(super) fn relevance(
        &self,
        network: &Network,
        clip: &Tensor,
        fusion: HeadFusion,
    ) -> Result<(Tensor, Tensor), LearnError> {
        let _no_grad = tch::no_grad_guard();
        let graph = network.graph();
        let inputs_of = |(id, _): &(NodeId, Tokens)| {
            let inputs = &graph.nodes[id.0].inputs;
            inputs.iter().enumerate().filter(|(place, _)| *place != VALUE).map(|(_, input)| *input)
        };
        let names: BTreeSet<&str> =
            self.layers.iter().flat_map(inputs_of).map(|id| graph.nodes[id.0].name.as_str()).collect();
        let mut inputs: BTreeMap<String, Tensor> = BTreeMap::new();
        let logits = network.forward_with(clip, None, |node, value| {
            if names.contains(node.name.as_str()) {
                inputs.insert(node.name.clone(), value.shallow_clone());
            }
        })?;
        let mut relevance = self.start(clip).at("attention rollout")?;
        for (id, tokens) in self.layers.iter().rev() {
            let node = &graph.nodes[id.0];
            let weights = weights(graph, node, &inputs).at(&node.name)?;
            relevance = self.before(*tokens, relevance, &weights, fusion).at(&node.name)?;
        }
        let [frames, height, width] = self.grid.map(|size| size as i64);
        let map = relevance.places.f_reshape([frames, height, width]).at("attention rollout")?;
        Ok((map, logits.f_squeeze_dim(0).at("the logits")?))
    }

    /// Returns what counts after the last layer: the class token, or the mean of all places.
    fn start(&self, clip: &Tensor) -> Result<Relevance, TchError> {
        let [frames, height, width] = self.grid.map(|size| size as i64);
        let [of_class, of_places] = match self.class_token {
            ClassToken::Absent => [0.0, 1.0 / (frames * height * width) as f64],
            ClassToken::OfClip | ClassToken::OfFrames => [1.0 / frames as f64, 0.0],
        };
        let options = (clip.kind(), clip.device());
        let class_token = Tensor::f_full([frames], of_class, options)?;
        Ok(Relevance { class_token, places: Tensor::f_full([frames, height * width], of_places, options)? })
    }

    /// Returns what counts before a layer.
    ///
    /// # Shapes
    /// - `weights`: `[groups, heads, Q, K]`
    fn before(
        &self,
        tokens: Tokens,
        after: Relevance,
        weights: &Tensor,
        fusion: HeadFusion,
    ) -> Result<Relevance, TchError> {
        let Relevance { class_token, places } = after;
        let size = places.size();
        match tokens {
            Tokens::Query => {
                let row = divide_by_row_sums(&fuse_heads(weights, fusion)?)?;
                Ok(Relevance { class_token, places: row.f_reshape(size)? })
            }
            Tokens::Place => {
                let rows = places.f_transpose(0, 1)?.f_unsqueeze(1)?; // [P, 1, T]
                let rows = rows.f_bmm(&attention_with_residual(weights, fusion)?)?;
                Ok(Relevance { class_token, places: rows.f_squeeze_dim(1)?.f_transpose(0, 1)? })
            }
            Tokens::Frame => {
                let rows = Tensor::f_cat(&[class_token.f_unsqueeze(1)?, places], 1)?.f_unsqueeze(1)?; // [T, 1, 1 + P]
                let rows = rows.f_bmm(&attention_with_residual(weights, fusion)?)?.f_squeeze_dim(1)?;
                let class_token = self.shared(&rows.f_select(1, 0)?)?;
                Ok(Relevance { class_token, places: rows.f_narrow(1, 1, size[1])? })
            }
            Tokens::Clip => {
                let flat = places.f_reshape([1, -1])?;
                let with_class = self.class_token != ClassToken::Absent;
                let total = class_token.f_sum(None::<Kind>)?.f_reshape([1, 1])?;
                let row = if with_class { Tensor::f_cat(&[total, flat], 1)? } else { flat };
                let row = row.f_matmul(&attention_with_residual(weights, fusion)?.f_squeeze_dim(0)?)?;
                let first = i64::from(with_class);
                let places = row.f_narrow(1, first, size[0] * size[1])?.f_reshape(size.as_slice())?;
                let class_token = if with_class {
                    row.f_select(1, 0)?.f_div_scalar(size[0])?.f_expand([size[0]], false)?
                } else {
                    class_token
                };
                Ok(Relevance { class_token, places })
            }
        }
    }

    /// Gives the copies of a clip's class token equal shares.
    fn shared(&self, class_token: &Tensor) -> Result<Tensor, TchError> {
        match self.class_token {
            ClassToken::OfClip => class_token.f_mean(None::<Kind>)?.f_expand(class_token.size(), false),
            ClassToken::OfFrames | ClassToken::Absent => Ok(class_token.shallow_clone()),
        }
    }
}

/// The place of the values among the inputs of an attention.
const VALUE: usize = 2;

/// Returns the weights of an attention, `[groups, heads, Q, K]`.
fn weights(graph: &Graph, node: &Node, inputs: &BTreeMap<String, Tensor>) -> Result<Tensor, TchError> {
    let Op::Attention(op) = &node.op else { return Err(TchError::Shape("not an attention".into())) };
    let input = |id: &NodeId| {
        let missing = || TchError::Shape("an input was not computed".into());
        inputs.get(&graph.nodes[id.0].name).ok_or_else(missing)
    };
    let [query, key, _, biases @ ..] = node.inputs.as_slice() else {
        return Err(TchError::Shape("an attention has three inputs".into()));
    };
    let biases = biases.iter().map(input).collect::<Result<Vec<_>, _>>()?;
    let weights = attention_weights(op, input(query)?, input(key)?, &biases)?;
    let size = weights.size();
    weights.f_reshape([&[-1], &size[size.len() - 3..]].concat())
}

/// Returns the tokens that attend to each other; `None` if they are not those of the grid.
fn attended(graph: &Graph, node: &Node, [frames, height, width]: [usize; 3]) -> Option<Tokens> {
    let shape = |place: usize| node.inputs.get(place).map(|id| &graph.nodes[id.0].shape);
    let ((groups, queries), (key_groups, keys)) = (sequences(shape(0)?)?, sequences(shape(1)?)?);
    let (places, all) = (height * width, frames * height * width);
    if groups != key_groups {
        return None;
    }
    match (groups, queries, keys) {
        (1, queries, keys) if queries == keys && (keys == all || keys == all + 1) => Some(Tokens::Clip),
        (1, 1, keys) if keys == all => Some(Tokens::Query),
        (groups, queries, keys) if groups == frames && queries == keys && keys == places + 1 => Some(Tokens::Frame),
        (groups, queries, keys) if groups == places && queries == keys && keys == frames => Some(Tokens::Place),
        _ => None,
    }
}

/// Returns the number of sequences per clip, and their length.
fn sequences(shape: &Shape) -> Option<(usize, usize)> {
    let [groups @ .., length, _] = shape.dims.as_slice() else { return None };
    Some((shape.per_sample * groups.iter().product::<usize>(), *length))
}

fn class_token(graph: &Graph, layers: &[(NodeId, Tokens)], [frames, height, width]: [usize; 3]) -> ClassToken {
    let has = |tokens: Tokens| layers.iter().any(|(_, found)| *found == tokens);
    let is_longer = |(id, tokens): &(NodeId, Tokens)| {
        let length = graph.nodes[id.0].shape.dims.iter().rev().nth(1).copied();
        *tokens == Tokens::Clip && length == Some(frames * height * width + 1)
    };
    if layers.iter().any(is_longer) || (has(Tokens::Frame) && has(Tokens::Place)) {
        ClassToken::OfClip
    } else if has(Tokens::Frame) {
        ClassToken::OfFrames
    } else {
        ClassToken::Absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained_tensor::testing::network;
    use tch::Device;

    /// Returns what counts before the first layer for noise: the class token and the places, `[T, P]`.
    fn relevance(backbone: &str) -> (f64, Vec<f64>) {
        let (_, graph) = network(backbone);
        let flow = TokenFlow::of(&graph).expect("tokens keep their places");
        let network = Network::new(graph, 2);
        tch::manual_seed(1);
        let clip = Tensor::randn([1, 3, 16, 64, 64], (Kind::Float, Device::Cpu));
        let (map, _) = flow.relevance(&network, &clip, HeadFusion::Mean).expect("a map");
        let places: Vec<f64> = Vec::try_from(map.to_kind(Kind::Double).contiguous().view(-1)).expect("values");
        (1.0 - places.iter().sum::<f64>(), places)
    }

    /// Every layer only divides what counts among tokens, so that nothing appears or is lost.
    #[test]
    fn what_counts_is_divided_among_the_tokens() {
        let small = r#""embed_dims": 24, "num_heads": 2"#;
        let check = |backbone: &str, has_class_token: bool| {
            let (class_token, places) = relevance(backbone);
            assert!(places.iter().all(|share| *share > 0.0), "{backbone}");
            if has_class_token {
                assert!(class_token > 0.01 && class_token < 0.99, "{backbone}: {class_token}");
            } else {
                assert!(class_token.abs() < 1e-5, "{backbone}: {class_token}");
            }
        };
        check(&format!(r#"{{"type": "VisionTransformer", "img_size": 64, "depth": 2, {small}}}"#), false);
        for attention in ["divided_space_time", "joint_space_time", "space_only"] {
            let timesformer = format!(
                r#"{{"type": "TimeSformer", "attention_type": "{attention}", "img_size": 64, "num_frames": 16, "num_transformer_layers": 2, {small}}}"#
            );
            check(&timesformer, true);
        }
        let vjepa2 = r#"{"type": "VJEPA2", "crop_size": 64, "hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2,
                         "num_pooler_layers": 1}"#;
        check(vjepa2, false);
    }

    #[test]
    fn tokens_are_recognised_by_the_lengths_of_sequences() {
        let kinds = |backbone: &str| {
            let (_, graph) = network(backbone);
            let flow = TokenFlow::of(&graph).expect("tokens keep their places");
            (flow.grid, flow.class_token, flow.layers.iter().map(|(_, tokens)| *tokens).collect::<Vec<_>>())
        };
        let divided = r#"{"type": "TimeSformer", "img_size": 64, "num_frames": 16, "num_transformer_layers": 1}"#;
        assert_eq!(kinds(divided), ([16, 4, 4], ClassToken::OfClip, vec![Tokens::Place, Tokens::Frame]));
        let space =
            r#"{"type": "TimeSformer", "attention_type": "space_only", "img_size": 64, "num_transformer_layers": 1}"#;
        assert_eq!(kinds(space), ([16, 4, 4], ClassToken::OfFrames, vec![Tokens::Frame]));
        let vjepa2 = r#"{"type": "VJEPA2", "crop_size": 64, "num_hidden_layers": 1, "num_pooler_layers": 1}"#;
        assert_eq!(kinds(vjepa2), ([8, 4, 4], ClassToken::Absent, vec![Tokens::Clip, Tokens::Clip, Tokens::Query]));
    }
}
