//! Bars on a terminal: one a running stage, and a line for each that is through.

use super::lines::{Lines, finished};
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
    lines: Lines,
    colour: bool,
    width: usize,
    /// Whether what has ended is told.
    keeps_lines: bool,
}

impl Live {
    pub(crate) fn new(colour: bool) -> Self {
        let (bars, lines) = (MultiProgress::new(), Lines::new(colour));
        Self { bars, running: BTreeMap::new(), lines, colour, width: 0, keeps_lines: true }
    }

    /// Draws bars, and leaves nothing behind.
    pub(crate) fn bars(colour: bool) -> Self {
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
        // A terminal that is gone has nobody in front of it.
        let _ = self.bars.println(line);
    }
}

impl Renderer for Live {
    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::StageFetched { stage, bytes } => {
                let width = self.width;
                self.print(&format!("fetched {stage:width$}  {} MB from the remote", bytes / 1_000_000));
            }
            RunEvent::RemoteTrouble { text } => self.print(&format!("warning: {text}")),
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
            RunEvent::StageProgress { stage, done, total, unit, note } => {
                let bar = self.bar(stage);
                let style = ProgressStyle::with_template(
                    "{spinner} {prefix}  {elapsed:>6}  {bar:24} {human_pos}/{human_len} {msg}  (eta {eta})",
                );
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_length(*total);
                bar.set_position(*done);
                bar.set_message(format!("{unit}  {note}"));
            }
            RunEvent::StageFinished { stage, .. } => {
                if let Some(bar) = self.running.remove(stage) {
                    bar.finish_and_clear();
                }
                if matches!(event, RunEvent::StageFinished { outcome: Outcome::Hit, warnings, .. } if warnings.is_empty())
                {
                    return; // what was there already is told by the last line
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
