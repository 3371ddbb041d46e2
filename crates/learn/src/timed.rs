//! [`TimedNetwork`]: a network and clips to run it on, for measurements of time and memory.

use crate::error::At;
use crate::{LearnError, Network, TrainedModel};
use pipe_clips::ClipSize;
use std::path::Path;
use tch::Tensor;

/// A trained network, prepared for inference, with clips of noise.
#[derive(Debug)]
pub struct TimedNetwork {
    network: Network,
    clips: Tensor,
}

impl TimedNetwork {
    /// Opens a model folder. The clips have channels last in memory, as those of videos have.
    ///
    /// # Errors
    /// Those of [`TrainedModel::open`].
    pub fn open(dir: &Path, size: ClipSize, num_clips: usize) -> Result<Self, LearnError> {
        let network = TrainedModel::open(dir)?.network.for_inference()?;
        let shape = [num_clips, size.frames, size.height, size.width, 3].map(|size| size as i64);
        let values = noise(shape.iter().product::<i64>() as usize);
        let clips = Tensor::from_slice(&values).f_view(shape).and_then(|clips| clips.f_permute([0, 4, 1, 2, 3]));
        Ok(Self { network, clips: clips.at("the clips")? })
    }

    /// Runs the network once.
    ///
    /// # Errors
    /// [`LearnError::Torch`] if libtorch fails, for example because there is not enough memory.
    pub fn run(&self) -> Result<(), LearnError> {
        let _no_grad = tch::no_grad_guard();
        self.network.forward(&self.clips, None).map(drop)
    }
}

/// Returns values between -2 and 2, as normalised pixels have, that are always the same.
pub fn noise(len: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 4.0 - 2.0) as f32
    };
    (0..len).map(|_| next()).collect()
}
