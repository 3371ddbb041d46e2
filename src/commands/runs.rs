//! `pipe runs`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records, render};

/// List runs, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Runs {
    /// Pipeline to list runs of [default: all pipelines]
    pipeline: Option<String>,
    /// Maximum number of runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Runs {
    const NAME: &'static str = "runs";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let runs = records::all(&root)?;
        let shown = records::newest(&runs, self.pipeline.as_deref(), self.limit)?;
        if self.report.json() {
            view::json(&shown);
        } else if runs.is_empty() {
            render::message(&records::none(&root));
        } else {
            view::table(&shown);
        }
        Ok(Code::Ok)
    }
}
