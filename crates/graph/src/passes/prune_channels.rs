//! [`choose_channels`]: which channels to remove for a share of the multiply-adds.

#[cfg(test)]
mod tests;

use super::channels::{ChannelGroup, ChannelGroups, Removed, TensorPart};
use crate::{Graph, GraphError, Role};
use std::collections::BTreeMap;

/// How channels are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneOptions {
    /// The multiply-adds of the pruned network as a share of those before: above 0, below 1.
    pub macs: f64,
    /// How much the reached share may differ from `macs`.
    pub tolerance: f64,
    /// The importance of a channel.
    pub norm: Norm,
    /// What channels compete with.
    pub scope: Scope,
    /// The smallest number of channels that a group keeps, at least 1. Groups that have fewer stay whole. For heads, it is 1.
    pub min_channels: usize,
    /// The number of channels that a group keeps is a multiple of it, unless the group stays whole. For heads, it is 1.
    pub round_to: usize,
}

/// The importance of a channel: a norm of all weights that compute it or read it (Li et al. 2017 for one layer, Fang et al. 2023 for
/// groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The sum of absolute values.
    L1,
    /// The root of the sum of squares.
    L2,
}

/// What the channels of a group compete with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All channels of the network; importance is divided by the mean of the group.
    Global,
    /// The channels of their group: each group loses the same share.
    Group,
}

/// Why channels can't be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum PruneError {
    /// The share is not above 0 and below 1.
    #[error("the multiply-adds can't be reduced to {macs} of those before: the share must be above 0 and below 1")]
    Share { macs: f64 },
    /// The share of zeros is not above 0 and below 1.
    #[error("{sparsity} of the weights can't be set to 0: the share must be above 0 and below 1")]
    Sparsity { sparsity: f64 },
    /// No layer has channels that can be removed.
    #[error("no channels can be removed: {}", whole_text(whole))]
    NoGroups { whole: Vec<(String, String)> },
    /// Even the smallest network has more multiply-adds.
    #[error(
        "{macs} of the multiply-adds can't be reached: {smallest:.4} are left when each layer keeps its smallest number of channels{}{}",
        if whole.is_empty() { "" } else { "; " },
        whole_text(whole)
    )]
    TooSmall {
        macs: f64,
        /// The share of the smallest network.
        smallest: f64,
        /// The layers that stay whole, with the reasons.
        whole: Vec<(String, String)>,
    },
    /// Groups lose channels in steps that are larger than the tolerance.
    #[error("{macs} of the multiply-adds can't be reached within {tolerance}: the nearest is {nearest:.4}")]
    TooCoarse { macs: f64, tolerance: f64, nearest: f64 },
    /// The graph can't be changed, or values are missing.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Maximum number of layers that an error names.
const MAX_NAMED: usize = 5;

fn whole_text(whole: &[(String, String)]) -> String {
    let named = whole.iter().take(MAX_NAMED).map(|(name, reason)| format!("`{name}` stays whole, because {reason}"));
    let count = whole.len();
    let more = if count > MAX_NAMED { format!(", and {} more layers", count - MAX_NAMED) } else { String::new() };
    format!("{}{more}", named.collect::<Vec<_>>().join("; "))
}

/// A unit of a group, and how much it matters.
struct Candidate {
    score: f64,
    group: usize,
    unit: usize,
}

/// Chooses the channels of least importance, so that the network without them has the share of the multiply-adds. Values are those of all
/// tensors by name. Equal values give equal choices.
///
/// # Errors
/// [`PruneError`]; it names the layers that stay whole if the share can't be reached.
pub fn choose_channels(
    graph: &Graph,
    channels: &ChannelGroups,
    values: &BTreeMap<String, Vec<f32>>,
    options: &PruneOptions,
) -> Result<Removed, PruneError> {
    let PruneOptions { macs, tolerance, .. } = *options;
    // NaN is in no range.
    if !(macs > 0.0 && macs < 1.0) {
        return Err(PruneError::Share { macs });
    }
    let whole = || channels.whole().iter().map(|layer| (layer.name.clone(), layer.reason.clone())).collect();
    if channels.groups().iter().all(|group| group.num_units < 2) {
        return Err(PruneError::NoGroups { whole: whole() });
    }
    let candidates = candidates(graph, channels, values, options)?;
    let removed = |count: usize| first(channels.groups(), &candidates[..count], options);
    let share = |count: usize| -> Result<f64, GraphError> {
        let pruned = channels.remove(graph, &removed(count))?.graph;
        Ok(pruned.macs() as f64 / (graph.macs() as f64).max(1.0))
    };
    let smallest = share(candidates.len())?;
    if smallest > macs + tolerance {
        return Err(PruneError::TooSmall { macs, smallest, whole: whole() });
    }
    // The more candidates are removed, the fewer multiply-adds are left.
    let (mut above, mut below) = (0, candidates.len());
    while below - above > 1 {
        let middle = usize::midpoint(above, below);
        if share(middle)? > macs { above = middle } else { below = middle }
    }
    let distance = |count: usize| Ok::<_, GraphError>((count, (share(count)? - macs).abs()));
    let (above, below) = (distance(above)?, distance(below)?);
    let (count, error) = if above.1 < below.1 { above } else { below };
    if error > tolerance {
        return Err(PruneError::TooCoarse { macs, tolerance, nearest: share(count)? });
    }
    Ok(removed(count))
}

