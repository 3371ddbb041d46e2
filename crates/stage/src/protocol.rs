//! JSON lines: `pipe` writes [`Message`]s to a worker's stdin and reads [`Reply`]s from its stdout.
//!
//! A worker runs one request at a time. The same request in a file is what a cluster executor runs elsewhere.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Raised when messages change; a worker of another version is refused.
pub const PROTOCOL_VERSION: u32 = 1;

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
    /// Threads it may use.
    pub threads: usize,
}

/// A file or folder that a stage may read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
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
