//! [`check`]: stages that read each other's outputs in a cycle.

use super::ports::{Names, Stage};
use crate::diagnostics::Problem;
use crate::place::Place;
use crate::yaml::{Node, Value};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::BTreeSet;

/// The stages with an edge for each input that names one of them. An edge carries the place of the input.
type Drafts<'a> = DiGraph<&'a Stage<'a>, &'a Place>;

/// Reports each cycle at one of its inputs. Stages with other mistakes take part.
pub(super) fn check(stages: &[Stage], names: &Names, problems: &mut Vec<Problem>) {
    let graph = graph(stages, names);
    // The algorithm is not recursive: a file may hold thousands of stages in one chain.
    for group in kosaraju_scc(&graph) {
        let group: BTreeSet<NodeIndex> = group.into_iter().collect();
        if let Some(place) = edge_inside(&graph, &group) {
            problems.push(problem(&graph, &group, place));
        }
    }
}

fn graph<'a>(stages: &'a [Stage<'a>], names: &Names) -> Drafts<'a> {
    let mut graph = DiGraph::with_capacity(stages.len(), stages.len());
    for stage in stages {
        graph.add_node(stage);
    }
    for (reader, stage) in stages.iter().enumerate() {
        for input in stage.entry.node.get("inputs").map(Node::entries).unwrap_or_default() {
            if let Value::Text(text) = &input.node.value
                && let Some((read, _)) = names.find(text)
            {
                graph.add_edge(NodeIndex::new(read), NodeIndex::new(reader), &input.node.place);
            }
        }
    }
    graph
}

/// Returns the first input in the file that connects two stages of `group`, or a stage with itself.
fn edge_inside<'a>(graph: &Drafts<'a>, group: &BTreeSet<NodeIndex>) -> Option<&'a Place> {
    let edges = group.iter().flat_map(|&reader| graph.edges_directed(reader, petgraph::Incoming));
    let inside = edges.filter(|edge| group.contains(&edge.source()));
    inside.min_by_key(EdgeRef::id).map(|edge| *edge.weight())
}

fn problem(graph: &Drafts, group: &BTreeSet<NodeIndex>, place: &Place) -> Problem {
    let names: Vec<String> = group.iter().map(|&stage| format!("`{}`", graph[stage].entry.key)).collect();
    let (message, help) = match names.as_slice() {
        [name] => (format!("the stage {name} reads its own output"), "remove this input"),
        names => (
            format!("the stages {} read each other's outputs in a cycle", names.join(", ")),
            "remove one of the inputs that form the cycle",
        ),
    };
    Problem::new("cycle", place, message).help(help)
}
