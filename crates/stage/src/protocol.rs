//! JSON lines: `pipe` writes [`Message`]s to a worker's stdin and reads [`Reply`]s from its stdout.
//!
//! A worker runs one request at a time. The same request in a file is what a cluster executor runs elsewhere.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Raised when messages change; a worker of another version is refused.
pub const PROTOCOL_VERSION: u32 = 3;

/// What `pipe` says to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// Run a stage.
    Run(Box<Request>),
    /// Stop the running request soon.
    Cancel,
}

/// An action to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Chosen by `pipe`, repeated in replies.
    pub id: u64,
    /// The stage kind.
    pub kind: String,
    /// The contract's version that the key was made with.
    pub version: u32,
    /// What to do.
    pub task: Task,
    /// Parameters with defaults filled in.
    pub params: Value,
    /// Inputs by port.
    pub inputs: BTreeMap<String, Input>,
    /// Files outside the pipeline, by the parameter that names them.
    pub sources: BTreeMap<String, Input>,
    /// An empty folder for what the stage writes.
    pub output: PathBuf,
    /// An empty folder for what it needs meanwhile.
    pub scratch: PathBuf,
    /// A folder that outlives it, for downloads that a later request goes on with. All requests share it, also those of
    /// other processes; it need not be there.
    pub downloads: PathBuf,
    /// Threads it may use.
    pub threads: usize,
}

/// How much of a stage a request asks for. Stages that are not in parts know only the whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// All of it.
    Whole,
    /// Say of which parts it consists.
    Plan,
    /// Make parts.
    Make(MakeParts),
    /// Put all parts together: write what is made from all of them.
    Assemble {
        /// All of them, in the order of the plan.
        parts: Vec<MadePart>,
    },
}

/// A part of a stage: keyed, kept and made alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPart {
    /// Its name, unique in the stage, fit for a file name.
    pub name: String,
    /// All that decides its content besides kind, version and libraries, by path: parameters that matter to it, digests.
    pub fields: Vec<(Vec<String>, String)>,
    /// What it is made of, one by one, by name: what stays the same can be taken from an older version of the part.
    pub items: BTreeMap<String, String>,
}

/// Parts to make, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeParts {
    /// For a chain: the part before the first of these.
    pub after: Option<MadePart>,
    /// Each is told with [`Reply::PartFinished`] as soon as it is made.
    pub parts: Vec<MakePart>,
}

/// A part to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakePart {
    /// As planned.
    pub name: String,
    /// An empty folder; see [`MakePart::file`] and [`MakePart::note`].
    pub folder: PathBuf,
    /// An older version of the part with equal [`PlannedPart::fields`].
    pub old: Option<OldPart>,
}

/// An older version of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldPart {
    /// Where it lies.
    pub made: MadePart,
    /// Items that it has and that are the same now.
    pub same_items: BTreeSet<String>,
}

/// A part that is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadePart {
    /// As planned.
    pub name: String,
    /// Where it lies, read-only.
    pub folder: PathBuf,
}

/// The folder of a part whose files belong to the stage's output.
pub const PART_FILES: &str = "files";
/// The folder of a part whose files are for [`Task::Assemble`] and the next part of a chain alone.
pub const PART_NOTES: &str = "notes";

impl MakePart {
    /// Returns where to write a file that belongs to the stage's output, with the folders above it made.
    pub fn file(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_FILES, path)
    }

    /// Returns where to write a file that is read only by [`Task::Assemble`] and the next part of a chain.
    pub fn note(&self, path: &str) -> std::io::Result<PathBuf> {
        self.make(PART_NOTES, path)
    }

    /// Returns the part as it is once it is made.
    pub fn made(&self) -> MadePart {
        MadePart { name: self.name.clone(), folder: self.folder.clone() }
    }

    fn make(&self, kind: &str, path: &str) -> std::io::Result<PathBuf> {
        let path = self.folder.join(kind).join(path);
        fs_err::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        Ok(path)
    }
}

impl MadePart {
    /// Returns where a file of the stage's output lies.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.join(PART_FILES).join(path)
    }

    /// Returns where a file that is no output lies.
    pub fn note(&self, path: &str) -> PathBuf {
        self.folder.join(PART_NOTES).join(path)
    }
}

/// A file or folder that a stage may read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// Of its content, as in the action key; empty for sources, whose files have their own.
    pub digest: String,
    /// A JSON array of the files in it with their digests ([`crate::SourceFile`]), for sources and folder inputs.
    pub files: Option<PathBuf>,
    /// For a `videos` table: the folder that its paths are relative to.
    pub media_root: Option<PathBuf>,
}

/// What a worker says of its request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How far it is.
    Progress {
        /// Items done.
        done: u64,
        /// Items in all.
        total: u64,
        /// What an item is: `videos`, `steps`.
        unit: String,
        /// What matters just now, such as `loss 0.41`.
        note: String,
    },
    /// Something the user should know, kept with the result.
    Warning {
        /// In words.
        text: String,
    },
    /// The answer to [`Task::Plan`].
    Planned {
        /// As [`Request::id`].
        id: u64,
        /// In the order in which they are made and put together.
        parts: Vec<PlannedPart>,
    },
    /// A part is made, and will not be written to any more.
    PartFinished {
        /// Its name.
        name: String,
    },
    /// The request ended well.
    Finished {
        /// As [`Request::id`].
        id: u64,
        /// See [`crate::Summary`].
        summary: Vec<String>,
    },
    /// The request failed; the worker lives on.
    Failed {
        /// As [`Request::id`].
        id: u64,
        /// What happened.
        error: String,
        /// Why, outermost first.
        causes: Vec<String>,
        /// What to do.
        help: Option<String>,
        /// Whether it stopped because it was told to.
        cancelled: bool,
    },
}

/// What `WORKER --info` prints, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Info {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Stage kinds with their versions.
    pub kinds: BTreeMap<String, u32>,
    /// Versions of the libraries that decide bytes, by [`pipe_schemas::Tool::name`].
    pub tools: BTreeMap<String, String>,
    /// Shared libraries in the process; when one of these files changes, the versions must be asked for again.
    pub libraries: Vec<PathBuf>,
}
