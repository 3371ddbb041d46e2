//! Progress on a terminal: one line per running stage, which is drawn again and again, and a lasting line for each finished one.

use super::lines::{Lines, fetched, finished};
use super::{Renderer, text};
use board::{Board, Size};
use console::Term;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pipe_engine::RunSummary;
use pipe_engine::events::{Outcome, RunEvent};
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod board;
mod eta;

/// Time between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(120);

/// Draws on stderr.
pub(crate) struct Live {
    bar: ProgressBar,
    board: Arc<Mutex<Board>>,
    lines: Lines,
    colour: bool,
    /// Width of the names in lasting lines.
    width: usize,
    /// Whether finished stages leave a line.
    keeps_lines: bool,
}

impl Live {
    pub(crate) fn new(colour: bool) -> Self {
        let board = Arc::new(Mutex::new(Board::default()));
        let bar = ProgressBar::new_spinner().with_style(style(&board));
        Self { bar, board, lines: Lines::new(colour), colour, width: 0, keeps_lines: true }
    }

    /// Draws progress that leaves nothing on the screen.
    pub(crate) fn transient(colour: bool) -> Self {
        Self { keeps_lines: false, ..Self::new(colour) }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, line: &str) {
        if self.keeps_lines {
            self.bar.println(line);
        }
    }
}

/// Returns a style that draws the board.
fn style(board: &Arc<Mutex<Board>>) -> ProgressStyle {
    let board = Arc::clone(board);
    let draw = move |_: &ProgressState, out: &mut dyn Write| {
        let (rows, columns) = Term::stderr().size();
        let size = Size { rows: rows.into(), columns: columns.into() };
        let text = board.lock().unwrap_or_else(PoisonError::into_inner).text(size, Instant::now());
        // Writing to a text can't fail.
        let _ = out.write_str(&text);
    };
    let style = ProgressStyle::with_template("{board}").unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("board", draw)
}

impl Renderer for Live {
    fn event(&mut self, event: &RunEvent) {
        self.board().event(event, Instant::now());
        match event {
            RunEvent::StageFetched { stage, bytes } => self.print(&fetched(stage, self.width, *bytes)),
            RunEvent::RemoteTrouble { text } | RunEvent::Warning { text } => self.print(&format!("warning: {text}")),
            RunEvent::StoreWaiting => self.lines.event(event),
            RunEvent::RunStarted { stages, .. } => self.width = stages.iter().map(String::len).max().unwrap_or(0),
            RunEvent::StageStarted { .. } => self.bar.enable_steady_tick(DRAW_EVERY),
            RunEvent::SourcesHashed { .. }
            | RunEvent::StageWaiting { .. }
            | RunEvent::StageMeasured { .. }
            | RunEvent::StageProgress { .. } => {}
            // The last line counts the hits.
            RunEvent::StageFinished { outcome: Outcome::Hit, warnings, .. } if warnings.is_empty() => {}
            RunEvent::StageFinished { .. } => self.print(&finished(event, self.width, self.colour)),
            RunEvent::StageRetried { .. } => self.print(&text::retried(event).unwrap_or_default()),
            RunEvent::RunFinished { .. } => {
                self.bar.finish_and_clear();
                self.print(&text::run_finished(event).unwrap_or_default());
            }
        }
    }

    fn finish(&mut self, summary: &RunSummary, root: &Path) {
        self.bar.finish_and_clear();
        self.lines.finish(summary, root);
    }
}
