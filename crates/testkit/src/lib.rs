//! What tests of several crates share: [`run_stage`] runs a stage without an engine and a worker.

use pipe_stage::protocol::{Input, PROTOCOL_VERSION, Reply, Request, Task};
use pipe_stage::{Context, Stage, StageError, Summary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// How a run of a stage ended.
#[derive(Debug)]
pub struct Ran {
    /// What the stage returned.
    pub result: Result<Summary, StageError>,
    /// What it warned of, in order.
    pub warnings: Vec<String>,
}

impl Ran {
    /// Returns the summary's lines.
    ///
    /// # Panics
    /// If the stage failed.
    pub fn lines(&self) -> &[String] {
        match &self.result {
            Ok(summary) => &summary.lines,
            Err(error) => panic!("the stage failed: {}", error.chain().join(": ")),
        }
    }

    /// Returns the error with its causes in one line.
    ///
    /// # Panics
    /// If the stage did not fail.
    pub fn error(&self) -> String {
        match &self.result {
            Ok(summary) => panic!("the stage did not fail: {summary:?}"),
            Err(error) => error.chain().join(": "),
        }
    }
}

/// Returns an input that is a file, or a folder that is not looked into.
pub fn input(path: impl Into<PathBuf>) -> Input {
    Input { path: path.into(), digest: String::new(), files: None, media_root: None }
}

/// Runs `stage` with its outputs below `output`.
///
/// # Panics
/// If the stage has no contract, or `params` can't be written as JSON.
pub fn run_stage<'a>(
    stage: &dyn Stage,
    params: &impl Serialize,
    inputs: impl IntoIterator<Item = (&'a str, Input)>,
    output: impl Into<PathBuf>,
    threads: usize,
) -> Ran {
    let output = output.into();
    let contract = pipe_schemas::stages::contract(stage.kind()).expect("a stage with a contract");
    let request = Request {
        protocol: PROTOCOL_VERSION,
        id: 1,
        kind: contract.kind.to_owned(),
        version: contract.version,
        task: Task::Whole,
        params: serde_json::to_value(params).expect("parameters as JSON"),
        inputs: inputs.into_iter().map(|(port, input)| (port.to_owned(), input)).collect(),
        sources: BTreeMap::new(),
        scratch: output.join("scratch"),
        output,
        threads,
    };
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&warnings);
    let context = Context::new(request, Arc::default(), move |reply| {
        if let Reply::Warning { text } = reply {
            told.lock().expect("no thread panicked").push(text);
        }
    });
    let result = stage.run(&context);
    let warnings = warnings.lock().expect("no thread panicked").clone();
    Ran { result, warnings }
}
