//! [`Plan`]: stages in an order in which each comes after what it reads. Only a plan can run.

use crate::diagnostics::Problem;
use crate::spec::{Spec, StageSpec};
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// A checked pipeline.
#[derive(Debug)]
pub struct Plan {
    spec: Spec,
    graph: DiGraph<(), ()>,
    order: Vec<usize>,
}

impl Plan {
    /// Returns the pipeline's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns the stages, by position; positions are those of [`crate::spec::InputRef::stage`].
    pub fn stages(&self) -> &[StageSpec] {
        &self.spec.stages
    }

    /// Returns positions of stages, each after all that it reads. Equal pipelines have equal orders.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Returns the positions of the stages that read outputs of `stage`.
    pub fn dependents(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.graph.neighbors(NodeIndex::new(stage)).map(NodeIndex::index)
    }

    /// Returns the positions of the stages whose outputs `stage` reads.
    pub fn dependencies(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.graph.edges_directed(NodeIndex::new(stage), petgraph::Incoming).map(|edge| edge.source().index())
    }
}

/// Connects the stages of `spec`; circles are problems.
pub(crate) fn seal(spec: Spec, problems: &mut Vec<Problem>) -> Option<Plan> {
    let mut graph = DiGraph::new();
    for _ in &spec.stages {
        graph.add_node(());
    }
    for (position, stage) in spec.stages.iter().enumerate() {
        for input in stage.inputs.values() {
            graph.update_edge(NodeIndex::new(input.stage), NodeIndex::new(position), ());
        }
    }
    if let Ok(order) = toposort(&graph, None) {
        return Some(Plan { order: order.into_iter().map(NodeIndex::index).collect(), graph, spec });
    }
    for circle in tarjan_scc(&graph) {
        let mut circle: Vec<usize> = circle.into_iter().map(NodeIndex::index).collect();
        circle.sort_unstable();
        let (Some(&first), names) =
            (circle.first(), circle.iter().map(|&stage| format!("`{}`", spec.stages[stage].name)))
        else {
            continue;
        };
        let inputs = || spec.stages[first].inputs.values().find(|input| circle.contains(&input.stage));
        let Some(input) = inputs() else { continue };
        let message = match circle.len() {
            1 => format!("the stage `{}` reads its own output", spec.stages[first].name),
            _ => format!("the stages {} read each other's outputs in a circle", names.collect::<Vec<_>>().join(", ")),
        };
        problems.push(Problem::new("cycle", &input.place, message).help("break the circle at one of its inputs"));
    }
    None
}
