//! [`Plan`]: stages in an order in which each comes after what it reads. Only a plan can run.

use crate::spec::{Spec, StageSpec};
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use pipe_cache::RemoteSetting;
use std::collections::BTreeSet;

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

    /// Returns where the pipeline file says that results are shared.
    pub fn remote(&self) -> Option<&RemoteSetting> {
        self.spec.remote.as_ref()
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

/// Orders the stages of `spec`; `None` where they go in circles.
pub(crate) fn seal(spec: Spec) -> Option<Plan> {
    let edges = spec.stages.iter().enumerate();
    let edges = edges.flat_map(|(to, stage)| stage.inputs.values().map(move |input| (input.stage, to)));
    let graph = graph(spec.stages.len(), edges);
    let order = toposort(&graph, None).ok()?.into_iter().map(NodeIndex::index).collect();
    Some(Plan { spec, graph, order })
}

/// Returns the groups of stages that read each other, or a stage that reads itself; positions ascend.
pub(crate) fn circles(num_stages: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let graph = graph(num_stages, edges);
    let groups = tarjan_scc(&graph).into_iter();
    let circles =
        groups.filter(|group| group.len() > 1 || group.iter().any(|&stage| graph.contains_edge(stage, stage)));
    let positions = |group: Vec<NodeIndex>| group.into_iter().map(NodeIndex::index).collect::<BTreeSet<_>>();
    circles.map(|group| positions(group).into_iter().collect()).collect()
}

fn graph(num_stages: usize, edges: impl Iterator<Item = (usize, usize)>) -> DiGraph<(), ()> {
    let mut graph = DiGraph::new();
    for _ in 0..num_stages {
        graph.add_node(());
    }
    for (from, to) in edges {
        graph.update_edge(NodeIndex::new(from), NodeIndex::new(to), ());
    }
    graph
}
