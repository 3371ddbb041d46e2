//! [`JOB`]: the time and memory of forward passes, in a process of their own.

use pipe_clips::ClipSize;
use pipe_infer::{InferError, InferenceEngine, Libraries, ModelFile, SessionOptions, load};
use pipe_learn::{TimedNetwork, noise, pin_threads};
use pipe_stage::protocol::paths;
use pipe_stage::{Context, Helpers, Job, JobFailure, JobLimits, SendPiece, StageError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measures one variant in a helper process.
pub const JOB: Job = Job { name: "benchmark", run };

/// Passes before the first that is measured: engines allocate memory and choose algorithms in them.
const WARM_UP_RUNS: u32 = 3;

/// Address space of a process; libraries reserve much more than they use.
const MEMORY_MB: u64 = 256 * 1024;

/// Processor time of a process.
const CPU_SECS: u64 = 3600;

/// What a process measures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measure {
    /// The model folder or ONNX file.
    #[serde(with = "paths")]
    pub(crate) path: PathBuf,
    /// What runs an ONNX file; `None` for a model folder.
    pub(crate) engine: Option<InferenceEngine>,
    #[serde(with = "paths")]
    pub(crate) onnx_runtime: PathBuf,
    #[serde(with = "paths")]
    pub(crate) openvino: PathBuf,
    /// Number of threads of an engine.
    pub(crate) threads: usize,
    pub(crate) batch_size: usize,
    pub(crate) num_runs: u32,
    /// Frames, rows and columns of a clip.
    pub(crate) clip: [usize; 3],
}

/// What a process found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Why it can't run.
    pub(crate) error: Option<String>,
    pub(crate) latencies_ms: Vec<f64>,
    /// `None` if the system does not report it.
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// A forward pass that returns its time.
type Pass = Box<dyn FnMut() -> Result<Duration, String>>;

/// Measures a variant once. A process that crashes is a result with an error.
pub(crate) fn measure(context: &Context, job: &Measure) -> Result<Measured, StageError> {
    // A new process: the peak of its memory is that of this variant.
    let helpers = Helpers::new(context, JOB, JobLimits { memory_mb: MEMORY_MB, cpu_secs: CPU_SECS });
    let ((), result) = helpers.run(&serde_json::to_vec(job)?, || (), |(), _| Ok(()))?;
    match result {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(JobFailure::OfInput(failure) | JobFailure::OfMachine(failure)) => {
            Ok(Measured { error: Some(failure.to_string()), latencies_ms: Vec::new(), peak_memory_bytes: None })
        }
    }
}

/// The helper's side.
fn run(job: &[u8], send: SendPiece) -> io::Result<Vec<u8>> {
    let job: Measure = serde_json::from_slice(job)?;
    let (latencies_ms, error) = match passes(&job, send) {
        Ok(latencies_ms) => (latencies_ms, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Ok(serde_json::to_vec(&Measured { error, latencies_ms, peak_memory_bytes: peak_memory_bytes() })?)
}

/// Returns the times of all passes but the first ones, in ms.
fn passes(job: &Measure, send: SendPiece) -> Result<Vec<f64>, String> {
    let mut pass = match job.engine {
        Some(engine) => pass_of_engine(job, engine)?,
        None => pass_of_libtorch(job)?,
    };
    let mut latencies = Vec::new();
    for run in 0..WARM_UP_RUNS + job.num_runs {
        let time = pass()?;
        if run >= WARM_UP_RUNS {
            latencies.push(time.as_secs_f64() * 1e3);
        }
        // A sign of life.
        send(&[0]).map_err(text)?;
    }
    Ok(latencies)
}

fn pass_of_libtorch(job: &Measure) -> Result<Pass, String> {
    let [frames, height, width] = job.clip;
    pin_threads();
    let network = TimedNetwork::open(&job.path, ClipSize { frames, height, width }, job.batch_size).map_err(text)?;
    Ok(Box::new(move || {
        let start = Instant::now();
        network.run().map_err(text)?;
        Ok(start.elapsed())
    }))
}

fn pass_of_engine(job: &Measure, engine: InferenceEngine) -> Result<Pass, String> {
    let libraries = Libraries { onnx_runtime: job.onnx_runtime.clone(), openvino: job.openvino.clone() };
    let file = ModelFile::read(&job.path).map_err(InferError::File).map_err(text)?;
    let engine = load(engine, &libraries).map_err(text)?;
    let mut session = engine.open(&file, SessionOptions::threads(job.threads)).map_err(text)?;
    let (name, [frames, height, width]) = (file.input().name.clone(), job.clip);
    let shape = [job.batch_size, 3, frames, height, width];
    let values = noise(shape.iter().product());
    Ok(Box::new(move || {
        // The session takes the values; copying them is not part of the pass.
        let values = values.clone();
        let start = Instant::now();
        session.run(&name, shape, values).map_err(text)?;
        Ok(start.elapsed())
    }))
}

/// Returns an error with its causes, in the first line of its text.
pub(crate) fn text(error: impl std::error::Error + Send + Sync + 'static) -> String {
    StageError::from(error).chain().join(": ").lines().next().unwrap_or_default().to_owned()
}

/// Returns the largest memory of this process so far.
fn peak_memory_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns a percentile of times: the smallest one that `percent` percent of all do not exceed.
pub(crate) fn percentile(latencies: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&times, 50.0), percentile(&times, 99.0)), (Some(50.0), Some(99.0)));
        assert_eq!((percentile(&[7.0], 50.0), percentile(&[7.0], 99.0)), (Some(7.0), Some(7.0)));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn the_memory_of_this_process_is_known() {
        assert!(peak_memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
