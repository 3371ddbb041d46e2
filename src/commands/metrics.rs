//! `pipe metrics`.

mod view;

use super::Command;
use crate::args::ReportArgs;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, records, render};
use fs_err as fs;
use pipe_engine::RunRecord;
use std::collections::BTreeMap;
use std::path::Path;

/// Show the metrics of the newest runs, or the differences between two runs
///
/// Metrics are the numbers in the files `metrics.json` of all stages.
#[derive(Debug, clap::Args)]
pub(crate) struct Metrics {
    /// Pipeline to show [default: all pipelines]
    pipeline: Option<String>,
    /// Compare two runs, such as `--diff latest~1 latest`
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    diff: Vec<String>,
    /// Maximum number of runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    report: ReportArgs,
}

/// The metrics of a run by `stage.metric`.
type MetricsByName = BTreeMap<String, f64>;

impl Command for Metrics {
    const NAME: &'static str = "metrics";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let runs = records::all(&root)?;
        let json = self.report.json();
        if let [one, two] = self.diff.as_slice() {
            let (one, two) = (records::find(&runs, one, &root)?, records::find(&runs, two, &root)?);
            view::difference(&metrics_of(&root, one), &metrics_of(&root, two), json);
            return Ok(Code::Ok);
        }
        let shown = records::newest(&runs, self.pipeline.as_deref(), self.limit)?;
        let shown: Vec<_> = shown.into_iter().map(|run| (run, metrics_of(&root, run))).collect();
        if json {
            view::json(&shown);
        } else if runs.is_empty() {
            render::message(&records::none(&root));
        } else {
            view::tables(&shown);
        }
        Ok(Code::Ok)
    }
}

/// Reads each stage's `metrics.json`.
fn metrics_of(root: &Path, run: &RunRecord) -> MetricsByName {
    let mut metrics = MetricsByName::new();
    for stage in &run.summary.stages {
        let Some(folder) = stage.output.as_ref().and_then(|output| pipe_engine::output_folder(root, output)) else {
            continue;
        };
        let json = fs::read(folder.join("metrics.json")).ok();
        let json: Option<serde_json::Value> = json.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        for (name, value) in json.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten() {
            if let Some(value) = value.as_f64() {
                metrics.insert(format!("{}.{name}", stage.stage), value);
            }
        }
    }
    metrics
}
