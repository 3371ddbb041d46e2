//! [`Board`]: the running stages as lines of text that fit a terminal.

use super::eta::Eta;
use crate::render::text;
use console::{measure_text_width, truncate_str};
use pipe_engine::events::RunEvent;
use pipe_engine::grouped;
use std::collections::BTreeMap;
use std::time::Instant;

/// Maximum number of stages that have a line.
const MAX_STAGES: usize = 8;

/// Frames of the sign that shows that the program is alive, and how long each is shown.
const SPINNER: [&str; 4] = ["-", "\\", "|", "/"];
const SPINNER_MILLIS: u128 = 120;

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The running stages, in the order in which they started.
#[derive(Debug, Default)]
pub(super) struct Board {
    stages: Vec<RunningStage>,
}

#[derive(Debug)]
struct RunningStage {
    name: String,
    since: Instant,
    /// What it does while it reports no progress.
    state: String,
    progress: Option<Progress>,
    /// The newest numbers that it measured.
    measured: BTreeMap<String, f64>,
}

#[derive(Debug)]
struct Progress {
    done: u64,
    total: u64,
    unit: String,
    eta: Eta,
}

impl Board {
    /// Takes what an event says about the running stages.
    pub(super) fn event(&mut self, event: &RunEvent, now: Instant) {
        match event {
            RunEvent::StageStarted { stage, .. } => {
                self.stages.push(RunningStage {
                    name: stage.clone(),
                    since: now,
                    state: "running".to_owned(),
                    progress: None,
                    measured: BTreeMap::new(),
                });
            }
            RunEvent::StageWaiting { stage, made_by } => {
                if let Some(stage) = self.stage(stage) {
                    stage.state = text::waits_for(made_by.as_deref());
                }
            }
            RunEvent::StageMeasured { stage, values, .. } => {
                if let Some(stage) = self.stage(stage) {
                    stage.measured.extend(values.clone());
                }
            }
            RunEvent::StageProgress { stage, done, total, unit } => {
                if let Some(stage) = self.stage(stage) {
                    stage.progress(*done, *total, unit, now);
                }
            }
            RunEvent::StageFinished { stage, .. } | RunEvent::StageRetried { stage, .. } => {
                self.stages.retain(|running| running.name != *stage);
            }
            RunEvent::StoreWaiting
            | RunEvent::RunStarted { .. }
            | RunEvent::SourcesHashed { .. }
            | RunEvent::StageFetched { .. }
            | RunEvent::RemoteTrouble { .. }
            | RunEvent::Warning { .. }
            | RunEvent::RunFinished { .. } => {}
        }
    }

    fn stage(&mut self, name: &str) -> Option<&mut RunningStage> {
        self.stages.iter_mut().find(|stage| stage.name == name)
    }

    /// Returns the lines for a terminal of this size.
    pub(super) fn text(&self, size: Size, now: Instant) -> String {
        // The last column stays free: some terminals wrap there. Two rows stay free for the cursor and one lasting line.
        let columns = size.columns.saturating_sub(1);
        let fit = size.rows.saturating_sub(2);
        // If not all stages have a line, the last line counts the others.
        let all_fit = self.stages.len() <= fit.min(MAX_STAGES);
        let shown = if all_fit { self.stages.len() } else { fit.saturating_sub(1).clamp(1, MAX_STAGES) };
        let names = self.stages[..shown].iter().map(|stage| measure_text_width(&stage.name));
        let width = names.max().unwrap_or(0).min(columns / 3);
        let lines = self.stages[..shown].iter().map(|stage| stage.line(columns, width, now));
        let more = self.stages.len() - shown;
        let more = (more > 0).then(|| fitted(&format!("  +{more} more"), columns));
        lines.chain(more).collect::<Vec<_>>().join("\n")
    }
}

impl RunningStage {
    fn progress(&mut self, done: u64, total: u64, unit: &str, now: Instant) {
        match &mut self.progress {
            Some(progress) if progress.unit == unit && progress.total == total && progress.done <= done => {
                progress.done = done;
                progress.eta.add(done, now);
            }
            other => {
                let (mut eta, unit) = (Eta::default(), unit.to_owned());
                eta.add(done, now);
                *other = Some(Progress { done, total, unit, eta });
            }
        }
    }

    fn line(&self, columns: usize, width: usize, now: Instant) -> String {
        let elapsed = now.saturating_duration_since(self.since);
        let spinner = SPINNER[(elapsed.as_millis() / SPINNER_MILLIS) as usize % SPINNER.len()];
        let name = fitted(&self.name, width);
        let padding = " ".repeat(width.saturating_sub(measure_text_width(&name)));
        let mut line = format!("{spinner} {name}{padding}  {:>8}  ", text::duration_in_secs(elapsed.as_secs()));
        match &self.progress {
            None => line += &self.state,
            Some(progress) => line += &progress.text(columns, now),
        }
        if !self.measured.is_empty() {
            line += &format!("  {}", text::measured(&self.measured));
        }
        fitted(&line, columns)
    }
}

