//! All output of `pipe`: stdout is data, stderr is for people. Nothing else writes to them.
//!
//! [`print()`] and [`message`] are the two ways out. What a command prints is in its `commands/NAME/view.rs`; what several commands
//! print is in the modules here.

pub(crate) mod forecasts;
mod json;
mod lines;
mod live;
pub(crate) mod record;
pub(crate) mod table;
pub(crate) mod text;
mod transfer;

pub(crate) use transfer::TransferBar;

use crate::error::CommandError;
use crate::exit::Code;
use crate::logging;
use clap::ValueEnum;
use miette::{GraphicalReportHandler, GraphicalTheme};
use pipe_engine::events::RunEvent;
use pipe_engine::{Bookkeeping, Problems, RunSummary, UNREADABLE_FILE};
use serde::Serialize;
use std::error::Error;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How a run shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Progress bars on a terminal, else lines
    Auto,
    /// One line on stderr per event
    Lines,
    /// JSON lines on stdout for scripts: one object per line and event
    Json,
}

/// Shows a run while it happens.
pub(crate) trait Renderer {
    /// Shows one event.
    fn event(&mut self, event: &RunEvent);

    /// Shows where the results are, after the run.
    fn finish(&mut self, summary: &RunSummary, root: &Path);
}

/// Returns the renderer for `output`.
pub(crate) fn renderer(output: Output) -> Box<dyn Renderer> {
    match output {
        Output::Json => Box::new(json::JsonLines),
        Output::Auto if draws_bars() => Box::new(live::Live::new(colour())),
        Output::Auto | Output::Lines => Box::new(lines::Lines::new(colour())),
    }
}

/// Returns a renderer that shows progress bars on a terminal, and leaves nothing on the screen.
pub(crate) fn progress() -> Box<dyn Renderer> {
    if draws_bars() { Box::new(live::Live::transient(colour())) } else { Box::new(Silent) }
}

/// Shows nothing.
struct Silent;

impl Renderer for Silent {
    fn event(&mut self, _: &RunEvent) {}

    fn finish(&mut self, _: &RunSummary, _: &Path) {}
}

/// Bars and log lines would overwrite each other.
fn draws_bars() -> bool {
    std::io::stderr().is_terminal() && !logging::is_on()
}

/// Returns whether to write colours to stderr.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a line to stderr. If stderr is closed, the line has no reader and is dropped.
pub(crate) fn message(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Why a part of the report could not be written to stdout, if that happened.
static UNWRITTEN: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes a line to stdout.
pub(crate) fn print(text: &str) {
    print_bytes(format!("{text}\n").as_bytes());
}

/// Writes a value to stdout as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => print(&line),
        Err(error) => unwritten(error.into()),
    }
}

/// Writes bytes to stdout as they are.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        unwritten(error);
    }
}

/// Writes a help text or the version to stdout, in colour on a terminal.
pub(crate) fn print_help(help: &clap::Error) {
    if let Err(error) = help.print().and_then(|()| std::io::stdout().flush()) {
        unwritten(error);
    }
}

/// Records that a part of the report is lost. A reader that closes stdout early, as `head` does, needs no more of it.
fn unwritten(error: std::io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Returns the exit code of a command that ended with `code`: a command whose report is incomplete failed.
pub(crate) fn finish(code: Code) -> Code {
    match (UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take(), code) {
        (None, code) => code,
        (Some(error), code) => {
            message(&format!("error: the output is incomplete, because stdout cannot be written\n  because: {error}"));
            if code == Code::Ok { Code::Failed } else { code }
        }
    }
}

/// Why commands wait for the store, as text for [`waiting`].
pub(crate) const STORE_IS_COLLECTED: &str = "another `pipe` deletes unreferenced data from the store";

/// Shows why the command waits.
pub(crate) fn waiting(reason: &str) {
    message(&format!("waiting: {reason}"));
}

/// Shows a warning.
pub(crate) fn warning(text: &str) {
    message(&format!("warning: {text}"));
}

/// Shows what was wrong with the files that `pipe` keeps beside the store.
pub(crate) fn warnings(kept: &Bookkeeping) {
    for text in kept.take_warnings() {
        warning(&text);
    }
}

/// Shows why a command ended early; with `json`, mistakes in a file are JSON on stdout.
pub(crate) fn command_error(failure: &CommandError, json: bool) {
    match failure {
        CommandError::Usage(error) => message(error.to_string().trim_end()),
        CommandError::Problems(found) if json => problems_json(found),
        CommandError::Problems(found) => problems(found),
        CommandError::NoRemote => message(
            "error: no remote is set\n  help: pass --remote URL, or write `remote: URL` in .pipe/config.yaml or in the pipeline file",
        ),
        CommandError::BadInput(source) | CommandError::Failed(source) => error(&**source),
    }
}

/// Shows an error with its causes.
fn error(error: &dyn Error) {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n  because: {cause}");
        source = cause.source();
    }
    message(&text);
}

/// Further problems are only counted: they are usually one mistake, repeated.
const MAX_PROBLEMS: usize = 100;

/// A problem in a longer line is shown without the line.
const MAX_LINE_BYTES: usize = 500;

/// Writes each mistake of a pipeline file as a line of JSON. Their number is on stderr.
fn problems_json(problems: &Problems) {
    for problem in &problems.0 {
        let (line, column) = problem.place.line_column();
        print_json(&serde_json::json!({
            "event": "mistake",
            "file": problem.place.source.name,
            "line": line,
            "column": column,
            "code": problem.code,
            "message": problem.message,
            "help": problem.help,
        }));
    }
    message(&format!("error: {problems}; nothing was run"));
}

/// Shows the mistakes of a pipeline file.
fn problems(problems: &Problems) {
    if let [problem] = problems.0.as_slice()
        && problem.code == UNREADABLE_FILE
    {
        return message(&format!("error: {}; nothing was run", problem.message));
    }
    let theme = match (colour(), std::io::stderr().is_terminal()) {
        (true, _) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1).with_width(120);
    for problem in problems.0.iter().take(MAX_PROBLEMS) {
        let mut text = String::new();
        let fits = problem.place.line_length() <= MAX_LINE_BYTES;
        // Without a drawing there are still the position and the message.
        if !fits || handler.render_report(&mut text, problem).is_err() {
            let (line, column) = problem.place.line_column();
            text = format!("{}:{line}:{column}: {}", problem.place.source.name, problem.message);
        }
        message(&format!("{}\n", text.trim_end()));
    }
    let more = problems.0.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        message(&format!("and {more} more\n"));
    }
    message(&format!("error: {problems}; nothing was run"));
}
