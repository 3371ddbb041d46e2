//! The newest result of each stage: what people open, and what the next key is compared with.
//!
//! ```text
//! out/<pipeline>/<stage>     link to the files
//! latest/<pipeline>/<stage>  their action key, as the target of a link: one call reads it, one writes it
//! ```

use fs_err as fs;
use pipe_cache::ActionKey;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Returns the key of the newest result of a stage.
pub fn key(root: &Path, pipeline: &str, stage: &str) -> Option<ActionKey> {
    key_at(&path(root, pipeline, stage))
}

/// Returns the key that is kept at `path`, a link below `latest`.
pub(crate) fn key_at(path: &Path) -> Option<ActionKey> {
    std::fs::read_link(path).ok()?.to_str()?.parse().ok()
}

fn path(root: &Path, pipeline: &str, stage: &str) -> PathBuf {
    root.join("latest").join(pipeline).join(stage)
}

/// Points `out/<pipeline>/<stage>` at the files in `view`, and remembers their key. Does nothing where both are so already.
///
/// A result without a key was not recorded: it can be looked at, but the next run makes it again.
pub(crate) fn publish(root: &Path, names: (&str, &str), view: &Path, key: Option<ActionKey>) -> io::Result<()> {
    let folder = root.join("out").join(names.0);
    let link = folder.join(names.1);
    let below_root = view.strip_prefix(root).unwrap_or(view);
    let target =
        Path::new("../..").join(below_root.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>());
    if !std::fs::read_link(&link).is_ok_and(|current| current == target) {
        replace(&target, &link)?;
    }
    let Some(key) = key else { return Ok(()) };
    let latest = path(root, names.0, names.1);
    if key_at(&latest) != Some(key) {
        replace(Path::new(&key.to_string()), &latest)?;
    }
    Ok(())
}

/// Lets the link at `link` lead to `target`, whatever was there.
fn replace(target: &Path, link: &Path) -> io::Result<()> {
    let folder = link.parent().unwrap_or(Path::new("."));
    if link_new(target, link, folder)? {
        return Ok(());
    }
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let fresh = folder.join(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    fs::os::unix::fs::symlink(target, &fresh)?;
    fs::rename(&fresh, link)
}

/// Makes a link where there is nothing yet.
fn link_new(target: &Path, link: &Path, folder: &Path) -> io::Result<bool> {
    for _ in 0..2 {
        match fs::os::unix::fs::symlink(target, link) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder)?,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
