//! The vision transformer of VideoMAE (Tong et al. 2022, "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised
//! Video Pre-Training") with mean pooling.
//!
//! Names match MMAction2's `vit-base-p16_videomae`: `backbone.blocks.0.attn.qkv.weight`, `backbone.blocks.0.attn.q_bias`,
//! `cls_head.fc_cls.weight`. Keys have no bias.

use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, ImageProcessor, NotInTransformers, config, image_size};
use crate::tokens::{drop_path_rate, layer_norm, linear, mlp, part, residual, split_qkv, tubelets, wrong_size};
use crate::{NameMap, Part};
use pipe_graph::ops::resize::{Resize, ResizeMode};
use pipe_graph::ops::{
    add::Add, attention::Attention, gelu::Gelu, mean::Mean, permute::Permute, reshape::Reshape, table::TableParams,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role};
use pipe_schemas::networks::vision_transformer::VisionTransformer;
use pipe_schemas::networks::{ImageSize, Project};
use serde_json::json;

impl Architecture for VisionTransformer {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("videomae_{}x{}", self.embed_dims, self.depth)
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let tubelet = [self.tubelet_size, self.patch_size, self.patch_size].map(|size| size as usize);
        let features = self.embed_dims as usize;
        let (x, grid) = tubelets(g, g.input(), "backbone.patch_embed.projection", tubelet, features)?;
        let positions = positions(self, g, grid)?;
        let mut x = g.node("backbone.pos_add", [x, positions], Add)?; // [N, T/2 H/16 W/16, D]
        for index in 0..self.depth as usize {
            x = block(self, g, x, index)?;
        }
        let x = g.node("backbone.mean", x, Mean { axes: vec![0], keepdims: false })?; // [N, D]
        let x = layer_norm(g, x, "backbone.fc_norm", self.fc_norm_eps)?;
        head.of_features(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![original(), huggingface()]
    }

    fn pretraining_maps(&self) -> Vec<NameMap> {
        vec![original_pretraining(), huggingface_pretraining()]
    }

    fn config_names(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("img_size", "image_size"),
            ("embed_dims", "hidden_size"),
            ("depth", "num_hidden_layers"),
            ("num_heads", "num_attention_heads"),
        ]
    }

    fn config_facts(&self) -> &'static [(&'static str, &'static str)] {
        &[("hidden_act", r#""gelu""#), ("qkv_bias", "true")]
    }

    fn huggingface(&self, clip: ClipShape) -> Option<Result<HuggingFaceModel, NotInTransformers>> {
        Some(huggingface_model(self, clip))
    }

    fn small() -> Vec<Small<Self>> {
        let tiny = |drop_path_rate| Self {
            img_size: ImageSize { height: 32, width: 48 },
            embed_dims: 24,
            depth: 2,
            num_heads: 2,
            num_frames: 6,
            drop_path_rate,
            ..base()
        };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        vec![
            Small { backbone: tiny(0.2), clip: clip(6, 32, 48) },
            // The table of positions is cut, resized, or both.
            Small { backbone: tiny(0.0), clip: clip(4, 32, 48) },
            Small { backbone: tiny(0.0), clip: clip(4, 50, 48) },
        ]
    }

    fn published() -> Vec<Published<Self>> {
        let published = |backbone, num_params, gmacs, weight_keys| Published {
            backbone,
            clip: ClipShape { channels: 3, frames: 16, height: 224, width: 224 },
            num_classes: 400,
            num_params,
            gmacs,
            weight_keys,
        };
        let small = Self { embed_dims: 384, num_heads: 6, ..base() };
        let large = Self { embed_dims: 1024, depth: 24, num_heads: 16, ..base() };
        vec![
            published(small, 22_033_936, 56.9, None),
            published(base(), 86_534_800, 180.0, Some("mmaction2-videomae.txt")),
            published(large, 304_270_736, 597.0, None),
        ]
    }
}

