//! [`prune`]: removes channels or weights from a model.

use pipe_graph::passes::{ChannelGroup, ChannelGroups, Norm, PruneError, PruneOptions, Removed, Scope, WeightScope};
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

/// Returns what to do if a network can't be pruned as asked; `None` for other errors.
pub(crate) fn help(error: &LearnError) -> Option<String> {
    let LearnError::Prune(error) = error else { return None };
    match error {
        PruneError::TooSmall { smallest, .. } => Some(format!(
            "set `prune.target.macs` to {} or more, or lower `prune.min_channels` and `prune.round_to`",
            rounded_up(*smallest)
        )),
        PruneError::TooCoarse { macs, nearest, .. } => Some(format!(
            "set `prune.tolerance` to {} or more, or lower `prune.round_to`: layers lose channels in steps",
            rounded_up((nearest - macs).abs())
        )),
        PruneError::NoGroups { .. } => {
            Some("set single weights to 0 instead: `prune: { type: magnitude, sparsity: 0.5 }`".to_owned())
        }
        PruneError::Share { .. } | PruneError::Sparsity { .. } | PruneError::Graph(_) => None,
    }
}

/// Returns a share with at most four decimals that is not smaller.
fn rounded_up(share: f64) -> f64 {
    (share * 1e4).ceil() / 1e4
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_what_can_be_reached() {
        let check = |error: PruneError, expect: Option<&str>| {
            assert_eq!(help(&LearnError::Prune(error)).as_deref(), expect);
        };
        check(
            PruneError::TooSmall { macs: 0.0001, smallest: 0.289_512, whole: Vec::new() },
            Some("set `prune.target.macs` to 0.2896 or more, or lower `prune.min_channels` and `prune.round_to`"),
        );
        check(
            PruneError::TooCoarse { macs: 0.5, tolerance: 0.0, nearest: 0.487_65 },
            Some("set `prune.tolerance` to 0.0124 or more, or lower `prune.round_to`: layers lose channels in steps"),
        );
        check(
            PruneError::NoGroups { whole: Vec::new() },
            Some("set single weights to 0 instead: `prune: { type: magnitude, sparsity: 0.5 }`"),
        );
        check(PruneError::Share { macs: 2.0 }, None);
        assert_eq!(help(&LearnError::NotFinite { name: "fc.bias".into() }), None);
    }
}
