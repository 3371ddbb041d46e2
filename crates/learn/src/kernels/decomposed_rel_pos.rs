//! The kernel of [`DecomposedRelPos`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::decomposed_rel_pos::{DecomposedRelPos, TABLE_AXES};
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Low;

pub(super) fn forward(op: &DecomposedRelPos, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [queries, tables @ ..] = call.inputs::<4>()?;
    bias(op, queries, tables)
}

/// Returns the bias of each pair of a query and a key.
///
/// # Shapes
/// - `queries`: `[M, Lq, heads * D]`
/// - `tables` of rows, columns and frames: `[2 max(Q, K) - 1, D]`
/// - returns: `[M, heads, Lq, Lk]`
fn bias(op: &DecomposedRelPos, queries: &Tensor, tables: [&Tensor; 3]) -> Result<Tensor, TchError> {
    let [t, h, w] = op.queries.map(|size| size as i64);
    let [kt, kh, kw] = op.keys.map(|size| size as i64);
    let (heads, first) = (op.heads as i64, i64::from(op.class_token));
    let patches = queries.f_narrow(1, first, t * h * w)?;
    let patches = patches.f_view([-1, t, h, w, heads, queries.size()[2] / heads])?.f_permute([0, 4, 1, 2, 3, 5])?;
    let product = |table: usize| product(op, &patches, tables[table], TABLE_AXES[table]);
    let planes = product(0)?.f_unsqueeze(-1)?.f_add(&product(1)?.f_unsqueeze(-2)?)?; // [M, heads, T, H, W, kh, kw]
    let (planes, frames) = (planes.f_flatten(-2, -1)?.f_unsqueeze(-2)?, product(2)?.f_unsqueeze(-1)?);
    let (num_queries, num_keys) = (t * h * w, kt * kh * kw);
    if !op.class_token || planes.requires_grad() {
        let sum = planes.f_add(&frames)?.f_view([-1, heads, num_queries, num_keys])?;
        return if op.class_token { sum.f_constant_pad_nd([1, 0, 1, 0]) } else { Ok(sum) };
    }
    // Without gradients, the sum is written where it belongs: it is by far the largest of these tensors.
    let size = [queries.size()[0], heads, num_queries + 1, num_keys + 1];
    let result = Tensor::f_zeros(size, (planes.kind(), planes.device()))?;
    let inner = result.f_narrow(2, 1, num_queries)?.f_narrow(3, 1, num_keys)?;
    let _ = planes.f_add_out(&inner.f_view([-1, heads, t, h, w, kt, kh * kw].as_slice())?, &frames)?;
    Ok(result)
}

/// Returns the products of the queries with the rows of the table of an axis.
///
/// # Shapes
/// - `queries`: `[M, heads, T, H, W, D]`
/// - returns: `[M, heads, T, H, W, K]`
fn product(op: &DecomposedRelPos, queries: &Tensor, table: &Tensor, axis: usize) -> Result<Tensor, TchError> {
    let index = Tensor::f_from_slice(&op.rows(axis))?.f_to_device(table.device())?;
    let rows = table.f_index_select(0, &index)?.f_view([op.queries[axis] as i64, op.keys[axis] as i64, -1])?;
    // A batched product, for which the queries' axis changes places with that of H.
    let axis = axis as i64 + 2;
    queries.f_transpose(axis, 3)?.f_matmul(&rows.f_transpose(1, 2)?)?.f_transpose(axis, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn ramp(size: &[i64], step: f64) -> Tensor {
        let len: i64 = size.iter().product();
        (Tensor::arange(len, (Kind::Float, Device::Cpu)) * step).sin().view(size)
    }

    /// Compares with the sum over the axes, element by element.
    fn check(op: &DecomposedRelPos, channels: i64) {
        let len = |size: [usize; 3]| size.iter().product::<usize>() as i64;
        let (first, num_queries, num_keys) = (i64::from(op.class_token), len(op.queries), len(op.keys));
        let queries = ramp(&[2, num_queries + first, op.heads as i64 * channels], 0.37);
        let tables = TABLE_AXES.map(|axis| ramp(&[op.num_rows(axis) as i64, channels], 0.11 * (axis + 1) as f64));
        let tables = [&tables[0], &tables[1], &tables[2]];
        let found = tch::no_grad(|| bias(op, &queries, tables)).expect("a bias");
        assert_eq!(found.size(), [2, op.heads as i64, num_queries + first, num_keys + first]);
        let position = |at: usize, size: [usize; 3]| [at / (size[1] * size[2]), at / size[2] % size[1], at % size[2]];
        for (sample, head) in [(0, 0), (1, op.heads as i64 - 1)] {
            for query in 0..num_queries {
                let row = queries.get(sample).get(query + first).narrow(0, head * channels, channels);
                for key in 0..num_keys {
                    let (q, k) = (position(query as usize, op.queries), position(key as usize, op.keys));
                    let term = |table: usize| {
                        let axis = TABLE_AXES[table];
                        let at = op.rows(axis)[q[axis] * op.keys[axis] + k[axis]];
                        row.dot(&tables[table].get(at)).double_value(&[])
                    };
                    let expect: f64 = (0..3).map(term).sum();
                    let value = found.double_value(&[sample, head, query + first, key + first]);
                    assert!((value - expect).abs() < 1e-5, "{query} {key}: {value} instead of {expect}");
                }
            }
        }
        if op.class_token {
            assert_eq!(found.narrow(2, 0, 1).any().int64_value(&[]), 0);
            assert_eq!(found.narrow(3, 0, 1).any().int64_value(&[]), 0);
        }
        let trained = queries.set_requires_grad(true);
        let same = bias(op, &trained, tables).expect("a bias");
        assert!(same.requires_grad() && same.allclose(&found, 1e-6, 1e-6, false));
    }

    #[test]
    fn the_bias_is_a_sum_over_the_axes() {
        check(&DecomposedRelPos { heads: 2, queries: [2, 3, 4], keys: [2, 2, 1], class_token: true }, 3);
        check(&DecomposedRelPos { heads: 1, queries: [1, 5, 2], keys: [3, 3, 4], class_token: false }, 2);
    }
}
