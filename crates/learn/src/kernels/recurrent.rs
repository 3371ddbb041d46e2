//! The kernel of [`Recurrent`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::recurrent::{Cell, Recurrent};
use tch::{TchError, Tensor};

/// The state passes through as many steps as there are frames.
pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &Recurrent, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let frames = call.input_shapes.first().map_or(1, |shape| shape.per_sample) as i64;
    let x = x.f_view([-1, frames, x.size()[1]].as_slice())?; // [N, T, C]
    let params = op.used_slots().into_iter().map(|slot| call.param(slot)).collect::<Result<Vec<_>, _>>()?;
    let (layers, bidirectional, training) = (op.num_layers as i64, op.bidirectional, call.training.is_some());
    let rows = layers * op.num_directions() as i64;
    let start = x.f_new_zeros([rows, x.size()[0], op.hidden_size as i64], (x.kind(), x.device()))?;
    // Dropout between layers stays 0: libtorch would draw it from its global generator.
    let (has_biases, dropout, batch_first) = (true, 0.0, true);
    let outputs = match op.cell {
        Cell::Lstm => {
            let start = [&start, &start];
            x.f_lstm(&start, &params, has_biases, layers, dropout, training, bidirectional, batch_first)?.0
        }
        Cell::Gru => x.f_gru(&start, &params, has_biases, layers, dropout, training, bidirectional, batch_first)?.0,
    };
    outputs.f_select(1, frames - 1)
}
