//! What `pipe init` prints: what it found, and what to do next.

use crate::render;
use pipe_engine::DraftFile;
use std::path::Path;

/// Prints the findings, and the commands for the new file.
pub(super) fn written(path: &Path, drafted: &DraftFile) {
    for line in &drafted.found {
        render::print(&format!("found   {line}"));
    }
    let file = path.display();
    render::print(&format!("wrote   {file}"));
    render::message(&format!("next: `pipe check {file}`, then `pipe run {file}`"));
}
