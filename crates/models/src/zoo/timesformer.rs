//! TimeSformer (Bertasius et al. 2021, "Is Space-Time Attention All You Need for Video Understanding?"): a vision transformer whose
//! blocks attend over time, then over space; over both at once; or over space only.
//!
//! Names match the original repository: `model.blocks.0.temporal_attn.qkv.weight`, `model.time_embed`, `model.head.weight`. Tokens are
//! in the order of frames, then patches; that of the original is the reverse, which no result depends on.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, ImageProcessor, NotInTransformers, config};
use crate::tokens::{
    check_tubelet, drop_path, drop_path_rate, first_token, last_axis, layer_norm, linear, mlp, part, residual_of_parts,
    self_attention, wrong_size,
};
use pipe_graph::ops::resize::{Resize, ResizeMode};
use pipe_graph::ops::{
    add::Add, concat::Concat, conv::ConvParams, expand::Expand, frames_to_batch::FramesToBatch, gelu::Gelu,
    linear::LinearParams, mean::Mean, permute::Permute, reshape::Reshape, segment_mean::SegmentMean,
    table::TableParams,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role};
use pipe_schemas::networks::timesformer::{TimeSformer, TimeSformerAttention};
use pipe_schemas::networks::{ImageSize, Project};
use serde_json::json;

impl Architecture for TimeSformer {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        let attention = match self.attention_type {
            TimeSformerAttention::DividedSpaceTime => "divided",
            TimeSformerAttention::JointSpaceTime => "joint",
            TimeSformerAttention::SpaceOnly => "space",
        };
        format!("timesformer_{attention}_{}x{}", self.embed_dims, self.num_transformer_layers)
    }

    fn uses_frame_order(&self) -> bool {
        self.attention_type != TimeSformerAttention::SpaceOnly
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let (x, grid) = patches(self, g)?;
        let mut x = match self.attention_type {
            TimeSformerAttention::DividedSpaceTime | TimeSformerAttention::JointSpaceTime => {
                clip_tokens(self, g, x, &grid)?
            }
            TimeSformerAttention::SpaceOnly => frame_tokens(self, g, x, &grid)?,
        };
        for index in 0..self.num_transformer_layers as usize {
            x = block(self, g, x, &grid, index)?;
        }
        let mut x = first_token(g, x, "model.cls")?; // [N, D]
        if self.attention_type == TimeSformerAttention::SpaceOnly {
            x = g.node("model.mean", x, SegmentMean)?;
        }
        let x = layer_norm(g, x, "model.norm", self.layer_norm_eps)?;
        head.of_features(g, x, "model.head")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Original)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![mmaction2(self.attention_type), huggingface()]
    }

    fn config_names(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("img_size", "image_size"),
            ("embed_dims", "hidden_size"),
            ("num_transformer_layers", "num_hidden_layers"),
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
        let tiny = |attention_type, drop_path_rate| Self {
            attention_type,
            num_frames: 4,
            img_size: ImageSize { height: 32, width: 48 },
            embed_dims: 24,
            num_heads: 2,
            num_transformer_layers: 2,
            drop_path_rate,
            ..base()
        };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        vec![
            Small { backbone: tiny(TimeSformerAttention::DividedSpaceTime, 0.2), clip: clip(4, 32, 48) },
            // Both tables are resized.
            Small { backbone: tiny(TimeSformerAttention::DividedSpaceTime, 0.0), clip: clip(6, 48, 32 + 15) },
            Small { backbone: tiny(TimeSformerAttention::JointSpaceTime, 0.2), clip: clip(4, 48, 48) },
            Small { backbone: tiny(TimeSformerAttention::SpaceOnly, 0.2), clip: clip(3, 32, 48) },
        ]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: base(),
            clip: ClipShape { channels: 3, frames: 8, height: 224, width: 224 },
            num_classes: 400,
            num_params: 121_566_352,
            gmacs: 196.0,
            weight_keys: Some("original-timesformer.txt"),
        }]
    }
}

/// The published network with divided attention.
fn base() -> TimeSformer {
    TimeSformer {
        attention_type: TimeSformerAttention::DividedSpaceTime,
        num_frames: 8,
        img_size: ImageSize::square(224),
        patch_size: 16,
        embed_dims: 768,
        num_heads: 12,
        num_transformer_layers: 12,
        drop_path_rate: 0.1,
        layer_norm_eps: 1e-6,
    }
}

