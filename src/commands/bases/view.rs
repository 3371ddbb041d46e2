//! What `pipe bases` prints: a line per built-in file.

use crate::render;
use pipe_engine::Base;
use serde_json::json;

/// Prints name and summary of a file.
pub(super) fn base(base: &Base, json: bool) {
    let (name, summary) = (format!("builtin/{}", base.name), base.summary());
    if json {
        return render::print_json(&json!({ "name": name, "summary": summary }));
    }
    render::print(&format!("{name:32} {summary}"));
}
