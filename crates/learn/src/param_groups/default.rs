//! MMEngine's `DefaultOptimWrapperConstructor`.

use super::{ParamGroup, ParamGroupsError, custom_keys};
use crate::trained_tensor::{Layer, TrainedTensor};
use pipe_schemas::stages::train::{CustomKey, ParamwiseCfg};
use std::cmp::Reverse;

pub(super) fn groups(
    cfg: &ParamwiseCfg,
    base: ParamGroup,
    tensors: &[TrainedTensor],
) -> Result<Vec<ParamGroup>, ParamGroupsError> {
    custom_keys::check(cfg, tensors)?;
    let mut keys: Vec<(&str, CustomKey)> = cfg.custom_keys.iter().map(|(key, mult)| (key.as_str(), *mult)).collect();
    // The map is in alphabetical order, which the sort keeps among keys of the same length. Lengths count characters, as Python does.
    keys.sort_by_key(|(key, _)| Reverse(key.chars().count()));
    let group = |tensor: &TrainedTensor| match keys.iter().find(|(key, _)| tensor.matches(key)) {
        Some((_, key)) => base.times(*key),
        None => base.times(multipliers(cfg, tensor, tensors)),
    };
    Ok(tensors.iter().map(group).collect())
}

/// Returns the multipliers of a tensor that no key fits.
fn multipliers(cfg: &ParamwiseCfg, tensor: &TrainedTensor, all: &[TrainedTensor]) -> CustomKey {
    let is_norm = tensor.layer == Layer::Norm;
    let is_bias = tensor.is_bias();
    let lr_mult = cfg.bias_lr_mult.filter(|_| is_bias && !is_norm);
    // The first rule that is given and fits decides.
    let rules = [
        (cfg.norm_decay_mult, is_norm),
        (cfg.bias_decay_mult, is_bias),
        (cfg.dwconv_decay_mult, tensor.is_depthwise_2d(all)),
        (cfg.flat_decay_mult, tensor.shape.len() == 1),
    ];
    let decay_mult = rules.into_iter().find_map(|(mult, fits)| mult.filter(|_| fits));
    CustomKey { lr_mult: lr_mult.unwrap_or(1.0), decay_mult: decay_mult.unwrap_or(1.0) }
}
