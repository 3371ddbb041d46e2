//! V-JEPA 2 (Assran et al. 2025, "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning"): a vision
//! transformer with rotary positions, an attentive pooler, and a classifier.
//!
//! Names match Hugging Face's `VJEPA2ForVideoClassification`: `vjepa2.encoder.layer.0.attention.query.weight`,
//! `pooler.cross_attention_layer.cross_attn.q_proj.weight`. The files also have a predictor, `vjepa2.predictor.*`, which a classifier
//! never runs and which is not part of this network.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, ImageProcessor, NotInTransformers, config};
use crate::tokens::{drop_path_rate, first_token, last_axis, layer_norm, linear, linears, mlp, residual, tubelets};
use pipe_graph::ops::frame_select::FrameSelect;
use pipe_graph::ops::{
    add::Add, attention::Attention, expand::Expand, gelu::Gelu, reshape::Reshape, rotary::Rotary, table::TableParams,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role};
use pipe_schemas::networks::vjepa2::{PositionGrid, VJEPA2};
use pipe_schemas::networks::{HiddenAct, Project};
use serde_json::json;

/// The hidden features of a layer of the pooler, as a multiple of its features.
const POOLER_MLP_RATIO: usize = 4;

impl Architecture for VJEPA2 {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("vjepa2_{}x{}", self.hidden_size, self.num_hidden_layers)
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = encoder(self, g)?; // [N, T/2 H/16 W/16, D]
        let pooler = Pooler {
            heads: self.num_pooler_heads.unwrap_or(self.num_attention_heads) as usize,
            eps: self.pooler_layer_norm_eps.unwrap_or(self.layer_norm_eps),
            gelu: Gelu { tanh: self.hidden_act.is_tanh() },
        };
        let mut x = x;
        for index in 0..self.num_pooler_layers {
            x = pooler.self_attention_layer(g, x, &format!("pooler.self_attention_layers.{index}"))?;
        }
        let x = pooler.cross_attention_layer(g, x)?; // [N, 1, D]
        let x = first_token(g, x, "pooler")?; // [N, D]
        head.of_features(g, x, "classifier")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Huggingface).ignored("vjepa2.predictor.*")
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![original(self)]
    }

    fn huggingface(&self, clip: ClipShape) -> Option<Result<HuggingFaceModel, NotInTransformers>> {
        Some(huggingface_model(self, clip))
    }

    fn small() -> Vec<Small<Self>> {
        let tiny = Self {
            crop_size: 48,
            hidden_size: 32,
            num_attention_heads: 2,
            num_hidden_layers: 2,
            num_pooler_layers: 1,
            ..large()
        };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        let other = Self {
            position_grid: PositionGrid::Clip,
            qkv_bias: false,
            num_pooler_heads: Some(4),
            hidden_act: HiddenAct::GeluFast,
            drop_path_rate: 0.2,
            ..tiny.clone()
        };
        // A clip of less than a tubelet is repeated, so its frames are in the order of time more than once.
        let short = Self { tubelet_size: 4, ..tiny.clone() };
        vec![
            Small { backbone: tiny, clip: clip(5, 48, 48) },
            Small { backbone: other, clip: clip(4, 32, 64) },
            Small { backbone: short, clip: clip(3, 48, 48) },
        ]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: large(),
            clip: ClipShape { channels: 3, frames: 16, height: 256, width: 256 },
            num_classes: 174,
            num_params: 353_399_982,
            gmacs: 935.0,
            weight_keys: Some("huggingface-vjepa2_vitl_fpc16_256_ssv2.txt"),
        }]
    }
}

/// ViT-L.
fn large() -> VJEPA2 {
    VJEPA2 {
        crop_size: 256,
        patch_size: 16,
        frames_per_clip: 16,
        tubelet_size: 2,
        hidden_size: 1024,
        num_attention_heads: 16,
        num_hidden_layers: 24,
        mlp_ratio: 4.0,
        layer_norm_eps: 1e-6,
        qkv_bias: true,
        hidden_act: HiddenAct::Gelu,
        drop_path_rate: 0.0,
        num_pooler_layers: 3,
        num_pooler_heads: None,
        pooler_layer_norm_eps: None,
        position_grid: PositionGrid::CropSize,
    }
}

