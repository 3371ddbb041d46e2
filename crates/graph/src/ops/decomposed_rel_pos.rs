//! [`DecomposedRelPos`]: the relative positions of MViTv2 (Li et al. 2022).

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The bias of an attention that depends on the offset between query and key: for each axis, the product of the query and the row of a
/// table that belongs to the offset, summed over the axes. A class token has no position: its row and column are 0.
///
/// # Shapes
/// - inputs: queries `[M, Lq, D]`, and tables of rows, columns and frames, `[2 max(Q, K) - 1, D / heads]` for `Q` queries and `K` keys
///   along the axis
/// - result: `[M, heads, Lq, Lk]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecomposedRelPos {
    /// The number of heads, which split the last axis of the queries.
    pub heads: usize,
    /// Frames, rows and columns of the queries.
    pub queries: [usize; 3],
    /// Frames, rows and columns of the keys.
    pub keys: [usize; 3],
    /// Whether a class token precedes the queries and the keys.
    pub class_token: bool,
}

impl DecomposedRelPos {
    /// Returns the row of the table for each query and key along an axis (0 frames, 1 rows, 2 columns), `[Q, K]` in row-major order.
    ///
    /// Positions are multiplied by the ratio of the sizes, so that the shorter axis covers the longer one, and rounded down. The
    /// arithmetic is exact, as torchvision's is for all sizes; the floats of MMAction2 and PySlowFast round some rows of a few sizes
    /// down by one, the first of which are 53 queries and 7 keys.
    pub fn rows(&self, axis: usize) -> Vec<i64> {
        let (queries, keys) = (self.queries[axis], self.keys[axis]);
        let scale = queries.min(keys);
        let row = |query: usize, key: usize| (query * keys + (keys - 1 - key) * queries) / scale;
        (0..queries).flat_map(|query| (0..keys).map(move |key| row(query, key) as i64)).collect()
    }

    /// Returns the number of rows of the table of an axis.
    pub fn num_rows(&self, axis: usize) -> usize {
        self.queries[axis].max(self.keys[axis]).saturating_mul(2).saturating_sub(1)
    }

    fn lengths(&self) -> [usize; 2] {
        let len = |size: [usize; 3]| size.into_iter().fold(1, usize::saturating_mul);
        [self.queries, self.keys].map(|size| len(size).saturating_add(usize::from(self.class_token)))
    }
}

/// The axis of each table: rows, columns and frames, in the order of their names in checkpoints (h, w, t).
pub const TABLE_AXES: [usize; 3] = [1, 2, 0];

impl Operation for DecomposedRelPos {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [queries, tables @ ..] = operands.inputs_or_tables::<4>()?;
        let [num_queries, num_keys] = self.lengths();
        if queries.is_table() {
            return Err(ShapeError::Table { dims: queries.dims.clone() });
        }
        let [_, channels] = *queries.dims.as_slice() else { return Err(queries.wrong_rank(2)) };
        queries.check(&queries.with_dims(vec![num_queries, channels]))?;
        if self.heads == 0 {
            return Err(ShapeError::Zero { what: "the number of heads" });
        }
        if !channels.is_multiple_of(self.heads) {
            return Err(ShapeError::Groups { channels, groups: self.heads });
        }
        check_range("the number of keys", num_keys as f64, self.keys.iter().all(|size| *size > 0), "at least 1")?;
        for (table, axis) in tables.into_iter().zip(TABLE_AXES) {
            table.check(&Shape::table(vec![self.num_rows(axis), channels / self.heads]))?;
        }
        Ok(queries.with_dims(vec![self.heads, num_queries, num_keys]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let x = rule.input(0);
        let heads = rule.heads(&x[2], self.heads);
        (1..4).for_each(|table| rule.pin_all(table));
        rule.with_rows(x[0].clone(), 1, heads)
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        self.heads = kept.heads(self.heads);
    }

    /// Counts one product per axis for each query.
    fn macs(&self, operands: &Operands<'_>, _output: &Shape) -> u64 {
        let rows = operands.inputs.first().map_or(0, |queries| queries.per_sample as u64);
        let channels = operands.inputs.first().and_then(|queries| queries.dims.last()).map_or(0, |size| *size as u64);
        let queries: usize = self.queries.iter().product();
        let keys: usize = self.keys.iter().sum();
        rows.saturating_mul(channels).saturating_mul(queries as u64).saturating_mul(keys as u64)
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let queries = self.write_queries(writer); // [M, heads, T, H, W, D]
        let [h, w, t] = [0, 1, 2].map(|table| self.write_product(writer, &queries, table));
        let planes = writer.step("planes", "Add", vec![h, w], Vec::new());
        let sum = writer.step("sum", "Add", vec![planes, t], Vec::new()); // [M, heads, T, H, W, kt, kh, kw]
        let [queries, keys] = [self.queries, self.keys].map(|size| size.iter().product::<usize>() as i64);
        let shape = writer.constant_i64("shape", &[-1, self.heads as i64, queries, keys]);
        let inputs = vec![sum, shape];
        if !self.class_token {
            return writer.result("Reshape", inputs, Vec::new());
        }
        let patches = writer.step("patches", "Reshape", inputs, Vec::new());
        let pads = writer.constant_i64("pads", &[0, 0, 1, 1, 0, 0, 0, 0]);
        writer.result("Pad", vec![patches, pads], Vec::new());
    }
}

impl DecomposedRelPos {
    /// Writes the queries without class token as `[M, heads, T, H, W, D]` and returns the name of the value.
    fn write_queries(&self, writer: &mut NodeWriter<'_>) -> String {
        let channels = writer.input_shape().dims.last().copied().unwrap_or(0);
        let mut x = writer.inputs().swap_remove(0);
        if self.class_token {
            let mut inputs = vec![x];
            for (suffix, value) in [("starts", 1), ("ends", i64::MAX), ("axes", 1)] {
                inputs.push(writer.constant_i64(&format!("queries/{suffix}"), &[value]));
            }
            x = writer.step("queries", "Slice", inputs, Vec::new());
        }
        let [t, h, w] = self.queries;
        let shape = [t, h, w, self.heads, channels / self.heads].map(|size| size as i64);
        let shape = writer.constant_i64("grid/shape", &[&[-1], shape.as_slice()].concat());
        let x = writer.step("grid", "Reshape", vec![x, shape], Vec::new());
        writer.step("by_head", "Transpose", vec![x], vec![ints("perm", &[0, 4, 1, 2, 3, 5])])
    }

