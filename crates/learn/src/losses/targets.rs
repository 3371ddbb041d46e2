//! [`Labels`] of a batch, and [`Targets`]: labels after smoothing.

use pipe_clips::Batch;
use tch::{Device, Kind, TchError, Tensor};

/// The labels of the clips of a batch.
#[derive(Debug)]
pub enum Labels {
    /// `[N]`: the class of each clip.
    Classes(Tensor),
    /// `[N, K]`: the share of each class in each clip, for clips with several labels and for batches with blended clips.
    Shares(Tensor),
}

impl Labels {
    /// Returns the labels of a batch. Unless clips of its step `are_blended` with others, each has one class.
    pub(crate) fn of(batch: &Batch, are_blended: bool, num_classes: usize, device: Device) -> Result<Self, TchError> {
        let (clips, classes) = (batch.num_clips as i64, num_classes as i64);
        if !batch.targets.is_empty() {
            let shares = Tensor::f_from_slice(&batch.targets)?.f_view([clips, classes])?;
            return Ok(Self::Shares(shares.f_to_device(device)?));
        }
        let labels = Tensor::f_from_slice(&batch.class_indices)?;
        if !are_blended {
            return Ok(Self::Classes(labels.f_to_device(device)?));
        }
        let one_hot = |labels: &Tensor| labels.f_one_hot(classes)?.f_to_kind(Kind::Float);
        let others = one_hot(&Tensor::f_from_slice(&batch.mix_class_indices)?)?;
        let shares = Tensor::f_from_slice(&batch.mix_shares)?.f_unsqueeze(1)?;
        Ok(Self::Shares(one_hot(&labels)?.f_lerp_tensor(&others, &shares)?.f_to_device(device)?))
    }
}

/// What a loss compares logits with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets<'a> {
    /// The labels before smoothing.
    pub(super) labels: &'a Labels,
    /// The share of each label that is spread evenly over all classes.
    pub(super) label_smooth_eps: f64,
}

impl Targets<'_> {
    /// Returns the share of each class after smoothing, with the shape and kind of `logits`: `(1 - eps) * label + eps / K`, as in
    /// MMAction2, also for several labels.
    pub(super) fn smoothed(&self, logits: &Tensor) -> Result<Tensor, TchError> {
        let classes = *logits.size().last().unwrap_or(&1);
        let shares = match self.labels {
            Labels::Classes(labels) => labels.f_one_hot(classes)?,
            Labels::Shares(shares) => shares.shallow_clone(),
        };
        let shares = shares.f_to_kind(logits.kind())?.f_view_as(logits)?;
        let eps = self.label_smooth_eps;
        if eps > 0.0 { shares.f_mul_scalar(1.0 - eps)?.f_add_scalar(eps / classes as f64) } else { Ok(shares) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(labels: &Labels) -> Vec<f32> {
        let targets = Targets { labels, label_smooth_eps: 0.0 };
        let logits = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        Vec::<f32>::try_from(targets.smoothed(&logits).expect("shares").view(-1)).expect("values")
    }

    #[test]
    fn labels_of_blended_clips_are_shared() {
        let plain = Batch { class_indices: vec![0, 2], num_clips: 2, ..Batch::default() };
        let plain = Batch { mix_class_indices: vec![0, 2], mix_shares: vec![0.0, 0.0], ..plain };
        let labels = |batch: &Batch| Labels::of(batch, batch.has_blended_clips(), 3, Device::Cpu).expect("labels");
        assert!(matches!(labels(&plain), Labels::Classes(_)));
        assert_eq!(shares(&labels(&plain)), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        // Clips of the same step in another process are blended.
        let shared = Labels::of(&plain, true, 3, Device::Cpu).expect("labels");
        assert!(matches!(shared, Labels::Shares(_)));
        assert_eq!(shares(&shared), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let blended = Batch { mix_class_indices: vec![1, 2], mix_shares: vec![0.25, 0.0], ..plain.clone() };
        assert_eq!(shares(&labels(&blended)), [0.75, 0.25, 0.0, 0.0, 0.0, 1.0]);
        // A clip that is blended with one of its own class keeps its label.
        let same = Batch { mix_class_indices: vec![0, 2], mix_shares: vec![0.25, 0.0], ..plain };
        assert_eq!(shares(&labels(&same)), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
