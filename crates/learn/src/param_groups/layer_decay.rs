//! MMAction2's `LearningRateDecayOptimizerConstructor`: layer decay, for `VisionTransformer` and `MViT`.

use super::{ParamGroup, ParamGroupsError};
use crate::trained_tensor::TrainedTensor;
use pipe_schemas::stages::train::{Constructor, ParamwiseCfg};

/// Names of what comes before the first block: MMAction2's, and torchvision's of an `MViT` that MMAction2 does not have.
const STEMS: [&str; 6] = ["cls_token", "mask_token", "pos_embed", "patch_embed.", "conv_proj.", "pos_encoding."];

/// The learning rate is multiplied by `decay_rate` for each layer between the tensor and the classifier, which is the layer after
/// the last block, as is all that follows the blocks. Tensors with one axis, and biases, have no weight decay.
pub(super) fn groups(
    cfg: &ParamwiseCfg,
    base: ParamGroup,
    tensors: &[TrainedTensor],
) -> Result<Vec<ParamGroup>, ParamGroupsError> {
    let num_blocks = tensors.iter().filter_map(block).max().map(|last| last + 1);
    let Some(num_blocks) = num_blocks else {
        return Err(ParamGroupsError::NoBlocks {
            constructor: Constructor::LearningRateDecayOptimizerConstructor.name(),
        });
    };
    let num_layers = cfg.num_layers.map_or(num_blocks, i64::from);
    let decay_rate = cfg.decay_rate.unwrap_or(1.0);
    let group = |tensor: &TrainedTensor| {
        let layer = if is_stem(tensor) { 0 } else { block(tensor).map_or(num_layers + 1, |block| block + 1) };
        let has_decay = tensor.shape.len() != 1 && !tensor.is_bias();
        ParamGroup {
            lr: decay_rate.powf((num_layers - layer + 1) as f64) * base.lr,
            weight_decay: if has_decay { base.weight_decay } else { 0.0 },
        }
    };
    Ok(tensors.iter().map(group).collect())
}

/// Returns the name within the backbone.
fn name(tensor: &TrainedTensor) -> &str {
    let name = tensor.mmaction2_name();
    name.strip_prefix("backbone.").unwrap_or(name)
}

fn is_stem(tensor: &TrainedTensor) -> bool {
    STEMS.iter().any(|stem| name(tensor) == *stem || (stem.ends_with('.') && name(tensor).starts_with(stem)))
}

/// Returns the number of the block, from 0.
fn block(tensor: &TrainedTensor) -> Option<i64> {
    let (number, _) = name(tensor).strip_prefix("blocks.")?.split_once('.')?;
    number.parse::<u32>().ok().map(i64::from)
}
