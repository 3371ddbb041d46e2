//! `pipe model`: commands that look into networks and files of weights, without libtorch.

mod diff;
mod file;
mod network;
mod summary;

use super::Entry;

/// The commands below `pipe model`.
pub(super) const GROUP: Entry = Entry::Group {
    name: "model",
    about: "Look into networks and files of weights: layers, differences",
    entries: &[Entry::of::<summary::Summary>(), Entry::of::<diff::Diff>()],
};
