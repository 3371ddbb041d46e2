//! [`Plan`]: the graph of a pipeline's stages. Only a plan can run.
//!
//! ```text
//! node  a stage, by its position in the file
//! edge  a connection: which output port of the one stage feeds which input port of the other
//! ```

use crate::error::RunError;
use crate::nearest::nearest;
use crate::spec::{Connection, Edge, Spec, StageSpec};
use petgraph::Incoming;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use pipe_cache::RemoteSetting;
use pipe_schemas::Check;
use pipe_schemas::contract::MakeQuick;
use std::collections::BTreeSet;

/// A checked pipeline. Stages are named by their positions, from 0.
#[derive(Debug)]
pub struct Plan {
    name: String,
    remote: Option<RemoteSetting>,
    graph: DiGraph<StageSpec, Connection>,
    order: Vec<usize>,
    notes: Vec<String>,
}

impl Plan {
    /// Connects the stages of `spec`; `None` if they form a cycle.
    pub(crate) fn new(spec: Spec) -> Option<Self> {
        let Spec { name, remote, stages, connections, notes } = spec;
        let mut graph = DiGraph::with_capacity(stages.len(), connections.len());
        for stage in stages {
            graph.add_node(stage);
        }
        for Edge { from, to, connection } in connections {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), connection);
        }
        let order = order(&graph)?;
        Some(Self { name, remote, graph, order, notes })
    }

    /// Returns the pipeline's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the remote that the pipeline file names.
    pub fn remote(&self) -> Option<&RemoteSetting> {
        self.remote.as_ref()
    }

    /// Returns what the pipeline file says without an effect.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the number of stages after `matrix` is expanded.
    pub fn num_stages(&self) -> usize {
        self.graph.node_count()
    }

    /// Returns the stage at a position.
    ///
    /// # Panics
    /// If `stage` is not below [`Self::num_stages`].
    pub fn stage(&self, stage: usize) -> &StageSpec {
        &self.graph[NodeIndex::new(stage)]
    }

    /// Returns the stages by position, that is, in file order.
    pub fn stages(&self) -> impl Iterator<Item = &StageSpec> + Clone {
        self.graph.raw_nodes().iter().map(|node| &node.weight)
    }

    /// Returns the positions of all stages, each after every stage that it reads. Stages that could swap are in the order of
    /// their distance from the start, then of their names, so that the order of the file does not matter.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Returns the connected inputs of a stage with the stages that they read, sorted by input port.
    pub fn inputs(&self, stage: usize) -> Vec<(usize, &Connection)> {
        let edges = self.graph.edges_directed(NodeIndex::new(stage), Incoming);
        let mut inputs: Vec<_> = edges.map(|edge| (edge.source().index(), edge.weight())).collect();
        inputs.sort_by(|(_, one), (_, two)| one.input.cmp(&two.input));
        inputs
    }

    /// Returns every connection with the stage that it reads and the stage that reads it, in file order.
    pub fn connections(&self) -> impl Iterator<Item = (usize, usize, &Connection)> {
        self.graph.edge_references().map(|edge| (edge.source().index(), edge.target().index(), edge.weight()))
    }

    /// Returns the stages whose outputs `stage` reads; one that is read through two ports is returned twice.
    pub fn dependencies(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.graph.neighbors_directed(NodeIndex::new(stage), Incoming).map(NodeIndex::index)
    }

    /// Returns whether any stage has something for [`crate::findings()`] to check.
    pub fn has_findings(&self) -> bool {
        self.stages().any(|stage| matches!(stage.contract.check, Check::Findings(_)))
    }
}

/// Sorts the stages topologically; `None` if they form a cycle.
fn order(graph: &DiGraph<StageSpec, Connection>) -> Option<Vec<usize>> {
    let sorted = toposort(graph, None).ok()?;
    // The number of stages on the longest way from a stage without inputs.
    let mut depth = vec![0; graph.node_count()];
    for &node in &sorted {
        let before = graph.neighbors_directed(node, Incoming).map(|before| depth[before.index()] + 1);
        depth[node.index()] = before.max().unwrap_or(0);
    }
    let mut order: Vec<usize> = sorted.into_iter().map(NodeIndex::index).collect();
    order.sort_by_key(|&stage| (depth[stage], &graph[NodeIndex::new(stage)].name));
    Some(order)
}

