//! [`TransferBar`]: progress of sending to a remote, and of fetching from one.

use super::text;
use indicatif::{ProgressBar, ProgressStyle};
use pipe_cache::remote::Progress;
use std::io::IsTerminal;

/// A progress bar on a terminal; hidden elsewhere.
pub(crate) struct TransferBar(ProgressBar);

impl TransferBar {
    /// Returns a bar with a verb in front.
    pub(crate) fn new(verb: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {bar:16} {pos}/{len} results  {prefix}");
        let bar = ProgressBar::new(0).with_message(verb);
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// Shows the progress.
    pub(crate) fn show(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_prefix(text::bytes(progress.bytes));
        self.0.set_position(progress.done);
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
