//! [`check`]: a stage that reads more epochs of samples than are drawn would fail only after all stages before it have run.

use super::Connection;
use super::ports::Stage;
use crate::diagnostics::Problem;
use crate::yaml::Entry;
use pipe_schemas::contract::{Parsed, PortType};

/// Checks the number of epochs that the stage of `entry` reads; `inputs` are its connections, each with the stage of `known` that it reads.
pub(super) fn check(
    entry: &Entry,
    parsed: &Parsed,
    inputs: &[(usize, Connection)],
    known: &[Stage],
    is_wrong: &dyn Fn(&str) -> bool,
) -> Option<Problem> {
    let (param, read) = parsed.epochs_read.filter(|(param, _)| !is_wrong(param))?;
    let (from, _) = inputs.iter().find(|(_, connection)| connection.wanted == PortType::Samples)?;
    let (samples, drawn) = (&known[*from].entry.key, known[*from].epochs_drawn?);
    if read <= drawn {
        return None;
    }
    let path: Vec<String> = param.split('.').map(str::to_owned).collect();
    let place = entry.node.get("with").map_or(&entry.key_place, |with| with.place_of(&path, false));
    let message = format!("`{param}` is {read}, but the stage `{samples}` draws only {drawn}");
    let help = format!("set `epochs: {read}` in the stage `{samples}`, or lower `{param}`");
    Some(Problem::new("wrong-value", place, message).help(help))
}
