//! What `pipe why` prints: every stage with all its reasons.

use crate::render::{self, outlooks};
use pipe_engine::StageOutlook;

/// Prints the reasons.
pub(super) fn why(outlooks: &[StageOutlook]) {
    outlooks::text(outlooks, outlooks::Detail::Full);
    if outlooks.is_empty() {
        render::print("every stage is up to date; nothing would run");
    }
}
