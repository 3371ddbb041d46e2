//! MViT (Fan et al. 2021, "Multiscale Vision Transformers"; Li et al. 2022, "MViTv2"): attention with pooled queries, keys and values.
//!
//! Names match torchvision's `mvit_v1_b` and `mvit_v2_s`: `blocks.1.attn.pool_q.pool.weight`, `blocks.0.mlp.3.weight`, `head.1.weight`.
//! `block.rs` has the blocks, `pool.rs` the poolings of tokens, `plan.rs` the sizes of each block, and `names.rs` the names that other
//! projects give to the tensors.

mod block;
mod names;
mod plan;
mod pool;

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::tokens::{first_token, prepend_token};
use pipe_graph::ops::{
    add::Add, conv::ConvParams, layer_norm::LayerNorm, permute::Permute, reshape::Reshape, resize::Resize,
    resize::ResizeMode, table::TableParams,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId, Role};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::mvit::{MViT, MViTVersion};
use pool::Tokens;

const NORM: LayerNorm = LayerNorm { eps: 1e-6 };
const INIT: Init = Init::Normal { std: 0.02 };
/// The stride of the patches: frames, rows and columns.
const PATCH_STRIDE: [usize; 3] = [2, 4, 4];

impl Architecture for MViT {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        match self.version {
            MViTVersion::V1 => "mvit_v1".to_owned(),
            MViTVersion::V2 => "mvit_v2".to_owned(),
        }
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let blocks = plan::blocks(self)?;
        let mut tokens = patches(self, g)?; // [N, 1 + T / 2 * H / 4 * W / 4, C]
        for block in blocks {
            tokens = block.append(g, tokens)?;
        }
        let x = g.node("norm", tokens.x, NORM)?;
        let x = first_token(g, x, "features")?; // [N, 8 C]
        head.of_features(g, x, "head.1")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        match self.version {
            MViTVersion::V1 => vec![names::pyslowfast()],
            MViTVersion::V2 => vec![names::mmaction2(), names::pyslowfast()],
        }
    }

    fn small() -> Vec<Small<Self>> {
        let tiny = |version| Self {
            embed_dims: 8,
            num_layers: 4,
            downscale_indices: vec![1, 3],
            temporal_size: 8,
            spatial_size: [64, 64],
            ..mvit(version)
        };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        vec![
            // Tables of the size of the clip, and tables that are resized to odd sizes.
            Small { backbone: tiny(MViTVersion::V1), clip: clip(8, 64, 64) },
            Small { backbone: Self { num_heads: 2, ..tiny(MViTVersion::V1) }, clip: clip(5, 44, 36) },
            Small { backbone: tiny(MViTVersion::V2), clip: clip(8, 64, 64) },
            Small { backbone: Self { num_heads: 2, ..tiny(MViTVersion::V2) }, clip: clip(5, 44, 36) },
        ]
    }

    fn published() -> Vec<Published<Self>> {
        let published = |version, num_params, gmacs, weight_keys| Published {
            backbone: mvit(version),
            clip: ClipShape { channels: 3, frames: 16, height: 224, width: 224 },
            num_classes: 400,
            num_params,
            gmacs,
            weight_keys: Some(weight_keys),
        };
        vec![
            published(MViTVersion::V1, 36_610_672, 70.6, "torchvision-mvit_v1_b.txt"),
            published(MViTVersion::V2, 34_537_744, 64.2, "torchvision-mvit_v2_s.txt"),
        ]
    }
}

/// MViTv1-B or MViTv2-S.
fn mvit(version: MViTVersion) -> MViT {
    MViT {
        version,
        embed_dims: 96,
        num_heads: 1,
        num_layers: 16,
        downscale_indices: vec![1, 3, 14],
        temporal_size: 16,
        spatial_size: [224, 224],
        drop_path_rate: 0.2,
    }
}

/// Appends a trained table.
fn table(g: &mut Builder, name: &str, shape: &[usize]) -> Result<NodeId, GraphError> {
    g.node(name, [], TableParams { shape: shape.to_vec(), role: Role::Weight, init: INIT })
}

/// Maps overlapping patches to `C` channels, adds positions, and prepends the class token.
fn patches(mvit: &MViT, g: &mut Builder) -> Result<Tokens, GraphError> {
    let channels = mvit.embed_dims as usize;
    let params = ConvParams {
        out_channels: channels,
        kernel: [3, 7, 7],
        stride: PATCH_STRIDE,
        padding: [1, 3, 3],
        bias: true,
        init: INIT,
        ..ConvParams::default()
    };
    let x = g.node("conv_proj", g.input(), params)?; // [N, C, T / 2, H / 4, W / 4]
    let size = match *g.shape(x)?.dims.as_slice() {
        [_, frames, height, width] => [frames, height, width],
        _ => return Err(GraphError::UnknownNode { id: x }),
    };
    let [frames, height, width] = size;
    let x = g.node("patches.channels_last", x, Permute { axes: vec![1, 2, 3, 0] })?;
    let mut x = g.node("patches.planes", x, Reshape { per_sample: 1, dims: vec![frames, height * width, channels] })?;
    let mut class = table(g, "pos_encoding.class_token", &[channels])?;
    if mvit.version == MViTVersion::V1 {
        x = add_positions(mvit, g, x, size)?;
        let position = table(g, "pos_encoding.class_pos", &[channels])?;
        class = g.node("pos_encoding.class", [class, position], Add)?;
    }
    let x = g.node("patches", x, Reshape { per_sample: 1, dims: vec![frames * height * width, channels] })?;
    Ok(Tokens { x: prepend_token(g, x, class, "pos_encoding")?, size })
}

