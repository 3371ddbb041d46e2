//! What `pipe stages` prints: two lines per stage kind.

use crate::render;
use pipe_schemas::{Contract, InputPort, OutputPort};

/// Prints a stage kind with its ports.
pub(super) fn kind(contract: &Contract) {
    let ports = if contract.worker.is_none() { "any → any, named by the stage".to_owned() } else { ports(contract) };
    render::print(&format!("{:12} {}\n{:12} {ports}", contract.kind, contract.summary, ""));
}

fn ports(contract: &Contract) -> String {
    let input = |port: &InputPort| {
        let optional = if port.required { "" } else { "?" };
        format!("{}{optional}", port.name)
    };
    let inputs: Vec<String> = contract.inputs.iter().map(input).chain(contract.open_inputs()).collect();
    let outputs: Vec<&str> = contract.outputs.iter().map(|port: &OutputPort| port.name).collect();
    format!("{} → {}", inputs.join(", "), outputs.join(", ")).trim().to_owned()
}
