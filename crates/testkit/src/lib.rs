//! Helpers for the tests of several crates. [`run_stage`] and [`Bench`] run a stage without an engine and a worker, [`shared`]
//! finds real data, and [`skip`] reports what is missing on a machine.

mod needs;
mod parted;

pub use needs::{onnx_runtime, openvino, python, repository, shared, skip};
pub use parted::{Bench, Making, older, part_in};

use pipe_schemas::{Worker, stages};
use pipe_stage::protocol::{Grant, Info, Input, PROTOCOL_VERSION, Reply, Request, Task};
use pipe_stage::{Context, Stage, StageError, Summary};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The outcome of running a stage.
#[derive(Debug)]
pub struct Ran {
    /// The return value of the stage.
    pub result: Result<Summary, StageError>,
    /// Its warnings, in order.
    pub warnings: Vec<String>,
}

impl Ran {
    /// Returns the lines of the summary.
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

/// Checks that the executable `program` of a worker runs the stage kinds whose contracts name it: the compiler does not find a missing
/// line of the table in its `main.rs`. Returns what it reports of itself.
///
/// # Panics
/// If it does not, or can't be started.
pub fn check_kinds(worker: Worker, program: &str) -> Info {
    let output = Command::new(program).arg("--info").output().expect("runs");
    let info: Info = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    let own = stages::ALL.iter().filter(|contract| contract.worker == Some(worker));
    let expect: BTreeMap<String, u32> = own.map(|contract| (contract.kind.to_owned(), contract.version)).collect();
    assert_eq!(info.kinds, expect);
    info
}

/// Returns an input that is a file, or a folder without a list of its files.
pub fn input(path: impl Into<PathBuf>) -> Input {
    Input { path: path.into(), digest: String::new(), files: None, media_root: None, left_out: BTreeMap::new() }
}

/// Runs `stage` with its outputs in the folder `output`.
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
    let params = serde_json::to_value(params).expect("parameters as JSON");
    let inputs = inputs.into_iter().map(|(port, input)| (port.to_owned(), input)).collect();
    let (context, replies) =
        context(stage.kind(), Task::Whole, params, inputs, BTreeMap::new(), output.into(), threads);
    let result = stage.run(&context);
    Ran { result, warnings: replies.warnings() }
}

/// The replies that a stage sent while it ran.
struct Replies(Arc<Mutex<Vec<Reply>>>);

impl Replies {
    fn warnings(&self) -> Vec<String> {
        self.select(|reply| if let Reply::Warning { text } = reply { Some(text.clone()) } else { None })
    }

    fn finished(&self) -> Vec<String> {
        self.select(|reply| if let Reply::PartFinished { name } = reply { Some(name.clone()) } else { None })
    }

    fn select(&self, pick: impl FnMut(&Reply) -> Option<String>) -> Vec<String> {
        self.0.lock().expect("no thread panicked").iter().filter_map(pick).collect()
    }
}

fn context(
    kind: &str,
    task: Task,
    params: Value,
    inputs: BTreeMap<String, Input>,
    sources: BTreeMap<String, Input>,
    output: PathBuf,
    threads: usize,
) -> (Context, Replies) {
    let contract = pipe_schemas::stages::contract(kind).expect("a stage with a contract");
    let request = Request {
        protocol: PROTOCOL_VERSION,
        id: 1,
        kind: contract.kind.to_owned(),
        version: contract.version,
        task,
        params,
        inputs,
        sources,
        scratch: output.join("scratch"),
        downloads: output.join("downloads"),
        diagnostics: output.join("diagnostics"),
        output,
        grant: Grant::cpu(threads),
    };
    let replies = Replies(Arc::default());
    let sent = Arc::clone(&replies.0);
    let context = Context::new(request, Arc::default(), move |reply| {
        sent.lock().expect("no thread panicked").push(reply);
    });
    (context, replies)
}
