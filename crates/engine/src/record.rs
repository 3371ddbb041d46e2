//! Run records: `.pipe/runs/<run>/events.jsonl`, `summary.json` and one log per stage.

use crate::error::RunError;
use crate::events::{Failure, Outcome, PartCounts, RunEvent};
use fs_err as fs;
use pipe_cache::Store;
use pipe_stage::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The result of a run; kept as `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Name of the pipeline.
    pub pipeline: String,
    /// ID of the run, the name of its folder below `.pipe/runs/`.
    pub run: String,
    /// Start time, RFC 3339.
    pub started: String,
    /// Stages in the order in which they ended.
    pub stages: Vec<StageSummary>,
    /// Whether the user cancelled the run.
    pub cancelled: bool,
}

/// The result of a stage in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Name of the stage.
    pub stage: String,
    /// Whether it was a hit, ran, failed or was skipped.
    pub outcome: Outcome,
    /// Its action key; `None` if it failed before the key was known.
    pub key: Option<String>,
    /// Digest of its whole output; `None` if it has none.
    pub output: Option<String>,
    /// Duration in this run.
    pub duration_millis: u64,
    /// Number of reused and made parts, if it has parts and ran.
    #[serde(default)]
    pub parts: Option<PartCounts>,
    /// Lines that the stage reported.
    pub summary: Vec<String>,
    /// Numbers that describe the result, such as `loss` and `top1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "pipe_stage::protocol::values")]
    pub figures: BTreeMap<String, f64>,
    /// What the bits of a floating-point result depend on besides its key; see [`pipe_stage::environment()`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: Environment,
    /// Warnings of the stage.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

impl RunSummary {
    /// Returns the number of stages with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.stages.iter().filter(|stage| stage.outcome == outcome).count() as u64
    }
}

/// A run that is recorded below `.pipe/runs/`.
#[derive(Debug, Clone)]
pub struct RunRecord {
    folder: PathBuf,
    /// The results; those so far if the run is still running or was killed.
    pub summary: RunSummary,
    /// Whether the run ended and wrote its summary.
    pub ended: bool,
    /// Stages that were started and have not ended.
    pub running: Vec<String>,
}

impl RunRecord {
    /// Returns the log of a stage in this run, if it wrote one.
    pub fn log(&self, stage: &str) -> Option<PathBuf> {
        let path = log(&self.folder, stage);
        fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0).then_some(path)
    }
}

/// Returns whether the process of a run is still running.
pub fn is_alive(store_root: &Path, run: &str) -> bool {
    let lock = store_root.join("work").join(format!("{run}.lock"));
    fs::File::open(lock).is_ok_and(|lock| matches!(lock.file().try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Returns the folder with the files of an output.
pub fn output_folder(store_root: &Path, output: &str) -> Option<PathBuf> {
    let store = Store::open(store_root).ok()?;
    Some(store.view(output.parse().ok()?))
}

/// Returns the recorded runs, newest first. Nothing is locked; a run that is still running is returned as it is now.
pub fn runs(store_root: &Path) -> std::io::Result<Vec<RunRecord>> {
    let entries = match fs::read_dir(store_root.join("runs")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    // Names start with the time, so they sort by it.
    folders.sort_by(|one, two| two.file_name().cmp(&one.file_name()));
    Ok(folders.iter().filter_map(|folder| read(folder)).collect())
}

fn read(folder: &Path) -> Option<RunRecord> {
    let summary = fs::read(folder.join("summary.json")).ok();
    if let Some(summary) = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Some(RunRecord { folder: folder.to_owned(), summary, ended: true, running: Vec::new() });
    }
    let mut summary = RunSummary {
        pipeline: String::new(),
        run: folder.file_name()?.to_str()?.to_owned(),
        started: String::new(),
        stages: Vec::new(),
        cancelled: false,
    };
    let mut running = Vec::new();
    for line in fs::read_to_string(folder.join("events.jsonl")).ok()?.lines() {
        // The last line may be incomplete.
        match serde_json::from_str(line) {
            Ok(RunEvent::RunStarted { pipeline, started, .. }) => {
                (summary.pipeline, summary.started) = (pipeline, started);
            }
            Ok(RunEvent::StageStarted { stage, .. }) => running.push(stage),
            Ok(event) => {
                let stage = StageSummary::of(&event);
                running.retain(|name| stage.as_ref().is_none_or(|stage| stage.stage != *name));
                summary.stages.extend(stage);
            }
            Err(_) => {}
        }
    }
    Some(RunRecord { folder: folder.to_owned(), summary, ended: false, running })
}

fn log(folder: &Path, stage: &str) -> PathBuf {
    folder.join("logs").join(format!("{stage}.log"))
}

impl StageSummary {
    /// Returns the result of a stage from the event of its end; `None` for other events.
    pub fn of(event: &RunEvent) -> Option<Self> {
        let RunEvent::StageFinished {
            stage,
            outcome,
            key,
            output,
            duration_millis,
            parts,
            summary,
            figures,
            environment,
            warnings,
            failure,
        } = event
        else {
            return None;
        };
        Some(Self {
            stage: stage.clone(),
            outcome: *outcome,
            key: key.clone(),
            output: output.clone(),
            duration_millis: *duration_millis,
            parts: *parts,
            summary: summary.clone(),
            figures: figures.clone(),
            environment: environment.clone(),
            warnings: warnings.clone(),
            failure: failure.clone(),
        })
    }
}

/// Writes the record of a run while it runs.
pub(crate) struct Recorder {
    folder: PathBuf,
    events: BufWriter<fs::File>,
    pub(crate) summary: RunSummary,
}

impl Recorder {
    pub(crate) fn new(folder: PathBuf, summary: RunSummary) -> Result<Self, RunError> {
        fs::create_dir_all(folder.join("logs"))?;
        let events = BufWriter::new(fs::File::create(folder.join("events.jsonl"))?);
        Ok(Self { folder, events, summary })
    }

    /// Returns the path of the log of `stage`.
    pub(crate) fn log(&self, stage: &str) -> PathBuf {
        log(&self.folder, stage)
    }

    pub(crate) fn event(&mut self, event: &RunEvent) -> Result<(), RunError> {
        self.summary.stages.extend(StageSummary::of(event));
        if !matches!(event, RunEvent::StageProgress { .. } | RunEvent::StageMeasured { .. }) {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            self.events.write_all(&line)?;
        }
        Ok(())
    }

    /// Writes all events so far to the file, for other processes that read it.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        Ok(self.events.flush()?)
    }

    pub(crate) fn finish(self) -> Result<RunSummary, RunError> {
        let mut bytes = serde_json::to_vec(&self.summary)?;
        bytes.push(b'\n');
        fs::write(self.folder.join("summary.json"), bytes)?;
        Ok(self.summary)
    }
}
