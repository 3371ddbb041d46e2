//! JSON lines on stdout: every event of a run, as `pipe-engine` defines it. Keys are only ever added.

use super::{Renderer, print_json};
use pipe_engine::RunSummary;
use pipe_engine::events::RunEvent;
use std::path::Path;

/// Writes each event as a line.
pub(crate) struct JsonLines;

impl Renderer for JsonLines {
    fn event(&mut self, event: &RunEvent) {
        print_json(event);
    }

    fn finish(&mut self, _: &RunSummary, _: &Path) {}
}
