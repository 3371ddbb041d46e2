//! ViViT (Arnab et al. 2021, "ViViT: A Video Vision Transformer"), model 1: joint attention over the tubelets of a clip and a class token.
//!
//! Names match Hugging Face's files of `VivitForVideoClassification`: `vivit.encoder.layer.0.attention.attention.query.weight`.

use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, ImageProcessor, NotInTransformers, config, image_size};
use crate::tokens::{first_token, layer_norm, linear, linears, mlp, prepend_token, residual, tubelets, wrong_size};
use crate::{NameMap, Part};
use pipe_graph::ops::{add::Add, attention::Attention, gelu::Gelu, reshape::Reshape, table::TableParams};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role};
use pipe_schemas::networks::vivit::ViViT;
use pipe_schemas::networks::{HiddenAct, ImageSize, Project};
use serde_json::json;

impl Architecture for ViViT {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("vivit_{}x{}", self.hidden_size, self.num_hidden_layers)
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let tubelet = self.tubelet_size.map(|size| size as usize);
        let features = self.hidden_size as usize;
        let name = "vivit.embeddings.patch_embeddings.projection";
        let (x, grid) = tubelets(g, g.input(), name, tubelet, features)?;
        check_grid(self, g, grid)?;
        let num_tokens = 1 + grid.iter().product::<usize>();
        let table = |shape| TableParams { shape, role: Role::Weight, init: Init::Normal { std: 0.02 } };
        let class_token = g.node("vivit.embeddings.cls_token", [], table(vec![1, 1, features]))?;
        let x = prepend_token(g, x, class_token, "vivit.embeddings.with_cls_token")?;
        let name = "vivit.embeddings.position_embeddings";
        let positions = g.node(name, [], table(vec![1, num_tokens, features]))?;
        let rows = Reshape { per_sample: 0, dims: vec![num_tokens, features] };
        let positions = g.node(&format!("{name}.rows"), positions, rows)?;
        let mut x = g.node("vivit.embeddings", [x, positions], Add)?; // [N, 1 + T/2 H/16 W/16, D]
        for index in 0..self.num_hidden_layers {
            x = block(self, g, x, &format!("vivit.encoder.layer.{index}"))?;
        }
        let x = first_token(g, x, "vivit.cls")?; // [N, D]
        let x = layer_norm(g, x, "vivit.layernorm", self.layer_norm_eps)?;
        head.of_features(g, x, "classifier")
    }

    fn own_names(&self) -> NameMap {
        huggingface()
    }

    fn huggingface(&self, clip: ClipShape) -> Option<Result<HuggingFaceModel, NotInTransformers>> {
        Some(huggingface_model(self, clip))
    }

    fn small() -> Vec<Small<Self>> {
        let tiny = Self {
            image_size: ImageSize { height: 32, width: 48 },
            num_frames: 4,
            hidden_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 40,
            ..base()
        };
        let clip = ClipShape { channels: 3, frames: 4, height: 32, width: 48 };
        let other = Self { tubelet_size: [1, 8, 16], hidden_act: HiddenAct::Gelu, qkv_bias: false, ..tiny.clone() };
        vec![Small { backbone: tiny, clip }, Small { backbone: other, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: base(),
            clip: ClipShape { channels: 3, frames: 32, height: 224, width: 224 },
            num_classes: 400,
            num_params: 88_954_000,
            gmacs: 452.0,
            weight_keys: Some("huggingface-vivit_b_16x2_k400.txt"),
        }]
    }
}

/// ViViT-B 16x2.
fn base() -> ViViT {
    ViViT {
        image_size: ImageSize::square(224),
        num_frames: 32,
        tubelet_size: [2, 16, 16],
        hidden_size: 768,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        intermediate_size: 3072,
        hidden_act: HiddenAct::GeluFast,
        layer_norm_eps: 1e-6,
        qkv_bias: true,
    }
}

/// Files have our names; state dicts of transformers 5 have others, which are read too.
fn huggingface() -> NameMap {
    let mut map = NameMap::new(Project::Huggingface);
    for (file, state_dict) in [
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "layernorm_before"),
        ("layernorm_after", "layernorm_after"),
    ] {
        let ours = format!("vivit.encoder.layer.#.{file}.*");
        map = map.rule(ours.clone(), Part::named(ours).or(format!("vivit.layers.#.{state_dict}.*")));
    }
    map.rule("*", "*")
}

