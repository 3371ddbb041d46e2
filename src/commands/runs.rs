//! `pipe runs`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records};

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
        let runs = records::all(&context::store_root(&self.report.store)?)?;
        for run in records::newest(&runs, self.pipeline.as_deref(), self.limit) {
            view::run(run, self.report.json());
        }
        Ok(Code::Ok)
    }
}
