//! `pipe status`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records};

/// Show the newest run of each pipeline: running, finished, failed or interrupted
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Pipeline to show [default: all pipelines]
    pipeline: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Status {
    const NAME: &'static str = "status";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let runs = records::all(&root)?;
        let mut seen = Vec::new();
        for run in records::newest(&runs, self.pipeline.as_deref(), usize::MAX) {
            if seen.contains(&&run.summary.pipeline) {
                continue;
            }
            seen.push(&run.summary.pipeline);
            let alive = !run.ended && pipe_engine::is_alive(&root, &run.summary.run);
            view::status(run, alive, self.report.json());
        }
        Ok(Code::Ok)
    }
}
