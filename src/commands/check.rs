//! `pipe check`.

mod view;

use super::Command;
use crate::args::{FileArgs, RemoteArgs, ReportArgs};
use crate::context::{self, RemoteUse};
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;
use pipe_engine::Findings;
use pipe_engine::events::FailedBy;

/// Check a pipeline file and its label lists, without decoding or training anything
///
/// Reports all mistakes of the pipeline file at once, with line and column. If there are none, it reads the label lists and compares
/// them with the videos: missing videos, unknown classes, videos in both training and test, and more.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    report: ReportArgs,
}

impl Command for Check {
    const NAME: &'static str = "check";

    fn run(self) -> Result<Code, CommandError> {
        let plan = context::load(&self.file)?;
        let file = view::ValidFile::of(&plan);
        let json = self.report.json();
        let root = context::store_root(&self.report.store)?;
        // A remote that cannot be used is a mistake of the file.
        context::remote(&RemoteArgs::default(), &root, Some(&plan), RemoteUse::Check)?;
        if !plan.has_findings() {
            view::findings(&file, &Findings::default(), json);
            return Ok(Code::Ok);
        }
        let mut options = context::run_options(root, None)?;
        options.keep_going = true;
        let cancel = context::cancel_on_signal()?;
        let mut progress = render::progress();
        let findings = pipe_engine::findings(plan, &options, &cancel, &mut |event| progress.event(event))?;
        view::findings(&file, &findings, json);
        Ok(code(&findings))
    }
}

fn code(findings: &Findings) -> Code {
    let failures = || findings.stages.iter().filter_map(|stage| stage.failure.as_ref());
    if findings.cancelled {
        Code::Cancelled
    } else if failures().any(|failure| failure.by == FailedBy::Run) {
        Code::Failed
    } else if failures().next().is_some() {
        Code::BadInput
    } else {
        Code::Ok
    }
}
