//! One file per stage kind: its parameters, ports and version. [`ALL`] is the table in which the engine looks up kinds.

use crate::Contract;

/// Declares the module of each stage kind, and the table of their contracts.
macro_rules! stage_kinds {
    ($($kind:ident,)*) => {
        $(pub mod $kind;)*

        /// The contracts of all stage kinds, in the order of a typical pipeline.
        pub const ALL: &[&Contract] = &[$(&$kind::CONTRACT),*];
    };
}

stage_kinds! {
    synthesize,
    fetch,
    ingest,
    annotations,
    frames,
    augment,
    lr_finder,
    train,
    pretrained,
    evaluate,
    fuse,
    benchmark,
    compare,
    explain,
    optimize,
    export,
    predict,
    command,
}

/// Returns the contract of `kind`.
pub fn contract(kind: &str) -> Option<&'static Contract> {
    ALL.iter().copied().find(|contract| contract.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// `cargo fmt` does not see modules that a macro declares.
    #[test]
    fn contract_files_are_formatted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages");
        for contract in ALL {
            let file = folder.join(contract.kind).with_extension("rs");
            let output = Command::new("rustfmt").args(["--edition", "2024", "--check"]).arg(&file).output();
            let output = output.expect("rustfmt starts; it is part of the toolchain");
            let difference = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "run `rustfmt --edition 2024 {}`:\n{difference}", file.display());
        }
    }

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