/// Positions are resized as in the original.
fn huggingface_model(net: &TimeSformer, clip: ClipShape) -> Result<HuggingFaceModel, NotInTransformers> {
    let size = net.img_size;
    if size.height != size.width {
        return Err(NotInTransformers::because("`img_size` is not square"));
    }
    if (clip.height, clip.width) != (size.height as usize, size.width as usize) {
        return Err(NotInTransformers::because(format!(
            "positions of {0}x{0} px (`img_size`) for frames of {1}x{2} px are not resized alike",
            size.height, clip.width, clip.height
        )));
    }
    if clip.frames != net.num_frames as usize {
        return Err(NotInTransformers::because(format!(
            "it computes with clips of {} frames (`num_frames`) only, and these have {}",
            net.num_frames, clip.frames
        )));
    }
    let attention_type = match net.attention_type {
        TimeSformerAttention::DividedSpaceTime => "divided_space_time",
        TimeSformerAttention::JointSpaceTime => "joint_space_time",
        TimeSformerAttention::SpaceOnly => "space_only",
    };
    let config = config(json!({
        "image_size": size.height,
        "patch_size": net.patch_size,
        "num_channels": clip.channels,
        "num_frames": net.num_frames,
        "hidden_size": net.embed_dims,
        "num_hidden_layers": net.num_transformer_layers,
        "num_attention_heads": net.num_heads,
        "intermediate_size": 4 * net.embed_dims,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": net.layer_norm_eps,
        "qkv_bias": true,
        "attention_type": attention_type,
    }));
    let processor = ImageProcessor::Image("VideoMAEImageProcessor");
    let (model_type, architecture) = ("timesformer", "TimesformerForVideoClassification");
    Ok(HuggingFaceModel { model_type, architecture, processor, config, notes: Vec::new() })
}

/// MMAction2 counts the attentions of a block: over time first, then over space. Blocks with one attention are those of mmcv.
fn mmaction2(attention: TimeSformerAttention) -> NameMap {
    let layer = "backbone.transformer_layers.layers.#";
    let (spatial, norms) = match attention {
        TimeSformerAttention::DividedSpaceTime => (1, ["attentions.1.norm", "ffns.0.norm"]),
        TimeSformerAttention::JointSpaceTime | TimeSformerAttention::SpaceOnly => (0, ["norms.0", "norms.1"]),
    };
    let mut map = NameMap::new(Project::Mmaction2);
    for (ours, index) in [("temporal_attn", 0), ("attn", spatial)] {
        let theirs = format!("{layer}.attentions.{index}.attn");
        map = map
            .rule(format!("model.blocks.#.{ours}.qkv.weight"), format!("{theirs}.in_proj_weight"))
            .rule(format!("model.blocks.#.{ours}.qkv.bias"), format!("{theirs}.in_proj_bias"))
            .rule(format!("model.blocks.#.{ours}.proj.*"), format!("{theirs}.out_proj.*"));
    }
    map.rule("model.blocks.#.temporal_norm1.*", format!("{layer}.attentions.0.norm.*"))
        .rule("model.blocks.#.temporal_fc.*", format!("{layer}.attentions.0.temporal_fc.*"))
        .rule("model.blocks.#.norm1.*", format!("{layer}.{}.*", norms[0]))
        .rule("model.blocks.#.norm2.*", format!("{layer}.{}.*", norms[1]))
        .rule("model.blocks.#.mlp.fc1.*", format!("{layer}.ffns.0.layers.0.0.*"))
        .rule("model.blocks.#.mlp.fc2.*", format!("{layer}.ffns.0.layers.1.*"))
        .rule("model.patch_embed.proj.*", "backbone.patch_embed.projection.*")
        .rule("model.head.*", "cls_head.fc_cls.*")
        .rule("model.*", "backbone.*")
}

