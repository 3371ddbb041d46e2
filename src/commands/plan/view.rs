//! What `pipe plan` prints: a line per stage, and a line of counts.

use crate::render::{self, forecasts, text};
use pipe_engine::{Forecast, StageForecast};

/// Prints the plan.
pub(super) fn plan(forecasts: &[StageForecast]) {
    forecasts::text(forecasts, forecasts::Detail::Short);
    let count = |is: fn(&Forecast) -> bool| forecasts.iter().filter(|forecast| is(&forecast.forecast)).count();
    let hits = count(|forecast| matches!(forecast, Forecast::Hit { .. }));
    let misses = count(|forecast| matches!(forecast, Forecast::Miss { .. }));
    let undecided = match count(|forecast| matches!(forecast, Forecast::Undecided { .. })) {
        0 => String::new(),
        count => format!(", {count} undecided until these have run"),
    };
    let hits = text::count(hits as u64, "hit");
    render::print(&format!("{hits}, {misses} to run{undecided}"));
}
