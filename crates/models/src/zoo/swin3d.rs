//! Video Swin (Liu et al. 2022, "Video Swin Transformer"): attention within windows, which every second block shifts by half a window.
//!
//! Names match torchvision's `swin3d_t`: `features.0.1.attn.qkv.weight`, `features.1.reduction.weight`, `head.weight`. Blocks and the
//! reductions between them alternate in `features`.

mod flat;
mod windows;

use crate::NameMap;
use crate::architecture::{Architecture, Inflation, Published, Small};
use crate::head::{Head, Logits};
use crate::tokens::{drop_path_rate, linear, mlp, split_qkv};
use pipe_graph::ops::{
    add::Add, attention::Attention, conv::ConvParams, drop_path::DropPath, gelu::Gelu, layer_norm::LayerNorm,
    mean::Mean, pad::Pad, permute::Permute, rel_pos_bias::RelPosBias, reshape::Reshape, table::TableParams,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role, ShapeError};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::swin3d::SwinTransformer3D;
use windows::Windows;

const NORM: LayerNorm = LayerNorm { eps: 1e-5 };
const INIT: Init = Init::Normal { std: 0.02 };
/// The hidden features of an MLP, in multiples of its input.
const MLP_RATIO: usize = 4;

impl Architecture for SwinTransformer3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        match (self.embed_dims, self.depths) {
            (96, [2, 2, 6, 2]) => "swin3d_t".to_owned(),
            (96, [2, 2, 18, 2]) => "swin3d_s".to_owned(),
            (128, [2, 2, 18, 2]) => "swin3d_b".to_owned(),
            _ => "swin3d".to_owned(),
        }
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let mut x = patch_embed(self, g)?; // [N, T / 2, H / 4, W / 4, C]
        for stage in 0..4 {
            x = append_stage(self, g, x, stage)?;
            if stage < 3 {
                x = merge_patches(g, x, &format!("features.{}", 2 * stage + 1))?; // half of H and W, twice the channels
            }
        }
        let x = g.node("norm", x, NORM)?;
        let x = g.node("avgpool", x, Mean { axes: vec![0, 1, 2], keepdims: false })?; // [N, 8 C]
        head.of_features(g, x, "head")
    }

    fn own_names(&self) -> NameMap {
        index_tables(self, NameMap::same(Project::Torchvision), |stage| format!("features.{}", 2 * stage))
    }

    fn name_maps(&self) -> Vec<NameMap> {
        let mut map = NameMap::new(Project::Mmaction2).rule("patch_embed.*", "backbone.patch_embed.*");
        for stage in 0..4 {
            let (ours, theirs) = (format!("features.{}.#", 2 * stage), format!("backbone.layers.{stage}"));
            map = map
                .rule(format!("{ours}.mlp.0.*"), format!("{theirs}.blocks.#.mlp.fc1.*"))
                .rule(format!("{ours}.mlp.3.*"), format!("{theirs}.blocks.#.mlp.fc2.*"))
                .rule(format!("{ours}.*"), format!("{theirs}.blocks.#.*"))
                .rule(format!("features.{}.*", 2 * stage + 1), format!("{theirs}.downsample.*"));
        }
        let map = map.rule("norm.*", "backbone.norm3.*").rule("head.*", "cls_head.fc_cls.*");
        vec![index_tables(self, map, |stage| format!("backbone.layers.{stage}.blocks"))]
    }

    fn inflation(&self) -> Option<Inflation> {
        Some(flat::inflation(self))
    }

    fn small() -> Vec<Small<Self>> {
        let tiny = || Self { embed_dims: 8, depths: [2, 1, 1, 1], num_heads: [1, 2, 2, 4], ..swin3d_t() };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        vec![
            // Windows are padded and shifted, rows and columns are odd, and the last stages are smaller than a window.
            Small { backbone: Self { window_size: [2, 3, 3], ..tiny() }, clip: clip(7, 50, 36) },
            // One window in time, as in all clips of 16 frames.
            Small { backbone: tiny(), clip: clip(4, 64, 32) },
            // One window for all tokens.
            Small { backbone: Self { window_size: [8, 14, 14], ..tiny() }, clip: clip(4, 32, 40) },
        ]
    }

    fn published() -> Vec<Published<Self>> {
        let published = |backbone, frames, num_params, gmacs, weight_keys| Published {
            backbone,
            clip: ClipShape { channels: 3, frames, height: 224, width: 224 },
            num_classes: 400,
            num_params,
            gmacs,
            weight_keys: Some(weight_keys),
        };
        let small = || Self { depths: [2, 2, 18, 2], ..swin3d_t() };
        let base = Self { embed_dims: 128, num_heads: [4, 8, 16, 32], ..small() };
        vec![
            published(swin3d_t(), 32, 28_158_070, 87.8, "torchvision-swin3d_t.txt"),
            published(small(), 16, 49_816_678, 82.84, "torchvision-swin3d_s.txt"),
            published(base, 16, 88_048_984, 140.67, "torchvision-swin3d_b.txt"),
        ]
    }
}

