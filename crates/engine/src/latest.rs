//! The newest result of each stage: the links that people open, and the keys that the next run compares with.
//!
//! ```text
//! out/<pipeline>/<stage>  link to the files
//! latest/<pipeline>.log   a line after a result became the newest, and one before its link is replaced; see [`log`]
//! ```
//!
//! The last lines of a stage are valid. Several runs may append to the log at once. A new result costs one short write, and a run
//! without new results reads the log once. If a line is damaged, the keys are taken from the recorded runs.

use crate::bookkeeping::Bookkeeping;
use crate::record::newest_keys;
use fs_err as fs;
use log::{Log, UNSURE, line, rebuilt};
use pipe_cache::{ActionKey, replace_file};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

mod log;

/// Action keys by stage name.
pub(crate) type Keys = BTreeMap<String, ActionKey>;

/// Returns the keys of the newest results of a pipeline.
pub(crate) fn keys(kept: &Bookkeeping, pipeline: &str) -> io::Result<Keys> {
    let path = path(kept.root(), pipeline);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Keys::new()),
        Err(error) => Err(error),
        Ok(bytes) => keys_of(kept, pipeline, &Log::read(&bytes)),
    }
}

/// Returns the keys of the newest results, by pipeline.
pub(crate) fn all_keys(kept: &Bookkeeping) -> io::Result<BTreeMap<String, Keys>> {
    let logs = names(&kept.root().join("latest"))?;
    let pipelines = logs.iter().filter_map(|name| name.strip_suffix(".log"));
    pipelines.map(|pipeline| Ok((pipeline.to_owned(), keys(kept, pipeline)?))).collect()
}

/// Returns the keys in a log. If it is damaged, the recorded runs say which result of each stage is the newest.
fn keys_of(kept: &Bookkeeping, pipeline: &str, log: &Log) -> io::Result<Keys> {
    let mut keys = log.keys();
    if log.is_damaged {
        kept.damaged(&path(kept.root(), pipeline), "the newest results are looked up in the recorded runs");
        keys.extend(newest_keys(kept, pipeline)?);
    }
    Ok(keys)
}

/// Removes outdated lines from all logs. No run may be active.
pub fn compact(kept: &Bookkeeping) -> io::Result<()> {
    for pipeline in all_keys(kept)?.keys() {
        let path = path(kept.root(), pipeline);
        let log = Log::read(&fs::read(&path)?);
        let text = if log.is_damaged { rebuilt(&keys_of(kept, pipeline, &log)?) } else { log.text() };
        replace_file(&path, text.as_bytes())?;
    }
    Ok(())
}

/// Returns the names in a folder; none if the folder is missing.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        // `pipe` writes no name that is not UTF-8.
        Ok(entries) => {
            entries.filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose()).collect()
        }
    }
}

fn path(root: &Path, pipeline: &str) -> PathBuf {
    root.join("latest").join(format!("{pipeline}.log"))
}

/// Updates links and log of one pipeline while it runs.
#[derive(Debug)]
pub(crate) struct Publisher {
    root: PathBuf,
    /// The folder of the links.
    folder: PathBuf,
    file: fs::File,
    num_read_bytes: u64,
    log: Log,
    /// Names of the existing links.
    links: HashSet<String>,
}

impl Publisher {
    pub(crate) fn open(kept: &Bookkeeping, pipeline: &str) -> io::Result<Self> {
        let root = kept.root();
        fs::create_dir_all(root.join("latest"))?;
        let file = fs::OpenOptions::new().read(true).append(true).create(true).open(path(root, pipeline))?;
        let folder = root.join("out").join(pipeline);
        let links = names(&folder)?.into_iter().collect();
        let log = Log::default();
        let mut publisher = Self { root: root.into(), folder, file, num_read_bytes: 0, log, links };
        publisher.read_on()?;
        if publisher.log.is_damaged {
            publisher.append(&rebuilt(&keys_of(kept, pipeline, &publisher.log)?))?;
            publisher.read_on()?;
        }
        Ok(publisher)
    }

    /// Points the link of `stage` at the files in `view` and logs their key, unless both are up to date.
    ///
    /// A result without a key was not recorded: people can open it, but the next run repeats the stage.
    pub(crate) fn publish(&mut self, stage: &str, view: &Path, key: Option<ActionKey>) -> io::Result<()> {
        let below_root = view.strip_prefix(&self.root).unwrap_or(view);
        let below_root: PathBuf = below_root.components().filter(|part| *part != Component::CurDir).collect();
        let (target, link) = (Path::new("../..").join(below_root), self.folder.join(stage));
        let leads_there = self.links.contains(stage) && fs_err::read_link(&link).is_ok_and(|current| current == target);
        // A stage that was forced has the same key, and maybe other files.
        if let Some(key) = key
            && leads_there
            && self.is_newest(stage, key)?
        {
            return Ok(());
        }
        self.read_on()?;
        if self.log.known.get(stage).is_some_and(|known| known.linked) {
            self.append(&line(stage, UNSURE))?;
        }
        if !leads_there {
            replace(&target, &link)?;
            self.links.insert(stage.to_owned());
        }
        key.map_or(Ok(()), |key| self.append(&line(stage, &key.to_string())))
    }

