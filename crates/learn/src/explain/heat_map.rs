//! [`Explanation`]: a method that is ready to make heat maps of clips with one network.

use super::cam::{CamMethod, min_max, upscale};
use super::feature_maps::{FeatureLayer, FeatureMap, find_layer};
use super::rollout::HeadFusion;
use super::tokens::TokenFlow;
use crate::error::At;
use crate::{LearnError, Network};
use pipe_graph::Graph;
use tch::{Kind, Tensor};

/// How the evidence for a class is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainMethod {
    /// From the feature maps of a layer and their gradients.
    Cam(CamMethod),
    /// From the attentions of a transformer. It does not depend on the class.
    AttentionRollout(HeadFusion),
}

/// A method that is ready to make heat maps of clips with one network.
#[derive(Debug)]
pub struct Explanation {
    source: Source,
    /// The name of the layer whose feature maps are shown; the first feature map for attention rollout.
    layer: String,
    grid: [usize; 3],
}

#[derive(Debug)]
enum Source {
    Cam(CamMethod, FeatureLayer),
    Rollout(HeadFusion, TokenFlow),
}

/// Where in a clip the evidence is.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// From 0 to 1, `[T, H, W]` of the clip in row-major order.
    pub values: Vec<f32>,
    /// The logits of the clip, `[K]`.
    pub logits: Vec<f32>,
}

/// Why a network can't be explained with a method.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ExplainError {
    /// The named layer does not exist or has no feature map.
    #[error("{}; similar layers are {}", unknown(network, layer, *is_node), nearest.join(", "))]
    UnknownLayer { network: String, layer: String, is_node: bool, nearest: Vec<String> },
    /// Attention follows the last feature map.
    #[error(
        "{network} has no feature map after its attentions, so a class activation map needs a target layer{}",
        last.as_ref().map_or(String::new(), |last| format!(" (the last one before them is `{last}`)"))
    )]
    NoDefaultLayer { network: String, last: Option<String> },
    /// The network is no transformer.
    #[error("{network} has no attention between tokens, so attention rollout is not possible")]
    NoAttention { network: String },
    /// Tokens do not keep their places.
    #[error("attention rollout is not possible with {network}: the tokens of `{node}` are not those of the patches")]
    TokensMove { network: String, node: String },
    /// The network can't be run.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

fn unknown(network: &str, layer: &str, is_node: bool) -> String {
    let what = if is_node { "has no feature map in layer" } else { "has no layer" };
    format!("{network} {what} `{layer}`")
}

impl ExplainMethod {
    /// Returns whether the heat map depends on the class.
    pub fn depends_on_class(self) -> bool {
        match self {
            Self::Cam(_) => true,
            Self::AttentionRollout(_) => false,
        }
    }
}

impl Explanation {
    /// Prepares a method. `layer` is the layer whose feature maps are shown; see [`default_layer`](super::default_layer).
    ///
    /// # Errors
    /// [`ExplainError`] if the network can't be explained in this way.
    pub fn new(graph: &Graph, method: ExplainMethod, layer: Option<&str>) -> Result<Self, ExplainError> {
        let name = |layer: &FeatureLayer| graph.nodes[layer.id.0].name.clone();
        match method {
            ExplainMethod::Cam(cam) => {
                let found = find_layer(graph, layer)?;
                let [_, frames, height, width] = found.shape;
                Ok(Self { layer: name(&found), grid: [frames, height, width], source: Source::Cam(cam, found) })
            }
            ExplainMethod::AttentionRollout(fusion) => {
                let flow = TokenFlow::of(graph)?;
                let layer = flow.last_attention(graph).to_owned();
                Ok(Self { layer, grid: flow.grid, source: Source::Rollout(fusion, flow) })
            }
        }
    }

    /// Returns the name of the layer: that of the feature maps, or the last attention.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// Returns the number of frames, rows and columns of the layer, from which heat maps are interpolated.
    pub fn grid(&self) -> [usize; 3] {
        self.grid
    }

    /// Makes the heat map of a clip for a class; of the class with the largest logit if `class` is `None`. `network` has the graph that the
    /// explanation was prepared for.
    ///
    /// # Shapes
    /// - `clip`: `[1, C, T, H, W]`, normalised
    pub fn heat_map(&self, network: &Network, clip: &Tensor, class: Option<usize>) -> Result<HeatMap, LearnError> {
        let (map, logits) = match &self.source {
            Source::Cam(method, layer) => {
                let found = FeatureMap::of(network, layer, clip, class)?;
                (found.class_activation_map(*method)?.map, found.logits)
            }
            Source::Rollout(fusion, flow) => flow.relevance(network, clip, *fusion)?,
        };
        let [.., frames, height, width] = clip.size()[..] else {
            return Err(LearnError::InputShape { expected: self.grid.to_vec(), found: clip.size() });
        };
        let scaled = upscale(&map, [frames, height, width]).and_then(|map| min_max(&map)).at(&self.layer)?;
        Ok(HeatMap { values: to_vec(&scaled), logits: to_vec(&logits) })
    }
}

fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0f32; tensor.numel()];
    tensor.detach().to_kind(Kind::Float).contiguous().copy_data(&mut values, tensor.numel());
    values
}
