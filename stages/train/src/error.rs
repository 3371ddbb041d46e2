//! [`TrainError`]: why training cannot start.

use pipe_learn::{DeviceError, GroupError, LearnError, MemoryOfClips};
use pipe_models::LoadError;
use pipe_schemas::Rule;
use pipe_schemas::tables::{Labelling, MissingCounts};
use pipe_stage::{StageError, size_text};
use std::path::PathBuf;

/// Why training cannot start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum TrainError {
    /// More epochs are asked for than were drawn.
    #[error("`train_cfg.max_epochs` is {max_epochs}, but only {drawn} epochs of samples were drawn")]
    Epochs {
        /// The value of `max_epochs`.
        max_epochs: u32,
        drawn: u32,
    },
    /// More steps are asked for than were drawn.
    #[error(
        "`train_cfg.max_iters` is {max_iters}, but the {drawn} epochs of samples that were drawn have {num_steps} steps"
    )]
    Iters {
        /// The value of `max_iters`.
        max_iters: u32,
        /// Number of epochs in the samples.
        drawn: u32,
        /// Number of steps of these epochs.
        num_steps: usize,
    },
    /// The training list is empty, or nothing of it has samples.
    #[error("there are no training samples: {}", missing.why_no_samples("training"))]
    NoSamples {
        /// Why the videos of the training list have no samples.
        missing: MissingCounts,
    },
    /// Batch normalisation has a single value per channel.
    #[error(
        "batch normalisation needs more than one value per channel, but `{layer}` has one: {}, and a clip of {frames}x\
         {height_px}x{width_px} (frames, height, width) becomes a single value there",
        one_clip(*batch_size, *epoch)
    )]
    BatchNorm {
        /// The value of `train_dataloader.batch_size`.
        batch_size: usize,
        /// The epoch with the smallest batch, counted from 0.
        epoch: u32,
        layer: String,
        /// `T` of a clip.
        frames: u32,
        /// `W` of a clip.
        width_px: u32,
        /// `H` of a clip.
        height_px: u32,
    },
    /// An epoch has no clips.
    #[error("epoch {} has no samples", epoch + 1)]
    EmptyEpoch {
        /// Counted from 0.
        epoch: u32,
    },
    /// The classes are not numbered from 0 without gaps.
    #[error("row {place} of classes.parquet has the class index {class_index}")]
    Classes {
        class_index: u32,
        /// The number of the row, counted from 0.
        place: usize,
    },
    /// A network that shifts between frames gets a different number of frames in the test.
    #[error("{network} shifts between {train_frames} frames in training, but test clips have {test_frames}")]
    ShiftedFrames {
        network: String,
        /// `T` of a training clip.
        train_frames: u32,
        /// `T` of a test clip.
        test_frames: u32,
    },
    /// The loss is not defined for the labels.
    #[error("the loss `model.cls_head.loss_cls` is not defined for {}", labels(*labelling))]
    LossLabelling { labelling: Labelling },
    /// A parameter of the loss has another number of values than there are classes.
    #[error("`model.cls_head.loss_cls.{parameter}` has {count} values, but there are {num_classes} classes")]
    ValuesPerClass { parameter: &'static str, count: usize, num_classes: usize },
    /// A monitored metric does not exist.
    #[error("`{metric}` is not a metric of the validation; expected one of {known}")]
    UnknownMetric {
        /// The value of `monitor`.
        metric: String,
        /// The metrics for the labelling of the samples.
        known: String,
    },
    /// A monitored metric is better where the parameters take it for worse.
    #[error("`{param}: {metric}` needs `rule: {}`", rule_name(*rule))]
    OppositeRule {
        /// `monitor` or `save_best`.
        param: &'static str,
        /// Its value.
        metric: String,
        /// The rule that fits the metric.
        rule: Rule,
    },
    /// A metric is monitored, but there is no validation.
    #[error(
        "`{param}: {metric}` needs a validation, but `val_interval` is 0, `val_begin` is after the last epoch or there are no test \
         samples"
    )]
    NoValidation {
        /// `monitor` or `save_best`.
        param: &'static str,
        /// Its value.
        metric: String,
    },
    /// A schedule does not fit the number of epochs or steps.
    #[error("`{field}`: {message}")]
    Schedule {
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The schedules give a learning rate that is not possible.
    #[error("the schedules give the learning rate {rate} for step {} of epoch {}", step + 1, epoch + 1)]
    Rate {
        /// Counted from 0.
        epoch: u32,
        /// Counted from 0 in the epoch.
        step: usize,
        rate: f64,
    },
    /// No epoch is the best.
    #[error("no validation has a value of `{metric}`, so that no epoch is the best")]
    NoBest {
        /// The value of `save_best`.
        metric: String,
    },
    /// There is no learning rate.
    #[error("`optim_wrapper.optimizer.lr` is `auto`, but the input `lr` is not connected")]
    NoRate,
    /// There are two learning rates.
    #[error("the input `lr` is connected, but `optim_wrapper.optimizer.lr` is {lr}")]
    TwoRates {
        /// The value of the parameter.
        lr: f64,
    },
    /// The input `lr` has a rate that is not possible.
    #[error("{} has the learning rate {lr}", path.display())]
    FoundRate { path: PathBuf, lr: f64 },
    /// The loss falls at no learning rate.
    #[error("the loss falls at none of the learning rates of {num_steps} steps")]
    NoDescent {
        /// Number of steps that were made.
        num_steps: usize,
    },
    /// Another process has ended or failed.
    #[error("process {rank} of the training failed: {how}")]
    ProcessEnded {
        /// Counted from 0.
        rank: u32,
        how: String,
    },
    /// The processes that are started elsewhere are not as many as the parameters say.
    #[error("`WORLD_SIZE` is {world_size}, but `num_processes` is {num_processes}")]
    WorldSize { world_size: u32, num_processes: u32 },
    /// `pipe` was run by another process than the first.
    #[error("this process has `RANK` {rank}, but `pipe` is run by the first process")]
    NotFirst { rank: u32 },
    /// The requested parts are not consecutive epochs.
    #[error("epoch `{part}` does not follow the epoch before it")]
    NotNext {
        /// The first part that is out of order.
        part: String,
    },
    /// There are two files to start from.
    #[error("both {one} and {other} name weights to start from")]
    TwoStarts {
        /// The parameter or input.
        one: &'static str,
        other: &'static str,
    },
    /// The model to start from is another network.
    #[error("the input `model` is the network {expected}, but `model.backbone` is {found}")]
    OtherNetwork {
        /// Its parameters, as JSON.
        expected: String,
        found: String,
    },
    /// The model to start from was trained with other constants.
    #[error("the input `model` was trained with another `model.data_preprocessor`")]
    OtherNormalisation,
    /// The model to start from has other classes.
    #[error("the input `model` has other classes than the samples: {expected} there, {found} here, or other names")]
    OtherClasses {
        /// The number of classes of the model.
        expected: usize,
        /// The number of classes of the samples.
        found: usize,
    },
    /// Options of `load_from` without a file.
    #[error("`load_from` has options, but no file is named")]
    NoStart,
    /// The loss or a gradient became NaN or infinite.
    #[error("the {what} is not finite in epoch {}, step {}, with the clips of {clips}; {shown}", epoch + 1, step + 1)]
    Diverged {
        /// `loss` or `gradient`.
        what: &'static str,
        /// Counted from 0.
        epoch: u32,
        /// Counted from 0.
        step: usize,
        /// The videos of the batch.
        clips: String,
        /// Where they are shown.
        shown: String,
    },
    /// The weights to start from are those of another network.
    #[error("can't start from {}: {error}", path.display())]
    OtherWeights { path: PathBuf, error: Box<LoadError> },
}

