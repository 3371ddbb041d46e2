//! [`Recurrent`]: LSTM and GRU over the frames of a clip.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints, text};
use crate::operands::Operands;
use crate::operation::{Operation, TensorSpec};
use crate::shape::{check_param, check_range};
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// The maximum number of layers. Tensors need static names.
const MAX_LAYERS: usize = 4;

/// The tensors of PyTorch's `LSTM` and `GRU`: four for each layer and direction.
const SLOTS: &[&str] = &[
    "weight_ih_l0",
    "weight_hh_l0",
    "bias_ih_l0",
    "bias_hh_l0",
    "weight_ih_l0_reverse",
    "weight_hh_l0_reverse",
    "bias_ih_l0_reverse",
    "bias_hh_l0_reverse",
    "weight_ih_l1",
    "weight_hh_l1",
    "bias_ih_l1",
    "bias_hh_l1",
    "weight_ih_l1_reverse",
    "weight_hh_l1_reverse",
    "bias_ih_l1_reverse",
    "bias_hh_l1_reverse",
    "weight_ih_l2",
    "weight_hh_l2",
    "bias_ih_l2",
    "bias_hh_l2",
    "weight_ih_l2_reverse",
    "weight_hh_l2_reverse",
    "bias_ih_l2_reverse",
    "bias_hh_l2_reverse",
    "weight_ih_l3",
    "weight_hh_l3",
    "bias_ih_l3",
    "bias_hh_l3",
    "weight_ih_l3_reverse",
    "weight_hh_l3_reverse",
    "bias_ih_l3_reverse",
    "bias_hh_l3_reverse",
];

/// A recurrent network over the frames of a sample; the result is its output for the last frame. The first state is zero.
///
/// With two directions, the second one reads the frames from the last to the first, so its output for the last frame has seen only
/// that frame, as in PyTorch's `output[:, -1]`.
///
/// # Shapes
/// - input: `[N * T, C]`
/// - `weight_ih_lK`: `[gates * hidden, in]`, `weight_hh_lK`: `[gates * hidden, hidden]`, `bias_ih_lK`, `bias_hh_lK`: `[gates * hidden]`;
///   gates in PyTorch's order: `i, f, g, o` and `r, z, n`
/// - result: `[N, directions * hidden]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recurrent {
    /// LSTM or GRU.
    pub cell: Cell,
    /// The size of the state of a layer and direction.
    pub hidden_size: usize,
    /// The number of layers, 1 to 4.
    pub num_layers: usize,
    /// Whether each layer also reads the frames backwards.
    pub bidirectional: bool,
}

/// The kind of a recurrent network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997).
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014).
    Gru,
}

/// The tensors of one layer and direction.
struct Direction {
    slots: &'static [&'static str],
    in_size: usize,
}

impl Cell {
    /// Returns the number of gates, which are stacked along the first axis of each tensor: 4 for an LSTM, 3 for a GRU.
    pub fn num_gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// Returns the position in PyTorch's order of each gate in the order of ONNX: `i, o, f, c` and `z, r, h`.
    fn onnx_gates(self) -> &'static [usize] {
        match self {
            Self::Lstm => &[0, 3, 1, 2],
            Self::Gru => &[1, 0, 2],
        }
    }
}

impl Recurrent {
    /// Returns 2 if the sequence is also read backwards, else 1.
    pub fn num_directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// Returns the names of the tensors of all layers and directions, in PyTorch's order.
    pub fn used_slots(&self) -> Vec<&'static str> {
        self.layers(0).into_iter().flatten().flat_map(|direction| direction.slots).copied().collect()
    }

    /// Returns the directions of each layer, for inputs of `in_size` features.
    fn layers(&self, in_size: usize) -> Vec<Vec<Direction>> {
        let directions = self.num_directions();
        let layer = |layer: usize| {
            let in_size = if layer == 0 { in_size } else { directions * self.hidden_size };
            let slots = SLOTS.chunks(4).skip(2 * layer).take(directions);
            slots.map(|slots| Direction { slots, in_size }).collect()
        };
        (0..self.num_layers.min(MAX_LAYERS)).map(layer).collect()
    }

    /// Returns the shapes of the four tensors of a direction.
    fn shapes(&self, direction: &Direction) -> [Vec<usize>; 4] {
        let rows = self.cell.num_gates().saturating_mul(self.hidden_size);
        [vec![rows, direction.in_size], vec![rows, self.hidden_size], vec![rows], vec![rows]]
    }
}