    /// Returns whether the link of `stage` leads to the result with this key.
    pub(crate) fn is_newest(&mut self, stage: &str, key: ActionKey) -> io::Result<bool> {
        self.read_on()?;
        let known = self.log.known.get(stage).copied().unwrap_or_default();
        Ok(known.key == Some(key) && known.linked && self.links.contains(stage))
    }

    /// Reads the lines that this run and others have appended.
    fn read_on(&mut self) -> io::Result<()> {
        let num_bytes = self.file.metadata()?.len();
        if num_bytes > self.num_read_bytes {
            let mut bytes = vec![0; (num_bytes - self.num_read_bytes) as usize];
            // Appending moves the position of the file, so read at an explicit offset.
            self.file.file().read_exact_at(&mut bytes, self.num_read_bytes)?;
            self.num_read_bytes = num_bytes;
            self.log.read_on(&bytes);
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())
    }
}

/// Points the link at `link` to `target`, and replaces an existing link.
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

/// Creates a link; returns `false` if something exists at its path.
fn link_new(target: &Path, link: &Path, folder: &Path) -> io::Result<bool> {
    for _ in 0..2 {
        match fs::os::unix::fs::symlink(target, link) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir_all(folder)?,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::Fields;

    fn key(name: &str) -> ActionKey {
        let mut fields = Fields::default();
        fields.add(["name"], name);
        fields.key()
    }

    /// Returns the target of the link of stage `s`.
    fn link(root: &Path) -> String {
        fs_err::read_link(root.join("out/p/s")).expect("a link").display().to_string()
    }

    #[test]
    fn the_last_of_several_runs_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let kept = &Bookkeeping::to_update(root);
        let publish = |run: &mut Publisher, name: &str| {
            run.publish("s", &root.join(name), Some(key(name))).expect("published");
            assert_eq!((link(root), keys(kept, "p").expect("read")["s"]), (format!("../../{name}"), key(name)));
        };
        let (mut one, mut two) = (Publisher::open(kept, "p").expect("open"), Publisher::open(kept, "p").expect("open"));
        publish(&mut one, "a");
        publish(&mut two, "b");
        publish(&mut one, "a");
        publish(&mut two, "a");
        let log = fs_err::read_to_string(path(root, "p")).expect("read");
        publish(&mut two, "a");
        publish(&mut Publisher::open(kept, "p").expect("open"), "a");
        assert_eq!(
            fs_err::read_to_string(path(root, "p")).expect("read"),
            log,
            "without a new result nothing is written"
        );
        fs_err::remove_dir_all(root.join("out")).expect("removed");
        publish(&mut Publisher::open(kept, "p").expect("open"), "a");
        compact(kept).expect("written");
        assert_eq!(keys(kept, "p").expect("read"), Keys::from([("s".to_owned(), key("a"))]));
        publish(&mut Publisher::open(kept, "p").expect("open"), "a");
    }

    /// A forced stage with measurements has other files under the same key.
    #[test]
    fn the_link_leads_to_the_files_that_were_made_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let kept = &Bookkeeping::to_update(root);
        for view in ["a", "b", "a"] {
            let mut run = Publisher::open(kept, "p").expect("open");
            run.publish("s", &root.join(view), Some(key("k"))).expect("published");
            assert_eq!((link(root), keys(kept, "p").expect("read")["s"]), (format!("../../{view}"), key("k")));
        }
    }

    #[test]
    fn a_link_whose_replacement_was_interrupted_is_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let kept = &Bookkeeping::to_update(root);
        let publish = |name: &str, key| {
            Publisher::open(kept, "p").and_then(|mut run| run.publish("s", &root.join(name), key)).expect("published");
        };
        publish("a", Some(key("a")));
        // A result that was not recorded has no key; a run that is killed at this point leaves the same state.
        publish("b", None);
        assert_eq!((link(root), keys(kept, "p").expect("read")["s"]), ("../../b".into(), key("a")));
        fs::OpenOptions::new()
            .append(true)
            .open(path(root, "p"))
            .expect("open")
            .write_all(b"\ns 12")
            .expect("cut short");
        publish("a", Some(key("a")));
        assert_eq!((link(root), keys(kept, "p").expect("read")["s"]), ("../../a".into(), key("a")));
    }
}
