//! [`Block`]: pooled attention and an MLP.

use super::pool::Tokens;
use super::{NORM, table};
use crate::tokens::{linear, split_qkv};
use pipe_graph::ops::{
    add::Add, attention::Attention, concat::Concat, decomposed_rel_pos::DecomposedRelPos,
    decomposed_rel_pos::TABLE_AXES, drop_path::DropPath, gelu::Gelu, resize::Resize, resize::ResizeMode,
};
use pipe_graph::{Builder, GraphError, NodeId};
use pipe_schemas::networks::mvit::MViTVersion;

/// The hidden features of an MLP, in multiples of its input.
const MLP_RATIO: usize = 4;

pub(super) struct Block {
    pub(super) name: String,
    pub(super) version: MViTVersion,
    pub(super) heads: usize,
    pub(super) in_channels: usize,
    pub(super) attention_channels: usize,
    pub(super) out_channels: usize,
    /// The stride of rows and columns of the queries, and thereby of the result.
    pub(super) query_stride: usize,
    pub(super) key_stride: usize,
    /// The rows of the tables of relative positions, for rows, columns and frames.
    pub(super) table_rows: [usize; 3],
    pub(super) drop_path: DropPath,
}

impl Block {
    pub(super) fn append(&self, g: &mut Builder, tokens: Tokens) -> Result<Tokens, GraphError> {
        let named = |suffix: &str| format!("{}.{suffix}", self.name);
        let normed = g.node(&named("norm1"), tokens.x, NORM)?;
        let attended = self.attention(g, Tokens { x: normed, ..tokens })?;
        let y = g.node(&named("attn.drop_path"), attended.x, self.drop_path.clone())?;
        let mut skip = tokens;
        if self.in_channels != self.attention_channels {
            skip.x = g.node(&named("project"), normed, linear(self.attention_channels, true))?;
        }
        if self.query_stride > 1 {
            skip = skip.max_pool(g, &named("pool_skip"))?;
        }
        let x = g.node(&named("attn.add"), [skip.x, y], Add)?;
        let normed = g.node(&named("norm2"), x, NORM)?;
        let y = g.node(&named("mlp.0"), normed, linear(MLP_RATIO * self.attention_channels, true))?;
        let y = g.node(&named("mlp.0.gelu"), y, Gelu { tanh: false })?;
        let y = g.node(&named("mlp.3"), y, linear(self.out_channels, true))?;
        let y = g.node(&named("mlp.drop_path"), y, self.drop_path.clone())?;
        let skip = if self.attention_channels == self.out_channels {
            x
        } else {
            g.node(&named("project"), normed, linear(self.out_channels, true))?
        };
        Ok(Tokens { x: g.node(&named("mlp.add"), [skip, y], Add)?, ..attended })
    }

    fn attention(&self, g: &mut Builder, tokens: Tokens) -> Result<Tokens, GraphError> {
        let named = |suffix: &str| format!("{}.attn.{suffix}", self.name);
        let channels = self.attention_channels;
        let qkv = g.node(&named("qkv"), tokens.x, linear(3 * channels, true))?;
        let [q, k, v] = split_qkv(g, qkv, &named("qkv"))?.map(|x| Tokens { x, ..tokens });
        let q = if self.version == MViTVersion::V2 || self.query_stride > 1 {
            q.pool_heads(g, &named("pool_q"), self.heads, self.query_stride)?
        } else {
            q
        };
        let k = k.pool_heads(g, &named("pool_k"), self.heads, self.key_stride)?;
        let v = v.pool_heads(g, &named("pool_v"), self.heads, self.key_stride)?;
        let mut inputs = vec![q.x, k.x, v.x];
        if self.version == MViTVersion::V2 {
            inputs.push(self.relative_positions(g, q, k)?);
        }
        let mut x = g.node(&named("attention"), inputs, Attention { heads: self.heads, scale: None })?;
        if self.version == MViTVersion::V2 {
            x = add_to_patches(g, Tokens { x, ..q }, q, &named("residual"))?;
        }
        let x = g.node(&named("project.0"), x, linear(channels, true))?;
        Ok(Tokens { x, ..q })
    }

    /// Appends the bias by relative positions. Its tables are resized if the clip has another size.
    fn relative_positions(&self, g: &mut Builder, q: Tokens, k: Tokens) -> Result<NodeId, GraphError> {
        let named = |suffix: &str| format!("{}.attn.{suffix}", self.name);
        let op = DecomposedRelPos { heads: self.heads, queries: q.size, keys: k.size, class_token: true };
        let mut inputs = vec![q.x];
        for (name, (axis, rows)) in ["h", "w", "t"].into_iter().zip(TABLE_AXES.into_iter().zip(self.table_rows)) {
            let name = named(&format!("rel_pos_{name}"));
            let mut x = table(g, &name, &[rows, self.attention_channels / self.heads])?;
            if op.num_rows(axis) != rows {
                let resize = Resize { size: vec![op.num_rows(axis)], mode: ResizeMode::Linear };
                x = g.node(&format!("{name}.resized"), x, resize)?;
            }
            inputs.push(x);
        }
        g.node(&named("rel_pos"), inputs, op)
    }
}

/// Adds the patches of `other` to those of `tokens`; the class token stays.
fn add_to_patches(g: &mut Builder, tokens: Tokens, other: Tokens, name: &str) -> Result<NodeId, GraphError> {
    let class = tokens.class_token(g, name)?;
    let patches = [tokens.patches(g, name)?, other.patches(g, &format!("{name}.q"))?];
    let sum = g.node(&format!("{name}.add"), patches, Add)?;
    g.node(name, [class, sum], Concat { axis: 0 })
}
