//! Run records: `.pipe/runs/<run>/events.jsonl`, `summary.json` and one log per stage.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use crate::events::{Failure, Outcome, PartCounts, RunEvent};
use fs_err as fs;
use pipe_cache::{ActionKey, Store, replace_file};
use pipe_stage::Environment;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Duration of the run; `None` before its end, and in old records.
    #[serde(default)]
    pub duration_millis: Option<u64>,
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
    /// Whether it is still running.
    pub state: RunState,
    /// Stages that were started and have not ended.
    pub running: Vec<String>,
}

/// Whether a run is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Its process runs.
    Running,
    /// It ended and wrote its summary.
    Ended,
    /// Its process was killed.
    Interrupted,
}

impl RunRecord {
    /// Returns the names of the stages that have ended or were started.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.summary.stages.iter().map(|stage| stage.stage.as_str()).chain(self.running.iter().map(String::as_str))
    }

    /// Returns the log of a stage in this run, if it wrote one.
    pub fn log(&self, stage: &str) -> Option<PathBuf> {
        let path = log(&self.folder, stage);
        fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0).then_some(path)
    }
}

/// Returns the state of a run without a summary.
fn state(store_root: &Path, run: &str) -> RunState {
    let lock = store_root.join("work").join(format!("{run}.lock"));
    let locked = |lock: fs::File| matches!(lock.file().try_lock(), Err(std::fs::TryLockError::WouldBlock));
    if fs::File::open(lock).is_ok_and(locked) { RunState::Running } else { RunState::Interrupted }
}

/// Returns the folder with the files of an output.
pub fn output_folder(store_root: &Path, output: &str) -> Option<PathBuf> {
    Some(Store::to_read(store_root).view(output.parse().ok()?))
}

