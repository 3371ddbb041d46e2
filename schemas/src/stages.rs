//! One file a stage kind: its parameters, ports and version. [`ALL`] is the table the engine looks kinds up in.

pub mod annotations;
pub mod augment;
pub mod command;
pub mod evaluate;
pub mod export;
pub mod fetch;
pub mod frames;
pub mod ingest;
pub mod synthesize;
pub mod train;

use crate::Contract;

/// Every stage kind, in the order of the main job.
pub const ALL: &[&Contract] = &[
    &synthesize::CONTRACT,
    &fetch::CONTRACT,
    &ingest::CONTRACT,
    &annotations::CONTRACT,
    &frames::CONTRACT,
    &augment::CONTRACT,
    &train::CONTRACT,
    &evaluate::CONTRACT,
    &export::CONTRACT,
    &command::CONTRACT,
];

/// Returns the contract of `kind`.
pub fn contract(kind: &str) -> Option<&'static Contract> {
    ALL.iter().copied().find(|contract| contract.kind == kind)
}
