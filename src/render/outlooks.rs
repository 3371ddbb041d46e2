//! What a run would do with each stage, for `pipe plan` and `pipe why`.

use super::{print, print_json};
use crate::exit::Code;
use pipe_engine::{Outlook, StageOutlook, reason_lines};

/// How much of each reason is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Files with the same kind of change are counted.
    Short,
    /// Every change with old and new value.
    Full,
}

/// Prints a JSON object per stage.
pub(crate) fn json(outlooks: &[StageOutlook]) {
    outlooks.iter().for_each(print_json);
}

/// Prints each stage with its reasons.
pub(crate) fn text(outlooks: &[StageOutlook], detail: Detail) {
    let width = outlooks.iter().map(|outlook| outlook.stage.len()).max().unwrap_or(0);
    outlooks.iter().for_each(|outlook| print(&stage(outlook, width, detail)));
}

/// Returns the exit code of a command that shows `outlooks`.
pub(crate) fn code(outlooks: &[StageOutlook]) -> Code {
    let failed = outlooks.iter().any(|outlook| matches!(outlook.outlook, Outlook::Error { .. }));
    if failed { Code::Failed } else { Code::Ok }
}

fn stage(outlook: &StageOutlook, width: usize, detail: Detail) -> String {
    let (word, lines) = match &outlook.outlook {
        Outlook::Hit { summary } => ("hit ", summary.iter().take(1).cloned().collect()),
        Outlook::Miss { reasons } => (
            "run ",
            match detail {
                Detail::Full => reasons.iter().map(ToString::to_string).collect(),
                Detail::Short => reason_lines(reasons),
            },
        ),
        Outlook::Open { waits_for } => {
            ("?   ", vec![format!("undecided until these have run: {}", waits_for.join(", "))])
        }
        Outlook::Error { error } => ("fail", vec![error.clone()]),
    };
    let indent = format!("\n{:1$}", "", 8 + width);
    format!("{word}  {:width$}  {}", outlook.stage, lines.join(&indent)).trim_end().to_owned()
}
