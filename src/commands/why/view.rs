//! What `pipe why` prints: every stage with all its reasons.

use crate::render::{self, forecasts};
use pipe_engine::StageForecast;

/// Prints the reasons.
pub(super) fn why(forecasts: &[StageForecast]) {
    forecasts::text(forecasts, forecasts::Detail::Full);
    if forecasts.is_empty() {
        render::print("every stage is up to date; nothing would run");
    }
}
