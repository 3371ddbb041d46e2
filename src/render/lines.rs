//! A line for each thing that happens, for logs and pipes.

use super::{Renderer, say, text};
use pipe_engine::events::{Outcome, RunEvent};
use pipe_engine::{RunSummary, StageSummary};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a running stage's progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Writes lines to stderr.
pub(crate) struct Lines {
    colour: bool,
    width: usize,
    told: BTreeMap<String, Instant>,
}

impl Lines {
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour, width: 0, told: BTreeMap::new() }
    }
}

/// Returns the lines that tell how a stage ended.
pub(super) fn finished(event: &RunEvent, width: usize, colour: bool) -> String {
    StageSummary::of(event).map(|stage| text::stage(&stage, width, colour)).unwrap_or_default()
}

impl Renderer for Lines {
    fn event(&mut self, event: &RunEvent) {
        let width = self.width;
        match event {
            RunEvent::StoreWaiting => say("wait    another `pipe` removes what is no longer needed from the store"),
            RunEvent::RunStarted { stages, .. } => self.width = stages.iter().map(String::len).max().unwrap_or(0),
            RunEvent::SourcesHashed { stage, num_read, bytes_read, .. } => {
                let megabytes = bytes_read / 1_000_000;
                say(&format!("read    {stage:width$}  {num_read} new or changed files, {megabytes} MB"));
            }
            RunEvent::StageStarted { stage, reasons, .. } => {
                self.told.insert(stage.clone(), Instant::now());
                say(&format!("start   {stage:width$}  {}", reasons.join("; ")));
            }
            RunEvent::StageFetched { stage, bytes } => {
                say(&format!("fetched {stage:width$}  {} MB from the remote", bytes / 1_000_000));
            }
            RunEvent::RemoteTrouble { text } => say(&format!("warning: {text}")),
            RunEvent::StageWaiting { stage } => say(&format!("wait    {stage:width$}  another `pipe` is running it")),
            RunEvent::StageProgress { stage, done, total, unit, note } => {
                if self.told.get(stage).is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
                    self.told.insert(stage.clone(), Instant::now());
                    say(format!("        {stage:width$}  {done}/{total} {unit}  {note}").trim_end());
                }
            }
            // What was there already is told by the last line.
            RunEvent::StageFinished { outcome: Outcome::Hit, warnings, .. } if warnings.is_empty() => {}
            RunEvent::StageRetried { .. } => say(&text::retried(event).unwrap_or_default()),
            RunEvent::StageFinished { .. } => {
                say(&finished(event, self.width, self.colour));
            }
            RunEvent::RunFinished { .. } => say(&text::run_finished(event).unwrap_or_default()),
        }
    }

    fn finish(&mut self, summary: &RunSummary, root: &Path) {
        if summary.count(Outcome::Failed) == 0 && !summary.cancelled {
            say(&format!("results: {}", root.join("out").join(&summary.pipeline).display()));
        }
    }
}
