//! MMAction2's `TSMOptimWrapperConstructor`.

use super::{ParamGroup, ParamGroupsError};
use crate::trained_tensor::{Layer, TrainedTensor};
use pipe_schemas::stages::train::{Constructor, CustomKey, ParamwiseCfg};

/// Weights have the optimiser's settings. Biases have twice the learning rate, and normalisations the same; neither has weight decay. With
/// `fc_lr5`, the last layer with a weight has 5 times the learning rate, and its bias 10 times.
pub(super) fn groups(
    cfg: &ParamwiseCfg,
    base: ParamGroup,
    tensors: &[TrainedTensor],
) -> Result<Vec<ParamGroup>, ParamGroupsError> {
    let group = |tensor: &TrainedTensor| {
        let (lr_mult, decay_mult) = match (tensor.layer, tensor.is_bias()) {
            (Layer::Norm, _) => (1.0, 0.0),
            (Layer::Conv | Layer::Linear, true) => (2.0, 0.0),
            (Layer::Conv | Layer::Linear, false) => (1.0, 1.0),
            (Layer::Other, _) => {
                let constructor = Constructor::TSMOptimWrapperConstructor.name();
                return Err(ParamGroupsError::NoRule { constructor, tensor: tensor.name.clone() });
            }
        };
        Ok(base.times(CustomKey { lr_mult, decay_mult }))
    };
    let mut groups = tensors.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    if cfg.fc_lr5 == Some(true) {
        for (is_bias, lr_mult) in [(false, 5.0), (true, 10.0)] {
            let fits = |tensor: &TrainedTensor| tensor.layer != Layer::Norm && tensor.is_bias() == is_bias;
            if let Some(last) = tensors.iter().rposition(fits) {
                groups[last].lr = base.lr * lr_mult;
            }
        }
    }
    Ok(groups)
}
