//! `pipe show`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records};

/// Show the stages of a run: outcome, time, summary and warnings
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Run ID or unique prefix of one, as `pipe runs` lists them; `latest` is the newest, `latest~1` the one before it
    #[arg(default_value = "latest")]
    run: String,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Show {
    const NAME: &'static str = "show";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let runs = records::all(&root)?;
        let run = records::find(&runs, &self.run, &root)?;
        if self.report.json() {
            view::json(run);
        } else {
            view::text(run);
        }
        Ok(Code::Ok)
    }
}
