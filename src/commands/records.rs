//! What runs left: `pipe runs | show | logs | metrics | status | ls`. These only read, and wait for nobody.

use super::{Result, store_root};
use crate::args::{Format, LogsArgs, LsArgs, MetricsArgs, RunsArgs, ShowArgs};
use crate::exit::Code;
use crate::render::{self, records as view};
use pipe_engine::RunRecord;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Figures of a run by `stage.figure`.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// Lists runs, newest first.
pub(super) fn runs(args: &RunsArgs) -> Result<Code> {
    let runs = recorded(&store_root(args.report.store.store.clone())?)?;
    let chosen = runs.iter().filter(|run| args.pipeline.as_ref().is_none_or(|name| run.summary.pipeline == *name));
    for run in chosen.take(args.limit) {
        view::run(run, args.report.output == Format::Json);
    }
    Ok(Code::Ok)
}

/// Shows the stages of a run.
pub(super) fn show(args: &ShowArgs) -> Result<Code> {
    let runs = recorded(&store_root(args.report.store.store.clone())?)?;
    let run = find(&runs, &args.run)?;
    view::stages(run, args.report.output == Format::Json);
    Ok(Code::Ok)
}

/// Prints the newest log of a stage.
pub(super) fn logs(args: &LogsArgs) -> Result<Code> {
    let runs = recorded(&store_root(args.store.store.clone())?)?;
    let runs = match &args.run {
        Some(run) => vec![find(&runs, run)?],
        None => runs.iter().collect(),
    };
    let Some(log) = runs.iter().find_map(|run| run.log(&args.stage)) else {
        return Err(format!("no run has a log of the stage `{}`; it may have had nothing to say", args.stage).into());
    };
    render::raw(&std::fs::read(log)?);
    Ok(Code::Ok)
}

/// Shows the figures of the newest runs, or how those of two runs differ.
pub(super) fn metrics(args: &MetricsArgs) -> Result<Code> {
    let root = store_root(args.report.store.store.clone())?;
    let runs = recorded(&root)?;
    let json = args.report.output == Format::Json;
    if let [one, two] = args.diff.as_slice() {
        let (one, two) = (find(&runs, one)?, find(&runs, two)?);
        view::metrics_diff(&metrics_of(&root, one), &metrics_of(&root, two), json);
        return Ok(Code::Ok);
    }
    let chosen = runs.iter().filter(|run| args.pipeline.as_ref().is_none_or(|name| run.summary.pipeline == *name));
    for run in chosen.take(args.limit) {
        view::metrics(run, &metrics_of(&root, run), json);
    }
    Ok(Code::Ok)
}

/// Shows the newest run of each pipeline.
pub(super) fn status(args: &RunsArgs) -> Result<Code> {
    let root = store_root(args.report.store.store.clone())?;
    let mut seen = Vec::new();
    for run in recorded(&root)? {
        let wanted = args.pipeline.as_ref().is_none_or(|name| run.summary.pipeline == *name);
        if !wanted || seen.contains(&run.summary.pipeline) {
            continue;
        }
        seen.push(run.summary.pipeline.clone());
        let alive = !run.ended && pipe_engine::is_alive(&root, &run.summary.run);
        view::status(&run, alive, args.report.output == Format::Json);
    }
    Ok(Code::Ok)
}

/// Lists the files of the newest results.
pub(super) fn ls(args: &LsArgs) -> Result<Code> {
    let out = store_root(args.store.store.clone())?.join("out");
    let start = args.path.as_ref().map_or(out.clone(), |path| out.join(path));
    if !start.exists() {
        let what = args.path.as_deref().unwrap_or("any pipeline");
        return Err(format!("there is no result of `{what}`; `pipe ls` lists all").into());
    }
    let deep = args.path.is_some();
    list(&out, &start, if deep { usize::MAX } else { 2 })?;
    Ok(Code::Ok)
}

fn list(out: &Path, folder: &Path, depth: usize) -> Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        let metadata = std::fs::metadata(&path);
        if depth > 1 && metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            list(out, &path, depth - 1)?;
        } else {
            view::file(path.strip_prefix(out).unwrap_or(&path), metadata.ok().filter(std::fs::Metadata::is_file));
        }
    }
    Ok(())
}

fn recorded(root: &Path) -> Result<Vec<RunRecord>> {
    Ok(pipe_engine::runs(root)?)
}

/// Finds the run that `name` begins the name of; `latest` is the newest, `latest~1` the one before it.
fn find<'r>(runs: &'r [RunRecord], name: &str) -> Result<&'r RunRecord> {
    let back = match name.strip_prefix("latest") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix('~').and_then(|back| back.parse().ok()),
        None => None,
    };
    if let Some(back) = back {
        let run: Option<&RunRecord> = runs.get::<usize>(back);
        return run.ok_or_else(|| Box::<dyn Error>::from(format!("there are only {} runs", runs.len())));
    }
    let found: Vec<&RunRecord> = runs.iter().filter(|run| run.summary.run.starts_with(name)).collect();
    match found.as_slice() {
        [run] => Ok(run),
        [] => Err(format!("there is no run `{name}`; `pipe runs` lists them, `latest` is the newest").into()),
        many => Err(format!("{} runs begin with `{name}`; write more of its name", many.len()).into()),
    }
}

/// Reads each stage's `metrics.json`.
fn metrics_of(root: &Path, run: &RunRecord) -> Metrics {
    let mut metrics = Metrics::new();
    for stage in &run.summary.stages {
        let Some(folder) = stage.output.as_ref().and_then(|output| pipe_engine::output_folder(root, output)) else {
            continue;
        };
        let json = std::fs::read(folder.join("metrics.json")).ok();
        let json: Option<serde_json::Value> = json.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        for (name, value) in json.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten() {
            if let Some(value) = value.as_f64() {
                metrics.insert(format!("{}.{name}", stage.stage), value);
            }
        }
    }
    metrics
}