/// ViT-B.
fn base() -> VisionTransformer {
    VisionTransformer {
        img_size: ImageSize::square(224),
        patch_size: 16,
        embed_dims: 768,
        depth: 12,
        num_heads: 12,
        mlp_ratio: 4.0,
        num_frames: 16,
        tubelet_size: 2,
        drop_path_rate: 0.0,
        layer_norm_eps: 1e-6,
        fc_norm_eps: 1e-6,
    }
}

/// MCG-NJU/VideoMAE computes the positions, and does not save them.
fn original() -> NameMap {
    original_encoder("").rule("backbone.fc_norm.*", "fc_norm.*").rule("cls_head.fc_cls.*", "head.*")
}

/// The names of tokens and blocks, which begin with `prefix`.
fn original_encoder(prefix: &str) -> NameMap {
    NameMap::new(Project::Original)
        .initial("backbone.pos_embed")
        .rule("backbone.patch_embed.projection.*", format!("{prefix}patch_embed.proj.*"))
        .rule("backbone.blocks.#.mlp.layers.0.0.*", format!("{prefix}blocks.#.mlp.fc1.*"))
        .rule("backbone.blocks.#.mlp.layers.1.*", format!("{prefix}blocks.#.mlp.fc2.*"))
        .rule("backbone.blocks.*", format!("{prefix}blocks.*"))
}

/// A file of the pretraining: the encoder, whose last normalisation fine-tuning drops, and a decoder.
fn original_pretraining() -> NameMap {
    after_pretraining(original_encoder("encoder.").ignored("encoder.norm.*"))
}

/// As [`original_pretraining`].
fn huggingface_pretraining() -> NameMap {
    after_pretraining(huggingface().ignored("videomae.layernorm.*"))
}

/// The last normalisation and the classifier are new, and the decoder is not needed.
fn after_pretraining(encoder: NameMap) -> NameMap {
    encoder
        .untrained("backbone.fc_norm.*")
        .untrained("cls_head.fc_cls.*")
        .ignored("encoder_to_decoder.weight")
        .ignored("mask_token")
        .ignored("decoder.*")
}

/// Hugging Face has a layer each for queries, keys and values. Files have `q_bias`, state dicts of transformers 5 have `query.bias`.
fn huggingface() -> NameMap {
    let layer = "videomae.encoder.layer.#";
    let attention = format!("{layer}.attention.attention");
    let bias = |file: &str, state_dict: &str| {
        Part::named(format!("{attention}.{file}")).or(format!("{attention}.{state_dict}.bias"))
    };
    NameMap::new(Project::Huggingface)
        .initial("backbone.pos_embed")
        .rule("backbone.patch_embed.projection.*", "videomae.embeddings.patch_embeddings.projection.*")
        .rule("backbone.blocks.#.norm1.*", format!("{layer}.layernorm_before.*"))
        .rule("backbone.blocks.#.norm2.*", format!("{layer}.layernorm_after.*"))
        .concat(
            "backbone.blocks.#.attn.qkv.weight",
            ["query", "key", "value"].map(|name| format!("{attention}.{name}.weight")),
        )
        .rule("backbone.blocks.#.attn.q_bias", bias("q_bias", "query"))
        .rule("backbone.blocks.#.attn.v_bias", bias("v_bias", "value"))
        .rule("backbone.blocks.#.attn.proj.*", format!("{layer}.attention.output.dense.*"))
        .rule("backbone.blocks.#.mlp.layers.0.0.*", format!("{layer}.intermediate.dense.*"))
        .rule("backbone.blocks.#.mlp.layers.1.*", format!("{layer}.output.dense.*"))
        .rule("backbone.fc_norm.*", "fc_norm.*")
        .rule("cls_head.fc_cls.*", "classifier.*")
}

