//! [`rollout`]: how much of each token reaches the result, through the attentions and residual connections of all layers (Abnar and
//! Zuidema 2020, "Quantifying Attention Flow in Transformers").

use tch::{Kind, TchError, Tensor};

/// How the heads of an attention become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFusion {
    /// Their mean, as in the paper.
    Mean,
    /// The largest of each pair of tokens.
    Max,
    /// The smallest of each pair of tokens.
    Min,
}

/// Returns the flow through one layer: its attention, with heads fused, and the residual connection, a unit matrix. Each row is divided
/// by its sum.
///
/// # Shapes
/// - `attention`: `[…, heads, L, L]`; each row sums to 1
/// - returns: `[…, L, L]`
pub fn attention_with_residual(attention: &Tensor, fusion: HeadFusion) -> Result<Tensor, TchError> {
    let fused = fuse_heads(attention, fusion)?;
    let tokens = fused.size().last().copied().unwrap_or(0);
    let sum = fused.f_add(&Tensor::f_eye(tokens, (fused.kind(), fused.device()))?)?;
    divide_by_row_sums(&sum)
}

/// Returns `[…, L, K]` of `[…, heads, L, K]`.
pub(super) fn fuse_heads(attention: &Tensor, fusion: HeadFusion) -> Result<Tensor, TchError> {
    match fusion {
        HeadFusion::Mean => attention.f_mean_dim([-3].as_slice(), false, None::<Kind>),
        HeadFusion::Max => attention.f_amax([-3].as_slice(), false),
        HeadFusion::Min => attention.f_amin([-3].as_slice(), false),
    }
}

/// Divides each row by its sum; the heads' largest or smallest values do not sum to 1.
pub(super) fn divide_by_row_sums(matrix: &Tensor) -> Result<Tensor, TchError> {
    matrix.f_div(&matrix.f_sum_dim_intlist([-1].as_slice(), true, None::<Kind>)?)
}

/// Follows `result` back through all layers: the product of it and of their matrices, the last layer's first. With the unit matrix as
/// `result`, it is the rollout of the paper, whose rows are those of the last layer's tokens.
///
/// # Shapes
/// - `result`: `[R, L]`, how much of each of the last layer's tokens counts
/// - `layers`: `[L, L]` each, from the first to the last
/// - returns: `[R, L]`, how much of each of the first layer's tokens counts
pub fn rollout(result: &Tensor, layers: &[Tensor]) -> Result<Tensor, TchError> {
    layers.iter().rev().try_fold(result.shallow_clone(), |rows, layer| rows.f_matmul(layer))
}

/// Returns how much of each token other than the class token counts for the result: the row of the class token, or the mean of all rows
/// if there is none.
///
/// # Shapes
/// - `rollout`: `[L, L]`
/// - returns: `[L - 1]` with a class token, which is the first token; else `[L]`
pub fn relevance_of_tokens(rollout: &Tensor, class_token: bool) -> Result<Tensor, TchError> {
    if class_token {
        let tokens = rollout.size().last().copied().unwrap_or(0);
        rollout.f_select(0, 0)?.f_narrow(0, 1, tokens - 1)
    } else {
        rollout.f_mean_dim([0].as_slice(), false, None::<Kind>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.contiguous().view(-1)).expect("values")
    }

    fn layer(values: [f64; 8], fusion: HeadFusion) -> Tensor {
        attention_with_residual(&Tensor::from_slice(&values).view([2, 2, 2]), fusion).expect("a layer")
    }

    #[test]
    fn heads_are_fused_and_rows_sum_to_one() {
        let heads = [0.5, 0.5, 0.25, 0.75, 1.0, 0.0, 0.75, 0.25];
        assert_eq!(values(&layer(heads, HeadFusion::Mean)), [0.875, 0.125, 0.25, 0.75]);
        assert_eq!(values(&layer(heads, HeadFusion::Max)), [0.8, 0.2, 0.3, 0.7]);
        assert_eq!(values(&layer(heads, HeadFusion::Min)), [1.0, 0.0, 1.0 / 6.0, 5.0 / 6.0]);
    }

    #[test]
    fn the_last_layer_is_the_left_factor() {
        let first = Tensor::from_slice(&[1.0, 0.0, 0.5, 0.5]).view([2, 2]);
        let last = Tensor::from_slice(&[0.0, 1.0, 1.0, 0.0]).view([2, 2]);
        let unit = Tensor::eye(2, (Kind::Double, tch::Device::Cpu));
        let layers = [first, last];
        assert_eq!(values(&rollout(&unit, &layers).expect("rollout")), [0.5, 0.5, 1.0, 0.0]);
        let second_token = Tensor::from_slice(&[0.0, 1.0]).view([1, 2]);
        assert_eq!(values(&rollout(&second_token, &layers).expect("rollout")), [1.0, 0.0]);
        let matrix = rollout(&unit, &layers).expect("rollout");
        assert_eq!(values(&relevance_of_tokens(&matrix, true).expect("relevance")), [0.5]);
        assert_eq!(values(&relevance_of_tokens(&matrix, false).expect("relevance")), [0.75, 0.25]);
    }
}
