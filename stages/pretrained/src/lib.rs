//! The stage `pretrained`: a published checkpoint becomes a model, without training.
//!
//! | reads | |
//! |---|---|
//! | `load_from`, or the input `weights` | the checkpoint |
//! | `samples` | what a test clip looks like |
//! | `classes`, `label_map`, or `config.json` in the folder of the checkpoint | the names of the classes |
//!
//! | writes | |
//! |---|---|
//! | `model/` | see `pipe_learn::TrainedModel`; `epochs` is 0 |
//!
//! The key has the parameters and the content of all that is read. Values are copied, so libtorch's version is not in it.

mod classes;
mod error;
mod label_map;
mod published;
mod stage;

pub use error::PretrainedError;
pub use stage::Pretrained;