impl Operation for Recurrent {
    fn slots(&self) -> &'static [&'static str] {
        SLOTS
    }

    fn tensors(&self, inputs: &[&Shape]) -> Result<Vec<TensorSpec>, ShapeError> {
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        // PyTorch draws uniformly up to 1 / sqrt(hidden); a normal distribution of the same variance here.
        let std = 1.0 / (3.0 * self.hidden_size.max(1) as f64).sqrt();
        let mut tensors = Vec::new();
        for direction in self.layers(x.channels()?).into_iter().flatten() {
            for (slot, shape) in direction.slots.iter().zip(self.shapes(&direction)) {
                let role = if shape.len() == 1 { Role::Bias } else { Role::Weight };
                tensors.push(TensorSpec { slot, shape, role, init: Init::Normal { std } });
            }
        }
        Ok(tensors)
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [features] = *x.dims.as_slice() else { return Err(x.wrong_rank(1)) };
        let layers = self.num_layers;
        check_range("the number of layers", layers as f64, (1..=MAX_LAYERS).contains(&layers), "1 to 4")?;
        for direction in self.layers(features).into_iter().flatten() {
            for (slot, shape) in direction.slots.iter().zip(self.shapes(&direction)) {
                check_param(operands.param(slot)?, &shape)?;
            }
        }
        Ok(Shape { per_sample: 1, dims: vec![self.num_directions() * self.hidden_size] })
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        // The state stays whole, but the input may have fewer features.
        let x = rule.input(0);
        rule.pin(&x[0]);
        for (slot, param) in &rule.params {
            if slot.starts_with("weight_ih_l0") {
                let rows = Axis::Whole(0);
                rule.labels.set_param(*param, vec![rows, x[1].clone()]);
            }
        }
        rule.whole()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    /// Counts both products of each gate, layer, direction and frame.
    fn macs(&self, operands: &Operands<'_>, _output: &Shape) -> u64 {
        let weights = operands.params.iter().filter(|(_, param)| param.shape.len() == 2);
        let per_frame: usize = weights.map(|(_, param)| param.len()).sum();
        let frames = operands.inputs.first().map_or(0, |x| x.per_sample);
        (per_frame as u64).saturating_mul(frames as u64)
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let (frames, features) = (writer.input_shape().per_sample as i64, writer.input_shape().dims[0]);
        let by_sample = writer.input_by_sample("by_sample"); // [N, T, C]
        let perm = vec![ints("perm", &[1, 0, 2])];
        let mut x = writer.step("by_frame", "Transpose", vec![by_sample], perm.clone()); // [T, N, C]
        let size = (self.num_directions() * self.hidden_size) as i64;
        for (layer, directions) in self.layers(features).iter().enumerate() {
            let outputs = self.write_layer(writer, &format!("l{layer}"), x, directions); // [T, directions, N, hidden]
            let step = |suffix: &str| format!("l{layer}/{suffix}");
            let perm = vec![ints("perm", &[0, 2, 1, 3])];
            let rows = writer.step(&step("rows"), "Transpose", vec![outputs], perm); // [T, N, directions, hidden]
            let shape = writer.constant_i64(&step("shape"), &[frames, -1, size]);
            x = writer.step(&step("joined"), "Reshape", vec![rows, shape], Vec::new()); // [T, N, directions * hidden]
        }
        let last = writer.constant_i64("last", &[frames - 1]);
        let last = writer.step("output", "Gather", vec![x, last], vec![int("axis", 0)]); // [1, N, …]
        writer.reshape_to_result(last);
    }
}

