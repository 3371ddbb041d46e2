//! `pipe cache stats`.

mod view;

use crate::args::ReportArgs;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, render};
use pipe_cache::{Store, stats};
use pipe_engine::{Bookkeeping, housekeeping};
use std::time::SystemTime;

/// Show the size of the store by stage kind, and how long its results took to make
#[derive(Debug, clap::Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Stats {
    const NAME: &'static str = "stats";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let store = Store::open_existing(&root)?;
        let kept = Bookkeeping::to_read(&root);
        let stats = stats::stats(&store, &housekeeping::wanted_keys(&kept)?)?;
        render::warnings(&kept);
        if self.report.json() {
            view::json(&stats)?;
        } else {
            #[expect(clippy::disallowed_methods, reason = "the age of results is shown; no key depends on it")]
            let now = SystemTime::now();
            view::text(&stats, now);
        }
        Ok(Code::Ok)
    }
}
