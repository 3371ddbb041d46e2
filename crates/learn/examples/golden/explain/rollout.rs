//! Compares attention rollout.

use super::figures::Compared;
use super::{Case, setting};
use crate::formula::Draws;
use pipe_learn::{HeadFusion, attention_with_residual, relevance_of_tokens, rollout};
use std::error::Error;
use tch::{Device, Kind, Tensor};

const SETTINGS: [&str; 3] = ["attention", "fuse", "cls_token"];

pub(super) fn measure(case: &Case) -> Result<Compared, Box<dyn Error>> {
    let text: String = setting(case, "attention")?;
    let attention = attention(&text).ok_or_else(|| format!("`{text}` is not a formula of attentions"))?;
    let fusion = match setting::<String>(case, "fuse")?.as_str() {
        "mean" => HeadFusion::Mean,
        "max" => HeadFusion::Max,
        "min" => HeadFusion::Min,
        other => return Err(format!("`fuse` is `{other}`; known are mean, max and min").into()),
    };
    let class_token: bool = setting(case, "cls_token")?;
    let layers = attention.f_unbind(0)?;
    let layers = layers.iter().map(|layer| attention_with_residual(layer, fusion)).collect::<Result<Vec<_>, _>>()?;
    let tokens = attention.size()[3];
    let matrix = rollout(&Tensor::f_eye(tokens, (Kind::Double, Device::Cpu))?, &layers)?;
    Compared::figures(case, &SETTINGS, |name| {
        Ok(match name {
            "rollout" => Some(matrix.shallow_clone()),
            "relevance" => Some(relevance_of_tokens(&matrix, class_token)?),
            _ => None,
        })
    })
}

/// Computes `softmax over the last axis of FACTOR*v(NAME) [L layers, H heads, N, N]`; the factor may be absent.
fn attention(text: &str) -> Option<Tensor> {
    let rest = text.strip_prefix("softmax over the last axis of ")?;
    let (product, shape) = rest.split_once(" [")?;
    let (factor, name) = product.split_once('*').unwrap_or(("1", product));
    let factor: f64 = factor.trim().parse().ok()?;
    let name = name.trim().strip_prefix("v(")?.strip_suffix(')')?;
    let axes: Vec<&str> = shape.strip_suffix(']')?.split(',').map(str::trim).collect();
    let [layers, heads, queries, keys] = axes.as_slice() else { return None };
    let layers = layers.strip_suffix(" layers").or_else(|| layers.strip_suffix(" layer"))?;
    let heads = heads.strip_suffix(" heads").or_else(|| heads.strip_suffix(" head"))?;
    let sizes = [layers, heads, queries, keys].map(|size| size.parse::<i64>().ok().filter(|size| *size > 0));
    let size: Vec<i64> = sizes.into_iter().collect::<Option<_>>()?;
    let values = size.iter().try_fold(1_i64, |values, size| values.checked_mul(*size))?;
    if size[2] != size[3] || values > MAX_VALUES {
        return None;
    }
    let draws = Draws::new(name);
    let values: Vec<f64> = (0..values as usize).map(|index| factor * draws.signed(index)).collect();
    Some(Tensor::from_slice(&values).view(size.as_slice()).softmax(-1, Kind::Double))
}

/// Maximum number of values: 2 GiB.
const MAX_VALUES: i64 = 1 << 28;
