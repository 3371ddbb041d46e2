//! [`RunEvent`]: what happens in a run, told as data. Renderers in `src/render` turn it into lines, bars or JSON.

use pipe_stage::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// Another process collects garbage in the store; the run begins when it is done.
    StoreWaiting,
    /// The run begins.
    RunStarted {
        /// The pipeline's name.
        pipeline: String,
        /// The run's name, under `.pipe/runs/`.
        run: String,
        /// When, RFC 3339.
        #[serde(default)]
        started: String,
        /// Stages in order.
        stages: Vec<String>,
    },
    /// Source files are read because they look changed.
    SourcesHashed {
        /// The stage that declares them.
        stage: String,
        /// Files declared.
        num_files: u64,
        /// Files read.
        num_read: u64,
        /// Bytes read.
        bytes_read: u64,
    },
    /// A stage starts, because its key is not in the store.
    StageStarted {
        /// Its name.
        stage: String,
        /// Its action key.
        key: String,
        /// Why it is no hit, one line each.
        reasons: Vec<String>,
    },
    /// The result of a stage came from the remote.
    StageFetched {
        /// Its name.
        stage: String,
        /// Content that was fetched.
        bytes: u64,
    },
    /// The remote can't be used, or something in it can't; the run goes on without.
    RemoteTrouble {
        /// In words.
        text: String,
    },
    /// Another process runs the same action; this one waits for its result.
    StageWaiting {
        /// Its name.
        stage: String,
    },
    /// A stage's worker crashed or was killed; the stage is tried again.
    StageRetried {
        /// Its name.
        stage: String,
        /// Which try begins.
        tries: u32,
        /// How many there may be.
        of: u32,
        /// What went wrong.
        failure: Failure,
    },
    /// How far a stage is.
    StageProgress {
        /// Its name.
        stage: String,
        /// Items done.
        done: u64,
        /// Items in all.
        total: u64,
        /// What an item is.
        unit: String,
    },
    /// Numbers that a stage measured; see [`pipe_stage::protocol::Reply::Measured`].
    StageMeasured {
        /// Its name.
        stage: String,
        /// The step that the numbers belong to.
        step: u64,
        /// The numbers by name.
        #[serde(with = "pipe_stage::protocol::values")]
        values: BTreeMap<String, f64>,
    },
    /// A stage is through.
    StageFinished {
        /// Its name.
        stage: String,
        /// How it went.
        outcome: Outcome,
        /// Its action key, if it got as far.
        key: Option<String>,
        /// The digest of its whole output, if there is one.
        output: Option<String>,
        /// How long it took in this run.
        duration_millis: u64,
        /// How many of its parts were made, where it is made in parts and ran.
        parts: Option<PartCounts>,
        /// What it says of its result.
        summary: Vec<String>,
        /// Numbers that describe the result, such as `loss` and `top1`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "pipe_stage::protocol::values")]
        figures: BTreeMap<String, f64>,
        /// What the bits of a floating-point result depend on besides its key; see [`pipe_stage::environment()`].
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: Environment,
        /// What the user should know; kept with the result, so that a hit repeats it.
        warnings: Vec<String>,
        /// What went wrong.
        failure: Option<Failure>,
    },
    /// The run ends.
    RunFinished {
        /// The pipeline's name.
        pipeline: String,
        /// The run's name.
        run: String,
        /// Stages taken from the store.
        hits: u64,
        /// Stages run.
        ran: u64,
        /// Stages that failed.
        failed: u64,
        /// Stages not run, because what they read failed or the run was cancelled.
        skipped: u64,
        /// Whether the user stopped it.
        cancelled: bool,
        /// How long it took.
        duration_millis: u64,
    },
}

/// Where the parts of a stage came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCounts {
    /// From the store.
    pub hits: u64,
    /// Made.
    pub ran: u64,
}

/// How a stage went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its result was in the store.
    Hit,
    /// It ran.
    Ran,
    /// It failed.
    Failed,
    /// It was not run.
    Skipped,
}

/// Who says that a stage failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedBy {
    /// The stage, of what it reads or of its parameters.
    #[default]
    Stage,
    /// The run: something around the stage is wrong, or it did not end as stages do.
    Run,
}

/// What went wrong with a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who says so.
    #[serde(default)]
    pub by: FailedBy,
    /// What happened.
    pub error: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// The file with all that the stage's worker said.
    pub log: Option<String>,
}
