//! [`Spec`]: a pipeline file that passed every check of keys, stage kinds, parameters, ports and sources.

use crate::diagnostics::Problem;
use crate::place::Place;
use crate::yaml::keys::{self, check_keys};
use crate::yaml::{Node, Value};
use crate::{merge, vars};
use pipe_cache::RemoteSetting;
use pipe_schemas::contract::MakeQuick;
use pipe_schemas::{Contract, Output, PortType, SourceSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

mod culprit;
mod cycles;
mod epochs;
mod foreign;
mod limits;
mod matrix;
mod ports;
mod stage;

/// The name of a stage, unique in its pipeline: letters, digits, `_` and `-`; for a copy of a matrix followed by
/// `@variable=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(String);

impl StageName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `text` is the name of this stage, or the name without matrix values.
    pub fn is_named(&self, text: &str) -> bool {
        self.0.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with(matrix::MARK))
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A checked pipeline file; [`Plan::new`](crate::Plan) makes a graph of it.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    /// The remote that the file names; not part of any key.
    pub(crate) remote: Option<RemoteSetting>,
    /// In file order.
    pub(crate) stages: Vec<StageSpec>,
    /// Every connected input of every stage.
    pub(crate) connections: Vec<Edge>,
    /// What the file says without an effect.
    pub(crate) notes: Vec<String>,
}

/// A connection between two stages, by their positions in [`Spec::stages`].
#[derive(Debug)]
pub(crate) struct Edge {
    /// The stage whose output is read.
    pub(crate) from: usize,
    /// The stage that reads it.
    pub(crate) to: usize,
    pub(crate) connection: Connection,
}

/// One checked stage.
#[derive(Debug)]
pub struct StageSpec {
    /// Unique in the pipeline.
    pub name: StageName,
    /// What the engine knows of the stage kind.
    pub contract: &'static Contract,
    /// Parameters with defaults filled in; what the worker receives.
    pub params: serde_json::Value,
    /// The parameters that are part of the key, if not all of them are.
    pub keyed: Option<serde_json::Value>,
    /// Files from outside the pipeline that the stage reads.
    pub sources: Vec<SourceSet>,
    /// Output ports; the first is the main port.
    pub outputs: Vec<Output>,
    /// The parameter that sets how many classes the labels have, and the number.
    pub num_classes: Option<(&'static str, u32)>,
    /// Resources, timeout and retries; not part of the key.
    pub limits: StageLimits,
}

impl StageSpec {
    /// Returns the parameters that are part of the key.
    pub(crate) fn keyed(&self) -> &serde_json::Value {
        self.keyed.as_ref().unwrap_or(&self.params)
    }

    /// Returns the parameters that `make` derives for a quick check.
    pub(crate) fn quick(&self, make: MakeQuick) -> serde_json::Value {
        let mut params = self.params.clone();
        make(&mut params);
        params
    }
}

/// An output port that feeds an input port: an edge of the plan's graph.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The name of the input port.
    pub input: String,
    /// The type that the input port accepts.
    pub wanted: PortType,
    /// The output port of the stage that is read.
    pub output: Output,
}

/// Resources, timeout and retries of a stage; not part of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageLimits {
    /// Number of CPUs; if `None`, the stage counts as one CPU when scheduled, and may use all.
    pub cpus: Option<usize>,
    /// Memory to reserve; if `None`, none is reserved.
    pub memory_bytes: Option<u64>,
    /// Number of GPUs; 0 if `None`.
    pub gpus: Option<usize>,
    /// Maximum run time; unlimited if `None`.
    pub timeout: Option<Duration>,
    /// Maximum number of further attempts if the worker crashes or is killed.
    pub retries: u32,
}

/// Checks a pipeline file whose values are merged. `path` names the file in messages.
pub(crate) fn read(mut root: Node, path: &Path, problems: &mut Vec<Problem>) -> Option<Spec> {
    check_keys(&root, "the pipeline", &["pipeline", "extends", "vars", "matrix", "remote", "stages"], problems);
    let (stages_place, entries) = match merge::take(&mut root, "stages") {
        Some(Node { value: Value::Map(entries), place, .. }) => (place, entries),
        other => (other.map_or_else(|| root.place.clone(), |node| node.place), Vec::new()),
    };
    let matrices = matrix::Matrices::read(&root, &entries, problems);
    let vars = matrices.common_vars(root.get("vars"), problems);
    for key in ["pipeline", "remote"] {
        if let Some(node) = root.get_mut(key) {
            vars::interpolate(node, &vars, problems);
        }
    }
    let name = name_of(&root, path, problems);
    let remote = keys::remote(root.get("remote"), problems);
    if entries.is_empty() {
        problems.push(
            Problem::new("no-stages", &stages_place, "a pipeline needs a map of stages")
                .help("stages:\n  videos: { uses: ingest, with: { root: my/videos } }"),
        );
        return None;
    }
    let entries = matrix::expand(&root, entries, &matrices, &vars, problems);
    let mut ignored = Vec::new();
    let (stages, connections) = stage::read_all(&entries, &mut ignored, problems)?;
    let notes = match ignored.as_slice() {
        [] => Vec::new(),
        paths => vec![format!("these keys of MMAction2 change nothing here: {}", paths.join(", "))],
    };
    Some(Spec { name, remote, stages, connections, notes })
}

/// Maximum length of a name: files and folders are named after pipelines, stages and ports, with extensions.
const MAX_NAME_BYTES: usize = 200;

/// Reports a name that is too long for a file; `what` names it in the message.
fn check_length(what: &str, name: &str, place: &Place, help: &str, problems: &mut Vec<Problem>) {
    if name.len() > MAX_NAME_BYTES {
        let shown: String = name.chars().take(40).collect();
        let message = format!(
            "the name of {what} `{shown}…` has {} bytes; files are named after it, so it may have at most {MAX_NAME_BYTES}",
            name.len()
        );
        problems.push(Problem::new("long-name", place, message).help(help));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

fn name_of(root: &Node, path: &Path, problems: &mut Vec<Problem>) -> String {
    match root.get("pipeline") {
        Some(Node { value: Value::Text(name), place, .. }) if is_name(name) => {
            check_length("the pipeline", name, place, "choose a shorter name", problems);
            name.clone()
        }
        Some(node) => {
            let problem =
                Problem::new("wrong-type", &node.place, format!("{} is not a valid pipeline name", node.describe()));
            problems.push(problem.help("letters, digits, `_` and `-`"));
            String::new()
        }
        None => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let problem = Problem::new("missing-key", &root.place, "the pipeline has no name");
            problems.push(problem.help(format!("pipeline: {stem}")));
            stem
        }
    }
}
