//! `pipe model`: commands that look into networks and files of weights, without libtorch.

mod convert;
mod diff;
mod file;
mod network;
mod recognise;
mod summary;
mod verify;

use super::Entry;

/// The commands below `pipe model`.
pub(super) const GROUP: Entry = Entry::Group {
    name: "model",
    about: "Look into networks and files of weights: layers, differences, checks, conversion",
    entries: &[
        Entry::of::<summary::Summary>(),
        Entry::of::<diff::Diff>(),
        Entry::of::<verify::Verify>(),
        Entry::of::<convert::Convert>(),
    ],
};
