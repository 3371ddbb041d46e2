//! What `pipe cache push` prints.

use crate::render::{self, text};
use pipe_cache::RemoteUrl;
use pipe_cache::remote::Pushed;

/// Prints what was sent.
pub(super) fn pushed(pushed: &Pushed, url: &RemoteUrl) {
    let Pushed { actions, had, absent, blobs, bytes } = *pushed;
    let (sent, files, bytes) = (text::count(actions, "result"), text::count(blobs, "file"), text::bytes(bytes));
    let had = text::count_of(had, "was", "were");
    render::message(&format!("{url}: {sent} sent ({files}, {bytes}); {had} already there"));
    if absent > 0 {
        let absent = text::count(absent, "result");
        render::warning(&format!("{absent} not sent: files are missing from the store"));
    }
}