impl Recurrent {
    /// Writes the ONNX node of one layer and the reordering of its gates, and returns the name of its outputs.
    fn write_layer(&self, writer: &mut NodeWriter<'_>, layer: &str, x: String, directions: &[Direction]) -> String {
        let hidden = self.hidden_size;
        let rows = self.cell.onnx_gates().iter().flat_map(|gate| gate * hidden..(gate + 1) * hidden);
        let rows: Vec<i64> = rows.map(|row| row as i64).collect();
        let rows = writer.constant_i64(&format!("{layer}/rows_of_gates"), &rows);
        let axis = writer.constant_i64(&format!("{layer}/axis"), &[0]);
        let mut joined = [Vec::new(), Vec::new(), Vec::new()]; // W, R, B
        for direction in directions {
            let mut biases = Vec::new();
            for (position, slot) in direction.slots.iter().enumerate() {
                let param = writer.param_name(slot);
                let gates =
                    writer.step(&format!("{slot}/gates"), "Gather", vec![param, rows.clone()], vec![int("axis", 0)]);
                if position < 2 {
                    let inputs = vec![gates, axis.clone()];
                    joined[position].push(writer.step(&format!("{slot}/direction"), "Unsqueeze", inputs, Vec::new()));
                } else {
                    biases.push(gates);
                }
            }
            let slot = direction.slots[2];
            let bias = writer.step(&format!("{slot}/joined"), "Concat", biases, vec![int("axis", 0)]);
            let inputs = vec![bias, axis.clone()];
            joined[2].push(writer.step(&format!("{slot}/direction"), "Unsqueeze", inputs, Vec::new()));
        }
        let names = ["W", "R", "B"];
        let tensors = names
            .iter()
            .zip(joined)
            .map(|(name, parts)| writer.step(&format!("{layer}/{name}"), "Concat", parts, vec![int("axis", 0)]));
        let inputs = std::iter::once(x).chain(tensors.collect::<Vec<_>>()).collect();
        let direction = if self.bidirectional { "bidirectional" } else { "forward" };
        let mut attributes = vec![int("hidden_size", hidden as i64), text("direction", direction)];
        let op_type = match self.cell {
            Cell::Lstm => "LSTM",
            Cell::Gru => {
                // As PyTorch: the reset gate scales the product, not the state.
                attributes.push(int("linear_before_reset", 1));
                "GRU"
            }
        };
        writer.step(&format!("{layer}/outputs"), op_type, inputs, attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::global_avg_pool::GlobalAvgPool;
    use crate::{Builder, ClipShape};

    fn recurrent(cell: Cell, num_layers: usize, bidirectional: bool) -> Recurrent {
        Recurrent { cell, hidden_size: 5, num_layers, bidirectional }
    }

    fn build(op: Recurrent) -> Result<(Vec<String>, Vec<usize>), crate::GraphError> {
        let mut g = Builder::new("test", ClipShape { channels: 3, frames: 4, height: 2, width: 2 })?;
        let x = g.node("frames", g.input(), crate::ops::frames_to_batch::FramesToBatch)?;
        let x = g.node("avgpool", x, GlobalAvgPool)?;
        let x = g.node("rnn", x, op)?;
        let dims = g.shape(x)?.dims.clone();
        let graph = g.finish(x, x)?;
        Ok((graph.params.iter().map(|param| format!("{} {:?}", param.name, param.shape)).collect(), dims))
    }

    #[test]
    fn tensors_are_those_of_pytorch() {
        let (params, dims) = build(recurrent(Cell::Lstm, 1, false)).expect("fits");
        let expect = ["weight_ih_l0 [20, 3]", "weight_hh_l0 [20, 5]", "bias_ih_l0 [20]", "bias_hh_l0 [20]"];
        assert_eq!(params, expect.map(|param| format!("rnn.{param}")));
        assert_eq!(dims, [5]);
        let (params, dims) = build(recurrent(Cell::Gru, 2, true)).expect("fits");
        assert_eq!((params.len(), dims), (16, vec![10]));
        assert!(params.contains(&"rnn.weight_ih_l1_reverse [15, 10]".to_owned()), "{params:?}");
    }

    #[test]
    fn more_than_four_layers_are_an_error() {
        assert!(build(recurrent(Cell::Gru, 5, false)).is_err());
        assert!(build(recurrent(Cell::Gru, 0, false)).is_err());
    }
}
