//! JSON lines on stdout: every event as `pipe-engine` tells it. Keys are only ever added.

use super::{Renderer, print};
use pipe_engine::RunSummary;
use pipe_engine::events::RunEvent;
use std::path::Path;

/// Writes events as they are.
pub(crate) struct JsonLines;

impl Renderer for JsonLines {
    fn event(&mut self, event: &RunEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            print(&line);
        }
    }

    fn finish(&mut self, _: &RunSummary, _: &Path) {}
}
