//! What `pipe ls` prints: size and path of each file.

use crate::render;
use pipe_engine::grouped;
use std::fs::Metadata;
use std::path::Path;

/// Prints a file with its size in bytes, or a folder without a size.
pub(super) fn file(path: &Path, metadata: Option<Metadata>, json: bool) {
    if json {
        let size = metadata.map(|metadata| metadata.len());
        return render::print_json(&serde_json::json!({ "path": path.to_string_lossy(), "size_bytes": size }));
    }
    let size = metadata.map_or(String::new(), |metadata| grouped(metadata.len()));
    render::print(&format!("{size:>15}  {}", path.display()));
}
