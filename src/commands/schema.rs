//! `pipe schema`.

use super::Command;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;

/// Print the JSON schema of pipeline files, with which an editor completes and checks them
///
/// For example: `pipe schema > pipeline.schema.json`, and `# yaml-language-server: $schema=pipeline.schema.json` as the first line of a
/// pipeline file.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {}

impl Command for Schema {
    const NAME: &'static str = "schema";

    fn run(self) -> Result<Code, CommandError> {
        let schema = serde_json::to_string_pretty(&pipe_schemas::pipeline_schema())?;
        render::print(&schema);
        Ok(Code::Ok)
    }
}
