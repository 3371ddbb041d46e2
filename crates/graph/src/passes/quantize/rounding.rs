//! [`Quantization`]: the scales, and values rounded with them.

use super::QuantizePlan;
use crate::NodeId;
use std::collections::BTreeMap;

/// A quantised graph: its plan with a scale for each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// What is quantised.
    pub plan: QuantizePlan,
    /// Whether activations are signed, with a zero point of 0. They are unsigned otherwise.
    pub symmetric: bool,
    /// Whether weights have 7 bits, as processors need whose 8-bit products overflow (AVX2 and AVX-512 without VNNI).
    pub reduce_range: bool,
    /// The scale of each value of the plan.
    scales: BTreeMap<NodeId, ValueScale>,
}

/// How a value becomes an integer: `round(x / scale) + zero_point`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueScale {
    /// The step between two integers; above 0.
    pub scale: f32,
    /// The integer of 0.
    pub zero_point: i32,
}

/// A rounded weight.
pub(crate) struct QuantizedWeight {
    /// In the order of the weight.
    pub(crate) values: Vec<i8>,
    /// For each row of its first axis.
    pub(crate) scales: Vec<f32>,
}

/// The smallest scale: a value that is always 0 has it.
const MIN_SCALE: f64 = 1e-12;

impl Quantization {
    /// Computes scales from the range of each measured value. A value without a range has [`MIN_SCALE`].
    pub fn new(plan: QuantizePlan, ranges: &BTreeMap<NodeId, (f64, f64)>, symmetric: bool, reduce_range: bool) -> Self {
        let scale = |id: &NodeId| {
            let measured = plan.same_scale.get(id).unwrap_or(id);
            (*id, ValueScale::new(ranges.get(measured).copied().unwrap_or_default(), symmetric))
        };
        let scales = plan.values.iter().map(scale).collect();
        Self { plan, symmetric, reduce_range, scales }
    }

    /// Returns the scale of a node's result; `None` if it is not rounded.
    pub fn scale(&self, id: NodeId) -> Option<ValueScale> {
        self.scales.get(&id).copied()
    }

    /// Returns the largest integer of a weight.
    pub(crate) fn weight_limit(&self) -> i8 {
        if self.reduce_range { 63 } else { 127 }
    }
}

impl ValueScale {
    /// Returns the scale for values from `low` to `high`.
    fn new((low, high): (f64, f64), symmetric: bool) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        if symmetric {
            let scale = (high.max(-low) / 127.0).max(MIN_SCALE);
            return Self { scale: scale as f32, zero_point: 0 };
        }
        let scale = ((high - low) / 255.0).max(MIN_SCALE);
        Self { scale: scale as f32, zero_point: (-low / scale).round().clamp(0.0, 255.0) as i32 }
    }
}

/// Rounds a weight with a scale for each row of its first axis. `biases` and the scale of the input make sure that a bias fits 32 bits.
pub(crate) fn quantize_weight(
    values: &[f32],
    rows: usize,
    biases: Option<&[f32]>,
    input: ValueScale,
    limit: i8,
) -> QuantizedWeight {
    let row_len = (values.len() / rows.max(1)).max(1);
    let (mut rounded, mut scales) = (Vec::with_capacity(values.len()), Vec::with_capacity(rows));
    for (row, values) in values.chunks_exact(row_len).enumerate() {
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
        // A row of zeros has any scale, as long as its bias keeps its precision.
        let bias = biases.and_then(|biases| biases.get(row)).map_or(0.0, |bias| f64::from(bias.abs()));
        let least = bias / (f64::from(input.scale) * f64::from(1_u32 << 30));
        let scale = (largest / f64::from(limit)).max(least).max(MIN_SCALE) as f32;
        let limit = f64::from(limit);
        let round = |value: &f32| (f64::from(*value) / f64::from(scale)).round().clamp(-limit, limit) as i8;
        rounded.extend(values.iter().map(round));
        scales.push(scale);
    }
    QuantizedWeight { values: rounded, scales }
}

/// Rounds a bias to 32 bits with the product of the scales of input and weight, and returns it with these scales.
pub(crate) fn quantize_bias(biases: &[f32], input: ValueScale, weight: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let scales: Vec<f32> = weight.iter().map(|scale| scale * input.scale).collect();
    let round = |(bias, scale): (&f32, &f32)| (f64::from(*bias) / f64::from(*scale)).round() as i32;
    (biases.iter().zip(&scales).map(round).collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_cover_the_range_and_represent_zero() {
        let check = |range, symmetric, scale: f32, zero_point| {
            assert_eq!(ValueScale::new(range, symmetric), ValueScale { scale, zero_point }, "{range:?}");
        };
        check((0.0, 25.5), false, 0.1, 0);
        check((-10.2, 15.3), false, 0.1, 102);
        check((5.0, 25.5), false, 0.1, 0);
        check((-25.5, 0.0), false, 0.1, 255);
        check((-12.7, 3.0), true, 0.1, 0);
        check((0.0, 0.0), false, 1e-12, 0);
    }

    #[test]
    fn each_filter_has_its_scale() {
        let input = ValueScale { scale: 0.5, zero_point: 3 };
        let weight = quantize_weight(&[1.27, -0.01, 0.5, -2.54, 0.0, 0.0], 3, None, input, 127);
        assert_eq!(weight.values, [127, -1, 25, -127, 0, 0]);
        assert_eq!(weight.scales, [0.01, 0.02, 1e-12]);
        let weight = quantize_weight(&[1.26, -0.02], 1, None, input, 63);
        assert_eq!((weight.values, weight.scales), (vec![63, -1], vec![0.02]));
    }

    #[test]
    fn a_bias_fits_32_bits_even_where_all_weights_are_zero() {
        let input = ValueScale { scale: 0.1, zero_point: 0 };
        let biases = [3.0_f32, -7.0];
        let weight = quantize_weight(&[0.0, 1.27], 2, Some(&biases), input, 127);
        let (rounded, scales) = quantize_bias(&biases, input, &weight.scales);
        for ((bias, rounded), scale) in biases.iter().zip(rounded).zip(scales) {
            assert!(
                (f64::from(rounded) * f64::from(scale) - f64::from(*bias)).abs() < 1e-3,
                "{bias} {rounded} {scale}"
            );
        }
    }
}