fn swin3d_t() -> SwinTransformer3D {
    SwinTransformer3D {
        embed_dims: 96,
        depths: [2, 2, 6, 2],
        num_heads: [3, 6, 12, 24],
        patch_size: [2, 4, 4],
        window_size: [8, 7, 7],
        drop_path_rate: 0.1,
        frozen_stages: -1,
    }
}

/// Appends the index of each block's table of biases, which checkpoints store. `blocks` names the blocks of a stage.
fn index_tables(swin: &SwinTransformer3D, mut map: NameMap, blocks: impl Fn(usize) -> String) -> NameMap {
    let full_window = swin.window_size.map(|size| size as usize);
    let len = full_window.iter().product();
    let index = RelPosBias { full_window, window: full_window }.index();
    for (stage, depth) in swin.depths.into_iter().enumerate() {
        for block in 0..depth {
            let name = format!("{}.{block}.attn.relative_position_index", blocks(stage));
            map = map.index_table(name, vec![len, len], &index);
        }
    }
    map
}

/// Returns frames, rows, columns and channels of features.
fn sizes(g: &Builder, x: NodeId) -> Result<([usize; 3], usize), GraphError> {
    match *g.shape(x)?.dims.as_slice() {
        [frames, height, width, channels] => Ok(([frames, height, width], channels)),
        _ => Err(GraphError::UnknownNode { id: x }),
    }
}

/// Cuts the clip, padded at its end to whole patches, and maps each patch to `C` channels.
fn patch_embed(swin: &SwinTransformer3D, g: &mut Builder) -> Result<NodeId, GraphError> {
    let patch = swin.patch_size.map(|size| size as usize);
    let mut x = g.input();
    let missing = |axis: usize, size: usize| size.next_multiple_of(patch[axis]) - size;
    let after: Vec<usize> =
        g.shape(x)?.dims.iter().skip(1).enumerate().map(|(axis, size)| missing(axis, *size)).collect();
    if after.iter().any(|after| *after > 0) {
        x = g.node("patch_embed.pad", x, Pad { after: [&[0], after.as_slice()].concat() })?;
    }
    let out_channels = swin.embed_dims as usize;
    let params =
        ConvParams { out_channels, kernel: patch, stride: patch, bias: true, init: INIT, ..ConvParams::default() };
    let x = g.node("patch_embed.proj", x, params)?;
    let x = g.node("patch_embed.tokens", x, Permute { axes: vec![1, 2, 3, 0] })?; // [N, T, H, W, C]
    g.node("patch_embed.norm", x, NORM)
}

/// Appends the blocks of a stage.
fn append_stage(swin: &SwinTransformer3D, g: &mut Builder, mut x: NodeId, stage: usize) -> Result<NodeId, GraphError> {
    let (size, channels) = sizes(g, x)?;
    let heads = swin.num_heads[stage] as usize;
    let name = format!("features.{}", 2 * stage);
    if !channels.is_multiple_of(heads) {
        return Err(GraphError::Shape { node: name, source: ShapeError::Groups { channels, groups: heads } });
    }
    let window = swin.window_size.map(|size| size as usize);
    let windows = [false, true].map(|shifted| Windows::new(size, window, shifted));
    // All shifted blocks have the same mask.
    let mut mask = None;
    if swin.depths[stage] > 1 && windows[1].is_shifted() {
        mask = Some(g.node(&format!("{name}.mask"), [], windows[1].mask())?);
    }
    let num_blocks = |stages: &[u32]| stages.iter().sum::<u32>() as usize;
    let (before, total) = (num_blocks(&swin.depths[..stage]), num_blocks(&swin.depths));
    for index in 0..swin.depths[stage] as usize {
        let shifted = index % 2 == 1;
        let block = Block {
            name: format!("{name}.{index}"),
            windows: &windows[usize::from(shifted)],
            full_window: window,
            mask: mask.filter(|_| shifted),
            heads,
            channels,
            drop_path: DropPath { rate: drop_path_rate(swin.drop_path_rate, before + index, total), parts: 1 },
        };
        x = block.append(g, x)?;
    }
    Ok(x)
}

struct Block<'a> {
    name: String,
    windows: &'a Windows,
    /// The window that the table of biases is made for.
    full_window: [usize; 3],
    mask: Option<NodeId>,
    heads: usize,
    channels: usize,
    drop_path: DropPath,
}

