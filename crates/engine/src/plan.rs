//! [`Plan`]: stages in an order in which each comes after what it reads. Only a plan can run.

use crate::error::RunError;
use crate::spec::{Spec, StageSpec};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use pipe_cache::RemoteSetting;
use pipe_schemas::contract::MakeQuick;
use crate::nearest::nearest;
use pipe_schemas::Check;
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

    /// Returns whether [`crate::findings`] has anything to look at.
    pub fn has_findings(&self) -> bool {
        self.stages().iter().any(|stage| matches!(stage.contract.check, Check::Findings(_)))
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

impl Plan {
    /// Returns the stages with one of `names`; a name without values means all stages of its matrix.
    pub(crate) fn named(&self, names: &[String]) -> Result<BTreeSet<usize>, RunError> {
        let mut found = BTreeSet::new();
        for name in names {
            let stages = self.stages().iter().enumerate();
            let before = found.len();
            found.extend(stages.filter(|(_, stage)| stage.name.is_named(name)).map(|(position, _)| position));
            if found.len() == before && !self.stages().iter().any(|stage| stage.name.is_named(name)) {
                let known = self.stages().iter().map(|stage| stage.name.as_str());
                let near = nearest(name, known.clone());
                let known = near.map_or_else(|| known.collect::<Vec<_>>().join(", "), |near| format!("`{near}`"));
                return Err(RunError::NoStage { name: name.clone(), known });
            }
        }
        Ok(found)
    }

    /// Returns `stages` (if there are none: all) with all that they need, without what depends on `until`.
    pub(crate) fn select(&self, stages: &[String], until: &[String]) -> Result<BTreeSet<usize>, RunError> {
        let mut wanted = self.named(stages)?;
        if stages.is_empty() {
            wanted.extend(0..self.stages().len());
        }
        let last = self.named(until)?;
        let mut after = BTreeSet::new();
        for &stage in self.order() {
            if self.dependencies(stage).any(|needed| last.contains(&needed) || after.contains(&needed)) {
                after.insert(stage);
            }
        }
        wanted.retain(|stage| !after.contains(stage) || last.contains(stage));
        Ok(self.with_needed(wanted))
    }

    /// Adds to `wanted` all that it needs.
    pub(crate) fn with_needed(&self, mut wanted: BTreeSet<usize>) -> BTreeSet<usize> {
        for &stage in self.order().iter().rev() {
            if wanted.contains(&stage) {
                wanted.extend(self.dependencies(stage));
            }
        }
        wanted
    }

    /// Changes the parameters of a stage to those of a quick look.
    pub(crate) fn make_quick(&mut self, stage: usize, make: MakeQuick) -> Result<(), RunError> {
        let spec = &mut self.spec.stages[stage];
        let parsed = (spec.contract.parse)(&spec.quick(make))?;
        (spec.params, spec.keyed) = (parsed.canonical, parsed.keyed);
        Ok(())
    }
}

/// Orders the stages of `spec`; `None` where they go in circles.
pub(crate) fn seal(spec: Spec) -> Option<Plan> {
    let edges = spec.stages.iter().enumerate();
    let edges = edges.flat_map(|(to, stage)| stage.inputs.values().map(move |input| (input.stage, to)));
    let graph = graph(spec.stages.len(), edges);
    let order = order(&graph, &spec)?;
    Some(Plan { spec, graph, order })
}

/// Returns the stages, each after all that it reads, and otherwise by name: how the file is written does not matter.
/// `None` where they go in circles.
fn order(graph: &DiGraph<(), ()>, spec: &Spec) -> Option<Vec<usize>> {
    let count = |node: NodeIndex| graph.neighbors_directed(node, petgraph::Incoming).count();
    let mut missing: Vec<usize> = graph.node_indices().map(count).collect();
    let ranked = |node: NodeIndex| (&spec.stages[node.index()].name, node);
    let mut ready: BTreeSet<_> = graph.node_indices().filter(|node| missing[node.index()] == 0).map(ranked).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some((_, node)) = ready.pop_first() {
        order.push(node.index());
        for dependent in graph.neighbors(node) {
            missing[dependent.index()] -= 1;
            if missing[dependent.index()] == 0 {
                ready.insert(ranked(dependent));
            }
        }
    }
    (order.len() == missing.len()).then_some(order)
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
    // Each once, although two ports may read the same stage.
    for (from, to) in edges.collect::<BTreeSet<_>>() {
        graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
    }
    graph
}