/// Adds the tables of positions in a plane and in time to patches `[N, T, H * W, C]`, resized if the clip has another size.
fn add_positions(mvit: &MViT, g: &mut Builder, x: NodeId, size: [usize; 3]) -> Result<NodeId, GraphError> {
    let channels = mvit.embed_dims as usize;
    let ([frames, height, width], [table_frames, table_height, table_width]) = (size, plan::table_size(mvit));
    let resize = |size: &[usize]| Resize { size: size.to_vec(), mode: ResizeMode::Linear };
    let reshape = |dims: &[usize]| Reshape { per_sample: 0, dims: [dims, &[channels]].concat() };
    let mut plane = table(g, "pos_encoding.spatial_pos", &[table_height * table_width, channels])?;
    if [height, width] != [table_height, table_width] {
        plane = g.node("pos_encoding.plane", plane, reshape(&[table_height, table_width]))?;
        plane = g.node("pos_encoding.plane_resized", plane, resize(&[height, width]))?;
        plane = g.node("pos_encoding.plane_rows", plane, reshape(&[height * width]))?;
    }
    let mut time = table(g, "pos_encoding.temporal_pos", &[table_frames, channels])?;
    if frames != table_frames {
        time = g.node("pos_encoding.time_resized", time, resize(&[frames]))?;
    }
    let time = g.node("pos_encoding.time", time, reshape(&[frames, 1]))?;
    let x = g.node("pos_encoding.add_plane", [x, plane], Add)?;
    g.node("pos_encoding.add_time", [x, time], Add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape};
    use pipe_graph::Op;
    use pipe_schemas::networks::ModelParams;

    const CLIP: ClipShape = ClipShape { channels: 3, frames: 5, height: 100, width: 76 };

    #[test]
    fn odd_sizes_are_rounded_up() {
        // 3 x 25 x 19 patches; strides halve rows and columns to 13 x 10, 7 x 5 and 4 x 3.
        check_shape(mvit(MViTVersion::V2), CLIP, "blocks.0.attn.qkv", 1, &[1 + 3 * 25 * 19, 288]);
        check_shape(mvit(MViTVersion::V2), CLIP, "blocks.0.attn.rel_pos", 1, &[1, 1 + 3 * 25 * 19, 1 + 3 * 4 * 3]);
        check_shape(mvit(MViTVersion::V2), CLIP, "blocks.1.mlp.add", 1, &[1 + 3 * 13 * 10, 192]);
        check_shape(mvit(MViTVersion::V1), CLIP, "blocks.3.mlp.add", 1, &[1 + 3 * 7 * 5, 384]);
        check_shape(mvit(MViTVersion::V1), CLIP, "blocks.15.mlp.add", 1, &[1 + 3 * 4 * 3, 768]);
    }

    #[test]
    fn the_shortest_and_smallest_clip_fits() {
        let clip = ClipShape { channels: 3, frames: 1, height: 1, width: 1 };
        for version in [MViTVersion::V1, MViTVersion::V2] {
            check_shape(mvit(version), clip, "norm", 1, &[2, 768]);
        }
    }

    #[test]
    fn tables_are_resized_for_other_sizes_only() {
        let num_resized = |version, clip| {
            let params = ModelParams { backbone: mvit(version).into(), ..ModelParams::default() };
            let graph = crate::build(&params, clip, 7).expect("it fits");
            graph.nodes.iter().filter(|node| matches!(node.op, Op::Resize(_))).count()
        };
        let clip = |frames, height, width| ClipShape { channels: 3, frames, height, width };
        for (version, taller, shorter) in [(MViTVersion::V1, 1, 1), (MViTVersion::V2, 16, 16)] {
            assert_eq!(num_resized(version, clip(16, 224, 224)), 0);
            assert_eq!(num_resized(version, clip(16, 256, 224)), taller);
            assert_eq!(num_resized(version, clip(8, 224, 224)), shorter);
        }
    }

    #[test]
    fn heads_divide_the_channels() {
        let mvit = MViT { num_heads: 5, ..mvit(MViTVersion::V2) };
        check_error(mvit, CLIP, 7, "node `blocks` can't be built: 96 channels can't be split into 5 groups");
    }
}
