//! [`Context`]: the request of a running stage, and the channel for its reports.

use crate::StageError;
use crate::protocol::{Grant, Input, Reply, Request};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The request of a running stage, and the channel for its reports. Threads can share it.
pub struct Context {
    request: Request,
    reply: Box<dyn Fn(Reply) + Send + Sync>,
    cancelled: Arc<AtomicBool>,
    last_progress: Mutex<Option<Instant>>,
    program: Option<PathBuf>,
    variable: fn(&str) -> Option<String>,
}

/// A folder of files (or one file), with the digests that the action key holds.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The folder, or the file.
    pub root: PathBuf,
    /// The files below `root` that the parameters include, sorted by path.
    pub files: Vec<SourceFile>,
}

/// A file of [`Sources`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path below the root with `/` between folders; empty if the root is the file. See also [`Self::has_odd_name`].
    pub path: String,
    /// BLAKE3 of its content, in hex.
    pub digest: String,
    /// Size of the content.
    pub size_bytes: u64,
}

/// Prefix of the text for a path that is not UTF-8. No listed path starts with it.
const ODD: &str = "./";

impl SourceFile {
    /// Returns a text for `path`, which is not UTF-8: `./caf\xE9.avi`. Different paths have different texts.
    pub fn odd_name(path: &Path) -> String {
        let mut name = ODD.to_owned();
        for chunk in path.as_os_str().as_bytes().utf8_chunks() {
            // Otherwise a name that contains an escape would equal a name that was escaped.
            name.push_str(&chunk.valid().replace('\\', r"\\"));
            name.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02X}")));
        }
        name
    }

    /// Returns whether the file's path is not UTF-8. Then `path` is a unique text to show, but no file can be opened with it.
    pub fn has_odd_name(&self) -> bool {
        self.path.starts_with(ODD)
    }
}

impl Context {
    /// Returns a context for `request` that sends its replies to `reply`. Tests of stages create their own.
    pub fn new(request: Request, cancelled: Arc<AtomicBool>, reply: impl Fn(Reply) + Send + Sync + 'static) -> Self {
        let (reply, last_progress) = (Box::new(reply), Mutex::new(None));
        Self { request, reply, cancelled, last_progress, program: None, variable: |_| None }
    }

    /// Returns a context for work that is not a stage of a pipeline: it has threads, and no parameters, inputs or outputs.
    pub fn detached(threads: usize, cancelled: Arc<AtomicBool>) -> Self {
        let nowhere = PathBuf::new;
        let request = Request {
            protocol: crate::protocol::PROTOCOL_VERSION,
            id: 0,
            kind: String::new(),
            version: 0,
            task: crate::protocol::Task::Whole,
            params: serde_json::Value::Null,
            inputs: BTreeMap::new(),
            sources: BTreeMap::new(),
            output: nowhere(),
            scratch: nowhere(),
            downloads: nowhere(),
            diagnostics: nowhere(),
            grant: Grant::cpu(threads),
        };
        Self::new(request, cancelled, |_| {})
    }

    /// Adds the executable of the worker, which [`crate::Helpers`] start.
    #[must_use]
    pub fn with_helper_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    /// Adds what reads variables of the environment of the worker.
    #[must_use]
    pub fn with_variables(self, variable: fn(&str) -> Option<String>) -> Self {
        Self { variable, ..self }
    }

    /// Returns the executable of the worker, which a stage may start again; `None` in a test of a stage.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// Returns a variable of the environment of the worker, such as `MASTER_ADDR`, if it has a value.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// Parses the parameters.
    pub fn params<P: DeserializeOwned>(&self) -> Result<P, StageError> {
        Ok(serde_json::from_value(self.request.params.clone())?)
    }

    /// Returns the path of an input that the contract requires.
    pub fn input(&self, port: &str) -> Result<&Path, StageError> {
        self.optional_input(port).ok_or_else(|| StageError::message(format!("the request has no input `{port}`")))
    }

    /// Returns the path of an input, if it is connected.
    pub fn optional_input(&self, port: &str) -> Option<&Path> {
        self.request.inputs.get(port).map(|input| input.path.as_path())
    }

    /// Returns the folder that the paths of a `videos` table are relative to.
    pub fn media_root(&self, port: &str) -> Result<&Path, StageError> {
        let root = self.request.inputs.get(port).and_then(|input| input.media_root.as_deref());
        root.ok_or_else(|| StageError::message(format!("the request has no folder for the videos of `{port}`")))
    }

