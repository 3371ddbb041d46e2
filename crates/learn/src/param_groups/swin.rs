//! MMAction2's `SwinOptimWrapperConstructor`.

use super::{ParamGroup, ParamGroupsError, custom_keys};
use crate::trained_tensor::TrainedTensor;
use pipe_schemas::stages::train::ParamwiseCfg;

/// The multipliers of all keys that the name of a tensor contains are multiplied.
pub(super) fn groups(
    cfg: &ParamwiseCfg,
    base: ParamGroup,
    tensors: &[TrainedTensor],
) -> Result<Vec<ParamGroup>, ParamGroupsError> {
    custom_keys::check(cfg, tensors)?;
    let group = |tensor: &TrainedTensor| {
        let fitting = cfg.custom_keys.iter().filter(|(key, _)| tensor.matches(key));
        fitting.fold(base, |group, (_, key)| group.times(*key))
    };
    Ok(tensors.iter().map(group).collect())
}
