//! The newest result of each stage: the links that people open, and the keys that the next run compares with.
//!
//! ```text
//! out/<pipeline>/<stage>  link to the files
//! latest/<pipeline>.log   `STAGE KEY` after a result became the newest, `STAGE -` before its link is replaced
//! ```
//!
//! The last lines of a stage are valid. Several runs may append to the log at once. A new result costs one short write, and a run
//! without new results reads the log once.

use fs_err as fs;
use pipe_cache::ActionKey;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// Written in place of a key while a link is replaced.
const UNSURE: &str = "-";

/// Action keys by stage name.
pub(crate) type Keys = BTreeMap<String, ActionKey>;

/// Returns the keys of the newest results of a pipeline.
pub(crate) fn keys(root: &Path, pipeline: &str) -> io::Result<Keys> {
    match fs::read_to_string(log(root, pipeline)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Keys::new()),
        Err(error) => Err(error),
        Ok(text) => Ok(keys_of(&Known::read(&text))),
    }
}

/// Returns the keys of the newest results, by pipeline.
pub(crate) fn all_keys(root: &Path) -> io::Result<BTreeMap<String, Keys>> {
    let logs = names(&root.join("latest"))?;
    let pipelines = logs.iter().filter_map(|name| name.strip_suffix(".log"));
    pipelines.map(|pipeline| Ok((pipeline.to_owned(), keys(root, pipeline)?))).collect()
}

/// Removes outdated lines from all logs. No run may be active.
pub fn compact(root: &Path) -> io::Result<()> {
    for pipeline in all_keys(root)?.keys() {
        let path = log(root, pipeline);
        let known = Known::read(&fs::read_to_string(&path)?);
        let lines = known.iter().filter_map(|(stage, known)| {
            let unsure = if known.linked { String::new() } else { line(stage, UNSURE) };
            Some(line(stage, &known.key?.to_string()) + &unsure)
        });
        let fresh = path.with_extension("tmp");
        fs::write(&fresh, lines.collect::<String>())?;
        fs::rename(fresh, path)?;
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

fn log(root: &Path, pipeline: &str) -> PathBuf {
    root.join("latest").join(format!("{pipeline}.log"))
}

fn line(stage: &str, what: &str) -> String {
    // The first newline ends the line that a killed run may have left incomplete.
    format!("\n{stage} {what}\n")
}

fn keys_of(known: &BTreeMap<String, Known>) -> Keys {
    known.iter().filter_map(|(stage, known)| Some((stage.clone(), known.key?))).collect()
}

/// The state of a stage according to the log.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    key: Option<ActionKey>,
    /// Whether the link points at the result with this key.
    linked: bool,
}

impl Known {
    /// Reads a log. An incomplete line is ignored.
    fn read(text: &str) -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for (stage, what) in text.lines().filter_map(|line| line.split_once(' ')) {
            match what.parse() {
                Ok(key) => drop(all.insert(stage.to_owned(), Self { key: Some(key), linked: true })),
                Err(_) if what == UNSURE => all.entry(stage.to_owned()).or_default().linked = false,
                Err(_) => {}
            }
        }
        all
    }
}

/// Updates links and log of one pipeline while it runs.
#[derive(Debug)]
pub(crate) struct Publisher {
    root: PathBuf,
    /// The folder of the links.
    folder: PathBuf,
    log: fs::File,
    num_read_bytes: u64,
    known: HashMap<String, Known>,
    /// Names of the existing links.
    links: HashSet<String>,
}

impl Publisher {
    pub(crate) fn open(root: &Path, pipeline: &str) -> io::Result<Self> {
        fs::create_dir_all(root.join("latest"))?;
        let log = fs::OpenOptions::new().read(true).append(true).create(true).open(log(root, pipeline))?;
        let folder = root.join("out").join(pipeline);
        let links = names(&folder)?.into_iter().collect();
        Ok(Self { root: root.into(), folder, log, num_read_bytes: 0, known: HashMap::new(), links })
    }

    /// Points the link of `stage` at the files in `view` and logs their key, unless both are up to date.
    ///
    /// A result without a key was not recorded: people can open it, but the next run repeats the stage.
    pub(crate) fn publish(&mut self, stage: &str, view: &Path, key: Option<ActionKey>) -> io::Result<()> {
        self.read_on()?;
        let known = self.known.get(stage).copied().unwrap_or_default();
        let there = self.links.contains(stage);
        if key.is_some() && known.key == key && known.linked && there {
            return Ok(());
        }
        if known.linked {
            self.append(&line(stage, UNSURE))?;
        }
        let below_root = view.strip_prefix(&self.root).unwrap_or(view);
        let below_root: PathBuf = below_root.components().filter(|part| *part != Component::CurDir).collect();
        let (target, link) = (Path::new("../..").join(below_root), self.folder.join(stage));
        if !there || !fs_err::read_link(&link).is_ok_and(|current| current == target) {
            replace(&target, &link)?;
            self.links.insert(stage.to_owned());
        }
        key.map_or(Ok(()), |key| self.append(&line(stage, &key.to_string())))
    }

    /// Reads the lines that this run and others have appended.
    fn read_on(&mut self) -> io::Result<()> {
        let num_bytes = self.log.metadata()?.len();
        if num_bytes > self.num_read_bytes {
            let mut bytes = vec![0; (num_bytes - self.num_read_bytes) as usize];
            // Appending moves the position of the file, so read at an explicit offset.
            self.log.file().read_exact_at(&mut bytes, self.num_read_bytes)?;
            self.num_read_bytes = num_bytes;
            self.known.extend(Known::read(&String::from_utf8_lossy(&bytes)));
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.log.write_all(line.as_bytes())
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
        let publish = |run: &mut Publisher, name: &str| {
            run.publish("s", &root.join(name), Some(key(name))).expect("published");
            assert_eq!((link(root), keys(root, "p").expect("read")["s"]), (format!("../../{name}"), key(name)));
        };
        let (mut one, mut two) = (Publisher::open(root, "p").expect("open"), Publisher::open(root, "p").expect("open"));
        publish(&mut one, "a");
        publish(&mut two, "b");
        publish(&mut one, "a");
        publish(&mut two, "a");
        let log = fs_err::read_to_string(log(root, "p")).expect("read");
        publish(&mut two, "a");
        publish(&mut Publisher::open(root, "p").expect("open"), "a");
        assert_eq!(
            fs_err::read_to_string(super::log(root, "p")).expect("read"),
            log,
            "without a new result nothing is written"
        );
        fs_err::remove_dir_all(root.join("out")).expect("removed");
        publish(&mut Publisher::open(root, "p").expect("open"), "a");
        compact(root).expect("written");
        assert_eq!(keys(root, "p").expect("read"), Keys::from([("s".to_owned(), key("a"))]));
        publish(&mut Publisher::open(root, "p").expect("open"), "a");
    }

    #[test]
    fn a_link_whose_replacement_was_interrupted_is_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let publish = |name: &str, key| {
            Publisher::open(root, "p").and_then(|mut run| run.publish("s", &root.join(name), key)).expect("published");
        };
        publish("a", Some(key("a")));
        // A result that was not recorded has no key; a run that is killed at this point leaves the same state.
        publish("b", None);
        assert_eq!((link(root), keys(root, "p").expect("read")["s"]), ("../../b".into(), key("a")));
        fs::OpenOptions::new()
            .append(true)
            .open(log(root, "p"))
            .expect("open")
            .write_all(b"\ns 12")
            .expect("cut short");
        publish("a", Some(key("a")));
        assert_eq!((link(root), keys(root, "p").expect("read")["s"]), ("../../a".into(), key("a")));
    }
}
