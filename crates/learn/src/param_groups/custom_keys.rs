//! What the constructors that read `custom_keys` have in common.

use super::{ParamGroup, ParamGroupsError};
use crate::similar::similar;
use crate::trained_tensor::TrainedTensor;
use pipe_schemas::stages::train::{CustomKey, ParamwiseCfg};

impl ParamGroup {
    /// Returns the settings multiplied by those of a key.
    pub(super) fn times(self, CustomKey { lr_mult, decay_mult }: CustomKey) -> Self {
        Self { lr: self.lr * lr_mult, weight_decay: self.weight_decay * decay_mult }
    }
}

/// Checks that each key is in the name of a tensor.
pub(super) fn check(cfg: &ParamwiseCfg, tensors: &[TrainedTensor]) -> Result<(), ParamGroupsError> {
    match cfg.custom_keys.keys().find(|key| !tensors.iter().any(|tensor| tensor.matches(key))) {
        Some(key) => Err(ParamGroupsError::UnknownKey { key: key.clone(), similar: similar(key, tensors) }),
        None => Ok(()),
    }
}