    /// Writes the products of the queries with the rows of a table, and returns the name of the value: `[M, heads, T, H, W, …]` with
    /// the axes of the keys, of which two have size 1.
    fn write_product(&self, writer: &mut NodeWriter<'_>, queries: &str, table: usize) -> String {
        let name = ["h", "w", "t"][table];
        let axis = TABLE_AXES[table];
        let named = |suffix: &str| format!("{name}/{suffix}");
        let (num_queries, num_keys) = (self.queries[axis], self.keys[axis]);
        let index = writer.constant_i64(&named("index"), &self.rows(axis));
        let rows = [writer.inputs()[table + 1].clone(), index].to_vec();
        let rows = writer.step(&named("rows"), "Gather", rows, vec![int("axis", 0)]); // [Q * K, D]
        let shape = writer.constant_i64(&named("rows/shape"), &[num_queries as i64, num_keys as i64, -1]);
        let rows = writer.step(&named("table"), "Reshape", vec![rows, shape], Vec::new());
        let rows = writer.step(&named("transposed"), "Transpose", vec![rows], vec![ints("perm", &[0, 2, 1])]);
        // A batched product with the queries' axis last but two: it changes places with the fourth.
        let mut swap = [0, 1, 2, 3, 4, 5];
        swap.swap(axis + 2, 3);
        let swapped = writer.step(&named("queries"), "Transpose", vec![queries.to_owned()], vec![ints("perm", &swap)]);
        let product = writer.step(&named("product"), "MatMul", vec![swapped, rows], Vec::new());
        let product = writer.step(&named("ordered"), "Transpose", vec![product], vec![ints("perm", &swap)]);
        let [t, h, w] = self.queries.map(|size| size as i64);
        let mut shape = [-1, self.heads as i64, t, h, w, 1, 1, 1];
        shape[axis + 5] = num_keys as i64;
        let shape = writer.constant_i64(&named("shape"), &shape);
        writer.step(name, "Reshape", vec![product, shape], Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_shape};
    use crate::{Builder, GraphError, NodeId};

    fn rows(queries: usize, keys: usize) -> Vec<i64> {
        let one = |size| [1, 1, size];
        DecomposedRelPos { heads: 1, queries: one(queries), keys: one(keys), class_token: false }.rows(2)
    }

    #[test]
    fn rows_are_those_of_torchvision() {
        assert_eq!(rows(2, 2), [1, 0, 2, 1]);
        // Two queries per key: offsets of 2.
        assert_eq!(rows(4, 2), [2, 0, 3, 1, 4, 2, 5, 3]);
        assert_eq!(rows(2, 4), [3, 2, 1, 0, 5, 4, 3, 2]);
        // A ratio of 5 / 3 is rounded down: 3.33 and 1.67.
        assert_eq!(rows(5, 3)[..6], [3, 1, 0, 4, 2, 1]);
    }

    /// Frames of the tests have 9 rows of 12 channels: a class token and 2 x 2 x 2 queries.
    fn bias(g: &mut Builder, x: NodeId, heads: usize, rows: usize) -> Result<NodeId, GraphError> {
        let x = g.node("q", x, crate::ops::mean::Mean { axes: vec![0], keepdims: false })?;
        let mut inputs = vec![x];
        for name in ["h", "w", "t"] {
            inputs.push(g.node(name, [], TableParams::zeros(&[rows, 4]))?);
        }
        g.node("bias", inputs, DecomposedRelPos { heads, queries: [2; 3], keys: [1, 2, 2], class_token: true })
    }

    #[test]
    fn each_head_has_a_matrix() {
        check_shape(|g, x| bias(g, x, 3, 3), 8, &[3, 9, 5]);
        check_error(|g, x| bias(g, x, 3, 2), "the input has the axes [2, 4], expected [3, 4]");
        check_error(|g, x| bias(g, x, 2, 3), "the input has the axes [3, 4], expected [3, 6]");
        check_error(|g, x| bias(g, x, 5, 3), "12 channels can't be split into 5 groups");
        check_error(|g, x| bias(g, x, 0, 3), "the number of heads is 0");
    }
}
