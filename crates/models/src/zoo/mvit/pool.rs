//! Pooling of tokens: a class token, which is left as it is, and patches in time, rows and columns.

use super::NORM;
use crate::layers::max_pool_same;
use crate::tokens::last_axis;
use pipe_graph::ops::{concat::Concat, conv::ConvParams, permute::Permute, reshape::Reshape, slice::Slice};
use pipe_graph::{Builder, GraphError, Init, NodeId};

/// A class token and patches, `[N, 1 + T * H * W, C]`, the columns fastest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    pub(super) x: NodeId,
    /// `T`, `H` and `W`.
    pub(super) size: [usize; 3],
}

impl Tokens {
    pub(super) fn num_patches(&self) -> usize {
        self.size.iter().product()
    }

    pub(super) fn class_token(&self, g: &mut Builder, name: &str) -> Result<NodeId, GraphError> {
        g.node(&format!("{name}.class_token"), self.x, Slice { axis: 0, start: 0, end: 1, step: 1 })
    }

    pub(super) fn patches(&self, g: &mut Builder, name: &str) -> Result<NodeId, GraphError> {
        let end = self.num_patches() + 1;
        g.node(&format!("{name}.patches"), self.x, Slice { axis: 0, start: 1, end, step: 1 })
    }

    /// Pools each head of the patches with a trained 3x3x3 filter per channel, the same for all heads, and normalises each head of all
    /// tokens.
    pub(super) fn pool_heads(
        &self,
        g: &mut Builder,
        name: &str,
        heads: usize,
        stride: usize,
    ) -> Result<Self, GraphError> {
        let named = |suffix: &str| format!("{name}.{suffix}");
        let all_channels = last_axis(g, self.x)?;
        let channels = all_channels / heads;
        let [frames, height, width] = self.size;
        let x = self.patches(g, name)?;
        let x =
            g.node(&named("grid"), x, Reshape { per_sample: 1, dims: vec![frames, height, width, heads, channels] })?;
        // Channels stay the last axis in memory, for which libtorch's depthwise convolution is several times faster.
        let x = g.node(&named("by_head"), x, Permute { axes: vec![3, 0, 1, 2, 4] })?;
        let dims = vec![frames, height, width, channels];
        let x = g.node(&named("heads"), x, Reshape { per_sample: heads, dims })?; // [N * heads, T, H, W, C]
        let x = g.node(&named("channels_first"), x, Permute { axes: vec![3, 0, 1, 2] })?;
        let params = ConvParams {
            out_channels: channels,
            kernel: [3; 3],
            stride: [1, stride, stride],
            padding: [1; 3],
            groups: channels,
            // As torch initialises a filter of 27 values.
            init: Init::Normal { std: 1.0 / 9.0 },
            ..ConvParams::default()
        };
        let x = g.node(&named("pool"), x, params)?;
        let size = plane_size(g, x)?;
        let num_patches: usize = size.iter().product();
        let x = g.node(&named("channels_last"), x, Permute { axes: vec![1, 2, 3, 0] })?;
        let x = g.node(&named("pooled"), x, Reshape { per_sample: 1, dims: vec![heads, num_patches, channels] })?;
        let x = g.node(&named("rows"), x, Permute { axes: vec![1, 0, 2] })?; // [N, T' * H' * W', heads, C]
        let class = self.class_token(g, name)?;
        let class = g.node(&named("class_heads"), class, Reshape { per_sample: 1, dims: vec![1, heads, channels] })?;
        let x = g.node(&named("tokens"), [class, x], Concat { axis: 0 })?;
        let x = g.node(&named("norm_act.0"), x, NORM)?;
        let x = g.node(&named("joined"), x, Reshape { per_sample: 1, dims: vec![num_patches + 1, all_channels] })?;
        Ok(Self { x, size })
    }

    /// Takes the largest value of 3 x 3 patches, at every second row and column.
    pub(super) fn max_pool(&self, g: &mut Builder, name: &str) -> Result<Self, GraphError> {
        let named = |suffix: &str| format!("{name}.{suffix}");
        let channels = last_axis(g, self.x)?;
        let [frames, height, width] = self.size;
        let x = self.patches(g, name)?;
        let x = g.node(&named("grid"), x, Reshape { per_sample: 1, dims: vec![frames, height, width, channels] })?;
        let x = g.node(&named("channels_first"), x, Permute { axes: vec![3, 0, 1, 2] })?;
        let x = g.node(&named("pool"), x, max_pool_same([1, 3, 3], [1, 2, 2]))?;
        let size = plane_size(g, x)?;
        let x = g.node(&named("channels_last"), x, Permute { axes: vec![1, 2, 3, 0] })?;
        let num_patches = size.iter().product();
        let x = g.node(&named("rows"), x, Reshape { per_sample: 1, dims: vec![num_patches, channels] })?;
        let class = self.class_token(g, name)?;
        Ok(Self { x: g.node(&named("tokens"), [class, x], Concat { axis: 0 })?, size })
    }
}

/// Returns frames, rows and columns of `[C, T, H, W]`.
fn plane_size(g: &Builder, x: NodeId) -> Result<[usize; 3], GraphError> {
    match *g.shape(x)?.dims.as_slice() {
        [_, frames, height, width] => Ok([frames, height, width]),
        _ => Err(GraphError::UnknownNode { id: x }),
    }
}