/// The table of positions is computed from `config.json`, and never resized.
fn huggingface_model(vit: &VisionTransformer, clip: ClipShape) -> Result<HuggingFaceModel, NotInTransformers> {
    let size = vit.img_size;
    if (clip.height, clip.width) != (size.height as usize, size.width as usize) {
        let (height, width) = (clip.height, clip.width);
        return Err(NotInTransformers::because(format!(
            "it does not resize the positions of {}x{} px (`img_size`) to frames of {width}x{height} px",
            size.width, size.height
        )));
    }
    let fills = |size: usize, unit: u32| size.is_multiple_of(unit as usize);
    let [frames, height, width] = [clip.frames, clip.height, clip.width];
    if !(fills(frames, vit.tubelet_size) && fills(height, vit.patch_size) && fills(width, vit.patch_size)) {
        return Err(NotInTransformers::because("frames and pixels that do not fill a tubelet are not cut off"));
    }
    let mut notes = Vec::new();
    // `fc_norm` of transformers has the default of PyTorch.
    if (vit.fc_norm_eps - 1e-5).abs() > 1e-12 {
        notes.push(format!("`fc_norm` has the epsilon 1e-5 in transformers, and {:e} here", vit.fc_norm_eps));
    }
    let config = config(json!({
        "image_size": image_size(size),
        "patch_size": vit.patch_size,
        "num_channels": clip.channels,
        // Positions of shorter clips are the first ones.
        "num_frames": clip.frames,
        "tubelet_size": vit.tubelet_size,
        "hidden_size": vit.embed_dims,
        "num_hidden_layers": vit.depth,
        "num_attention_heads": vit.num_heads,
        "intermediate_size": (f64::from(vit.embed_dims) * vit.mlp_ratio) as u64,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": vit.layer_norm_eps,
        "qkv_bias": true,
        "use_mean_pooling": true,
    }));
    let processor = ImageProcessor::Image("VideoMAEImageProcessor");
    Ok(HuggingFaceModel {
        model_type: "videomae",
        architecture: "VideoMAEForVideoClassification",
        processor,
        config,
        notes,
    })
}

/// Appends the positions of a grid of tokens, a table `[T' H' W', D]`.
fn positions(vit: &VisionTransformer, g: &mut Builder, grid: [usize; 3]) -> Result<NodeId, GraphError> {
    const NAME: &str = "backbone.pos_embed";
    let [frames, rows, columns] = grid;
    let (tubelet, patch, features) = (vit.tubelet_size as usize, vit.patch_size as usize, vit.embed_dims as usize);
    let made =
        [vit.num_frames as usize / tubelet, vit.img_size.height as usize / patch, vit.img_size.width as usize / patch];
    if made.contains(&0) {
        let expected =
            format!("frames of at least {patch}x{patch} px (`img_size`) and at least {tubelet} of them (`num_frames`)");
        return Err(wrong_size(NAME, "the number of positions", 0, expected));
    }
    if frames > made[0] {
        let (found, most) = (g.shape(g.input())?.dims[1], made[0] * tubelet + tubelet - 1);
        return Err(wrong_size(NAME, "the number of frames", found, format!("{tubelet} to {most} (`num_frames`)")));
    }
    let shape = vec![1, made.iter().product(), features];
    let table = g.node(NAME, [], TableParams { shape, role: Role::Buffer, init: Init::SinCos })?;
    let named = |suffix: &str| format!("{NAME}.{suffix}");
    let as_table = |dims: &[usize]| Reshape { per_sample: 0, dims: dims.to_vec() };
    let mut x = g.node(&named("grid"), table, as_table(&[made[0], made[1] * made[2], features]))?;
    if frames < made[0] {
        // Positions of shorter clips are the first ones, because frames are counted last.
        x = part(g, x, &named("frames"), 0, [0, frames])?;
    }
    if made[1..] != grid[1..] {
        x = g.node(&named("by_place"), x, as_table(&[frames, made[1], made[2], features]))?;
        x = g.node(&named("frames_last"), x, Permute { axes: vec![1, 2, 0, 3] })?;
        x = g.node(&named("image"), x, as_table(&[made[1], made[2], frames * features]))?;
        x = g.node(&named("resized"), x, Resize { size: vec![rows, columns], mode: ResizeMode::Cubic })?;
        x = g.node(&named("by_frame"), x, as_table(&[rows, columns, frames, features]))?;
        x = g.node(&named("frames_first"), x, Permute { axes: vec![2, 0, 1, 3] })?;
    }
    g.node(&named("tokens"), x, as_table(&[frames * rows * columns, features]))
}

