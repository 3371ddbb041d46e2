//! `pipe cache`: commands that maintain the store and exchange results with a remote.

pub(crate) mod push;

mod gc;
mod pull;
mod stats;
mod transfer;
mod verify;

use super::Entry;

/// The commands below `pipe cache`.
pub(super) const GROUP: Entry = Entry::Group {
    name: "cache",
    about: "Maintain the store: verify, delete, count, and share results",
    entries: &[
        Entry::of::<verify::Verify>(),
        Entry::of::<gc::Gc>(),
        Entry::of::<stats::Stats>(),
        Entry::of::<push::Push>(),
        Entry::of::<pull::Pull>(),
    ],
};