fn huggingface_model(net: &ViViT, clip: ClipShape) -> Result<HuggingFaceModel, NotInTransformers> {
    let config = config(json!({
        "image_size": image_size(net.image_size),
        "num_frames": net.num_frames,
        "tubelet_size": net.tubelet_size,
        "num_channels": clip.channels,
        "hidden_size": net.hidden_size,
        "num_hidden_layers": net.num_hidden_layers,
        "num_attention_heads": net.num_attention_heads,
        "intermediate_size": net.intermediate_size,
        "hidden_act": net.hidden_act,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": net.layer_norm_eps,
        "qkv_bias": net.qkv_bias,
    }));
    if (clip.height, clip.width) != (net.image_size.height as usize, net.image_size.width as usize) {
        return Err(NotInTransformers::because("pixels that do not fill a tubelet are not cut off"));
    }
    let processor = ImageProcessor::Image("VivitImageProcessor");
    let (model_type, architecture) = ("vivit", "VivitForVideoClassification");
    Ok(HuggingFaceModel { model_type, architecture, processor, config, notes: Vec::new() })
}

/// Checks that the clip has as many tokens along each axis as the positions.
fn check_grid(net: &ViViT, g: &Builder, grid: [usize; 3]) -> Result<(), GraphError> {
    let clip = g.shape(g.input())?.dims.clone();
    let made = [net.num_frames, net.image_size.height, net.image_size.width];
    let whats = [("the number of frames", "num_frames"), ("the height", "image_size"), ("the width", "image_size")];
    for (axis, (what, parameter)) in whats.into_iter().enumerate() {
        let (made, tubelet) = (made[axis] as usize, net.tubelet_size[axis] as usize);
        if grid[axis] != made / tubelet {
            let expected = format!("{made} (`{parameter}`)");
            return Err(wrong_size("vivit.embeddings.position_embeddings", what, clip[1 + axis], expected));
        }
    }
    Ok(())
}

/// Attention and a hidden layer, each after a normalisation and with a residual connection.
fn block(net: &ViViT, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let named = |suffix: &str| format!("{name}.{suffix}");
    let y = layer_norm(g, x, &named("layernorm_before"), net.layer_norm_eps)?;
    let layers = ["query", "key", "value"].map(|layer| named(&format!("attention.attention.{layer}")));
    let qkv = linears(g, y, &layers, net.qkv_bias)?;
    let y = g.node(&named("attention"), qkv, Attention { heads: net.num_attention_heads as usize, scale: None })?;
    let y = g.node(&named("attention.output.dense"), y, linear(net.hidden_size as usize, true))?;
    let x = residual(g, x, y, &named("attention"), 0.0)?;
    let y = layer_norm(g, x, &named("layernorm_after"), net.layer_norm_eps)?;
    let gelu = Gelu { tanh: net.hidden_act.is_tanh() };
    let layers = [&*named("intermediate.dense"), &*named("output.dense")];
    let y = mlp(g, y, layers, net.intermediate_size as usize, gelu)?;
    residual(g, x, y, &named("output"), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_eps, check_error, check_shape};

    fn clip(frames: usize, height: usize, width: usize) -> ClipShape {
        ClipShape { channels: 3, frames, height, width }
    }

    #[test]
    fn the_class_token_is_the_first_of_the_tubelets() {
        check_shape(base(), clip(32, 224, 224), "vivit.embeddings", 1, &[3137, 768]);
        let oblong = ViViT { image_size: ImageSize { height: 64, width: 96 }, tubelet_size: [4, 16, 16], ..base() };
        check_shape(oblong, clip(32, 64, 96), "vivit.embeddings", 1, &[1 + 8 * 4 * 6, 768]);
    }

    #[test]
    fn all_normalisations_have_the_same_epsilon() {
        check_eps(ViViT { layer_norm_eps: 1e-12, ..base() }, clip(32, 224, 224), |_| 1e-12);
    }

    #[test]
    fn other_sizes_are_errors() {
        check_error(
            base(),
            clip(16, 224, 224),
            10,
            "the number of frames is 16, but the network takes 32 (`num_frames`)",
        );
        check_error(base(), clip(32, 224, 256), 10, "the width is 256, but the network takes 224 (`image_size`)");
    }
}
