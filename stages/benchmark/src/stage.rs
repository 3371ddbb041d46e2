//! [`Benchmark`]: the stage itself.

use crate::BenchmarkError;
use crate::accuracy::{TestViews, fill};
use crate::latency::{self, Measure, Measured, measure, percentile};
use crate::picture::picture;
use crate::text::{line, table};
use crate::variant::{Facts, Variant, is_model};
use pipe_infer::{InferenceEngine, Libraries};
use pipe_learn::pin_threads;
use pipe_schemas::stages::benchmark::{BenchmarkParams, BenchmarkReport};
use pipe_schemas::tables::{BenchmarkRow, PredictionRow};
use pipe_stage::{Context, Stage, StageError, Summary, environment};
use pipe_tables::{write_json, write_rows};
use std::path::Path;

/// The stage `benchmark`.
pub struct Benchmark {
    /// Where the engines are.
    pub libraries: Libraries,
}

/// A cell of the table: a variant on an engine.
struct Cell<'a> {
    variant: &'a str,
    path: &'a Path,
    /// `None` for a model folder.
    engine: Option<InferenceEngine>,
}

/// A cell with its predictions, in the order of the test list; none if it does not run.
struct Evaluated {
    row: BenchmarkRow,
    predictions: Vec<PredictionRow>,
}

impl Stage for Benchmark {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::benchmark::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: BenchmarkParams = context.params()?;
        let names = variants(context, &params)?;
        let cells = cells(context, &params, &names)?;
        let views = TestViews::read(context)?;
        let metric = views.metric()?;
        let mut evaluated = Vec::new();
        for (position, cell) in cells.iter().enumerate() {
            evaluated.push(self.evaluate(context, &params, &views, cell, (position, cells.len()))?);
        }
        let baseline = baseline(&params, &evaluated)?;
        let num_videos = baseline.len() as u64;
        let filled = |evaluated: &Evaluated| {
            let mut row = evaluated.row.clone();
            if !evaluated.predictions.is_empty() {
                fill(&mut row, &params.bootstrap, metric, &evaluated.predictions, baseline);
            }
            row
        };
        let mut rows: Vec<BenchmarkRow> = evaluated.iter().map(filled).collect();
        self.measure_all(context, &params, &views, &cells, &mut rows)?;
        let report = BenchmarkReport {
            baseline: params.baseline.clone(),
            metric: metric.name.to_owned(),
            num_videos,
            num_missing: views.num_missing(),
            batch_size: params.batch_size,
            threads: params.threads,
            processor: environment(&context.request().grant, |_| None).remove("processor").unwrap_or_default(),
            rows,
        };
        write(context, &report)?;
        Ok(summary(&report))
    }
}

impl Benchmark {
    /// Opens a variant and evaluates it. An ONNX file that the engine refuses is a row with the reason.
    fn evaluate(
        &self,
        context: &Context,
        params: &BenchmarkParams,
        views: &TestViews,
        cell: &Cell<'_>,
        (position, count): (usize, usize),
    ) -> Result<Evaluated, StageError> {
        let opened = match cell.engine {
            None => Ok(Variant::model(cell.path)?),
            Some(engine) => {
                Variant::exported(cell.variant, cell.path, engine, &self.libraries, params.threads as usize)?
            }
        };
        let row = |facts: Facts, unsupported: String| BenchmarkRow {
            variant: cell.variant.to_owned(),
            engine: facts.engine,
            unsupported,
            size_bytes: facts.size_bytes,
            num_params: facts.num_params,
            macs: facts.macs,
            ..BenchmarkRow::default()
        };
        let mut variant = match opened {
            Ok(variant) => variant,
            Err((facts, error)) => {
                return Ok(Evaluated { row: row(facts, latency::text(error)), predictions: Vec::new() });
            }
        };
        views.check(variant.takes(&format!("`{}`", cell.variant)))?;
        let num_views = views.num_views();
        let (before, total) = (position as u64 * num_views, count as u64 * num_views);
        let predictions = views.predict(context, &mut variant, before, total)?;
        Ok(Evaluated { row: row(variant.facts, String::new()), predictions })
    }