/// The predictor is not exported. Its parameters stay small, because transformers makes one that classification never runs.
fn huggingface_model(net: &VJEPA2, clip: ClipShape) -> Result<HuggingFaceModel, NotInTransformers> {
    let is_other = |value: Option<f64>, of_encoder: f64| value.is_some_and(|value| (value - of_encoder).abs() > 0.0);
    if is_other(net.num_pooler_heads.map(f64::from), f64::from(net.num_attention_heads)) {
        return Err(NotInTransformers::because("the pooler has another number of heads (`num_pooler_heads`)"));
    }
    if is_other(net.pooler_layer_norm_eps, net.layer_norm_eps) {
        return Err(NotInTransformers::because("the pooler has another epsilon (`pooler_layer_norm_eps`)"));
    }
    let crop_size = match net.position_grid {
        PositionGrid::CropSize => net.crop_size as usize,
        PositionGrid::Clip if clip.height == clip.width => clip.height,
        PositionGrid::Clip => {
            return Err(NotInTransformers::because("positions are on the grid of the clip, which is not square"));
        }
    };
    let config = config(json!({
        "crop_size": crop_size,
        "patch_size": net.patch_size,
        "frames_per_clip": net.frames_per_clip,
        "tubelet_size": net.tubelet_size,
        "in_chans": clip.channels,
        "hidden_size": net.hidden_size,
        "num_attention_heads": net.num_attention_heads,
        "num_hidden_layers": net.num_hidden_layers,
        "mlp_ratio": net.mlp_ratio,
        "layer_norm_eps": net.layer_norm_eps,
        "qkv_bias": net.qkv_bias,
        "hidden_act": net.hidden_act,
        "drop_path_rate": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "attention_dropout": 0.0,
        "num_pooler_layers": net.num_pooler_layers,
        "pred_hidden_size": 12,
        "pred_num_attention_heads": 1,
        "pred_num_hidden_layers": 1,
        "pred_num_mask_tokens": 1,
    }));
    let processor = ImageProcessor::Video("VJEPA2VideoProcessor");
    let (model_type, architecture) = ("vjepa2", "VJEPA2ForVideoClassification");
    Ok(HuggingFaceModel { model_type, architecture, processor, config, notes: Vec::new() })
}

/// facebookresearch/vjepa2: the names of the encoder's file and of the probe's file. Positions are rotary; a table in the file is unused.
fn original(net: &VJEPA2) -> NameMap {
    const ENCODER: &str = "vjepa2.encoder.layer.#";
    const SELF: &str = "pooler.self_attention_layers.#";
    const CROSS: &str = "pooler.cross_attention_layer";
    let grid = |grid| match grid {
        PositionGrid::CropSize => "crop_size",
        PositionGrid::Clip => "clip",
    };
    NameMap::new(Project::Original)
        .requires("position_grid", grid(net.position_grid), "clip")
        .requires("num_pooler_heads", net.num_pooler_heads.unwrap_or(net.num_attention_heads), 16)
        .ignored("pos_embed")
        .rule("vjepa2.encoder.embeddings.patch_embeddings.proj.*", "patch_embed.proj.*")
        .rule(format!("{ENCODER}.norm1.*"), "blocks.#.norm1.*")
        .split(["query", "key", "value"].map(|layer| format!("{ENCODER}.attention.{layer}.*")), "blocks.#.attn.qkv.*")
        .rule(format!("{ENCODER}.attention.proj.*"), "blocks.#.attn.proj.*")
        .rule(format!("{ENCODER}.norm2.*"), "blocks.#.norm2.*")
        .rule(format!("{ENCODER}.mlp.*"), "blocks.#.mlp.*")
        .rule("vjepa2.encoder.layernorm.*", "norm.*")
        .rule("pooler.query_tokens", "pooler.query_tokens")
        .rule(format!("{SELF}.layer_norm1.*"), "pooler.blocks.#.norm1.*")
        .split(["q", "k", "v"].map(|layer| format!("{SELF}.self_attn.{layer}_proj.*")), "pooler.blocks.#.attn.qkv.*")
        .rule(format!("{SELF}.self_attn.out_proj.*"), "pooler.blocks.#.attn.proj.*")
        .rule(format!("{SELF}.layer_norm2.*"), "pooler.blocks.#.norm2.*")
        .rule(format!("{SELF}.mlp.*"), "pooler.blocks.#.mlp.*")
        .rule(format!("{CROSS}.layer_norm1.*"), "pooler.cross_attention_block.norm1.*")
        .rule(format!("{CROSS}.cross_attn.q_proj.*"), "pooler.cross_attention_block.xattn.q.*")
        .split(
            ["k", "v"].map(|layer| format!("{CROSS}.cross_attn.{layer}_proj.*")),
            "pooler.cross_attention_block.xattn.kv.*",
        )
        .rule(format!("{CROSS}.layer_norm2.*"), "pooler.cross_attention_block.norm2.*")
        .rule(format!("{CROSS}.mlp.*"), "pooler.cross_attention_block.mlp.*")
        .rule("classifier.*", "linear.*")
}

