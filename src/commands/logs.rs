//! `pipe logs`.

use super::Command;
use crate::args::StoreArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records, render};
use fs_err as fs;
use std::collections::BTreeSet;

/// Print the newest log of a stage: what its worker or program wrote to stdout and stderr
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Stage name
    stage: String,
    /// Run ID or unique prefix of one [default: the newest run in which the stage wrote a log]
    #[arg(long)]
    run: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

impl Command for Logs {
    const NAME: &'static str = "logs";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.store)?;
        let runs = records::all(&root)?;
        let runs = match &self.run {
            Some(run) => vec![records::find(&runs, run, &root)?],
            None if runs.is_empty() => return Err(CommandError::failed(records::none(&root))),
            None => runs.iter().collect(),
        };
        let known: BTreeSet<&str> = runs.iter().flat_map(|run| run.stages()).collect();
        if !known.contains(self.stage.as_str()) {
            let which = if self.run.is_some() { "this run has" } else { "no recorded run has" };
            let no = if self.run.is_some() { "no" } else { "a" };
            let problem = format!("{which} {no} stage `{}`", self.stage);
            return Err(records::unknown(&problem, &self.stage, &known, "`pipe show` lists the stages of a run"));
        }
        let Some(log) = runs.iter().find_map(|run| run.log(&self.stage)) else {
            let place = if self.run.is_some() { "this run" } else { "any run" };
            let message =
                format!("no log of the stage `{}` in {place}; a stage that prints nothing writes no log", self.stage);
            return Err(CommandError::failed(message));
        };
        render::print_bytes(&fs::read(log)?);
        Ok(Code::Ok)
    }
}
