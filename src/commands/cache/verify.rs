//! `pipe cache verify`.

mod view;

use crate::args::ReportArgs;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, render};
use pipe_cache::{Store, verify};
use pipe_engine::{Bookkeeping, housekeeping};

/// Read the whole store and set damaged files aside; the next run that needs them makes them again
///
/// Exits with code 1 if something is damaged.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Verify {
    const NAME: &'static str = "verify";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let store = Store::open_existing(&root)?.hold(|| render::waiting(render::STORE_IS_COLLECTED))?;
        let reading = view::Reading::new();
        let verified = verify::verify(&store, &|bytes| reading.read(bytes))?;
        reading.finish();
        let kept = Bookkeeping::to_read(&root);
        let stages = housekeeping::stages_by_key(&kept)?;
        render::warnings(&kept);
        if self.report.json() {
            view::json(&verified, &stages)?;
        } else {
            view::text(&verified, &stages);
        }
        Ok(if verified.damage.is_empty() { Code::Ok } else { Code::Failed })
    }
}