/// The encoder: tubelets, blocks and a normalisation.
fn encoder(net: &VJEPA2, g: &mut Builder) -> Result<NodeId, GraphError> {
    let tubelet = [net.tubelet_size, net.patch_size, net.patch_size].map(|size| size as usize);
    let mut x = g.input();
    let frames = g.shape(x)?.dims[1];
    if frames < tubelet[0] {
        // As Hugging Face does: the whole clip, as many times as a tubelet has frames. What is left over is cut off.
        let frames = (0..frames * tubelet[0]).map(|index| index % frames).collect();
        x = g.node("vjepa2.encoder.embeddings.frames", x, FrameSelect { frames })?;
    }
    let name = "vjepa2.encoder.embeddings.patch_embeddings.proj";
    let (mut x, [_, rows, columns]) = tubelets(g, x, name, tubelet, net.hidden_size as usize)?;
    let heads = net.num_attention_heads as usize;
    let positions = match net.position_grid {
        PositionGrid::CropSize => {
            let side = net.crop_size as usize / tubelet[1];
            Rotary { heads, rows: side, columns: side }
        }
        PositionGrid::Clip => Rotary { heads, rows, columns },
    };
    for index in 0..net.num_hidden_layers as usize {
        x = block(net, g, x, index, &positions)?;
    }
    layer_norm(g, x, "vjepa2.encoder.layernorm", net.layer_norm_eps)
}

/// A block of the encoder: attention and a hidden layer, each after a normalisation and with a residual connection.
fn block(net: &VJEPA2, g: &mut Builder, x: NodeId, index: usize, positions: &Rotary) -> Result<NodeId, GraphError> {
    let named = |suffix: &str| format!("vjepa2.encoder.layer.{index}.{suffix}");
    let rate = drop_path_rate(net.drop_path_rate, index, net.num_hidden_layers as usize);
    let features = net.hidden_size as usize;
    let y = layer_norm(g, x, &named("norm1"), net.layer_norm_eps)?;
    let layers = ["query", "key", "value"].map(|layer| named(&format!("attention.{layer}")));
    let [query, key, value] = linears(g, y, &layers, net.qkv_bias)?;
    let query = g.node(&named("attention.query_positions"), query, positions.clone())?;
    let key = g.node(&named("attention.key_positions"), key, positions.clone())?;
    let y = g.node(&named("attention"), [query, key, value], Attention { heads: positions.heads, scale: None })?;
    let y = g.node(&named("attention.proj"), y, linear(features, true))?;
    let x = residual(g, x, y, &named("attention"), rate)?;
    let y = layer_norm(g, x, &named("norm2"), net.layer_norm_eps)?;
    let hidden = (features as f64 * net.mlp_ratio) as usize;
    let y = mlp(g, y, [&named("mlp.fc1"), &named("mlp.fc2")], hidden, Gelu { tanh: net.hidden_act.is_tanh() })?;
    residual(g, x, y, &named("mlp"), rate)
}

/// The pooler has no rotary positions.
struct Pooler {
    heads: usize,
    eps: f64,
    gelu: Gelu,
}

impl Pooler {
    fn self_attention_layer(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let y = layer_norm(g, x, &format!("{name}.layer_norm1"), self.eps)?;
        let attention = format!("{name}.self_attn");
        let qkv = linears(g, y, &["q", "k", "v"].map(|letter| format!("{attention}.{letter}_proj")), true)?;
        let y = g.node(&attention, qkv, Attention { heads: self.heads, scale: None })?;
        let y = g.node(&format!("{attention}.out_proj"), y, linear(last_axis(g, x)?, true))?;
        let x = residual(g, x, y, &attention, 0.0)?;
        self.hidden_layer(g, x, name)
    }

