//! What `pipe plan` prints: a line per stage, and a line of counts.

use crate::render::{self, outlooks};
use pipe_engine::{Outlook, StageOutlook};

/// Prints the plan.
pub(super) fn plan(outlooks: &[StageOutlook]) {
    outlooks::text(outlooks, outlooks::Detail::Short);
    let count = |is: fn(&Outlook) -> bool| outlooks.iter().filter(|outlook| is(&outlook.outlook)).count();
    let hits = count(|outlook| matches!(outlook, Outlook::Hit { .. }));
    let misses = count(|outlook| matches!(outlook, Outlook::Miss { .. }));
    let undecided = match count(|outlook| matches!(outlook, Outlook::Open { .. })) {
        0 => String::new(),
        count => format!(", {count} undecided until these have run"),
    };
    render::print(&format!("{hits} hits, {misses} to run{undecided}"));
}