/// Attention and a hidden layer, each after a normalisation and with a residual connection.
fn block(vit: &VisionTransformer, g: &mut Builder, x: NodeId, index: usize) -> Result<NodeId, GraphError> {
    let named = |suffix: &str| format!("backbone.blocks.{index}.{suffix}");
    let rate = drop_path_rate(vit.drop_path_rate, index, vit.depth as usize);
    let y = layer_norm(g, x, &named("norm1"), vit.layer_norm_eps)?;
    let y = attention(vit, g, y, &named("attn"))?;
    let x = residual(g, x, y, &named("attn"), rate)?;
    let y = layer_norm(g, x, &named("norm2"), vit.layer_norm_eps)?;
    let hidden = (f64::from(vit.embed_dims) * vit.mlp_ratio) as usize;
    let y = mlp(g, y, [&named("mlp.layers.0.0"), &named("mlp.layers.1")], hidden, Gelu { tanh: false })?;
    residual(g, x, y, &named("mlp"), rate)
}

/// Self-attention with biases of queries and values as tensors of their own.
fn attention(vit: &VisionTransformer, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let features = vit.embed_dims as usize;
    let qkv = g.node(&format!("{name}.qkv"), x, linear(3 * features, false))?;
    let [query, key, value] = split_qkv(g, qkv, name)?;
    let mut biased = |x, bias: &str, sum: &str| {
        let params = TableParams { shape: vec![features], role: Role::Bias, init: Init::Constant(0.0) };
        let bias = g.node(&format!("{name}.{bias}"), [], params)?;
        g.node(&format!("{name}.{sum}"), [x, bias], Add)
    };
    let query = biased(query, "q_bias", "query_add")?;
    let value = biased(value, "v_bias", "value_add")?;
    let x = g.node(name, [query, key, value], Attention { heads: vit.num_heads as usize, scale: None })?;
    g.node(&format!("{name}.proj"), x, linear(features, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_eps, check_error, check_shape};

    fn clip(frames: usize, height: usize, width: usize) -> ClipShape {
        ClipShape { channels: 3, frames, height, width }
    }

    #[test]
    fn tokens_are_tubelets() {
        check_shape(base(), clip(16, 224, 224), "backbone.pos_add", 1, &[1568, 768]);
        check_shape(base(), clip(15, 170, 224), "backbone.pos_add", 1, &[7 * 10 * 14, 768]);
        check_shape(base(), clip(17, 224, 224), "backbone.fc_norm", 1, &[768]);
    }

    /// As in Hugging Face, whose blocks have another epsilon than its last normalisation.
    #[test]
    fn blocks_and_the_last_normalisation_have_epsilons_of_their_own() {
        let vit = VisionTransformer { layer_norm_eps: 1e-12, fc_norm_eps: 1e-5, ..base() };
        check_eps(vit, clip(16, 32, 32), |name| if name == "backbone.fc_norm" { 1e-5 } else { 1e-12 });
    }

    #[test]
    fn clips_that_do_not_fit_are_errors() {
        check_error(
            base(),
            clip(18, 224, 224),
            10,
            "the number of frames is 18, but the network takes 2 to 17 (`num_frames`)",
        );
        check_error(
            base(),
            clip(16, 15, 224),
            10,
            "the height is 15, but the network takes at least 16, the size of a patch",
        );
        let heads = VisionTransformer { num_heads: 5, ..base() };
        check_error(heads, clip(16, 224, 224), 10, "attention of 5 heads");
        let few = VisionTransformer { num_frames: 1, ..base() };
        check_error(few, clip(2, 224, 224), 10, "at least 2 of them (`num_frames`)");
    }
}