/// Says why a batch has one clip.
fn one_clip(batch_size: usize, epoch: u32) -> String {
    if batch_size == 1 {
        "`train_dataloader.batch_size` is 1".to_owned()
    } else {
        format!(
            "epoch {} has a single clip, so that its batch has one, whatever `train_dataloader.batch_size` is",
            epoch + 1
        )
    }
}

fn labels(labelling: Labelling) -> &'static str {
    match labelling {
        Labelling::SingleLabel => "videos with one label",
        Labelling::MultiLabel => "videos with several labels",
    }
}

fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Greater => "greater",
        Rule::Less => "less",
    }
}

/// Why an epoch ended before its last step.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Training failed.
    Learn(LearnError),
    /// The request was cancelled.
    Stage(StageError),
}

impl From<LearnError> for Stopped {
    fn from(error: LearnError) -> Self {
        Self::Learn(error)
    }
}

impl Stopped {
    pub(crate) fn into_stage_error(self) -> StageError {
        match self {
            Self::Learn(error) => {
                let help = help(&error);
                StageError::from(error).with_optional_help(help)
            }
            Self::Stage(error) => error,
        }
    }

    pub(crate) fn from_group(error: GroupError) -> StageError {
        Self::Learn(LearnError::Group(error)).into_stage_error()
    }

    /// Returns what to do about it.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Learn(error) => help(error),
            Self::Stage(_) => None,
        }
    }
}

/// What to do if training made values that are not finite.
pub(crate) const LOWER_RATE: &str =
    "lower `optim_wrapper.optimizer.lr`, warm up with `LinearLR`, or set `optim_wrapper.clip_grad.max_norm`";

/// Returns what to do about an error in training.
fn help(error: &LearnError) -> Option<&'static str> {
    if let LearnError::Diverged { epoch: 0, step: 0, .. } = error {
        // No step was made yet, so that no learning rate has had an effect.
        return Some(
            "this is the first step, so the learning rate is not the cause: check `model.data_preprocessor` and, with \
             `load_from`, whether the weights belong to a network with the same normalisation of pixels",
        );
    }
    if let LearnError::Device(error) = error {
        return Some(device_help(error));
    }
    if matches!(error, LearnError::Diverged { .. } | LearnError::NotFinite { .. }) {
        return Some(LOWER_RATE);
    }
    error
        .is_out_of_memory()
        .then_some("lower `train_dataloader.batch_size`, or make smaller or shorter clips in the `augment` stage")
}

