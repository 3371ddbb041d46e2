//! [`Spec`]: a pipeline file after every check that needs no work: keys, kinds, parameters, ports, sources.

use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use crate::yaml::{Node, Value};
use crate::{Problems, merge, plan, remote, vars};
use pipe_cache::RemoteSetting;
use pipe_schemas::contract::MakeQuick;
use crate::nearest::nearest;
use pipe_schemas::{Contract, Output, PortType, SourceSet};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod limits;
mod matrix;
mod ports;
mod stage;

/// A stage's name in its pipeline: letters, digits, `_` and `-`; one of a matrix ends in `@variable=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(String);

impl StageName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `text` names this stage, or all of the matrix that it is of.
    pub fn is_named(&self, text: &str) -> bool {
        self.0.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with(matrix::MARK))
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A change to a pipeline from the command line, `PATH=VALUE`.
#[derive(Debug, Clone)]
pub struct Setting(pub String);

/// A pipeline without a mistake; [`plan::seal`] puts it in order.
#[derive(Debug)]
pub struct Spec {
    /// The pipeline's name.
    pub name: String,
    /// Where results are shared; no part of any key.
    pub remote: Option<RemoteSetting>,
    /// In the order of the file.
    pub stages: Vec<StageSpec>,
}

/// A stage of a [`Spec`].
#[derive(Debug)]
pub struct StageSpec {
    /// Its name.
    pub name: StageName,
    /// Where its name stands.
    pub place: Place,
    /// Its kind.
    pub contract: &'static Contract,
    /// Parameters with defaults filled in.
    pub params: serde_json::Value,
    /// What of them is in its key, where that is not all of them.
    pub keyed: Option<serde_json::Value>,
    /// Files from outside the pipeline.
    pub sources: Vec<SourceSet>,
    /// What is connected to each input port.
    pub inputs: BTreeMap<String, InputRef>,
    /// What it writes; the first is the main port.
    pub outputs: Vec<Output>,
    /// What it may use; no part of its key.
    pub limits: Limits,
}

impl StageSpec {
    /// Returns the parameters that are in its key.
    pub(crate) fn keyed(&self) -> &serde_json::Value {
        self.keyed.as_ref().unwrap_or(&self.params)
    }

    /// Returns its parameters as `make` changes them.
    pub(crate) fn quick(&self, make: MakeQuick) -> serde_json::Value {
        let mut params = self.params.clone();
        make(&mut params);
        params
    }
}

/// An output of another stage.
#[derive(Debug, Clone)]
pub struct InputRef {
    /// Position in [`Spec::stages`].
    pub stage: usize,
    /// Which of its outputs.
    pub output: Output,
    /// What the port takes that it is connected to.
    pub wanted: PortType,
    /// Where the connection stands.
    pub place: Place,
}

/// What a stage may use; no part of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processors it is given; if `None`, it counts as one and may use all.
    pub cpus: Option<usize>,
    /// Memory it is given.
    pub memory_bytes: Option<u64>,
    /// GPUs it is given.
    pub gpus: Option<usize>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How often it is tried again when its worker crashed or was killed.
    pub retries: u32,
}

/// Reads the pipeline file at `path` with what it extends, applies `settings`, and checks all of it.
pub fn load(path: &Path, settings: &[Setting]) -> Result<plan::Plan, Problems> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let spec = read(path, settings, &mut files, &mut problems);
    match spec.and_then(plan::seal) {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Problems::sorted(problems, &files)),
    }
}

fn read(
    path: &Path,
    settings: &[Setting],
    files: &mut Vec<Arc<SourceText>>,
    problems: &mut Vec<Problem>,
) -> Option<Spec> {
    let mut root = match merge::read(path, files) {
        Ok(root) => root,
        Err(found) => {
            problems.extend(found);
            return None;
        }
    };
    for Setting(setting) in settings {
        if let Err(problem) = merge::set(&mut root, setting, files) {
            problems.push(problem);
        }
    }
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
    let remote = remote::read(root.get("remote"), problems);
    if entries.is_empty() {
        problems.push(
            Problem::new("no-stages", &stages_place, "a pipeline needs a map of stages")
                .help("stages:\n  videos: { uses: ingest, with: { root: my/videos } }"),
        );
        return None;
    }
    let entries = matrix::expand(&root, entries, &matrices, &vars, problems);
    let stages = stage::read_all(&entries, problems);
    // A stage with a problem is `None`; the others were still checked against it.
    let stages = stages.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Spec { name, remote, stages })
}

pub(crate) fn check_keys(node: &Node, what: &str, known: &[&str], problems: &mut Vec<Problem>) {
    for entry in node.entries() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        let message = format!("unknown key `{}` in {what}", entry.key);
        problems.push(Problem::new("unknown-key", &entry.key_place, message).help(help));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

fn name_of(root: &Node, path: &Path, problems: &mut Vec<Problem>) -> String {
    match root.get("pipeline") {
        Some(Node { value: Value::Text(name), .. }) if is_name(name) => name.clone(),
        Some(node) => {
            let problem = Problem::new("wrong-type", &node.place, format!("{} is no pipeline name", node.describe()));
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
