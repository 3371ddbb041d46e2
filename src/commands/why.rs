//! `pipe why`.

mod view;

use super::Command;
use crate::args::{FileArgs, ReportArgs};
use crate::context;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::outlooks;
use pipe_engine::Outlook;

/// Show every change that makes a stage run again, with old and new values
///
/// Each stage is compared with its newest result. `pipe plan` shows the same in short.
#[derive(Debug, clap::Args)]
pub(crate) struct Why {
    #[command(flatten)]
    file: FileArgs,
    /// Stage to explain [default: all stages that would run]
    stage: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Why {
    const NAME: &'static str = "why";

    fn run(self) -> Result<Code, CommandError> {
        let plan = context::load(&self.file)?;
        let mut outlooks = context::outlooks(&plan, &self.report.store)?;
        match &self.stage {
            Some(wanted) => {
                let is_named =
                    |name: &str| plan.stages().any(|s| s.name.as_str() == name && s.name.is_named(wanted));
                outlooks.retain(|outlook| is_named(&outlook.stage));
                if outlooks.is_empty() {
                    return Err(CommandError::bad_input(format!("the pipeline has no stage `{wanted}`")));
                }
            }
            None => outlooks.retain(|outlook| !matches!(outlook.outlook, Outlook::Hit { .. })),
        }
        if self.report.json() {
            outlooks::json(&outlooks);
        } else {
            view::why(&outlooks);
        }
        Ok(outlooks::code(&outlooks))
    }
}
