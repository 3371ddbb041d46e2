//! `matrix`: a stage is copied for each value of a variable.
//!
//! The matrix of a stage applies to that stage; the matrix of the pipeline to every stage that uses its variables. A stage that
//! reads a copied stage is copied for the same values, unless it names a single copy: `labels@split=1`.

use super::is_name;
use crate::diagnostics::Problem;
use crate::vars::uses::Uses;
use crate::vars::{self, resolve};
use crate::yaml::bounds::MAX_WEIGHT;
use crate::yaml::{Entry, Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Separates name and values in the name of a copied stage.
pub(super) const MARK: char = '@';

/// Maximum number of stages; more are certainly a mistake.
const MAX_STAGES: usize = 100_000;

/// All values of each variable.
type Axes = BTreeMap<String, Vec<Node>>;
/// One value of each variable.
pub(super) type Values = BTreeMap<String, Node>;

/// The matrices of a pipeline.
pub(super) struct Matrices {
    axes: Axes,
    /// The variables of the pipeline's matrix.
    common: Vec<String>,
}

impl Matrices {
    /// Reads the matrices of the pipeline and its stages.
    pub(super) fn read(root: &Node, stages: &[Entry], problems: &mut Vec<Problem>) -> Self {
        let mut axes = Axes::new();
        read_axes(root.get("matrix"), &mut axes, problems);
        let common = axes.keys().cloned().collect();
        for entry in stages {
            read_axes(entry.node.get("matrix"), &mut axes, problems);
        }
        Self { axes, common }
    }

    /// Returns the variables that do not depend on a matrix.
    pub(super) fn common_vars(&self, vars: Option<&Node>, problems: &mut Vec<Problem>) -> Values {
        let uses = Uses::of(vars, self.axes.keys().map(String::as_str));
        let own: BTreeMap<&str, &Node> =
            vars.map(Node::entries).unwrap_or_default().iter().map(|entry| (entry.key.as_str(), &entry.node)).collect();
        let first: Values = self.axes.iter().map(|(name, values)| (name.clone(), values[0].clone())).collect();
        let mut common = resolve::read(vars, &first, problems);
        common.retain(|name, _| own.contains_key(name.as_str()) && uses.by(name).next().is_none());
        for (name, node) in &mut common {
            if self.axes.contains_key(name) {
                *node = own[name.as_str()].clone();
            }
        }
        common
    }
}

/// Returns the stages with all variables replaced, copied for the values of their matrices, in file order.
pub(super) fn expand(
    root: &Node,
    mut stages: Vec<Entry>,
    matrices: &Matrices,
    vars: &Values,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let Matrices { axes, common } = matrices;
    if axes.is_empty() {
        for entry in &mut stages {
            vars::interpolate(&mut entry.node, vars, problems);
        }
        return stages;
    }
    let keys = keys(&stages, common, root.get("vars"));
    let (mut expanded, mut weight) = (Vec::new(), 0);
    for entry in &stages {
        if keys[&entry.key].is_empty() {
            let mut entry = entry.clone();
            vars::interpolate(&mut entry.node, vars, problems);
            expanded.push(entry);
            continue;
        }
        for values in combinations(&keys[&entry.key], axes) {
            weight += entry.node.weight();
            if expanded.len() >= MAX_STAGES || weight > MAX_WEIGHT {
                let message = "the matrices make too many stages";
                problems.push(Problem::new("matrix", &entry.key_place, message));
                return expanded;
            }
            expanded.push(copy(entry, &values, root, &keys, problems));
        }
    }
    expanded
}

/// Adds the variables of a matrix, a map from variables to lists of values, to `axes`.
fn read_axes(node: Option<&Node>, axes: &mut Axes, problems: &mut Vec<Problem>) {
    let Some(node) = node else { return };
    let mut wrong = |node: &Node, message: String| {
        problems.push(Problem::new("matrix", &node.place, message).help("matrix: { split: [1, 2, 3] }"));
    };
    if !matches!(node.value, Value::Map(_)) {
        wrong(node, format!("expected a map from variables to lists of values, found {}", node.describe()));
    }
    for Entry { key, node, .. } in node.entries() {
        let Value::List(values) = &node.value else {
            wrong(node, format!("expected a list of values for `{key}`, found {}", node.describe()));
            continue;
        };
        let plain = |value: &Node| !matches!(value.value, Value::Map(_) | Value::List(_) | Value::Null);
        if !is_name(key) || values.is_empty() || !values.iter().all(plain) {
            wrong(
                node,
                format!("expected a name of letters, digits, `_` and `-`, and a list of single values for `{key}`"),
            );
        } else if axes.get(key).is_some_and(|known| known != values) {
            wrong(node, format!("another matrix has other values for `{key}`"));
        } else {
            axes.insert(key.clone(), values.clone());
        }
    }
}

/// Returns the variables that each stage is copied for: those of its own matrix, those of the pipeline's matrix that it uses, and
/// those of the stages that it reads.
fn keys(stages: &[Entry], common: &[String], vars: Option<&Node>) -> BTreeMap<String, BTreeSet<String>> {
    let uses = Uses::of(vars, common.iter().map(String::as_str));
    let own = |entry: &Entry| {
        let matrix = entry.node.get("matrix").map(Node::entries).unwrap_or_default();
        matrix.iter().map(|entry| entry.key.clone()).chain(uses.below(&entry.node, common)).collect()
    };
    let mut keys: BTreeMap<String, BTreeSet<String>> =
        stages.iter().map(|entry| (entry.key.clone(), own(entry))).collect();
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in stages {
        for read in entry.node.get("inputs").map(Node::entries).unwrap_or_default() {
            readers.entry(stage_of(&read.node).unwrap_or_default()).or_default().push(&entry.key);
        }
    }
    // A stage passes its variables on to its readers. This ends even for stages in a cycle, which are reported elsewhere.
    let mut open: Vec<&str> = stages.iter().map(|entry| entry.key.as_str()).collect();
    while let Some(stage) = open.pop() {
        let given = keys.get(stage).cloned().unwrap_or_default();
        for reader in readers.get(stage).into_iter().flatten() {
            let known = keys.entry((*reader).to_owned()).or_default();
            if !given.is_subset(known) {
                known.extend(given.iter().cloned());
                open.push(reader);
            }
        }
    }
    keys
}

/// Returns the stage that `stage` or `stage.port` names.
fn stage_of(input: &Node) -> Option<&str> {
    if let Value::Text(text) = &input.value { text.split('.').next() } else { None }
}

/// Returns every combination of values of `keys`; the last key changes fastest.
fn combinations(keys: &BTreeSet<String>, axes: &Axes) -> Vec<Values> {
    let mut all = vec![Values::new()];
    for key in keys {
        let Some(values) = axes.get(key) else { continue };
        let with = |chosen: &Values, value: &Node| {
            let mut chosen = chosen.clone();
            chosen.insert(key.clone(), value.clone());
            chosen
        };
        let choices = all.iter().flat_map(|chosen| values.iter().map(move |value| with(chosen, value)));
        all = choices.take(MAX_STAGES + 1).collect();
    }
    all
}

/// Returns the copy of a stage for `values`.
fn copy(
    entry: &Entry,
    values: &Values,
    root: &Node,
    keys: &BTreeMap<String, BTreeSet<String>>,
    problems: &mut Vec<Problem>,
) -> Entry {
    let mut entry = entry.clone();
    let vars = resolve::read(root.get("vars"), values, problems);
    let Value::Map(fields) = &mut entry.node.value else { return entry };
    fields.retain(|field| field.key != "matrix");
    for field in fields.iter_mut().filter(|field| field.key == "inputs") {
        let Value::Map(inputs) = &mut field.node.value else { continue };
        for Entry { node, .. } in inputs {
            let Some(stage) = stage_of(node) else { continue };
            let (Some(keys), Value::Text(text)) = (keys.get(stage), &node.value) else { continue };
            node.value = Value::Text(format!("{}{}", name(stage, keys, values), &text[stage.len()..]));
        }
    }
    vars::interpolate(&mut entry.node, &vars, problems);
    entry.key = name(&entry.key, &keys[&entry.key], values);
    entry
}

/// Returns the name of a copy: `labels@split=1`.
fn name(stage: &str, keys: &BTreeSet<String>, values: &Values) -> String {
    let fit = |letter: char| if letter.is_ascii_alphanumeric() || "_-.+".contains(letter) { letter } else { '-' };
    let value = |key: &String| {
        let text = values.get(key).and_then(Node::plain_text).unwrap_or_default();
        format!("{key}={}", text.chars().map(fit).collect::<String>())
    };
    let values: Vec<String> = keys.iter().map(value).collect();
    if values.is_empty() { stage.to_owned() } else { format!("{stage}{MARK}{}", values.join(",")) }
}
