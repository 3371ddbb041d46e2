//! [`RunEvent`]: an event of a run, as data. Renderers in `src/render` print events as lines, bars or JSON.

use pipe_stage::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happens in a run, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// Another process is collecting garbage in the store; the run starts afterwards.
    StoreWaiting,
    /// The first event.
    RunStarted {
        /// Name of the pipeline.
        pipeline: String,
        /// ID of the run, the name of its folder below `.pipe/runs/`.
        run: String,
        /// Start time, RFC 3339.
        #[serde(default)]
        started: String,
        /// Names of the stages, in order.
        stages: Vec<String>,
    },
    /// Source files were hashed because their size or time changed.
    SourcesHashed {
        /// Name of the stage that declares the files.
        stage: String,
        /// Number of declared files.
        num_files: u64,
        /// Number of files that were read.
        num_read: u64,
        /// Number of bytes that were read.
        bytes_read: u64,
    },
    /// A stage starts because the store does not have its result.
    StageStarted {
        /// Name of the stage.
        stage: String,
        /// Its action key.
        key: String,
        /// Why it is not a hit, one line per reason.
        reasons: Vec<String>,
    },
    /// The result of a stage was fetched from the remote.
    StageFetched {
        /// Name of the stage.
        stage: String,
        /// Number of fetched bytes.
        bytes: u64,
    },
    /// The remote, or an object in it, can't be used; the run continues without it.
    RemoteTrouble {
        /// Description of the problem, in one line.
        text: String,
    },
    /// Something that the user should know and that does not stop the run, such as a damaged file that is rebuilt.
    Warning {
        /// The warning, in one line.
        text: String,
    },
    /// The same action is already running; this stage waits for its result.
    StageWaiting {
        /// Name of the stage.
        stage: String,
        /// The stage of this run that makes the result; `None` if another process makes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_by: Option<String>,
    },
    /// The worker of a stage crashed or was killed; the stage is run again.
    StageRetried {
        /// Name of the stage.
        stage: String,
        /// Number of the retry, from 1.
        tries: u32,
        /// Maximum number of retries.
        of: u32,
        /// Why the worker ended.
        failure: Failure,
    },
    /// A worker has done more of a stage.
    StageProgress {
        /// Name of the stage.
        stage: String,
        /// Number of items done.
        done: u64,
        /// Total number of items.
        total: u64,
        /// What an item is, such as `videos`.
        unit: String,
    },
    /// Numbers that a stage measured; see [`pipe_stage::protocol::Reply::Measured`].
    StageMeasured {
        /// Name of the stage.
        stage: String,
        /// The step that the numbers belong to.
        step: u64,
        /// The numbers by name.
        #[serde(with = "pipe_stage::protocol::values")]
        values: BTreeMap<String, f64>,
    },
    /// A stage ended.
    StageFinished {
        /// Name of the stage.
        stage: String,
        /// Whether it was a hit, ran, failed or was skipped.
        outcome: Outcome,
        /// Its action key; `None` if it failed before the key was known.
        key: Option<String>,
        /// Digest of its whole output; `None` if it has none.
        output: Option<String>,
        /// Duration in this run.
        duration_millis: u64,
        /// Number of reused and made parts, if it has parts and ran.
        parts: Option<PartCounts>,
        /// Lines that the stage reported.
        summary: Vec<String>,
        /// Numbers that describe the result, such as `loss` and `top1`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "pipe_stage::protocol::values")]
        figures: BTreeMap<String, f64>,
        /// What the bits of a floating-point result depend on besides its key; see [`pipe_stage::environment()`].
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: Environment,
        /// Warnings of the stage; kept with the result, so that a hit repeats them.
        warnings: Vec<String>,
        /// Why it failed.
        failure: Option<Failure>,
    },
    /// The run ended.
    RunFinished {
        /// Name of the pipeline.
        pipeline: String,
        /// ID of the run.
        run: String,
        /// Number of stages whose results were in the store.
        hits: u64,
        /// Number of stages that ran.
        ran: u64,
        /// Number of stages that failed.
        failed: u64,
        /// Number of stages that were skipped because an input failed or the run was cancelled.
        skipped: u64,
        /// Whether the user cancelled the run.
        cancelled: bool,
        /// Duration of the run.
        duration_millis: u64,
    },
}

/// Number of parts by origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCounts {
    /// Parts from the store.
    pub hits: u64,
    /// Parts that were made.
    pub ran: u64,
}

/// The outcome of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The store had its result.
    Hit,
    /// Its worker, or its program, made the outputs.
    Ran,
    /// It ended with an error.
    Failed,
    /// It did not run.
    Skipped,
}

/// The origin of a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedBy {
    /// The stage reported it: its inputs or parameters are wrong.
    #[default]
    Stage,
    /// The run reported it: something around the stage failed, or its worker died.
    Run,
}

/// Why a stage failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The origin of the failure.
    #[serde(default)]
    pub by: FailedBy,
    /// What happened.
    pub error: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The end of the log of a program or worker that ended without a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// Path of the stage's log.
    pub log: Option<String>,
}

impl Failure {
    /// Returns a failure around a stage, without details.
    pub(crate) fn of_run(error: String) -> Self {
        Self { by: FailedBy::Run, error, causes: Vec::new(), last_lines: Vec::new(), help: None, log: None }
    }
}
