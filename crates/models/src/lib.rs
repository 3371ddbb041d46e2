//! The zoo: network families written on [`pipe_graph`], one file each. Start at [`build`].
//!
//! The parameters of a family, its paper and its published weights are in `pipe_schemas::networks`, which also has the list of all
//! families ([`FAMILIES`](pipe_schemas::networks::FAMILIES)). [`zoo()`] returns example configurations of each family, which tests
//! of this and other crates iterate. [`name_maps`] returns the names that other projects give to the same tensors. To add a family, write `zoo/NAME.rs` (copy `r3d.rs`, or `resnet.rs` for a 2-D
//! network) and add a line to the list in `zoo.rs`.

#![warn(clippy::wildcard_enum_match_arm)]

mod architecture;
mod error;
mod frames;
mod head;
mod layers;
mod name_map;
#[cfg(test)]
mod testing;
mod tokens;
mod zoo;

pub use architecture::{Published, Small};
pub use error::ModelError;
pub use name_map::{Made, NameMap};
pub use zoo::{Entry, build, name_maps, zoo};
