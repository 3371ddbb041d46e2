//! All that `pipe` writes: stdout is data, stderr is for people. Nothing else prints.

pub(crate) mod cache;
mod json;
mod lines;
mod live;
pub(crate) mod records;
mod text;
pub(crate) mod transfer;

use crate::args::Output;
use miette::{GraphicalReportHandler, GraphicalTheme};
use pipe_engine::events::{Outcome, RunEvent};
use pipe_engine::{Findings, Outlook, Plan, Problems, RunSummary, StageOutlook};
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

/// Returns a renderer that shows bars on a terminal while something runs, and nothing that stays.
pub(crate) fn progress() -> Box<dyn Renderer> {
    if std::io::stderr().is_terminal() { Box::new(live::Live::bars(colour())) } else { Box::new(Silent) }
}

/// Shows nothing.
struct Silent;

impl Renderer for Silent {
    fn event(&mut self, _: &RunEvent) {}

    fn finish(&mut self, _: &RunSummary, _: &Path) {}
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

/// Writes bytes to stdout as they are.
pub(crate) fn raw(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
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

/// Shows something that stops nothing.
pub(crate) fn warning(text: &str) {
    say(&format!("warning: {text}"));
}

/// More mistakes are counted: they are one mistake made often.
const MAX_PROBLEMS: usize = 100;

/// A longer line is not shown with its mistake.
const MAX_LINE_BYTES: usize = 500;

/// Shows the mistakes of a pipeline file.
pub(crate) fn problems(problems: &Problems) {
    let theme = match (colour(), std::io::stderr().is_terminal()) {
        (true, _) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1).with_width(120);
    for problem in problems.0.iter().take(MAX_PROBLEMS) {
        let mut text = String::new();
        let fits = problem.place.line_length() <= MAX_LINE_BYTES;
        // A report that can't be drawn still has its place and its words.
        if !fits || handler.render_report(&mut text, problem).is_err() {
            let (line, column) = problem.place.line_column();
            text = format!("{}:{line}:{column}: {}", problem.place.source.name, problem.message);
        }
        say(&format!("{}\n", text.trim_end()));
    }
    let more = problems.0.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        say(&format!("and {more} more\n"));
    }
    say(&format!("error: {problems}; nothing was run"));
}

/// Shows that a command has no remote to talk to.
pub(crate) fn no_remote() {
    say("error: no remote is set\n  help: --remote URL, or `remote: URL` in .pipe/config.yaml or in the pipeline file");
}

/// Says that a pipeline file is right.
pub(crate) fn checked(plan: &Plan) -> String {
    let stages: Vec<&str> = plan.order().iter().map(|&stage| plan.stages()[stage].name.as_str()).collect();
    format!("{}: {} stages, no mistakes: {}", plan.name(), stages.len(), stages.join(" → "))
}

/// Shows a report.
pub(crate) fn report(text: &str) {
    print(text);
}

/// Shows what lists and videos say, after what is said of the file; what is wrong with them goes where mistakes go.
pub(crate) fn findings(file: &str, findings: &Findings) {
    let (wrong, right): (Vec<_>, Vec<_>) = findings.stages.iter().partition(|stage| stage.failure.is_some());
    if wrong.is_empty() {
        print(file);
    }
    for stage in right.into_iter().filter(|stage| stage.outcome != Outcome::Skipped) {
        print(&text::finding(stage, findings.quick.contains(&stage.stage)));
    }
    for unchecked in &findings.unchecked {
        print(&text::unchecked(unchecked));
    }
    for stage in &wrong {
        say(&text::finding(stage, false));
    }
    if !wrong.is_empty() {
        let names: Vec<String> = wrong.iter().map(|stage| format!("`{}`", stage.stage)).collect();
        say(&format!("error: mistakes in what {} reads; nothing was decoded or trained", names.join(" and ")));
    }
}

/// How much of each reason is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Files that changed alike are counted.
    Short,
    /// Everything.
    Full,
}

/// Shows what a run would do.
pub(crate) fn outlooks(outlooks: &[StageOutlook], json: bool, detail: Detail) {
    if json {
        for outlook in outlooks {
            print(&serde_json::to_string(outlook).unwrap_or_default());
        }
        return;
    }
    let width = outlooks.iter().map(|outlook| outlook.stage.len()).max().unwrap_or(0);
    for outlook in outlooks {
        print(&text::outlook(outlook, width, detail == Detail::Full));
    }
    let count = |state: fn(&Outlook) -> bool| outlooks.iter().filter(|outlook| state(&outlook.outlook)).count();
    let (hits, misses) =
        (count(|state| matches!(state, Outlook::Hit { .. })), count(|state| matches!(state, Outlook::Miss { .. })));
    let open = count(|state| matches!(state, Outlook::Open { .. }));
    if detail == Detail::Short {
        print(&format!("{hits} hits, {misses} to run, {open} that depend on what these give"));
    } else if outlooks.is_empty() {
        print("nothing would run");
    }
}

/// Lists stage kinds.
pub(crate) fn stages(contracts: &[&Contract]) {
    for contract in contracts {
        print(&text::stage_kind(contract));
    }
}
