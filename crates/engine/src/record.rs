//! Run records: `.pipe/runs/<run>/events.jsonl`, `summary.json` and a log a stage.

use crate::events::{Failure, Outcome, RunEvent};
use crate::run::RunError;
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a run came to; kept as `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's name.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Stages in the order in which they ended.
    pub stages: Vec<StageSummary>,
    /// Whether the user stopped it.
    pub cancelled: bool,
}

/// What a stage came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Its name.
    pub stage: String,
    /// How it went.
    pub outcome: Outcome,
    /// Its action key.
    pub key: Option<String>,
    /// The digest of its whole output.
    pub output: Option<String>,
    /// How long it took in this run.
    pub duration_millis: u64,
    /// What it said of its result.
    pub summary: Vec<String>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub failure: Option<Failure>,
}

impl RunSummary {
    /// Counts the stages that ended so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.stages.iter().filter(|stage| stage.outcome == outcome).count() as u64
    }
}

/// Writes the record of a run while it happens.
pub(crate) struct Recorder {
    folder: PathBuf,
    events: fs::File,
    pub(crate) summary: RunSummary,
}

impl Recorder {
    pub(crate) fn new(store_root: &Path, summary: RunSummary) -> Result<Self, RunError> {
        let folder = store_root.join("runs").join(&summary.run);
        fs::create_dir_all(folder.join("logs"))?;
        let events = fs::File::create(folder.join("events.jsonl"))?;
        Ok(Self { folder, events, summary })
    }

    /// Returns where the log of `stage` goes.
    pub(crate) fn log(&self, stage: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{stage}.log"))
    }

    pub(crate) fn event(&mut self, event: &RunEvent) -> Result<(), RunError> {
        if let RunEvent::StageFinished { stage, outcome, key, output, duration_millis, summary, warnings, failure } =
            event
        {
            self.summary.stages.push(StageSummary {
                stage: stage.clone(),
                outcome: *outcome,
                key: key.clone(),
                output: output.clone(),
                duration_millis: *duration_millis,
                summary: summary.clone(),
                warnings: warnings.clone(),
                failure: failure.clone(),
            });
        }
        if !matches!(event, RunEvent::StageProgress { .. }) {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            self.events.write_all(&line)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<RunSummary, RunError> {
        let mut bytes = serde_json::to_vec_pretty(&self.summary)?;
        bytes.push(b'\n');
        fs::write(self.folder.join("summary.json"), bytes)?;
        Ok(self.summary)
    }
}
