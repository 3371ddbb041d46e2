//! [`predict_clips`]: runs a network on clips, without gradients.

use crate::{LearnError, Network, Normalisation};
use pipe_clips::{Batch, ClipError, ClipSize};

/// Returns the `K` logits of each clip, in the order of the batches. `after_batch` receives the number of clips done so far, and
/// may stop the prediction with an error of its own.
pub fn predict_clips<E: From<LearnError>>(
    network: &Network,
    normalisation: &Normalisation,
    size: ClipSize,
    batches: impl Iterator<Item = Result<Batch, ClipError>>,
    mut after_batch: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<Vec<f32>>, E> {
    let _no_grad = tch::no_grad_guard();
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch.map_err(LearnError::from)?;
        let logits = network.forward(&normalisation.clips_on(&batch, size, network.device())?, None)?;
        let mut values = vec![0f32; logits.numel()];
        logits.to_device(tch::Device::Cpu).contiguous().copy_data(&mut values, logits.numel());
        all.extend(values.chunks_exact(network.num_classes()).map(<[f32]>::to_vec));
        after_batch(all.len())?;
    }
    Ok(all)
}
