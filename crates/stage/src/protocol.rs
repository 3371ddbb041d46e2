//! JSON lines: `pipe` writes [`Message`]s to a worker's stdin and reads [`Reply`]s from its stdout.
//!
//! A worker runs one request at a time. The same request in a file is what a cluster executor runs on another machine.

use crate::{Environment, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

mod grant;
mod parts;
pub mod paths;
pub mod predict;
pub mod values;

pub use grant::{Device, Grant, UnknownDevice};
pub use parts::{Made, MadePart, MakePart, MakeParts, OldPart, PART_FILES, PART_NOTES, PART_STATE, PlannedPart};

/// Raised when messages change. `pipe` refuses a worker of another version.
pub const PROTOCOL_VERSION: u32 = 6;

/// A message from `pipe` to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// Run a stage.
    Run(Box<Request>),
    /// Stop the request that was sent last soon.
    Cancel,
}

/// An action to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Chosen by `pipe` and repeated in replies.
    pub id: u64,
    /// The stage kind.
    pub kind: String,
    /// The contract's version in the action key.
    pub version: u32,
    /// How much of the stage to run.
    pub task: Task,
    /// Parameters with defaults filled in.
    pub params: Value,
    /// Inputs by port.
    pub inputs: BTreeMap<String, Input>,
    /// Files from outside the pipeline, by the parameter that names them.
    pub sources: BTreeMap<String, Input>,
    /// An empty folder for the stage's output.
    #[serde(with = "paths")]
    pub output: PathBuf,
    /// An empty folder for temporary files.
    #[serde(with = "paths")]
    pub scratch: PathBuf,
    /// A folder for downloads that a later request can resume. All requests share it, also those of other processes. It may
    /// not exist yet.
    #[serde(with = "paths")]
    pub downloads: PathBuf,
    /// A folder for files that explain a failure. They are kept with the run, and are not outputs. It may not exist yet.
    #[serde(with = "paths")]
    pub diagnostics: PathBuf,
    /// The threads and devices that the stage may use.
    pub grant: Grant,
}

/// How much of a stage to run. Stages without parts know only [`Task::Whole`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// The whole stage.
    Whole,
    /// List the parts of the stage.
    Plan,
    /// Make parts.
    Make(MakeParts),
    /// Write what is made from all parts together.
    Assemble {
        /// All parts, in the order of the plan. A chain that ended early has fewer than were planned; a stage may also use
        /// fewer than there are, see [`Summary::used_parts`].
        parts: Vec<MadePart>,
    },
}

/// A file or folder that a stage may read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The file or folder.
    #[serde(with = "paths")]
    pub path: PathBuf,
    /// Digest of the content, as in the action key. Empty for sources: there, each file has its own.
    pub digest: String,
    /// A JSON array of the files below `path` with their digests ([`crate::SourceFile`]), for sources and folder inputs.
    #[serde(with = "paths::optional")]
    pub files: Option<PathBuf>,
    /// For a `videos` table: the folder that its paths are relative to.
    #[serde(with = "paths::optional")]
    pub media_root: Option<PathBuf>,
    /// For sources: how many files below `path` are left out, by what they are: `.txt`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
}

/// A message from a worker about its request. The request ends with [`Reply::Planned`], [`Reply::Made`], [`Reply::Finished`],
/// [`Reply::StateNeeded`] or [`Reply::Failed`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How much of the work is done.
    Progress {
        /// Items done.
        done: u64,
        /// Items in total.
        total: u64,
        /// What an item is: `videos`, `steps`.
        unit: String,
    },
    /// Named numbers that the stage measured, such as `loss`, `lr` or `images_per_sec`.
    Measured {
        /// The step that the numbers belong to. It counts up over the whole stage, also where parts come from the store.
        step: u64,
        /// The numbers by name. JSON has no NaN: a number that is not finite arrives as NaN.
        #[serde(with = "values")]
        values: BTreeMap<String, f64>,
    },
    /// What the bits of the result depend on besides the action key. Sent at the start of a request for a floating-point stage.
    Environment {
        /// As in [`crate::environment()`].
        values: Environment,
    },
    /// A warning for the user, kept with the result.
    Warning {
        /// The text.
        text: String,
    },
    /// The answer to [`Task::Plan`].
    Planned {
        /// As in [`Request::id`].
        id: u64,
        /// In the order in which they are made and assembled.
        parts: Vec<PlannedPart>,
    },
    /// A part is complete. The worker does not write to it any more.
    PartFinished {
        /// As in [`PlannedPart::name`].
        name: String,
    },
    /// The answer to [`Task::Make`].
    Made {
        /// As in [`Request::id`].
        id: u64,
        /// Whether the chain ended before the last of the parts; see [`Made::ChainEnded`].
        chain_ended: bool,
    },
    /// The request needs the state of a link that was dropped. `pipe` makes the link again and repeats the request.
    StateNeeded {
        /// As in [`Request::id`].
        id: u64,
        /// The link's name.
        part: String,
    },
    /// The answer to [`Task::Whole`] and [`Task::Assemble`]: the output is complete.
    Finished {
        /// As in [`Request::id`].
        id: u64,
        /// What the stage reports of its result.
        summary: Summary,
    },
    /// The request failed. The worker accepts further requests.
    Failed {
        /// As in [`Request::id`].
        id: u64,
        /// What happened.
        error: String,
        /// Why, outermost first.
        causes: Vec<String>,
        /// What to do.
        help: Option<String>,
        /// Whether the request stopped because it was cancelled.
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
    /// Versions of the libraries that determine bytes, by [`pipe_schemas::Tool::name`].
    pub tools: BTreeMap<String, String>,
    /// Shared libraries in the process. `pipe` asks for the versions again when one of these files changes.
    #[serde(with = "paths::list")]
    pub libraries: Vec<PathBuf>,
}
