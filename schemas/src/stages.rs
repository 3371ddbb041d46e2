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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_ports_are_unique() {
        let unique = |mut names: Vec<&str>| {
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            names.len() == count
        };
        assert!(unique(ALL.iter().map(|contract| contract.kind).collect()));
        for one in ALL {
            assert_eq!(contract(one.kind).map(|found| found.kind), Some(one.kind));
            assert!(unique(one.inputs.iter().map(|port| port.name).collect()), "{}", one.kind);
            assert!(unique(one.outputs.iter().map(|port| port.name).collect()), "{}", one.kind);
            assert!(unique(one.outputs.iter().map(|port| port.path).collect()), "{}", one.kind);
        }
    }
}