/// Returns the channels of the candidates as far as limits and rounding allow: of each group, those that matter least.
fn first(groups: &[ChannelGroup], candidates: &[Candidate], options: &PruneOptions) -> Removed {
    let mut removed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for candidate in candidates {
        removed.entry(candidate.group).or_default().push(candidate.unit);
    }
    let limited = removed.into_iter().filter_map(|(group, mut units)| {
        let group = &groups[group];
        units.truncate(group.num_units - kept(group, units.len(), options));
        units.sort_unstable();
        (!units.is_empty()).then(|| (group.name.clone(), units))
    });
    limited.collect()
}

/// Returns how many units a group keeps of which `removed` are chosen.
fn kept(group: &ChannelGroup, removed: usize, options: &PruneOptions) -> usize {
    let (least, multiple) = match group.unit_width {
        1 => (options.min_channels.max(1), options.round_to.max(1)),
        _ => (1, 1),
    };
    (group.num_units - removed).max(least).next_multiple_of(multiple).min(group.num_units)
}

/// Returns all units, the least important first.
fn candidates(
    graph: &Graph,
    channels: &ChannelGroups,
    values: &BTreeMap<String, Vec<f32>>,
    options: &PruneOptions,
) -> Result<Vec<Candidate>, GraphError> {
    let mut candidates = Vec::new();
    for (group, units) in channels.parts().into_iter().enumerate() {
        let norms =
            units.iter().map(|parts| norm(graph, values, parts, options.norm)).collect::<Result<Vec<_>, _>>()?;
        let mean = norms.iter().sum::<f64>() / norms.len().max(1) as f64;
        let mut order: Vec<usize> = (0..norms.len()).collect();
        order.sort_by(|one, two| norms[*one].total_cmp(&norms[*two]).then(one.cmp(two)));
        candidates.extend(order.into_iter().enumerate().map(|(rank, unit)| {
            let score = match options.scope {
                Scope::Global => norms[unit] / mean.max(f64::MIN_POSITIVE),
                Scope::Group => (rank + 1) as f64 / norms.len() as f64,
            };
            Candidate { score, group, unit }
        }));
    }
    // The order within a group stays, because the sort is stable.
    candidates.sort_by(|one, two| one.score.total_cmp(&two.score));
    Ok(candidates)
}

/// Returns the norm of the weights of a unit.
fn norm(
    graph: &Graph,
    values: &BTreeMap<String, Vec<f32>>,
    parts: &[TensorPart],
    norm: Norm,
) -> Result<f64, GraphError> {
    let mut sum = 0.0;
    for TensorPart { param, axis, positions } in parts {
        let param = &graph.params[param.0];
        if param.role != Role::Weight {
            continue;
        }
        let values = values.get(&param.name).ok_or_else(|| GraphError::MissingTensor { name: param.name.clone() })?;
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(GraphError::TensorLength { name: param.name.clone(), expected, found });
        }
        let inner: usize = param.shape[axis + 1..].iter().product();
        for row in values.chunks_exact(param.shape[*axis] * inner) {
            let slices = positions.iter().flat_map(|at| &row[at * inner..][..inner]).map(|value| f64::from(*value));
            sum += match norm {
                Norm::L1 => slices.map(f64::abs).sum::<f64>(),
                Norm::L2 => slices.map(|value| value * value).sum::<f64>(),
            };
        }
    }
    Ok(match norm {
        Norm::L1 => sum,
        Norm::L2 => sum.sqrt(),
    })
}
