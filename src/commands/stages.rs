//! `pipe stages`.

mod view;

use super::Command;
use crate::error::CommandError;
use crate::exit::Code;

/// List the stage kinds that a pipeline file can use, with their inputs and outputs
///
/// Each kind is shown with a summary and, below it, its inputs → its outputs. `?` marks an optional input.
#[derive(Debug, clap::Args)]
pub(crate) struct Stages {}

impl Command for Stages {
    const NAME: &'static str = "stages";

    fn run(self) -> Result<Code, CommandError> {
        for contract in pipe_schemas::stages::ALL {
            view::kind(contract);
        }
        Ok(Code::Ok)
    }
}
