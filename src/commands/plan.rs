//! `pipe plan`.

mod graph;
mod view;

use super::Command;
use crate::args::{FileArgs, ReportArgs};
use crate::context;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::{self, forecasts};

/// Show which stages a run would execute, and why
///
/// `hit`: the result is in the store. `run`: the stage would run, for the reasons shown. `?`: undecided until the stages that it
/// depends on have run.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    file: FileArgs,
    /// Print the stages and their connections as a Mermaid flowchart
    #[arg(long, conflicts_with = "output")]
    graph: bool,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Plan {
    const NAME: &'static str = "plan";

    fn run(self) -> Result<Code, CommandError> {
        let plan = context::load(&self.file)?;
        let forecasts = context::forecasts(&plan, &self.report.store)?;
        if self.graph {
            render::print(&graph::mermaid(&plan, &forecasts));
        } else if self.report.json() {
            forecasts::json(&forecasts);
        } else {
            view::plan(&forecasts);
        }
        Ok(forecasts::code(&forecasts))
    }
}