    /// Returns the files of the folder input `port` or of the source that the parameter `param` names, whichever the request has.
    pub fn files(&self, port: &str, param: &str) -> Result<Sources, StageError> {
        let input = self.request.inputs.get(port).or_else(|| self.request.sources.get(param));
        let input = input.ok_or_else(|| {
            StageError::message(format!("the input `{port}` and the parameter `{param}` are both missing"))
                .with_help(format!("connect `{port}` under `inputs:`, or write `{param}:` under `with:`"))
        })?;
        read_sources(input)
    }

    /// Returns the source that a parameter names, if it names one.
    pub fn source(&self, param: &str) -> Result<Option<Sources>, StageError> {
        self.request.sources.get(param).map(read_sources).transpose()
    }

    /// Returns how many files below the source that a parameter names are not in its list, by what they are: `.txt`.
    pub fn left_out(&self, param: &str) -> BTreeMap<String, u64> {
        self.request.sources.get(param).map(|input| input.left_out.clone()).unwrap_or_default()
    }

    /// Returns where to write the output file or folder `path`, and creates the folders above it.
    pub fn output(&self, path: &str) -> Result<PathBuf, StageError> {
        let output = self.request.output.join(path);
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(output)
    }

    /// Returns an empty folder for temporary files.
    pub fn scratch(&self) -> &Path {
        &self.request.scratch
    }

    /// Returns a folder for downloads that a later request can resume, and creates it if it is missing. Other requests use it at
    /// the same time.
    pub fn downloads(&self) -> Result<&Path, StageError> {
        fs::create_dir_all(&self.request.downloads)?;
        Ok(&self.request.downloads)
    }

    /// Returns where to write a file that explains a failure, and creates the folder. The file is kept with the run.
    pub fn diagnostic(&self, name: &str) -> Result<PathBuf, StageError> {
        fs::create_dir_all(&self.request.diagnostics)?;
        Ok(self.request.diagnostics.join(name))
    }

    /// Returns the digest of an input, as in the action key, if it is connected.
    pub fn input_digest(&self, port: &str) -> Option<&str> {
        self.request.inputs.get(port).map(|input| input.digest.as_str())
    }

    /// Returns the threads and devices that the stage may use.
    pub fn grant(&self) -> &Grant {
        &self.request.grant
    }

    /// Returns the number of granted threads. The result of an exact stage must not depend on it.
    pub fn threads(&self) -> usize {
        self.request.grant.threads.max(1)
    }

    /// Reports how many items are done; cheap enough to call for every item.
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        {
            let mut last = self.last_progress.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
            if !due && done < total {
                return;
            }
            *last = Some(Instant::now());
        }
        (self.reply)(Reply::Progress { done, total, unit: unit.to_owned() });
    }

    /// Reports named numbers, such as `loss` and `lr`, that belong to `step`. Each call is reported.
    pub fn measured<'a>(&self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) {
        let values: BTreeMap<String, f64> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        (self.reply)(Reply::Measured { step, values });
    }

    /// Adds a line to the stage's log.
    #[expect(clippy::print_stderr, reason = "a worker's stderr is the stage's log")]
    pub fn log(&self, text: impl std::fmt::Display) {
        eprintln!("{text}");
    }

    /// Reports a warning to the user. It is kept with the result.
    pub fn warn(&self, text: impl Into<String>) {
        (self.reply)(Reply::Warning { text: text.into() });
    }

    /// Reports that a part is complete. It must not be written to any more.
    pub fn part_finished(&self, name: &str) {
        (self.reply)(Reply::PartFinished { name: name.to_owned() });
    }

    /// Returns an error after the request was cancelled. Call it between items.
    pub fn check_cancelled(&self) -> Result<(), StageError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(StageError::cancelled()) } else { Ok(()) }
    }

    /// Cancels the request, so that its other threads end.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn reply(&self, reply: Reply) {
        (self.reply)(reply);
    }

    /// Returns the names of all inputs that are connected, sorted; for stages whose inputs the pipeline names.
    pub fn connected_inputs(&self) -> impl Iterator<Item = &str> {
        self.request.inputs.keys().map(String::as_str)
    }

    /// Returns the whole request, for a process that works on it too.
    pub fn request(&self) -> &Request {
        &self.request
    }
}

fn read_sources(input: &Input) -> Result<Sources, StageError> {
    let list = input
        .files
        .as_ref()
        .ok_or_else(|| StageError::message(format!("the request lists no files for {}", input.path.display())))?;
    let files = serde_json::from_slice(&fs::read(list)?)?;
    Ok(Sources { root: input.path.clone(), files })
}
