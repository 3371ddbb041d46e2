//! [`without_channels`]: a network of the zoo without the channels that pruning has removed.

use crate::ModelError;
use pipe_graph::Graph;
use pipe_graph::passes::ChannelGroups;
use pipe_schemas::RemovedChannels;

/// Removes channels from a graph: once for each entry, in their order.
///
/// # Errors
/// [`ModelError::Pruning`] if the graph does not have these channels.
pub fn without_channels(mut graph: Graph, pruning: &[RemovedChannels]) -> Result<Graph, ModelError> {
    for removed in pruning {
        let pruned = ChannelGroups::of(&graph).remove(&graph, &removed.to_map());
        graph =
            pruned.map_err(|source| ModelError::Pruning { name: graph.name.clone(), source: Box::new(source) })?.graph;
    }
    Ok(graph)
}
