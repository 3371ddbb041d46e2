//! [`Rotary`]: the positions of V-JEPA 2.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The base of the frequencies.
const BASE: f64 = 10_000.0;

/// Marks the features of queries or keys with the position of their token in time, rows and columns, as V-JEPA 2 (Assran et al. 2025)
/// does.
///
/// A head of `d` features has `a = 2 ⌊d / 6⌋` features for each of the three axes, in this order; the last `d - 3a` stay. Feature `k` of
/// an axis at position `p` becomes `x[k] cos(p ω) ∓ x[k ± 1] sin(p ω)` with `ω = 10000^(-j / (a / 2))`, `j = k mod a / 2`. So the two
/// features of a pair, `2i` and `2i + 1`, are mixed by different angles. The authors call it a mistake and keep it, because the weights
/// were trained with it.
///
/// # Shapes
/// - input and result: `[M, L, D]`; tokens in the order of time, rows and columns
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rotary {
    /// The number of heads; a divisor of `D`.
    pub heads: usize,
    /// The rows of tokens of a frame.
    pub rows: usize,
    /// The columns of tokens of a frame.
    pub columns: usize,
}

/// The constants of [`Rotary`]: `y = x cos + x[partner] sin`, for each head.
#[derive(Debug, Clone, PartialEq)]
pub struct RotaryTables {
    /// The feature that each feature of a head is mixed with, `[d]`.
    pub partner: Vec<i64>,
    /// The factors of the features, `[L, d]`.
    pub cos: Vec<f32>,
    /// The factors of the partners, with their sign, `[L, d]`.
    pub sin: Vec<f32>,
}

impl Rotary {
    /// Returns the constants for `tokens` tokens and heads of `width` features.
    pub fn tables(&self, tokens: usize, width: usize) -> RotaryTables {
        let half = width / 6;
        let size = 2 * half;
        let partner = |feature: usize| if feature < 3 * size { feature ^ 1 } else { feature };
        let mut tables =
            RotaryTables { partner: (0..width).map(|k| partner(k) as i64).collect(), cos: Vec::new(), sin: Vec::new() };
        let frequencies: Vec<f64> = (0..half).map(|j| BASE.powf(-(j as f64) / half as f64)).collect();
        for token in 0..tokens {
            let (frame, place) = (token / (self.rows * self.columns), token % (self.rows * self.columns));
            let position = [frame, place / self.columns, place % self.columns];
            for feature in 0..width {
                let angle = position.get(feature / size.max(1)).filter(|_| feature < 3 * size);
                let angle = angle.map_or(0.0, |position| *position as f64 * frequencies[feature % size % half]);
                let sign = if feature % 2 == 0 { -1.0 } else { 1.0 };
                tables.cos.push(angle.cos() as f32);
                tables.sin.push((sign * angle.sin()) as f32);
            }
        }
        tables
    }
}

impl Operation for Rotary {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [_, channels] = *x.dims.as_slice() else { return Err(x.wrong_rank(2)) };
        if self.rows == 0 || self.columns == 0 {
            return Err(ShapeError::Zero { what: "the grid" });
        }
        if self.heads == 0 || !channels.is_multiple_of(self.heads) {
            return Err(ShapeError::Groups { channels, groups: self.heads });
        }
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let x = rule.input(0);
        rule.heads(&x[2], self.heads);
        x
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        self.heads = kept.heads(self.heads);
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Queries and keys of all blocks share their constants.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let [tokens, channels] = *writer.shape().dims.as_slice() else { return };
        let width = channels / self.heads;
        let tables = self.tables(tokens, width);
        let shared = |what: &str| format!("rotary/{tokens}x{}x{}x{width}/{what}", self.rows, self.columns);
        let cos = writer.shared_f32(&shared("cos"), &[tokens, 1, width], &tables.cos);
        let sin = writer.shared_f32(&shared("sin"), &[tokens, 1, width], &tables.sin);
        let partner = writer.shared_i64(&shared("partner"), &tables.partner);
        let heads = writer.constant_i64("heads", &[-1, tokens as i64, self.heads as i64, width as i64]);
        let x = writer.inputs().into_iter().chain([heads]).collect();
        let x = writer.step("by_head", "Reshape", x, Vec::new()); // [M, L, heads, d]
        let other = writer.step("partners", "Gather", vec![x.clone(), partner], vec![int("axis", 3)]);
        let kept = writer.step("kept", "Mul", vec![x, cos], Vec::new());
        let mixed = writer.step("mixed", "Mul", vec![other, sin], Vec::new());
        let sum = writer.step("sum", "Add", vec![kept, mixed], Vec::new());
        writer.reshape_to_result(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::reshape::Reshape;
    use crate::tests::{check_error, check_shape};

    fn rotate(rotary: &Rotary, token: usize, x: &[f32]) -> Vec<f32> {
        let tables = rotary.tables(token + 1, x.len());
        let at = |values: &[f32], feature: usize| values[token * x.len() + feature];
        let value = |k: usize| x[k] * at(&tables.cos, k) + x[tables.partner[k] as usize] * at(&tables.sin, k);
        (0..x.len()).map(value).collect()
    }

    /// The worked value of 6 features at position 2, in each axis.
    #[test]
    fn pairs_are_neighbours_and_frequencies_are_tiled() {
        let expect = [-2.234_741_690, 2.084_086_949, 2.982_736_726, 1.063_304_934, 4.422_280_116, 6.021_488_582];
        let rotary = Rotary { heads: 1, rows: 3, columns: 3 };
        for (axis, token) in [2 * 9, 2 * 3, 2].into_iter().enumerate() {
            let mut x: Vec<f32> = vec![0.0; 20];
            x[axis * 6..][..6].copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            x[18..].copy_from_slice(&[7.0, 8.0]);
            let found = rotate(&rotary, token, &x);
            for (found, expect) in found[axis * 6..][..6].iter().zip(expect) {
                assert!((f64::from(*found) - expect).abs() < 1e-6, "{found} instead of {expect}");
            }
            assert_eq!(found[18..], [7.0, 8.0]);
        }
    }

    #[test]
    fn heads_of_less_than_six_features_stay() {
        let rotary = Rotary { heads: 1, rows: 1, columns: 1 };
        assert_eq!(rotate(&rotary, 3, &[1.0, 2.0, 3.0, 4.0, 5.0]), [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn the_shape_stays() {
        let rotary = |heads, rows| Rotary { heads, rows, columns: 3 };
        let tokens = Reshape { per_sample: 8, dims: vec![36, 12] };
        check_shape(
            |g, x| {
                let x = g.node("tokens", x, tokens.clone())?;
                g.node("r", x, rotary(2, 3))
            },
            8,
            &[36, 12],
        );
        check_error(|g, x| g.node("r", x, rotary(2, 3)), "expected 2 axes after the batch, found [4, 9, 12]");
        for (heads, rows, expect) in [(5, 3, "12 channels can't be split into 5 groups"), (2, 0, "the grid is 0")] {
            let node = |g: &mut crate::Builder, x| {
                let x = g.node("tokens", x, tokens.clone())?;
                g.node("r", x, rotary(heads, rows))
            };
            check_error(node, expect);
        }
    }
}