/// Choosing stages.
impl Plan {
    /// Returns the stages that `names` name; a name without values of its matrix stands for all stages of that matrix.
    pub(crate) fn named(&self, names: &[String]) -> Result<BTreeSet<usize>, RunError> {
        let mut found = BTreeSet::new();
        for name in names {
            let matching = self.stages().enumerate().filter(|(_, stage)| stage.name.is_named(name));
            let matching: Vec<usize> = matching.map(|(position, _)| position).collect();
            if matching.is_empty() {
                let known = self.stages().map(|stage| stage.name.as_str());
                let near = nearest(name, known.clone());
                let known = near.map_or_else(|| known.collect::<Vec<_>>().join(", "), |near| format!("`{near}`"));
                return Err(RunError::NoStage { name: name.clone(), known });
            }
            found.extend(matching);
        }
        Ok(found)
    }

    /// Returns `stages` (all if empty) with everything they need, without the stages that depend on `until`.
    pub(crate) fn select(&self, stages: &[String], until: &[String]) -> Result<BTreeSet<usize>, RunError> {
        let mut wanted = self.named(stages)?;
        if stages.is_empty() {
            wanted.extend(0..self.num_stages());
        }
        let last = self.named(until)?;
        let mut after = BTreeSet::new();
        for &stage in self.order() {
            if self.dependencies(stage).any(|needed| last.contains(&needed) || after.contains(&needed)) {
                after.insert(stage);
            }
        }
        wanted.retain(|stage| !after.contains(stage) || last.contains(stage));
        for name in stages {
            if self.named(std::slice::from_ref(name))?.is_disjoint(&wanted) {
                let until = until.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                return Err(RunError::LeftOut { name: name.clone(), until });
            }
        }
        Ok(self.with_needed(wanted))
    }

    /// Returns the stages that the values of `option` name. Each must select a stage of `wanted`.
    pub(crate) fn named_among(
        &self,
        wanted: &BTreeSet<usize>,
        option: &'static str,
        names: &[String],
    ) -> Result<BTreeSet<usize>, RunError> {
        for name in names {
            if self.named(std::slice::from_ref(name))?.is_disjoint(wanted) {
                return Err(RunError::NotSelected { option, name: name.clone() });
            }
        }
        self.named(names)
    }

    /// Adds everything that the stages of `wanted` need.
    pub(crate) fn with_needed(&self, mut wanted: BTreeSet<usize>) -> BTreeSet<usize> {
        for &stage in self.order().iter().rev() {
            if wanted.contains(&stage) {
                wanted.extend(self.dependencies(stage));
            }
        }
        wanted
    }

    /// Returns the graph of the stages in `wanted`: all stages as nodes, and the connections between two wanted ones as edges.
    pub(crate) fn graph_of(&self, wanted: &BTreeSet<usize>) -> DiGraph<(), ()> {
        let is_wanted = |edge| {
            let (from, to) = self.graph.edge_endpoints(edge)?;
            (wanted.contains(&from.index()) && wanted.contains(&to.index())).then_some(())
        };
        self.graph.filter_map(|_, _| Some(()), |edge, _| is_wanted(edge))
    }

    /// Replaces the parameters of a stage by those that `make` derives for a quick check.
    pub(crate) fn make_quick(&mut self, stage: usize, make: MakeQuick) -> Result<(), RunError> {
        let spec = &mut self.graph[NodeIndex::new(stage)];
        let parsed = (spec.contract.parse)(&spec.quick(make))?;
        (spec.params, spec.keyed) = (parsed.canonical, parsed.keyed);
        Ok(())
    }
}