impl Progress {
    fn text(&self, columns: usize, now: Instant) -> String {
        let Self { done, total, unit, eta } = self;
        let cells = match columns {
            0..70 => 0,
            70..110 => 12,
            _ => 24,
        };
        let mut text = if cells > 0 { format!("{} ", bar(*done, *total, cells)) } else { String::new() };
        text += &format!("{}/{} {unit}", grouped(*done), grouped(*total));
        if let Some(left) = eta.left(*total, now) {
            text += &format!("  eta {}", text::duration_in_secs(left.as_secs()));
        }
        text
    }
}

/// Returns a bar of this many characters.
fn bar(done: u64, total: u64, cells: usize) -> String {
    let filled = if total == 0 { 0 } else { (done.min(total) as u128 * cells as u128 / u128::from(total)) as usize };
    "█".repeat(filled) + &"░".repeat(cells - filled)
}

/// Returns the start of a line that fits into so many columns.
fn fitted(line: &str, columns: usize) -> String {
    // A tab or an escape sequence would take other columns than it has characters.
    let line: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    // The sign for the rest takes a column itself.
    if columns == 0 { String::new() } else { truncate_str(&line, columns, "…").into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn start(board: &mut Board, name: &str, now: Instant) {
        let (key, reasons) = (String::new(), vec!["first run".to_owned()]);
        board.event(&RunEvent::StageStarted { stage: name.to_owned(), key, reasons }, now);
    }

    fn progress(board: &mut Board, name: &str, done: u64, total: u64, now: Instant) {
        let (stage, unit) = (name.to_owned(), "steps".to_owned());
        board.event(&RunEvent::StageProgress { stage, done, total, unit }, now);
    }

    fn measured(board: &mut Board, name: &str, now: Instant) {
        let values = [("loss", 0.4149), ("lr", 0.001), ("top1", 0.55), ("clips_per_sec", 812.0)];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        board.event(&RunEvent::StageMeasured { stage: name.to_owned(), step: 1, values }, now);
    }

    /// Stages with names and numbers of all lengths.
    fn board(now: Instant, count: usize) -> Board {
        let mut board = Board::default();
        for index in 0..count {
            let name = format!("model@lr=0.00{index},network={}", "ü漢".repeat(index));
            start(&mut board, &name, now);
            if index % 3 > 0 {
                progress(&mut board, &name, 10u64.pow(index as u32 % 7), u64::MAX, now);
                measured(&mut board, &name, now);
            }
        }
        board
    }

    #[test]
    fn lines_fit_terminals_of_all_sizes() {
        let now = Instant::now();
        for columns in 1..200 {
            for (count, rows) in [(0, 24), (1, 1), (3, 2), (8, 24), (20, 24), (20, 5)] {
                let text = board(now, count).text(Size { rows, columns }, now + Duration::from_secs(5000));
                let lines: Vec<&str> = text.lines().collect();
                let width = lines.iter().map(|line| measure_text_width(line)).max().unwrap_or(0);
                assert!(width < columns.max(2), "{columns} columns: {text}");
                assert!(lines.len() <= rows.saturating_sub(2).clamp(2, MAX_STAGES + 1), "{rows} rows: {text}");
            }
        }
    }

    #[test]
    fn hidden_stages_are_counted() {
        let now = Instant::now();
        let last = |count, rows| {
            let text = board(now, count).text(Size { rows, columns: 80 }, now);
            text.lines().last().unwrap_or_default().to_owned()
        };
        assert!(last(8, 24).contains("model"), "all 8 are shown");
        assert_eq!(last(9, 24), "  +1 more");
        assert_eq!(last(20, 24), "  +12 more");
        assert_eq!(last(20, 6), "  +17 more", "the terminal has 6 rows");
    }

    #[test]
    fn a_running_stage_shows_what_it_does() {
        let now = Instant::now();
        let mut board = Board::default();
        start(&mut board, "model", now);
        let line = |board: &Board, columns, secs| {
            board.text(Size { rows: 24, columns }, now + Duration::from_secs(secs))[2..].to_owned()
        };
        assert_eq!(line(&board, 60, 5), "model       5 s  running");
        let waiting = |made_by: Option<&str>| RunEvent::StageWaiting {
            stage: "model".into(),
            made_by: made_by.map(str::to_owned),
        };
        board.event(&waiting(None), now);
        assert_eq!(line(&board, 60, 5), "model       5 s  another `pipe` is running it");
        board.event(&waiting(Some("other")), now);
        assert_eq!(line(&board, 80, 5), "model       5 s  the stage `other` of this run makes the same result");
        progress(&mut board, "model", 100, 640, now + Duration::from_secs(5));
        measured(&mut board, "model", now);
        assert_eq!(line(&board, 60, 5), "model       5 s  100/640 steps  loss 0.41  top1 0.55  lr…");
        assert_eq!(
            line(&board, 90, 5),
            "model       5 s  █░░░░░░░░░░░ 100/640 steps  loss 0.41  top1 0.55  lr 1.0e-3  812 clip…"
        );
        let finished = RunEvent::StageFetched { stage: "model".into(), bytes: 1 };
        board.event(&finished, now);
        assert_eq!(board.stages.len(), 1);
    }
}
