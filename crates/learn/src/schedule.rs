//! [`Schedule`]: in which order the nodes of a graph run, which of them run together, and when their results are released.

use pipe_graph::{Graph, NodeId, Op};

/// The turns of one pass forward, in order.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) turns: Vec<Turn>,
}

/// One node, or a batch normalisation with the sum and the activation that alone read it, which [`kernels`](crate::kernels) may compute
/// together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Positions of nodes; each but the last is read by the next one alone.
    pub(crate) nodes: Vec<usize>,
    /// Positions of the nodes whose results no later turn reads.
    pub(crate) released: Vec<usize>,
}

impl Schedule {
    /// Every node that the logits depend on, one by one.
    pub(crate) fn of_inference(graph: &Graph) -> Self {
        let used = graph.used_at_inference();
        let nodes = (0..graph.nodes.len()).filter(|position| used[*position]);
        Self::with_releases(graph, nodes.map(|position| vec![position]).collect())
    }

    /// Every node, each batch normalisation together with what follows it.
    pub(crate) fn of_training(graph: &Graph) -> Self {
        let readers = readers(graph);
        let mut is_taken = vec![false; graph.nodes.len()];
        let mut turns = Vec::new();
        for (position, node) in graph.nodes.iter().enumerate() {
            if !is_taken[position] {
                let nodes = if matches!(node.op, Op::BatchNorm(_)) {
                    chain(graph, &readers, position, &is_taken)
                } else {
                    vec![position]
                };
                for node in &nodes {
                    is_taken[*node] = true;
                }
                turns.push(nodes);
            }
        }
        // The turn of a chain is that of its last node, because the other operand of a sum may come before it.
        turns.sort_by_key(|nodes| nodes.last().copied());
        Self::with_releases(graph, turns)
    }

    fn with_releases(graph: &Graph, turns: Vec<Vec<usize>>) -> Self {
        let mut last_turns = vec![None; graph.nodes.len()];
        for (turn, nodes) in turns.iter().enumerate() {
            for input in nodes.iter().flat_map(|node| &graph.nodes[*node].inputs) {
                last_turns[input.0] = Some(turn);
            }
        }
        for output in outputs(graph) {
            last_turns[output.0] = None;
        }
        let mut turns: Vec<Turn> = turns.into_iter().map(|nodes| Turn { nodes, released: Vec::new() }).collect();
        for (position, turn) in last_turns.into_iter().enumerate() {
            if let Some(turn) = turn {
                turns[turn].released.push(position);
            }
        }
        Self { turns }
    }
}

/// Returns a batch normalisation, the sum that alone reads it, and the activation that alone reads that; each but the first if it is there.
fn chain(graph: &Graph, readers: &[Vec<usize>], batch_norm: usize, is_taken: &[bool]) -> Vec<usize> {
    let mut nodes = vec![batch_norm];
    let mut next = |is_next: &dyn Fn(&Op) -> bool| {
        let [reader] = readers[nodes[nodes.len() - 1]].as_slice() else { return };
        if is_next(&graph.nodes[*reader].op) && !is_taken[*reader] {
            nodes.push(*reader);
        }
    };
    next(&|op| matches!(op, Op::Add(_)));
    next(&|op| limits(op).is_some());
    nodes
}

/// Returns the values that an activation lets through, if that is all that it does.
pub(crate) fn limits(op: &Op) -> Option<[f64; 2]> {
    if matches!(op, Op::Relu(_)) {
        Some([0.0, f64::INFINITY])
    } else if matches!(op, Op::Relu6(_)) {
        Some([0.0, 6.0])
    } else {
        None
    }
}

/// Returns the nodes that read each node, twice if they read it twice. Outputs have one more, which is no node.
fn readers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    for (position, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            readers[input.0].push(position);
        }
    }
    for output in outputs(graph) {
        readers[output.0].extend([usize::MAX; 2]);
    }
    readers
}

fn outputs(graph: &Graph) -> impl Iterator<Item = NodeId> {
    [graph.output].into_iter().chain(graph.auxiliary.map(|auxiliary| auxiliary.output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_graph::ops::{
        add::Add, batch_norm::BatchNorm, frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool,
        linear::LinearParams, relu::Relu, segment_mean::SegmentMean, sigmoid::Sigmoid,
    };
    use pipe_graph::{Builder, ClipShape, GraphError, Init};

    /// A block with a normalised shortcut, one whose activation is no limit, and one whose normalised values are read twice.
    fn graph() -> Result<Graph, GraphError> {
        let mut g = Builder::new("blocks", ClipShape { channels: 4, frames: 2, height: 4, width: 4 })?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let shortcut = g.node("shortcut", x, BatchNorm::default())?;
        let branch = g.node("branch", x, BatchNorm::default())?;
        let sum = g.node("sum", [branch, shortcut], Add)?;
        let x = g.node("relu", sum, Relu)?;
        let x = g.node("bn1", x, BatchNorm::default())?;
        let x = g.node("sigmoid", x, Sigmoid)?;
        let twice = g.node("bn2", x, BatchNorm::default())?;
        let limited = g.node("relu2", twice, Relu)?;
        let x = g.node("sum2", [limited, twice], Add)?;
        let x = g.node("avgpool", x, GlobalAvgPool)?;
        let x = g.node("consensus", x, SegmentMean)?;
        let x = g.node("fc", x, LinearParams { out_features: 2, init: Init::Normal { std: 0.01 }, bias: true })?;
        g.finish(x, x)
    }

    fn named(graph: &Graph, schedule: &Schedule) -> Vec<(String, String)> {
        let names = |positions: &[usize]| {
            positions.iter().map(|position| graph.nodes[*position].name.as_str()).collect::<Vec<_>>().join(" ")
        };
        schedule.turns.iter().map(|turn| (names(&turn.nodes), names(&turn.released))).collect()
    }

    #[test]
    fn a_normalisation_runs_with_the_sum_and_the_limits_that_alone_read_it() {
        let graph = graph().expect("a network");
        let input = graph.nodes[0].name.clone();
        let found = named(&graph, &Schedule::of_training(&graph));
        let expected = [
            (input.as_str(), ""),
            ("frames", &input),
            ("branch", ""),
            ("shortcut sum relu", "frames shortcut branch sum"),
            ("bn1", "relu"),
            ("sigmoid", "bn1"),
            ("bn2", "sigmoid"),
            ("relu2", ""),
            ("sum2", "bn2 relu2"),
            ("avgpool", "sum2"),
            ("consensus", "avgpool"),
            ("fc", "consensus"),
        ];
        assert_eq!(found, expected.map(|(nodes, released)| (nodes.to_owned(), released.to_owned())));
    }

    #[test]
    fn at_inference_nodes_run_one_by_one() {
        let graph = graph().expect("a network");
        let schedule = Schedule::of_inference(&graph);
        assert_eq!(schedule.turns.len(), graph.nodes.len());
        let released: usize = schedule.turns.iter().map(|turn| turn.released.len()).sum();
        assert_eq!(released, graph.nodes.len() - 1, "all but the logits");
    }
}