    /// One trained query looks at all tokens. The tokens are normalised, the query is not, and there is no output projection.
    fn cross_attention_layer(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let name = "pooler.cross_attention_layer";
        let features = last_axis(g, x)?;
        let table = TableParams { shape: vec![1, 1, features], role: Role::Weight, init: Init::Normal { std: 0.02 } };
        let query = g.node("pooler.query_tokens", [], table)?;
        let query = g.node("pooler.query_tokens.row", query, Reshape { per_sample: 0, dims: vec![1, features] })?;
        let query = g.node("pooler.query_tokens.rows", [query, x], Expand)?; // [N, 1, D]
        let tokens = layer_norm(g, x, &format!("{name}.layer_norm1"), self.eps)?;
        let attention = format!("{name}.cross_attn");
        let q = g.node(&format!("{attention}.q_proj"), query, linear(features, true))?;
        let [k, v] = linears(g, tokens, &["k", "v"].map(|letter| format!("{attention}.{letter}_proj")), true)?;
        let y = g.node(&attention, [q, k, v], Attention { heads: self.heads, scale: None })?;
        let x = g.node(&format!("{attention}.add"), [query, y], Add)?;
        self.hidden_layer(g, x, name)
    }

    fn hidden_layer(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let y = layer_norm(g, x, &format!("{name}.layer_norm2"), self.eps)?;
        let hidden = POOLER_MLP_RATIO * last_axis(g, x)?;
        let layers = [format!("{name}.mlp.fc1"), format!("{name}.mlp.fc2")];
        let y = mlp(g, y, [&layers[0], &layers[1]], hidden, self.gelu.clone())?;
        residual(g, x, y, &format!("{name}.mlp"), 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_eps, check_error, check_shape, graph};
    use pipe_graph::Op;

    fn clip(frames: usize, side: usize) -> ClipShape {
        ClipShape { channels: 3, frames, height: side, width: side }
    }

    /// ViT-g at 384 px with its 174 classes, without the predictor.
    #[test]
    fn parameters_of_the_giant_are_as_published() {
        let giant = VJEPA2 {
            crop_size: 384,
            frames_per_clip: 64,
            hidden_size: 1408,
            num_hidden_layers: 40,
            num_attention_heads: 22,
            mlp_ratio: 48.0 / 11.0,
            ..large()
        };
        let graph = graph(giant, clip(64, 384), 174);
        assert_eq!(graph.num_params(), 1_105_668_142);
    }

    #[test]
    fn one_query_pools_all_tokens() {
        check_shape(large(), clip(16, 256), "vjepa2.encoder.layernorm", 1, &[2048, 1024]);
        check_shape(large(), clip(1, 256), "vjepa2.encoder.layernorm", 1, &[256, 1024]);
        check_shape(large(), clip(5, 100), "pooler.cross_attention_layer.cross_attn", 1, &[1, 1024]);
    }

    #[test]
    fn the_pooler_may_have_another_epsilon() {
        check_eps(large(), clip(2, 32), |_| 1e-6);
        let original = VJEPA2 { pooler_layer_norm_eps: Some(1e-5), ..large() };
        check_eps(original, clip(2, 32), |name| if name.starts_with("pooler") { 1e-5 } else { 1e-6 });
    }

    #[test]
    fn positions_are_those_of_the_grid() {
        let grids = |position_grid| {
            let graph = graph(VJEPA2 { position_grid, ..large() }, clip(4, 128), 7);
            let grid = |op: &Op| if let Op::Rotary(op) = op { Some([op.rows, op.columns]) } else { None };
            let found: Vec<[usize; 2]> = graph.nodes.iter().filter_map(|node| grid(&node.op)).collect();
            assert_eq!(found.len(), 2 * 24);
            found[0]
        };
        assert_eq!((grids(PositionGrid::CropSize), grids(PositionGrid::Clip)), ([16; 2], [8; 2]));
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        check_error(
            large(),
            clip(2, 15),
            10,
            "the height is 15, but the network takes at least 16, the size of a patch",
        );
        let heads = VJEPA2 { num_attention_heads: 5, ..large() };
        check_error(heads, clip(2, 32), 10, "1024 channels can't be split into 5 groups");
    }
}
