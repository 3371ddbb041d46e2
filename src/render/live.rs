//! Progress bars on a terminal: one per running stage, and a line for each finished one.

use super::lines::{Lines, fetched, finished};
use super::{Renderer, text};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipe_engine::RunSummary;
use pipe_engine::events::{Outcome, RunEvent};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Draws on stderr.
pub(crate) struct Live {
    bars: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
    /// The newest numbers that each stage measured.
    measured: BTreeMap<String, String>,
    lines: Lines,
    colour: bool,
    width: usize,
    /// Whether finished stages leave a line.
    keeps_lines: bool,
}

impl Live {
    pub(crate) fn new(colour: bool) -> Self {
        let (bars, lines) = (MultiProgress::new(), Lines::new(colour));
        Self { bars, running: BTreeMap::new(), measured: BTreeMap::new(), lines, colour, width: 0, keeps_lines: true }
    }

    /// Draws bars that leave nothing on the screen.
    pub(crate) fn transient(colour: bool) -> Self {
        Self { keeps_lines: false, ..Self::new(colour) }
    }

    fn bar(&mut self, stage: &str) -> &ProgressBar {
        let (bars, width) = (&self.bars, self.width);
        self.running.entry(stage.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed:>6}  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(format!("     {stage:width$}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        })
    }

    fn print(&self, line: &str) {
        if !self.keeps_lines {
            return;
        }
        // The terminal may have been closed.
        let _ = self.bars.println(line);
    }
}

impl Renderer for Live {
    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::StageFetched { stage, bytes } => {
                self.print(&fetched(stage, self.width, *bytes));
            }
            RunEvent::RemoteTrouble { text } | RunEvent::Warning { text } => self.print(&format!("warning: {text}")),
            RunEvent::StoreWaiting => self.lines.event(event),
            RunEvent::RunStarted { stages, .. } => self.width = stages.iter().map(String::len).max().unwrap_or(0),
            RunEvent::SourcesHashed { .. } => {}
            RunEvent::StageStarted { stage, reasons, .. } => {
                let reason = reasons.join("; ");
                self.bar(stage).set_message(reason);
            }
            RunEvent::StageWaiting { stage } => {
                self.bar(stage).set_message("another `pipe` is running it");
            }
            RunEvent::StageMeasured { stage, values, .. } => {
                self.measured.insert(stage.clone(), text::measured(values));
            }
            RunEvent::StageProgress { stage, done, total, unit } => {
                let measured = self.measured.get(stage).cloned().unwrap_or_default();
                let bar = self.bar(stage);
                let style = ProgressStyle::with_template(
                    "{spinner} {prefix}  {elapsed:>6}  {bar:24} {human_pos}/{human_len} {msg}  (eta {eta})",
                );
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_length(*total);
                bar.set_position(*done);
                bar.set_message(format!("{unit}  {measured}").trim_end().to_owned());
            }
            RunEvent::StageFinished { stage, .. } => {
                if let Some(bar) = self.running.remove(stage) {
                    bar.finish_and_clear();
                }
                if matches!(event, RunEvent::StageFinished { outcome: Outcome::Hit, warnings, .. } if warnings.is_empty())
                {
                    return; // the last line counts the hits
                }
                self.print(&finished(event, self.width, self.colour));
            }
            RunEvent::StageRetried { .. } => self.print(&text::retried(event).unwrap_or_default()),
            RunEvent::RunFinished { .. } => self.print(&text::run_finished(event).unwrap_or_default()),
        }
    }

    fn finish(&mut self, summary: &RunSummary, root: &Path) {
        self.lines.finish(summary, root);
    }
}