fn huggingface() -> NameMap {
    let layer = "timesformer.encoder.layer.#";
    let mut map = NameMap::new(Project::Huggingface);
    for (ours, theirs) in [
        ("temporal_norm1", "temporal_layernorm"),
        ("temporal_attn.qkv", "temporal_attention.attention.qkv"),
        ("temporal_attn.proj", "temporal_attention.output.dense"),
        ("temporal_fc", "temporal_dense"),
        ("norm1", "layernorm_before"),
        ("attn.qkv", "attention.attention.qkv"),
        ("attn.proj", "attention.output.dense"),
        ("norm2", "layernorm_after"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ] {
        map = map.rule(format!("model.blocks.#.{ours}.*"), format!("{layer}.{theirs}.*"));
    }
    map.rule("model.cls_token", "timesformer.embeddings.cls_token")
        .rule("model.pos_embed", "timesformer.embeddings.position_embeddings")
        .rule("model.time_embed", "timesformer.embeddings.time_embeddings")
        .rule("model.patch_embed.proj.*", "timesformer.embeddings.patch_embeddings.projection.*")
        .rule("model.norm.*", "timesformer.layernorm.*")
        .rule("model.head.*", "classifier.*")
}

/// The numbers of frames, and of patches of a frame along each side.
struct Grid {
    frames: usize,
    rows: usize,
    columns: usize,
}

impl Grid {
    fn patches(&self) -> usize {
        self.rows * self.columns
    }
}

/// Cuts the frames into patches, and adds their positions: `[N * T, P, D]`.
fn patches(net: &TimeSformer, g: &mut Builder) -> Result<(NodeId, Grid), GraphError> {
    let (patch, features) = (net.patch_size as usize, net.embed_dims as usize);
    check_tubelet(g, g.input(), "model.patch_embed.proj", [1, patch, patch])?;
    let x = g.node("model.frames", g.input(), FramesToBatch)?;
    let params = ConvParams {
        out_channels: features,
        kernel: [patch; 2],
        stride: [patch; 2],
        bias: true,
        init: Init::Normal { std: 0.02 },
        ..ConvParams::default()
    };
    let x = g.node("model.patch_embed.proj", x, params)?; // [N * T, D, H/16, W/16]
    let shape = g.shape(x)?;
    let grid = Grid { frames: shape.per_sample, rows: shape.dims[1], columns: shape.dims[2] };
    let x = g.node("model.patch_embed.channels_last", x, Permute { axes: vec![1, 2, 0] })?;
    let tokens = Reshape { per_sample: grid.frames, dims: vec![grid.patches(), features] };
    Ok((g.node("model.patch_embed", x, tokens)?, grid))
}

/// The tables that are added to tokens.
struct Positions {
    /// Of the class token, with the token itself: `[1, D]`.
    class_token: NodeId,
    /// Of the patches of a frame: `[P, D]`.
    patches: NodeId,
}

/// Appends the class token and the positions in space. Other numbers of patches take the nearest position of the table.
fn positions(net: &TimeSformer, g: &mut Builder, grid: &Grid) -> Result<Positions, GraphError> {
    let (patch, features) = (net.patch_size as usize, net.embed_dims as usize);
    let made = [net.img_size.height as usize / patch, net.img_size.width as usize / patch];
    let num_made: usize = made.iter().product();
    if num_made == 0 {
        let expected = format!("frames of at least {patch} px (`img_size`)");
        return Err(wrong_size("model.pos_embed", "the number of positions", 0, expected));
    }
    let table = trained(g, "model.pos_embed", vec![1, 1 + num_made, features])?;
    let table = as_table(g, table, "model.pos_embed.rows", &[1 + num_made, features])?;
    let class_token = trained(g, "model.cls_token", vec![1, 1, features])?;
    let class_token = as_table(g, class_token, "model.cls_token.row", &[1, features])?;
    let class_position = part(g, table, "model.pos_embed.cls", 0, [0, 1])?;
    let class_token = g.node("model.cls_token.add", [class_token, class_position], Add)?;
    let mut patches = part(g, table, "model.pos_embed.patches", 0, [1, 1 + num_made])?;
    // The original compares the numbers of patches only: 7 x 28 patches take the table of 14 x 14 as it is.
    if num_made != grid.patches() {
        patches = as_table(g, patches, "model.pos_embed.image", &[made[0], made[1], features])?;
        let nearest = Resize { size: vec![grid.rows, grid.columns], mode: ResizeMode::Nearest };
        patches = g.node("model.pos_embed.resized", patches, nearest)?;
        patches = as_table(g, patches, "model.pos_embed.resized_rows", &[grid.patches(), features])?;
    }
    Ok(Positions { class_token, patches })
}

/// Appends the tokens of clips, which have one class token, and positions in time: `[N, 1 + T P, D]`.
fn clip_tokens(net: &TimeSformer, g: &mut Builder, x: NodeId, grid: &Grid) -> Result<NodeId, GraphError> {
    let Positions { class_token, patches } = positions(net, g, grid)?;
    let (made, features) = (net.num_frames as usize, net.embed_dims as usize);
    let x = g.node("model.pos_add", [x, patches], Add)?;
    let x = g.node("model.clips", x, Reshape { per_sample: 1, dims: vec![grid.frames, grid.patches(), features] })?;
    let mut times = trained(g, "model.time_embed", vec![1, made, features])?;
    times = as_table(g, times, "model.time_embed.rows", &[made, features])?;
    if made != grid.frames {
        let nearest = Resize { size: vec![grid.frames], mode: ResizeMode::Nearest };
        times = g.node("model.time_embed.resized", times, nearest)?;
    }
    times = as_table(g, times, "model.time_embed.frames", &[grid.frames, 1, features])?;
    let x = g.node("model.time_add", [x, times], Add)?; // [N, T, P, D]
    let x = g.node("model.tokens", x, Reshape { per_sample: 1, dims: vec![grid.frames * grid.patches(), features] })?;
    with_class_token(g, x, class_token)
}

/// Appends the tokens of frames, each with a class token: `[N * T, 1 + P, D]`.
fn frame_tokens(net: &TimeSformer, g: &mut Builder, x: NodeId, grid: &Grid) -> Result<NodeId, GraphError> {
    let Positions { class_token, patches } = positions(net, g, grid)?;
    let x = g.node("model.pos_add", [x, patches], Add)?;
    with_class_token(g, x, class_token)
}

fn with_class_token(g: &mut Builder, x: NodeId, class_token: NodeId) -> Result<NodeId, GraphError> {
    let rows = g.node("model.cls_token.rows", [class_token, x], Expand)?;
    g.node("model.with_cls_token", [rows, x], Concat { axis: 0 })
}

/// A table of trained values.
fn trained(g: &mut Builder, name: &str, shape: Vec<usize>) -> Result<NodeId, GraphError> {
    g.node(name, [], TableParams { shape, role: Role::Weight, init: Init::Normal { std: 0.02 } })
}

fn as_table(g: &mut Builder, table: NodeId, name: &str, dims: &[usize]) -> Result<NodeId, GraphError> {
    g.node(name, table, Reshape { per_sample: 0, dims: dims.to_vec() })
}

/// Attention and a hidden layer, each after a normalisation and with a residual connection.
fn block(net: &TimeSformer, g: &mut Builder, x: NodeId, grid: &Grid, index: usize) -> Result<NodeId, GraphError> {
    let block = Block {
        net,
        grid,
        name: format!("model.blocks.{index}"),
        drop_rate: drop_path_rate(net.drop_path_rate, index, net.num_transformer_layers as usize),
    };
    let x = match net.attention_type {
        TimeSformerAttention::DividedSpaceTime => {
            let x = block.time(g, x)?;
            block.space(g, x)?
        }
        TimeSformerAttention::JointSpaceTime | TimeSformerAttention::SpaceOnly => {
            let y = block.attention(g, x, "norm1", "attn")?;
            g.node(&block.named("attn.add"), [x, y], Add)?
        }
    };
    let y = layer_norm(g, x, &block.named("norm2"), net.layer_norm_eps)?;
    let hidden = 4 * net.embed_dims as usize;
    let y = mlp(g, y, [&block.named("mlp.fc1"), &block.named("mlp.fc2")], hidden, Gelu { tanh: false })?;
    // With attention within frames alone, each frame goes through the network by itself.
    let parts = g.shape(y)?.per_sample;
    residual_of_parts(g, x, y, &block.named("mlp"), block.drop_rate, parts)
}

struct Block<'a> {
    net: &'a TimeSformer,
    grid: &'a Grid,
    name: String,
    drop_rate: f64,
}

