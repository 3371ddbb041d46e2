//! [`prune`]: removes channels or weights from a model.

use pipe_graph::passes::{ChannelGroup, ChannelGroups, Norm, PruneOptions, Removed, Scope, WeightScope};
use pipe_learn::{LearnError, TrainedModel};
use pipe_schemas::RemovedChannels;
use pipe_schemas::stages::optimize::{
    ChannelPruning, Importance, Prune, PruneScope, PrunedLayers, WholeLayer, ZeroWeights,
};

/// What pruning did.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    pub(crate) channels: Vec<PrunedLayers>,
    pub(crate) whole: Vec<WholeLayer>,
    pub(crate) weights: Vec<ZeroWeights>,
}

/// Prunes the network of `model`, and records in its card what the graph has lost.
pub(crate) fn prune(model: &mut TrainedModel, prune: &Prune) -> Result<Pruned, LearnError> {
    match prune {
        Prune::Channels(params) => channels(model, params),
        Prune::Magnitude(params) => {
            let scope = match params.scope {
                PruneScope::Global => WeightScope::Global,
                PruneScope::Layer => WeightScope::Layer,
            };
            let (network, weights) = model.network.with_pruned_weights(params.sparsity, scope)?;
            model.network = network;
            let zeros = weights.into_iter().map(|tensor| ZeroWeights {
                name: tensor.name,
                num_weights: tensor.num_weights as u64,
                num_zeros: tensor.num_zeros as u64,
            });
            Ok(Pruned { weights: zeros.collect(), ..Pruned::default() })
        }
    }
}

fn channels(model: &mut TrainedModel, params: &ChannelPruning) -> Result<Pruned, LearnError> {
    let options = PruneOptions {
        macs: params.target.macs,
        tolerance: params.tolerance,
        norm: match params.importance {
            Importance::L1 => Norm::L1,
            Importance::L2 => Norm::L2,
        },
        scope: match params.scope {
            PruneScope::Global => Scope::Global,
            PruneScope::Layer => Scope::Group,
        },
        min_channels: params.min_channels as usize,
        round_to: params.round_to as usize,
    };
    let groups = ChannelGroups::of(model.network.graph());
    let removed = model.network.choose_channels(&groups, &options)?;
    let pruned = model.network.without_channels(&groups, &removed)?;
    model.card.pruning.push(RemovedChannels::from(removed.clone()));
    model.card.graph_digest = training_digest(model)?;
    model.network = pruned;
    let whole =
        |layer: &pipe_graph::passes::WholeLayer| WholeLayer { name: layer.name.clone(), reason: layer.reason.clone() };
    let channels = groups.groups().iter().map(|group| pruned_layers(group, &removed)).collect();
    Ok(Pruned { channels, whole: groups.whole().iter().map(whole).collect(), ..Pruned::default() })
}

fn pruned_layers(group: &ChannelGroup, removed: &Removed) -> PrunedLayers {
    let num_removed = removed.get(&group.name).map_or(0, Vec::len);
    PrunedLayers {
        layers: group.layers.clone(),
        before: group.num_units as u64,
        after: (group.num_units - num_removed) as u64,
        unit_width: group.unit_width as u64,
    }
}

/// Returns the digest of the pruned graph for training clips.
fn training_digest(model: &TrainedModel) -> Result<String, LearnError> {
    let card = &model.card;
    let frames = card.preprocessing.train_frames;
    let graph = TrainedModel::graph(&card.model, frames, &card.preprocessing, card.classes.len(), &card.pruning)?;
    Ok(graph.digest().to_hex().to_string())
}
