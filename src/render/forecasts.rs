//! What a run would do with each stage, for `pipe plan` and `pipe why`.

use super::{print, print_json};
use crate::exit::Code;
use pipe_engine::{Forecast, StageForecast, reason_lines};

/// How much of each reason is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Files with the same kind of change are counted.
    Short,
    /// Every change with old and new value.
    Full,
}

/// Prints a JSON object per stage.
pub(crate) fn json(forecasts: &[StageForecast]) {
    forecasts.iter().for_each(print_json);
}

/// Prints each stage with its reasons.
pub(crate) fn text(forecasts: &[StageForecast], detail: Detail) {
    let width = forecasts.iter().map(|forecast| forecast.stage.len()).max().unwrap_or(0);
    for forecast in forecasts {
        print(&stage(forecast, width, detail));
    }
}

/// Returns the exit code of a command that shows `forecasts`.
pub(crate) fn code(forecasts: &[StageForecast]) -> Code {
    let failed = forecasts.iter().any(|forecast| matches!(forecast.forecast, Forecast::Error { .. }));
    if failed { Code::Failed } else { Code::Ok }
}

fn stage(forecast: &StageForecast, width: usize, detail: Detail) -> String {
    let (word, lines) = match &forecast.forecast {
        Forecast::Hit { summary } => ("hit ", summary.iter().take(1).cloned().collect()),
        Forecast::Miss { reasons } => (
            "run ",
            match detail {
                Detail::Full => reasons.iter().map(ToString::to_string).collect(),
                Detail::Short => reason_lines(reasons),
            },
        ),
        Forecast::Undecided { waits_for } => {
            ("?   ", vec![format!("undecided until these have run: {}", waits_for.join(", "))])
        }
        Forecast::Error { error } => ("fail", vec![error.clone()]),
    };
    let indent = format!("\n{:1$}", "", 8 + width);
    format!("{word}  {:width$}  {}", forecast.stage, lines.join(&indent)).trim_end().to_owned()
}
