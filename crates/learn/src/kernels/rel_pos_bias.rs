//! The kernel of [`RelPosBias`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::rel_pos_bias::RelPosBias;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &RelPosBias, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [table] = call.inputs()?;
    bias(op, table)
}

/// Looks up the biases of all pairs.
///
/// # Shapes
/// - `table`: `[rows, heads]`
/// - returns: `[heads, L, L]`
fn bias(op: &RelPosBias, table: &Tensor) -> Result<Tensor, TchError> {
    let len = op.window.iter().product::<usize>() as i64;
    let index = Tensor::f_from_slice(&op.index())?.f_to_device(table.device())?;
    table.f_index_select(0, &index)?.f_view([len, len, -1])?.f_permute([2, 0, 1])?.f_contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn each_head_looks_up_its_column() {
        let op = RelPosBias { full_window: [1, 2, 2], window: [1, 2, 2] };
        let table = Tensor::arange(18, (Kind::Float, Device::Cpu)).view([9, 2]).set_requires_grad(true);
        let y = bias(&op, &table).expect("looked up");
        assert_eq!(y.size(), [2, 4, 4]);
        // Row 4 of the table is the offset 0, row 3 the next pixel.
        let values = Vec::<f32>::try_from(y.reshape([-1])).expect("values");
        assert_eq!((&values[..4], &values[16..20]), ([8.0, 6.0, 2.0, 0.0].as_slice(), [9.0, 7.0, 3.0, 1.0].as_slice()));
        // Each of the four tokens has the offset 0 to itself.
        y.sum(Kind::Float).backward();
        assert_eq!(table.grad().to_kind(Kind::Int64).int64_value(&[4, 1]), 4);
    }
}
