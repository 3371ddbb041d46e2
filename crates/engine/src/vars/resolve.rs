//! [`read`]: the values of a pipeline's variables, with the variables inside them replaced.

use super::{interpolate, names, undefined};
use crate::diagnostics::{Problem, UNDEFINED};
use crate::place::Place;
use crate::yaml::{Node, Value};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of variables that a message names.
const MAX_NAMED: usize = 5;

/// Reads the `vars` map and replaces variables inside variables. Values of a matrix override the map's.
pub(crate) fn read(
    node: Option<&Node>,
    matrix: &BTreeMap<String, Node>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Node> {
    let mut vars: BTreeMap<String, Node> = BTreeMap::new();
    for entry in node.map(Node::entries).unwrap_or_default() {
        if matches!(entry.node.value, Value::Map(_) | Value::List(_)) {
            let message = format!("expected a single value, found {}", entry.node.describe());
            problems.push(Problem::new("wrong-type", &entry.node.place, message));
        }
        if entry.node.is_null() {
            let message = format!("the variable `{}` has no value", entry.key);
            let problem = Problem::new("wrong-type", &entry.node.place, message);
            problems.push(problem.help("give it one; an empty text is \"\""));
        }
        vars.insert(entry.key.clone(), entry.node.clone());
    }
    vars.extend(matrix.iter().map(|(name, node)| (name.clone(), node.clone())));
    resolve(vars, problems)
}

/// Replaces variables inside variables. A variable that can't be resolved is reported and becomes null, and so do, without a
/// report of their own, the variables that use it.
fn resolve(mut vars: BTreeMap<String, Node>, problems: &mut Vec<Problem>) -> BTreeMap<String, Node> {
    let mut resolved = BTreeMap::new();
    let mut broken: BTreeSet<String> = BTreeSet::new();
    for group in groups(&vars) {
        let before = problems.len();
        if let Some(problem) = cycle(&group, &vars) {
            problems.push(problem);
        }
        for name in group {
            let Some(mut node) = vars.remove(&name) else { continue };
            let used: Vec<&str> = used_by(&node).collect();
            let undefined = used.iter().find(|&&used| !resolved.contains_key(used) && !vars.contains_key(used));
            if let Some(undefined) = undefined.filter(|_| problems.len() == before) {
                let known = vars.keys().chain(resolved.keys()).map(String::as_str);
                problems.push(undefined_problem(undefined, known, &node.place));
            }
            if problems.len() > before || used.iter().any(|&used| broken.contains(used)) {
                broken.insert(name.clone());
                node = Node::new(Value::Null, node.place);
            } else {
                interpolate(&mut node, &resolved, problems);
            }
            resolved.insert(name, node);
        }
    }
    resolved
}

/// Groups the variables that use each other; nearly every group is a single variable. Each group comes after those it uses.
fn groups(vars: &BTreeMap<String, Node>) -> Vec<Vec<String>> {
    let mut graph = DiGraph::<&str, ()>::with_capacity(vars.len(), 0);
    let nodes: BTreeMap<&str, NodeIndex> = vars.keys().map(|name| (name.as_str(), graph.add_node(name))).collect();
    for (name, node) in vars {
        for used in used_by(node) {
            if let Some(&used) = nodes.get(used) {
                graph.add_edge(nodes[name.as_str()], used, ());
            }
        }
    }
    let sorted = |group: Vec<NodeIndex>| {
        let mut names: Vec<String> = group.into_iter().map(|node| graph[node].to_owned()).collect();
        names.sort();
        names
    };
    // The groups are in reverse topological order, and an edge leads from a variable to one that it uses.
    kosaraju_scc(&graph).into_iter().map(sorted).collect()
}

/// Returns the problem of a group whose variables use each other, or of a variable that uses itself.
fn cycle(group: &[String], vars: &BTreeMap<String, Node>) -> Option<Problem> {
    let first = group.first()?;
    let node = vars.get(first)?;
    let message = if group.len() > 1 {
        let names: Vec<String> = group.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
        let more = if group.len() > MAX_NAMED { " and others" } else { "" };
        format!("the variables {}{more} use each other in a cycle", names.join(", "))
    } else if used_by(node).any(|used| used == first) {
        format!("the variable `{first}` uses itself")
    } else {
        return None;
    };
    Some(Problem::new(UNDEFINED, &node.place, message))
}

/// Returns the variables that the value of a variable uses.
fn used_by(node: &Node) -> impl Iterator<Item = &str> {
    let text = if let Value::Text(text) = &node.value { text.as_str() } else { "" };
    names(text)
}

fn undefined_problem<'a>(name: &str, known: impl Iterator<Item = &'a str>, place: &Place) -> Problem {
    let (message, help) = undefined(name, known);
    Problem::new(UNDEFINED, place, message).help(help)
}
