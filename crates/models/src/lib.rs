//! The zoo: network families written on [`pipe_graph`], one file each. Start at [`build`].
//!
//! The parameters of a family, its paper and its published weights are in `pipe_schemas::networks`, which also has the list of all
//! families ([`FAMILIES`](pipe_schemas::networks::FAMILIES)). [`zoo()`] returns example configurations of each family, which tests
//! of this and other crates iterate. To add a family, write `zoo/NAME.rs` (copy `r3d.rs`, or `resnet.rs` for a 2-D network) and add a
//! line to the list in `zoo.rs`.
//!
//! [`name_maps`] returns the names that projects give to the tensors of a network, our own first. [`NameMap::layout`] applies a map to
//! a network; with it, [`import`] takes the tensors of a checkpoint, and [`export`] makes the state dict of a project. [`recognise()`] finds the
//! map of a checkpoint; [`load()`] does all of it.

#![warn(clippy::wildcard_enum_match_arm)]

mod architecture;
mod config;
mod error;
mod frames;
mod head;
mod huggingface;
mod inflate;
mod layers;
mod layout;
mod load;
mod load_report;
mod name_map;
mod pruned;
mod recognise;
mod state_dict;
#[cfg(test)]
mod testing;
mod tokens;
mod zoo;

pub use architecture::{Published, Small};
pub use config::{ConfigConflict, ConfigValue, check_config};
pub use error::ModelError;
pub use huggingface::{HuggingFaceModel, ImageProcessor, NotInTransformers};
pub use inflate::{InflateError, flat_layout};
pub use layout::{Layout, LayoutError, Link, Ours, Theirs};
pub use load::{LoadError, LoadOptions, load};
pub use load_report::LoadReport;
pub use name_map::{Axes, Conflict, MadeValue, NameMap, Part};
pub use pruned::without_channels;
pub use recognise::{RecogniseError, Recognised, head_rows, integer_weights, recognise, share};
pub use state_dict::{ExportError, Exported, Imported, StateDict, export, import};
pub use zoo::{Entry, build, huggingface_model, name_maps, pretraining_maps, uses_frame_order, zoo};