/// Returns what to do about a device that can't be used.
fn device_help(error: &DeviceError) -> &'static str {
    match error {
        DeviceError::NoLibraries { .. } => {
            "install them with `cargo xtask setup --cuda`, set `LIBTORCH_CUDA` to the path of `libtorch_cuda.so`, or set `device: cpu`"
        }
        DeviceError::Load { .. } => {
            "install the libraries again with `cargo xtask setup --cuda`, and check the driver with `nvidia-smi`; or set `device: cpu`"
        }
        DeviceError::NoDevice { .. } => {
            "`nvidia-smi` lists the GPUs, counted from 0; `device: auto` uses what there is"
        }
    }
}

/// Returns which batch size would fit, after a step with `batch_size` clips did not.
pub(crate) fn smaller_batch(memory: &MemoryOfClips, batch_size: usize) -> String {
    let MemoryOfClips { per_clip_bytes, fixed_bytes, available_bytes } = *memory;
    let fits = memory.num_clips().min(batch_size.saturating_sub(1) as u64);
    let text = |bytes: u64| size_text(bytes);
    let figures = format!(
        "a clip takes {} of memory besides {} for the gradients, and {} are available",
        text(per_clip_bytes),
        text(fixed_bytes),
        text(available_bytes)
    );
    if fits == 0 {
        return format!("not even one clip fits: {figures}; make smaller or shorter clips in the `augment` stage");
    }
    format!("set `train_dataloader.batch_size` to {fits} or less: {figures}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: LearnError, expect: Option<&str>) {
        let found = Stopped::Learn(error).into_stage_error();
        match expect {
            Some(expect) => assert!(found.help().is_some_and(|help| help.contains(expect)), "{:?}", found.help()),
            None => assert_eq!(found.help(), None),
        }
    }

    #[test]
    fn help_is_given_where_it_applies() {
        let diverged = |what, epoch, step| LearnError::Diverged { what, epoch, step };
        check(diverged("loss", 0, 0), Some("the learning rate is not the cause"));
        check(diverged("gradient", 0, 0), Some("the learning rate is not the cause"));
        check(diverged("loss", 0, 1), Some("lower `optim_wrapper.optimizer.lr`"));
        check(diverged("gradient", 1, 0), Some("lower `optim_wrapper.optimizer.lr`"));
        check(LearnError::NotFinite { name: "fc.bias".into() }, Some("lower `optim_wrapper.optimizer.lr`"));
        let torch = |message: &str| LearnError::Torch { at: "conv1".into(), message: message.into() };
        check(torch("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), Some("batch_size"));
        check(torch("DefaultCPUAllocator: not enough memory"), Some("batch_size"));
        check(torch("expected 5 dimensions"), None);
        let device = |error: DeviceError| LearnError::Device(error);
        let (index, path) = (9, PathBuf::from("libtorch_cuda.so"));
        check(device(DeviceError::NoLibraries { index, path: path.clone() }), Some("`cargo xtask setup --cuda`"));
        check(device(DeviceError::Load { index, path, message: String::new() }), Some("`cargo xtask setup --cuda`"));
        check(device(DeviceError::NoDevice { index, count: 1 }), Some("`nvidia-smi` lists the GPUs"));
    }

    #[test]
    fn a_batch_size_that_fits_is_named() {
        let memory =
            MemoryOfClips { per_clip_bytes: 50_000_000, fixed_bytes: 100_000_000, available_bytes: 1_000_000_000 };
        let text = smaller_batch(&memory, 32);
        assert!(
            text.starts_with("set `train_dataloader.batch_size` to 16 or less: a clip takes 50.0 MB of memory besides"),
            "{text}"
        );
        assert!(smaller_batch(&memory, 8).starts_with("set `train_dataloader.batch_size` to 7 or less"));
        let none = MemoryOfClips { available_bytes: 100_000_000, ..memory };
        assert!(smaller_batch(&none, 8).starts_with("not even one clip fits"));
    }

    #[test]
    fn a_batch_of_one_clip_is_explained() {
        let text = |batch_size, epoch| {
            let layer = "layer4.0.bn1".into();
            TrainError::BatchNorm { batch_size, epoch, layer, frames: 1, width_px: 48, height_px: 32 }.to_string()
        };
        assert_eq!(
            text(1, 0),
            "batch normalisation needs more than one value per channel, but `layer4.0.bn1` has one: \
             `train_dataloader.batch_size` is 1, and a clip of 1x32x48 (frames, height, width) becomes a single value there"
        );
        assert!(text(8, 2).contains("epoch 3 has a single clip, so that its batch has one"), "{}", text(8, 2));
    }
}