impl Block<'_> {
    fn named(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    /// Normalisation and attention over the second-last axis. As in the original, training leaves it out for single places (attention over
    /// time) or frames.
    fn attention(&self, g: &mut Builder, x: NodeId, norm: &str, attention: &str) -> Result<NodeId, GraphError> {
        let attention = self.named(attention);
        let x = layer_norm(g, x, &self.named(norm), self.net.layer_norm_eps)?;
        let layers = [format!("{attention}.qkv"), format!("{attention}.proj")];
        let x = self_attention(g, x, &attention, [&layers[0], &layers[1]], self.net.num_heads as usize)?;
        let shape = g.shape(x)?;
        let parts = shape.per_sample * if let [places, _, _] = shape.dims[..] { places } else { 1 };
        drop_path(g, x, &attention, self.drop_rate, parts)
    }

    /// Divides `[N, 1 + T P, D]` into the class token, `[N, 1, D]`, and the patches, `[N, T P, D]`.
    fn split(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<[NodeId; 2], GraphError> {
        let tokens = 1 + self.grid.frames * self.grid.patches();
        let class_token = part(g, x, &self.named(&format!("{name}.cls")), 0, [0, 1])?;
        Ok([class_token, part(g, x, &self.named(&format!("{name}.patches")), 0, [1, tokens])?])
    }

    fn reshape(&self, g: &mut Builder, x: NodeId, name: &str, axes: &[usize]) -> Result<NodeId, GraphError> {
        let dims = [axes, &[last_axis(g, x)?]].concat();
        g.node(&self.named(name), x, Reshape { per_sample: 1, dims })
    }

    /// Attention of the patches at one position to each other, without the class token.
    fn time(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let (frames, patches) = (self.grid.frames, self.grid.patches());
        let [class_token, x] = self.split(g, x, "temporal_attn")?;
        let y = self.reshape(g, x, "temporal_attn.frames", &[frames, patches])?;
        let y = g.node(&self.named("temporal_attn.places"), y, Permute { axes: vec![1, 0, 2] })?; // [N, P, T, D]
        let y = self.attention(g, y, "temporal_norm1", "temporal_attn")?;
        // A new network starts as one without attention over time.
        let zeros = LinearParams { init: Init::Constant(0.0), ..linear(last_axis(g, y)?, true) };
        let y = g.node(&self.named("temporal_fc"), y, zeros)?;
        let y = g.node(&self.named("temporal_fc.frames"), y, Permute { axes: vec![1, 0, 2] })?; // [N, T, P, D]
        let y = self.reshape(g, y, "temporal_fc.tokens", &[frames * patches])?;
        let x = g.node(&self.named("temporal_attn.add"), [x, y], Add)?;
        g.node(&self.named("temporal_attn.tokens"), [class_token, x], Concat { axis: 0 })
    }

    /// Attention of the patches of one frame and the class token to each other. The class token becomes the mean of its results.
    fn space(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let (frames, patches) = (self.grid.frames, self.grid.patches());
        let [class_token, y] = self.split(g, x, "attn")?;
        let y = self.reshape(g, y, "attn.frames", &[frames, patches])?;
        let class_token = self.reshape(g, class_token, "attn.cls_row", &[1, 1])?;
        let class_token = match frames {
            1 => class_token,
            _ => g.node(&self.named("attn.cls_rows"), vec![class_token; frames], Concat { axis: 0 })?,
        };
        let y = g.node(&self.named("attn.with_cls"), [class_token, y], Concat { axis: 1 })?; // [N, T, 1 + P, D]
        let y = self.attention(g, y, "norm1", "attn")?;
        let class_token = part(g, y, &self.named("attn.cls_results"), 1, [0, 1])?;
        let class_token = g.node(&self.named("attn.cls_mean"), class_token, Mean { axes: vec![0], keepdims: false })?;
        let y = part(g, y, &self.named("attn.patch_results"), 1, [1, 1 + patches])?;
        let y = self.reshape(g, y, "attn.tokens", &[frames * patches])?;
        let y = g.node(&self.named("attn.results"), [class_token, y], Concat { axis: 0 })?;
        g.node(&self.named("attn.add"), [x, y], Add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_eps, check_error, check_shape};

    fn clip(frames: usize, height: usize, width: usize) -> ClipShape {
        ClipShape { channels: 3, frames, height, width }
    }

    #[test]
    fn attention_sees_one_place_and_then_one_frame() {
        check_shape(base(), clip(8, 224, 224), "model.with_cls_token", 1, &[1569, 768]);
        check_shape(base(), clip(8, 224, 224), "model.blocks.0.temporal_attn", 1, &[196, 8, 768]);
        check_shape(base(), clip(8, 224, 224), "model.blocks.11.attn", 1, &[8, 197, 768]);
        let joint = TimeSformer { attention_type: TimeSformerAttention::JointSpaceTime, ..base() };
        check_shape(joint, clip(4, 64, 96), "model.blocks.0.attn", 1, &[1 + 4 * 24, 768]);
        let space = TimeSformer { attention_type: TimeSformerAttention::SpaceOnly, ..base() };
        check_shape(space, clip(4, 64, 96), "model.blocks.0.attn", 4, &[25, 768]);
    }

    #[test]
    fn all_normalisations_have_the_same_epsilon() {
        check_eps(base(), clip(8, 32, 32), |_| 1e-6);
    }

    #[test]
    fn positions_are_resized_for_another_number_of_patches() {
        check_shape(base(), clip(16, 256, 224), "model.pos_embed.resized", 0, &[16, 14, 768]);
        check_shape(base(), clip(16, 256, 224), "model.time_embed.resized", 0, &[16, 768]);
        check_shape(base(), clip(1, 112, 448), "model.pos_add", 1, &[196, 768]);
    }

    #[test]
    fn clips_that_do_not_fit_are_errors() {
        check_error(
            base(),
            clip(8, 224, 15),
            10,
            "the width is 15, but the network takes at least 16, the size of a patch",
        );
        let small = TimeSformer { img_size: ImageSize::square(8), ..base() };
        check_error(small, clip(8, 224, 224), 10, "the network takes frames of at least 16 px (`img_size`)");
    }
}
