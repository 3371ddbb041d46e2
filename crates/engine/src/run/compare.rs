//! [`difference`]: where two outputs differ first.

use pipe_cache::{Tree, TreeFile};
use std::path::Path;
use std::process::{Command, Stdio};

/// Says which file of two outputs differs first and, for tables and tensors, where in it.
pub(super) fn difference(one: &Tree, two: &Tree, views: (&Path, &Path), data_worker: &Path) -> String {
    let find =
        |tree: &Tree, path: &str| -> Option<TreeFile> { tree.files.iter().find(|file| file.path == path).cloned() };
    let mut paths: Vec<&str> = one.files.iter().chain(&two.files).map(|file| file.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        match (find(one, path), find(two, path)) {
            (Some(was), Some(is)) if was == is => {}
            (Some(_), None) => return format!("{path} is gone"),
            (None, _) => return format!("{path} is new"),
            (Some(_), Some(_)) => {
                let files = (views.0.join(path), views.1.join(path));
                let inside = inside(&files.0, &files.1, data_worker).unwrap_or_else(|| bytes(&files.0, &files.1));
                return format!("{path}: {inside}\n{}\n{}", files.0.display(), files.1.display());
            }
        }
    }
    "only the order of files".to_owned()
}

/// Asks the worker that can read tables and tensors.
fn inside(one: &Path, two: &Path, data_worker: &Path) -> Option<String> {
    let kind = one.extension()?.to_str()?;
    if !["parquet", "safetensors"].contains(&kind) {
        return None;
    }
    let mut command = Command::new(data_worker);
    let output = command.arg("--diff").args([one, two]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn bytes(one: &Path, two: &Path) -> String {
    let read = |path: &Path| fs_err::read(path).unwrap_or_default();
    let (one, two) = (read(one), read(two));
    match one.iter().zip(&two).position(|(one, two)| one != two) {
        Some(position) => format!("differs from byte {position} on, {} and {} bytes", one.len(), two.len()),
        None => format!("one is the beginning of the other, {} and {} bytes", one.len(), two.len()),
    }
}