impl Block<'_> {
    /// Attention within windows, then an MLP, both with a residual connection.
    fn append(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let named = |suffix: &str| format!("{}.{suffix}", self.name);
        let y = g.node(&named("norm1"), x, NORM)?;
        let y = self.windows.partition(g, y, &named("windows"))?; // [N, windows, L, C]
        let y = self.attention(g, y)?;
        let y = self.windows.join(g, y, &named("features"))?; // [N, T, H, W, C]
        let y = g.node(&named("attn.drop_path"), y, self.drop_path.clone())?;
        let x = g.node(&named("attn.add"), [x, y], Add)?;
        let y = g.node(&named("norm2"), x, NORM)?;
        let y = mlp(g, y, [&named("mlp.0"), &named("mlp.3")], MLP_RATIO * self.channels, Gelu { tanh: false })?;
        let y = g.node(&named("mlp.drop_path"), y, self.drop_path.clone())?;
        g.node(&named("mlp.add"), [x, y], Add)
    }

    fn attention(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let named = |suffix: &str| format!("{}.attn.{suffix}", self.name);
        let qkv = g.node(&named("qkv"), x, linear(3 * self.channels, true))?;
        let mut inputs = split_qkv(g, qkv, &named("qkv"))?.to_vec();
        let op = RelPosBias { full_window: self.full_window, window: self.windows.window };
        let table = TableParams { shape: vec![op.num_rows(), self.heads], role: Role::Weight, init: INIT };
        let table = g.node(&named("relative_position_bias_table"), [], table)?;
        inputs.push(g.node(&named("relative_position_bias"), table, op)?);
        inputs.extend(self.mask);
        let y = g.node(&named("attention"), inputs, Attention { heads: self.heads, scale: None })?;
        g.node(&named("proj"), y, linear(self.channels, true))
    }
}

/// Joins each 2 x 2 patches to one, in the order (0, 0), (1, 0), (0, 1), (1, 1) of (row, column), and halves the channels.
fn merge_patches(g: &mut Builder, mut x: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let ([frames, height, width], channels) = sizes(g, x)?;
    let (height_padded, width_padded) = (height.next_multiple_of(2), width.next_multiple_of(2));
    if (height, width) != (height_padded, width_padded) {
        let after = vec![0, height_padded - height, width_padded - width, 0];
        x = g.node(&format!("{name}.pad"), x, Pad { after })?;
    }
    let (height, width) = (height_padded / 2, width_padded / 2);
    let dims = vec![frames, height, 2, width, 2, channels];
    let x = g.node(&format!("{name}.pairs"), x, Reshape { per_sample: 1, dims })?;
    let x = g.node(&format!("{name}.ordered"), x, Permute { axes: vec![0, 1, 3, 4, 2, 5] })?;
    let dims = vec![frames, height, width, 4 * channels];
    let x = g.node(&format!("{name}.merged"), x, Reshape { per_sample: 1, dims })?;
    let x = g.node(&format!("{name}.norm"), x, NORM)?;
    g.node(&format!("{name}.reduction"), x, linear(2 * channels, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape};

    const CLIP: ClipShape = ClipShape { channels: 3, frames: 10, height: 200, width: 240 };

    #[test]
    fn features_shrink_in_rows_and_columns_only() {
        check_shape(swin3d_t(), CLIP, "patch_embed.norm", 1, &[5, 50, 60, 96]);
        // 8 x 9 windows of 5 x 7 x 7 tokens.
        check_shape(swin3d_t(), CLIP, "features.0.1.windows", 1, &[72, 245, 96]);
        check_shape(swin3d_t(), CLIP, "features.3.reduction", 1, &[5, 13, 15, 384]);
        check_shape(swin3d_t(), CLIP, "features.6.1.mlp.add", 1, &[5, 7, 8, 768]);
    }

    #[test]
    fn the_shortest_and_smallest_clip_fits() {
        let clip = ClipShape { channels: 3, frames: 1, height: 1, width: 1 };
        check_shape(swin3d_t(), clip, "features.6.1.mlp.add", 1, &[1, 1, 1, 768]);
    }

    #[test]
    fn blocks_skip_more_often_from_first_to_last() {
        let params = pipe_schemas::networks::ModelParams { backbone: swin3d_t().into(), ..Default::default() };
        let graph = crate::build(&params, CLIP, 7).expect("it fits");
        let rate = |node: &pipe_graph::Node| {
            let pipe_graph::Op::DropPath(op) = &node.op else { return None };
            Some(op.rate)
        };
        let rates = graph.nodes.iter().filter_map(rate);
        let rates: Vec<f64> = rates.collect();
        assert_eq!((rates.len(), rates[0], rates[23]), (24, 0.0, 0.1));
        assert!((rates[2] - 0.1 / 11.0).abs() < 1e-12 && rates.is_sorted());
    }

    #[test]
    fn heads_divide_the_channels() {
        let swin = SwinTransformer3D { num_heads: [3, 6, 7, 24], ..swin3d_t() };
        check_error(swin, CLIP, 7, "node `features.4` can't be built: 384 channels can't be split into 7 groups");
    }
}
