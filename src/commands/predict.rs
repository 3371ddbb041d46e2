//! `pipe predict`.

mod stream;
mod videos;
mod view;
pub(super) mod worker;

use super::Command;
use crate::args::Format;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;
use clap::Args;
use pipe_schemas::engines::{ExecutionProvider, InferenceEngine, InferencePrecision};
use pipe_stage::protocol::predict::{ModelJob, PredictJob, StreamJob, VideoPath, WindowJob};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use stream::Stream;
use videos::Found;
use view::View;

/// Predict the classes of videos with an exported network
///
/// The file of the network contains its labels and the preprocessing of its evaluation, so it is all that is needed. A video that can't
/// be used has a line with the reason. Exit code 1 means that no video could be predicted.
///
/// With `--window`, VIDEO may be a stream: `-` for stdin, a named pipe, or a URL with rtsp, http or https. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// Exported network: an ONNX file that a stage `export` or `optimize` wrote
    model: PathBuf,
    /// Videos, folders of videos, patterns such as `'clips/**/*.mp4'`, or one stream
    #[arg(required = true, value_name = "VIDEO")]
    videos: Vec<PathBuf>,
    /// Number of classes to show
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    #[command(flatten)]
    engine: EngineArgs,
    /// Write the predictions to a file: `.parquet` with all logits and probabilities, `.csv` or `.jsonl` with the top classes
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Predict windows of this length instead of whole videos, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    window: Option<f64>,
    /// Time between the starts of two windows, in seconds [default: the length of a window]
    #[arg(long, value_name = "SECONDS", requires = "window", value_parser = seconds)]
    stride: Option<f64>,
    /// Average the probabilities of each window with those of the N - 1 windows before it
    #[arg(long, value_name = "N", default_value_t = 1, requires = "window", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    smooth: u32,
    /// Report when a class is predicted, such as `'Biking>=0.8,release=0.5,min=2'`: from the first window with a probability of at least
    /// 0.8 until it falls below 0.5, if that lasts 2 seconds; repeatable
    #[arg(long = "alert", value_name = "RULE", requires = "window")]
    alerts: Vec<String>,
    /// Write an MP4 file of each video with its predictions and events on its frames to this folder
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// How many attempts in a row may fail to connect a live stream again
    #[arg(long, value_name = "N", default_value_t = 5, requires = "window", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    reconnect: u32,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How an exported network is run.
#[derive(Debug, Args)]
pub(super) struct EngineArgs {
    /// Program that runs the network: `onnxruntime` or `openvino`
    #[arg(long, default_value = "onnxruntime", value_parser = engine)]
    engine: InferenceEngine,
    /// What computes, with `onnxruntime`: `cpu`, `cuda` or `tensorrt`
    #[arg(long, default_value = "cpu", value_parser = provider)]
    provider: ExecutionProvider,
    /// What convolutions and linear layers compute with: `float32`, or with `openvino` on processors that have it, `bfloat16`
    #[arg(long, default_value = "float32", value_parser = precision)]
    precision: InferencePrecision,
    /// Number of threads [default: one per processor]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Number of views per forward pass
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
}

impl EngineArgs {
    /// Returns the job for a model.
    pub(super) fn job(&self, model: PathBuf) -> Result<ModelJob, CommandError> {
        let threads =
            self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from);
        let Self { engine, provider, precision, batch_size, .. } = *self;
        if precision == InferencePrecision::Bfloat16 && engine != InferenceEngine::OpenVino {
            return Err(CommandError::bad_input("`--precision bfloat16` needs `--engine openvino`"));
        }
        Ok(ModelJob { model, engine, provider, precision, threads, batch_size: batch_size.into() })
    }
}

impl Command for Predict {
    const NAME: &'static str = "predict";

