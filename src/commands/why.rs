//! `pipe why`.

mod view;

use super::Command;
use crate::args::{FileArgs, ReportArgs};
use crate::context;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::forecasts;
use pipe_engine::Forecast;

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
        let mut forecasts = context::forecasts(&plan, &self.report.store)?;
        match &self.stage {
            Some(wanted) => {
                let is_named = |name: &str| plan.stages().any(|s| s.name.as_str() == name && s.name.is_named(wanted));
                forecasts.retain(|forecast| is_named(&forecast.stage));
                if forecasts.is_empty() {
                    return Err(CommandError::bad_input(format!("the pipeline has no stage `{wanted}`")));
                }
            }
            None => forecasts.retain(|forecast| !matches!(forecast.forecast, Forecast::Hit { .. })),
        }
        if self.report.json() {
            forecasts::json(&forecasts);
        } else {
            view::why(&forecasts);
        }
        Ok(forecasts::code(&forecasts))
    }
}
