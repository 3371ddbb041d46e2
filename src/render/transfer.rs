//! What was sent to a remote and fetched from one.

use super::say;
use indicatif::{ProgressBar, ProgressStyle};
use pipe_cache::RemoteUrl;
use pipe_cache::remote::{Progress, PulledAll, Pushed};
use std::io::IsTerminal;

/// A bar while transfers run, on a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Returns a bar that says what is done.
    pub(crate) fn new(what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {bar:24} {pos}/{len} results  {prefix}");
        let bar = ProgressBar::new(0).with_message(what);
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_prefix(megabytes(progress.bytes));
        self.0.set_position(progress.done);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Shows what was sent.
pub(crate) fn pushed(pushed: &Pushed, url: &RemoteUrl) {
    let Pushed { actions, had, absent, blobs, bytes } = *pushed;
    say(&format!("{url}: {actions} results sent, {had} were there; {blobs} files, {}", megabytes(bytes)));
    if absent > 0 {
        say(&format!("warning: {absent} results are no longer whole in the store, and were not sent"));
    }
}

/// Shows what was fetched.
pub(crate) fn pulled(pulled: &PulledAll, url: &RemoteUrl) {
    let PulledAll { actions, had, bytes, damaged, .. } = pulled;
    for error in damaged {
        say(&format!("warning: {error}"));
    }
    say(&format!("{url}: {actions} results fetched, {had} were here; {}", megabytes(*bytes)));
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