    fn run(self) -> Result<Code, CommandError> {
        if Stream::is_named(&self.videos) {
            self.check_stream()?;
        }
        let stream = Stream::of(&self.videos)?;
        let mut view = View::new(self.output, self.top_k as usize, self.to.as_deref())?;
        let Found { videos, left_out } = if stream.is_some() { Found::default() } else { videos::find(&self.videos)? };
        self.check_outputs(&videos)?;
        view.expect_videos(videos.len(), &left_out);
        if !self.alerts.is_empty() && self.to.as_deref().is_some_and(|to| !has_extension(to, "jsonl")) {
            render::message(
                "note: of the files that `--to` writes, only .jsonl has a place for events; they are printed",
            );
        }
        let job = PredictJob {
            model: self.engine.job(self.model)?,
            videos: videos.into_iter().map(|path| VideoPath { path }).collect(),
            stream: stream.as_ref().map(|stream| StreamJob {
                name: stream.name.clone(),
                url: stream.url.clone(),
                max_attempts: self.reconnect,
            }),
            windows: self.window.map(|length_secs| WindowJob {
                length_secs,
                stride_secs: self.stride.unwrap_or(length_secs),
                smoothing: self.smooth as usize,
                alerts: self.alerts,
            }),
            table: view.table(),
            annotate: self.annotate,
        };
        worker::run(&job, |reply| view.take(reply))?;
        Ok(view.finish())
    }
}

impl Predict {
    /// Checks that `--to` does not replace what is read, and that `--annotate` names a folder.
    fn check_outputs(&self, videos: &[PathBuf]) -> Result<(), CommandError> {
        if let Some(file) = self.annotate.as_deref().filter(|folder| folder.exists() && !folder.is_dir()) {
            return Err(CommandError::bad_input(format!(
                "`--annotate` needs a folder, but {} is a file",
                file.display()
            )));
        }
        let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let Some((to, target)) = self.to.as_deref().and_then(|to| Some((to, id(to)?))) else { return Ok(()) };
        let mut read = videos.iter().chain([&self.model]);
        if read.any(|path| id(path) == Some(target)) {
            return Err(CommandError::bad_input(format!("`--to` would replace {}, which is read", to.display())));
        }
        Ok(())
    }

    /// Checks the options that a stream does not have.
    fn check_stream(&self) -> Result<(), CommandError> {
        let wrong = |text: &str| Err(CommandError::bad_input(text));
        if self.window.is_none() {
            return wrong("a stream has no end, so windows of it are predicted: add `--window SECONDS`");
        }
        if self.annotate.is_some() {
            return wrong("`--annotate` reads a video twice, which a stream does not allow; record it to a file first");
        }
        if self.to.as_deref().is_some_and(|to| has_extension(to, "parquet")) {
            return wrong("a Parquet file is complete only at its end; write a stream to a .jsonl or .csv file");
        }
        Ok(())
    }
}

fn has_extension(path: &Path, expect: &str) -> bool {
    path.extension().is_some_and(|extension| extension == expect)
}

/// Returns a time in seconds. JSON, in which the worker receives it, has no other numbers than finite ones; the worker checks the range.
fn seconds(text: &str) -> Result<f64, String> {
    let secs: Option<f64> = text.parse().ok();
    secs.filter(|secs| secs.is_finite()).ok_or_else(|| "expected a number of seconds, such as 2 or 0.5".to_owned())
}

fn engine(text: &str) -> Result<InferenceEngine, String> {
    named(text, &InferenceEngine::ALL, InferenceEngine::name)
}

fn provider(text: &str) -> Result<ExecutionProvider, String> {
    named(text, &ExecutionProvider::ALL, ExecutionProvider::name)
}

fn precision(text: &str) -> Result<InferencePrecision, String> {
    named(text, &InferencePrecision::ALL, InferencePrecision::name)
}

/// Returns the value with this name.
fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
    let found = all.iter().copied().find(|value| name(*value) == text);
    found.ok_or_else(|| format!("expected {}", names.join(", ")))
}
