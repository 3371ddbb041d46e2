//! All that `pipe` writes: stdout is data, stderr is for people. Nothing else prints.

pub(crate) mod cache;
mod json;
mod lines;
mod live;
mod text;

use crate::args::Output;
use miette::{GraphicalReportHandler, GraphicalTheme};
use pipe_engine::events::RunEvent;
use pipe_engine::{Plan, Problems, RunSummary};
use pipe_schemas::Contract;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Shows a run while it happens.
pub(crate) trait Renderer {
    /// Shows one thing that happened.
    fn event(&mut self, event: &RunEvent);

    /// Shows where results are, at the end.
    fn finish(&mut self, summary: &RunSummary, root: &Path);
}

/// Returns the renderer for `output`.
pub(crate) fn renderer(output: Output) -> Box<dyn Renderer> {
    match output {
        Output::Json => Box::new(json::JsonLines),
        Output::Auto if std::io::stderr().is_terminal() => Box::new(live::Live::new(colour())),
        Output::Auto | Output::Lines => Box::new(lines::Lines::new(colour())),
    }
}

/// Returns whether stderr is to be coloured.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to stderr. Where that is closed there is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes to stdout. Whoever closes it early, as `head` does, has enough.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Shows that something goes on elsewhere that this waits for.
pub(crate) fn waiting(what: &str) {
    say(&format!("waiting: {what}"));
}

/// Shows an error that no stage and no pipeline file is to blame for.
pub(crate) fn error(error: &dyn Error) {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n  because: {cause}");
        source = cause.source();
    }
    say(&text);
}

/// Shows every mistake of a pipeline file.
pub(crate) fn problems(problems: &Problems) {
    let theme = match (colour(), std::io::stderr().is_terminal()) {
        (true, _) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1).with_width(120);
    for problem in &problems.0 {
        let mut text = String::new();
        // A report that can't be drawn still has its place and its words.
        if handler.render_report(&mut text, problem).is_err() {
            let (line, column) = problem.place.line_column();
            text = format!("{}:{line}:{column}: {}", problem.place.source.name, problem.message);
        }
        say(&format!("{}\n", text.trim_end()));
    }
    say(&format!("error: {problems}; nothing was run"));
}

/// Shows that a pipeline file is right.
pub(crate) fn checked(plan: &Plan) {
    let stages: Vec<&str> = plan.order().iter().map(|&stage| plan.stages()[stage].name.as_str()).collect();
    print(&format!("{}: {} stages, no mistakes: {}", plan.name(), stages.len(), stages.join(" → ")));
}

/// Lists stage kinds.
pub(crate) fn stages(contracts: &[&Contract]) {
    for contract in contracts {
        print(&text::stage_kind(contract));
    }
}
