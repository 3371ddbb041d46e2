//! One line per event of a run, for logs and pipes.

use super::{Renderer, STORE_IS_COLLECTED, message, text, waiting, warning};
use pipe_engine::events::{Outcome, RunEvent};
use pipe_engine::{RunSummary, StageSummary};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Minimum time between two progress lines of a stage.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Writes lines to stderr.
pub(crate) struct Lines {
    colour: bool,
    width: usize,
    /// When each running stage last got a line.
    shown_at: BTreeMap<String, Instant>,
    /// The newest numbers that each stage measured, by stage and name.
    measured: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Lines {
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour, width: 0, shown_at: BTreeMap::new(), measured: BTreeMap::new() }
    }
}

/// Returns the lines for the end of a stage.
pub(super) fn finished(event: &RunEvent, width: usize, colour: bool) -> String {
    StageSummary::of(event).map(|stage| text::stage(&stage, width, colour)).unwrap_or_default()
}

/// Returns the line for a result that came from the remote.
pub(super) fn fetched(stage: &str, width: usize, bytes: u64) -> String {
    format!("fetched {stage:width$}  {} from the remote", text::bytes(bytes))
}

impl Renderer for Lines {
    fn event(&mut self, event: &RunEvent) {
        let width = self.width;
        match event {
            RunEvent::StoreWaiting => waiting(STORE_IS_COLLECTED),
            RunEvent::RunStarted { stages, .. } => self.width = stages.iter().map(String::len).max().unwrap_or(0),
            RunEvent::SourcesHashed { stage, num_read, bytes_read, .. } => {
                message(&format!(
                    "read    {stage:width$}  {}, {}",
                    text::count_of(*num_read, "new or changed file", "new or changed files"),
                    text::bytes(*bytes_read)
                ));
            }
            RunEvent::StageStarted { stage, reasons, .. } => {
                self.shown_at.insert(stage.clone(), Instant::now());
                message(&format!("start   {stage:width$}  {}", reasons.join("; ")));
            }
            RunEvent::StageFetched { stage, bytes } => message(&fetched(stage, width, *bytes)),
            RunEvent::RemoteTrouble { text } | RunEvent::Warning { text } => warning(text),
            RunEvent::StageWaiting { stage, made_by } => {
                message(&format!("wait    {stage:width$}  {}", text::waits_for(made_by.as_deref())));
            }
            RunEvent::StageMeasured { stage, values, .. } => {
                self.measured.entry(stage.clone()).or_default().extend(values.clone());
            }
            RunEvent::StageProgress { stage, done, total, unit } => {
                if self.shown_at.get(stage).is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
                    self.shown_at.insert(stage.clone(), Instant::now());
                    let measured = self.measured.get(stage).map(text::measured).unwrap_or_default();
                    message(format!("        {stage:width$}  {done}/{total} {unit}  {measured}").trim_end());
                }
            }
            // The last line counts the hits.
            RunEvent::StageFinished { outcome: Outcome::Hit, warnings, .. } if warnings.is_empty() => {}
            RunEvent::StageRetried { .. } => message(&text::retried(event).unwrap_or_default()),
            RunEvent::StageFinished { .. } => message(&finished(event, width, self.colour)),
            RunEvent::RunFinished { .. } => message(&text::run_finished(event).unwrap_or_default()),
        }
    }

    fn finish(&mut self, summary: &RunSummary, root: &Path) {
        if summary.count(Outcome::Failed) == 0 && !summary.cancelled {
            message(&format!("results: {}", root.join("out").join(&summary.pipeline).display()));
        }
    }
}
