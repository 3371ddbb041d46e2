//! What `pipe cache pull` prints.

use crate::render::{self, text};
use pipe_cache::RemoteUrl;
use pipe_cache::remote::PulledAll;

/// Prints what was fetched.
pub(super) fn pulled(pulled: &PulledAll, url: &RemoteUrl) {
    let PulledAll { actions, had, bytes, damaged, .. } = pulled;
    for error in damaged {
        render::warning(&error.to_string());
    }
    let (fetched, bytes) = (text::count(*actions, "result"), text::bytes(*bytes));
    let had = text::count_of(*had, "was", "were");
    render::message(&format!("{url}: {fetched} fetched ({bytes}); {had} already here"));
}
