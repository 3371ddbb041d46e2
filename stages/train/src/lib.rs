//! The stage `train`: fits a network to the training samples. The stage `lr_finder` is also in this crate, see [`LrFinder`]: it starts and trains
//! networks in the same way.
//!
//! | reads | |
//! |---|---|
//! | `frames` | frame shards |
//! | `samples` | the clips of each epoch in order, the test views, the classes, what a clip looks like |
//! | `load_from`, or the input `weights` | published weights |
//! | `model` | a trained network to start from, such as a pruned one; the new one has lost the same channels |
//! | `lr` | with `lr: auto`, the rate that `lr_finder` suggests |
//!
//! | writes | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel`; of the best epoch with `save_best`, else of the last one |
//! | `last/` | the same, of the last epoch |
//! | `training_log.parquet` | one row per epoch; `epoch` counts from 0, messages count from 1 |
//! | `training_steps.parquet` | one row per step |
//! | `tensorboard/` | the same as event files, the most confident mistakes, and the parameters: `tensorboard --logdir .pipe/out` |
//!
//! Each epoch is a part, named `0000`, `0001` and so on. Together they are a chain: training continues from the last epoch that
//! exists, after a crash or because `max_epochs` was raised.
//!
//! | determines an epoch | does not |
//! |---|---|
//! | the epoch before it: its state, bit for bit | epochs after it, and so `max_epochs`, `early_stopping` and `checkpoint` |
//! | the number of its steps, if `max_iters` cuts it | `max_iters` itself |
//! | the clips shown in it: all columns of its rows | rows of other epochs |
//! | its learning rates, of all tensors | how they are computed: `param_scheduler`, `lr`, `auto_scale_lr`, the input `lr` |
//! | the loss, which depends on whether videos have several labels | |
//! | the network's graph, `model`, `train_dataloader`, `optim_wrapper`, `ema`, `freeze`, `seed` | class names, `num_classes` (the labels decide) |
//! | the frames | |
//! | whether the test samples are evaluated after it; if so, their rows and `average_clips` | `val_interval`, `val_begin`, `dynamic_intervals` |
//! | in the first: the content of `load_from` or `weights`, `map` and `inflate` | which of the two it was, `digest` |
//! | in the first: the content of `model` | |
//! | versions of libtorch and libjpeg-turbo | the number of threads: that of libtorch is a constant of `pipe-learn` |
//!
//! Each part of the parameters states which of its fields these are, in `EpochFields` of `pipe_schemas::stages::train`. With a
//! schedule that reads metrics (`ReduceOnPlateauLR`) the rates are not known before training; then the schedules and `lr`
//! determine each epoch in their place.
//!
//! An epoch is evaluated as part of its link if the interval divides its number. The evaluation after the last epoch, where the
//! interval does not ask for it, belongs to no link: otherwise the last link would change when more epochs follow it.
//!
//! A link has notes, its rows of the log and of the steps and what its validation showed, and a state, `state.safetensors`: the tensors of
//! the network, of the optimiser and of the average. The state has four bytes per parameter of the network and per value that these keep:
//! about 190 MB for a ResNet-50 with SGD and momentum, 280 MB with `AdamW`. `checkpoint` chooses which states are kept.
//!
//! `early_stopping` is computed from the logs of the links. A link is made only if the links before it do not end training, and
//! the last model is that of the last link that is used. So a changed `patience` trains only epochs that do not exist yet. In the same
//! way, `save_best` chooses a link by its log. The states of links that another metric or a smaller patience would choose are kept.
//!
//! Validations and the model have the average of the weights if `ema` is given. Groups of `accumulative_counts` batches end with the epoch,
//! so that no gradients belong to a state; in MMEngine they continue in the next epoch.
//!
//! As in `MMEngine` the last batch of an epoch may be smaller, with one exception: a last batch of a single clip is left out
//! (unless `batch_size` is 1), because batch normalisation would use the statistics of that clip alone. The order is drawn again
//! for each epoch, so it is another clip each time.

mod batch_norm;
mod device;
mod diverged;
mod epochs;
mod error;
mod found_lr;
mod interval;
mod lr_finder;
mod mistakes;
mod monitor;
mod pictures;
mod plan;
mod processes;
mod rates;
mod samples;
mod stage;
mod start;
mod tensorboard;
mod validate;

pub use device::computes_with;
pub use error::TrainError;
pub use lr_finder::LrFinder;
pub use processes::{JOIN_FLAG, JOIN_ONCE_FLAG, JoinError, join};
pub use stage::Train;
