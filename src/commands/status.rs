//! `pipe status`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records, render};
use std::collections::BTreeSet;

/// Show the newest run of each pipeline: running, finished, failed or interrupted
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Pipeline to show [default: all pipelines]
    pipeline: Option<String>,
    /// Maximum number of pipelines
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Status {
    const NAME: &'static str = "status";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let runs = records::all(&root)?;
        if runs.is_empty() && !self.report.json() {
            render::message(&records::none(&root));
        }
        let mut seen = BTreeSet::new();
        let mut newest = records::newest(&runs, self.pipeline.as_deref(), usize::MAX)?;
        newest.retain(|run| seen.insert(&run.summary.pipeline));
        for run in newest.into_iter().take(self.limit) {
            view::status(run, self.report.json());
        }
        Ok(Code::Ok)
    }
}