/// Returns the recorded runs, newest first. Nothing is locked; a run that is still running is returned as it is now.
pub fn runs(kept: &Bookkeeping) -> std::io::Result<Vec<RunRecord>> {
    let entries = match fs::read_dir(kept.root().join("runs")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    // Names start with the time, so they sort by it.
    folders.sort_by(|one, two| two.file_name().cmp(&one.file_name()));
    Ok(folders.iter().filter_map(|folder| read(kept, folder)).collect())
}

/// Returns the key of the newest recorded result of each stage of a pipeline.
pub(crate) fn newest_keys(kept: &Bookkeeping, pipeline: &str) -> std::io::Result<BTreeMap<String, ActionKey>> {
    let mut keys = BTreeMap::new();
    for run in runs(kept)?.into_iter().rev().filter(|run| run.summary.pipeline == pipeline) {
        let with_output = run.summary.stages.into_iter().filter(|stage| stage.output.is_some());
        keys.extend(with_output.filter_map(|stage| Some((stage.stage, stage.key?.parse().ok()?))));
    }
    Ok(keys)
}

/// Returns the keys that the record of a run names. Its two files name the same ones, so that one damaged file hides none. A damaged
/// summary is written again from the events.
pub(crate) fn recorded_keys(kept: &Bookkeeping, folder: &Path) -> std::io::Result<BTreeSet<ActionKey>> {
    let (summary, events) = (read_summary(kept, folder), read_events(kept, folder));
    if let (None, Some(record)) = (&summary, &events)
        && record.state == RunState::Ended
    {
        let (path, bytes) = (folder.join("summary.json"), serde_json::to_vec(&record.summary)?);
        // Its time says when the run ended.
        let ended = fs::metadata(&path)?.modified()?;
        kept.update(|| {
            replace_file(&path, &bytes)?;
            fs::File::open(&path)?.file().set_modified(ended)
        })?;
    }
    let records = [summary, events.map(|record| record.summary)];
    let stages = records.into_iter().flatten().flat_map(|summary| summary.stages);
    Ok(stages.filter_map(|stage| stage.key?.parse().ok()).collect())
}

fn read(kept: &Bookkeeping, folder: &Path) -> Option<RunRecord> {
    // Before the summary is read: a run that ends in between has one.
    let without_summary = state(kept.root(), folder.file_name()?.to_str()?);
    if let Some(summary) = read_summary(kept, folder) {
        let folder = folder.to_owned();
        return Some(RunRecord { folder, summary, state: RunState::Ended, running: Vec::new() });
    }
    let record = read_events(kept, folder)?;
    let state = if record.state == RunState::Ended { RunState::Ended } else { without_summary };
    Some(RunRecord { state, ..record })
}

/// Reads the summary of a run that has ended.
fn read_summary(kept: &Bookkeeping, folder: &Path) -> Option<RunSummary> {
    let path = folder.join("summary.json");
    let summary = serde_json::from_slice(&fs::read(&path).ok()?);
    if summary.is_err() {
        kept.damaged(&path, "the events of the run are read instead");
    }
    summary.ok()
}

/// Reads the events of a run, which has ended or was interrupted according to them. Leaves out lines that can't be read.
fn read_events(kept: &Bookkeeping, folder: &Path) -> Option<RunRecord> {
    let mut summary = RunSummary {
        pipeline: String::new(),
        run: folder.file_name()?.to_str()?.to_owned(),
        started: String::new(),
        stages: Vec::new(),
        cancelled: false,
        duration_millis: None,
    };
    let (mut running, mut state) = (Vec::new(), RunState::Interrupted);
    let path = folder.join("events.jsonl");
    let bytes = fs::read(&path).ok()?;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(RunEvent::RunStarted { pipeline, started, .. }) => {
                (summary.pipeline, summary.started) = (pipeline, started);
            }
            Ok(RunEvent::StageStarted { stage, .. }) => running.push(stage),
            Ok(RunEvent::RunFinished { cancelled, duration_millis, .. }) => {
                state = RunState::Ended;
                (summary.cancelled, summary.duration_millis) = (cancelled, Some(duration_millis));
            }
            Ok(event) => {
                let stage = StageSummary::of(&event);
                running.retain(|name| stage.as_ref().is_none_or(|stage| stage.stage != *name));
                summary.stages.extend(stage);
            }
            // The last line of a run that was killed may be incomplete.
            Err(_) if line.ends_with(b"\n") => kept.damaged(&path, "lines that can't be read are left out"),
            Err(_) => {}
        }
    }
    Some(RunRecord { folder: folder.to_owned(), summary, state, running })
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
    /// `None` if the run leaves no files.
    events: Option<BufWriter<fs::File>>,
    pub(crate) summary: RunSummary,
}

impl Recorder {
    pub(crate) fn new(folder: PathBuf, summary: RunSummary) -> Result<Self, RunError> {
        fs::create_dir_all(folder.join("logs"))?;
        let events = BufWriter::new(fs::File::create(folder.join("events.jsonl"))?);
        Ok(Self { folder, events: Some(events), summary })
    }

    /// Returns a recorder that writes nothing.
    pub(crate) fn without_files(summary: RunSummary) -> Self {
        Self { folder: PathBuf::new(), events: None, summary }
    }

    /// Returns the path of the log of `stage`.
    pub(crate) fn log(&self, stage: &str) -> PathBuf {
        log(&self.folder, stage)
    }

    /// Returns the folder of the files with which `stage` explains a failure.
    pub(crate) fn diagnostics(&self, stage: &str) -> PathBuf {
        self.folder.join("logs").join(stage)
    }

    pub(crate) fn event(&mut self, event: &RunEvent) -> Result<(), RunError> {
        self.summary.stages.extend(StageSummary::of(event));
        if let Some(events) = &mut self.events
            && !matches!(event, RunEvent::StageProgress { .. } | RunEvent::StageMeasured { .. })
        {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            events.write_all(&line)?;
        }
        Ok(())
    }

    /// Writes all events so far to the file, for other processes that read it.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        Ok(self.events.as_mut().map_or(Ok(()), BufWriter::flush)?)
    }

    pub(crate) fn finish(self) -> Result<RunSummary, RunError> {
        let mut bytes = serde_json::to_vec(&self.summary)?;
        bytes.push(b'\n');
        if self.events.is_some() {
            fs::write(self.folder.join("summary.json"), bytes)?;
        }
        Ok(self.summary)
    }
}