    /// Measures times and memory, all cells once per round.
    fn measure_all(
        &self,
        context: &Context,
        params: &BenchmarkParams,
        views: &TestViews,
        cells: &[Cell<'_>],
        rows: &mut [BenchmarkRow],
    ) -> Result<(), StageError> {
        let size = views.clip_size();
        let job = |cell: &Cell<'_>| Measure {
            path: cell.path.into(),
            engine: cell.engine,
            onnx_runtime: self.libraries.onnx_runtime.clone(),
            openvino: self.libraries.openvino.clone(),
            threads: params.threads as usize,
            batch_size: params.batch_size as usize,
            num_runs: params.num_runs,
            clip: [size.frames, size.height, size.width],
        };
        let mut latencies = vec![Vec::new(); rows.len()];
        let total = u64::from(params.num_rounds) * cells.len() as u64;
        for round in 0..u64::from(params.num_rounds) {
            for (position, (cell, row)) in cells.iter().zip(&mut *rows).enumerate() {
                if !row.unsupported.is_empty() {
                    continue;
                }
                let Measured { error, latencies_ms, peak_memory_bytes } = measure(context, &job(cell))?;
                row.unsupported = error.unwrap_or_default();
                row.peak_memory_bytes = row.peak_memory_bytes.max(peak_memory_bytes);
                latencies[position].extend(latencies_ms);
                context.progress(round * cells.len() as u64 + position as u64 + 1, total, "measurements");
                context.check_cancelled()?;
            }
        }
        for (row, latencies) in rows.iter_mut().zip(latencies) {
            row.num_runs = latencies.len() as u64;
            (row.latency_p50_ms, row.latency_p99_ms) = (percentile(&latencies, 50.0), percentile(&latencies, 99.0));
        }
        Ok(())
    }
}

/// Returns the names of the variants, and checks that the baseline is one of them.
fn variants(context: &Context, params: &BenchmarkParams) -> Result<Vec<String>, StageError> {
    let is_variant = |name: &&str| !["frames", "samples"].contains(name);
    let variants: Vec<String> = context.connected_inputs().filter(is_variant).map(str::to_owned).collect();
    if variants.is_empty() {
        let help = "connect variants under names of your choice: `inputs: { baseline: onnx, int8: int8.onnx, … }`";
        return Err(StageError::from(BenchmarkError::NoVariants).with_help(help));
    }
    if !variants.contains(&params.baseline) {
        let baseline = params.baseline.clone();
        return Err(StageError::from(BenchmarkError::NoBaseline { baseline, variants })
            .with_help("set `baseline` to the name of an input"));
    }
    Ok(variants)
}

/// Returns the cells of the table: a model folder on libtorch, an ONNX file on each engine.
fn cells<'a>(
    context: &'a Context,
    params: &BenchmarkParams,
    variants: &'a [String],
) -> Result<Vec<Cell<'a>>, StageError> {
    let mut cells = Vec::new();
    for variant in variants {
        let path = context.input(variant)?;
        if is_model(variant, path)? {
            cells.push(Cell { variant, path, engine: None });
        } else {
            cells.extend(params.engines.iter().map(|engine| Cell { variant, path, engine: Some(*engine) }));
        }
    }
    Ok(cells)
}

/// Returns the predictions of the first cell of the baseline.
fn baseline<'a>(params: &BenchmarkParams, evaluated: &'a [Evaluated]) -> Result<&'a [PredictionRow], StageError> {
    let found = evaluated.iter().find(|evaluated| evaluated.row.variant == params.baseline);
    match found {
        Some(Evaluated { predictions, .. }) if !predictions.is_empty() => Ok(predictions),
        found => {
            let reason = found.map(|evaluated| evaluated.row.unsupported.clone()).unwrap_or_default();
            Err(BenchmarkError::BaselineFailed { baseline: params.baseline.clone(), reason }.into())
        }
    }
}

fn write(context: &Context, report: &BenchmarkReport) -> Result<(), StageError> {
    write_json(&context.output("metrics.json")?, report)?;
    let folder = context.output("report")?;
    fs_err::create_dir_all(&folder)?;
    write_rows(&folder.join("benchmark.parquet"), &report.rows)?;
    fs_err::write(folder.join("benchmark.txt"), table(report))?;
    fs_err::write(folder.join("latency.png"), picture(&report.metric, &report.rows)?)?;
    Ok(())
}

fn summary(report: &BenchmarkReport) -> Summary {
    let mut lines = vec![format!(
        "{} videos ({} of the test list are missing), compared with `{}`",
        report.num_videos, report.num_missing, report.baseline
    )];
    lines.extend(report.rows.iter().map(|row| line(&report.metric, row)));
    // Only what is the same in every run.
    let figure = |row: &BenchmarkRow| {
        let engine = row.engine.split(' ').next().unwrap_or_default();
        Some((format!("{}.{engine}.{}", row.variant, report.metric), row.accuracy?))
    };
    let figures: Vec<(String, f64)> = report.rows.iter().filter_map(figure).collect();
    Summary::lines(lines).with_figures(figures.iter().map(|(name, value)| (name.as_str(), *value)))
}
