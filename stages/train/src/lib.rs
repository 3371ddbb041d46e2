//! The stage `train`: fits a network to the training samples.
//!
//! | reads | |
//! |---|---|
//! | `frames` | frame shards |
//! | `samples` | the clips of each epoch, read epoch by epoch; the test views, for `val_interval`; classes and preprocessing, which go into the model |
//! | `load_from`, or the input `weights` | published weights |
//!
//! | writes | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel` |
//! | `training_log.parquet` | a row an epoch |
//!
//! Each epoch is a part, named `0000`, `0001` and so on; together they are a chain, which goes on from where it was cut off:
//! by a crash, or because `max_epochs` was raised.
//!
//! | decides an epoch | left out |
//! |---|---|
//! | the epoch before it: network and optimiser state, bit for bit | epochs after it, and with them `max_epochs` |
//! | the clips shown in it: the digest of their file | clips of other epochs |
//! | whether videos have several labels: binary cross-entropy is lowered then | |
//! | the learning rate in it | how that came about: `param_scheduler`, `lr` |
//! | the network's graph, `model`, `train_dataloader`, `optim_wrapper`, `seed` | class names, `num_classes` (the labels decide) |
//! | the frames | |
//! | whether the test samples are evaluated after it; if so, the digest of their file and `average_clips` | `val_interval` itself |
//! | in the first: the content of `load_from` or `weights` | which of the two it was |
//! | versions of libtorch and libjpeg-turbo | the number of threads: that of libtorch is a constant of `pipe-learn` |
//!
//! So an epoch is evaluated as part of its link if `val_interval` divides its number. The evaluation after the last epoch,
//! where that is another one, belongs to no link, or the last would not be the same once more epochs follow it.
//!
//! A link has a state, `state.safetensors`: the tensors of the network and what the optimiser keeps; and a note, `log.parquet`:
//! its row of the log. On disk it costs four bytes a parameter for the network and as many for each moment of the
//! optimiser: for a ResNet-50 with SGD and momentum about 190 MB an epoch, with `AdamW` about 280 MB.
//!
//! As in `MMEngine` the last batch of an epoch may be smaller, with one exception: a last batch of a single clip is left
//! out (unless `batch_size` is 1), because batch normalisation would take one clip's statistics for all clips'. Order is
//! drawn anew in each epoch, so it is another clip each time.

mod error;
mod links;
mod plan;
mod samples;
mod stage;
mod start;
mod validate;

pub use error::TrainError;
pub use stage::Train;
