//! [`choose_channels`]: which channels to remove for a share of the multiply-adds.

#[cfg(test)]
mod tests;

use super::channels::{ChannelGroup, ChannelGroups, Removed, TensorPart};
use crate::{Graph, GraphError, Role};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The channels of their group: each group loses the same share, as far as its steps allow.
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
    /// Groups lose channels in steps that are larger than the tolerance, also those that lose more or less than others.
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

/// Chooses the channels of least importance, so that the network without them has the share of the multiply-adds. If the step of a group
/// is too large for that, other groups lose or keep more than their importance says. Values are those of all tensors by name. Equal values
/// give equal choices.
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
    let search = Search { graph, channels, options, candidates: &candidates };
    let smallest = search.first(candidates.len())?.share;
    if smallest > macs + tolerance {
        return Err(PruneError::TooSmall { macs, smallest, whole: whole() });
    }
    // The more candidates are removed, the fewer multiply-adds are left.
    let (mut above, mut below) = (0, candidates.len());
    while below - above > 1 {
        let middle = usize::midpoint(above, below);
        if search.first(middle)?.share > macs { above = middle } else { below = middle }
    }
    let mut choice = search.nearer(search.first(above)?, search.first(below)?);
    if search.distance(&choice) > tolerance {
        choice = search.nearer(search.remove_more(above)?, search.give_back(below)?);
    }
    if search.distance(&choice) > tolerance {
        return Err(PruneError::TooCoarse { macs, tolerance, nearest: choice.share });
    }
    Ok(search.removed(&choice.counts))
}

/// How many units of each group are removed, before limits and rounding.
struct Choice {
    counts: Vec<usize>,
    /// The multiply-adds of the network without them, as a share of those before.
    share: f64,
}

/// What choices are made from.
struct Search<'a> {
    graph: &'a Graph,
    channels: &'a ChannelGroups,
    options: &'a PruneOptions,
    /// All units, the least important first.
    candidates: &'a [Candidate],
}

impl Search<'_> {
    /// Returns the choice of the first `count` candidates.
    fn first(&self, count: usize) -> Result<Choice, GraphError> {
        let mut counts = vec![0; self.channels.groups().len()];
        self.candidates[..count].iter().for_each(|candidate| counts[candidate.group] += 1);
        self.choice(counts)
    }

    fn choice(&self, counts: Vec<usize>) -> Result<Choice, GraphError> {
        let pruned = self.channels.remove(self.graph, &self.removed(&counts))?.graph;
        let share = pruned.macs() as f64 / (self.graph.macs() as f64).max(1.0);
        Ok(Choice { counts, share })
    }

    /// Returns the units that a choice removes as far as limits and rounding allow: of each group, those that matter least.
    fn removed(&self, counts: &[usize]) -> Removed {
        let mut removed = Removed::new();
        let groups = self.channels.groups();
        for Candidate { group, unit, .. } in self.candidates {
            let num_removed = groups[*group].num_units - self.kept(*group, counts[*group]);
            let units = removed.entry(groups[*group].name.clone()).or_default();
            if units.len() < num_removed {
                units.push(*unit);
            }
        }
        removed.retain(|_, units| !units.is_empty());
        for units in removed.values_mut() {
            units.sort_unstable();
        }
        removed
    }

    fn kept(&self, group: usize, removed: usize) -> usize {
        kept(&self.channels.groups()[group], removed, self.options)
    }

    fn distance(&self, choice: &Choice) -> f64 {
        (choice.share - self.options.macs).abs()
    }

    /// Returns the choice that is nearer to the target; the second one if both are equally near.
    fn nearer(&self, one: Choice, two: Choice) -> Choice {
        if self.distance(&one) < self.distance(&two) { one } else { two }
    }

    /// Returns the nearest choice that removes more than the first `count` candidates, the least important ones first.
    fn remove_more(&self, count: usize) -> Result<Choice, GraphError> {
        let others = self.candidates[count..].iter().map(|candidate| candidate.group);
        self.refine(self.first(count)?, others, |removed| removed + 1, |share| share < self.options.macs)
    }

    /// Returns the nearest choice that removes less than the first `count` candidates, and keeps the most important ones of them.
    fn give_back(&self, count: usize) -> Result<Choice, GraphError> {
        let chosen = self.candidates[..count].iter().rev().map(|candidate| candidate.group);
        self.refine(self.first(count)?, chosen, |removed| removed - 1, |share| share > self.options.macs)
    }

    /// Returns the nearest choice on the way from `start` to the target. A group is left out from where its next step is too large.
    fn refine(
        &self,
        start: Choice,
        groups: impl Iterator<Item = usize>,
        step: impl Fn(usize) -> usize,
        is_too_far: impl Fn(f64) -> bool,
    ) -> Result<Choice, GraphError> {
        let mut counts = start.counts.clone();
        let mut nearest = start;
        let mut left_out = BTreeSet::new();
        for group in groups {
            if left_out.contains(&group) {
                continue;
            }
            let before = counts[group];
            counts[group] = step(before);
            // Limits and rounding take most steps.
            if self.kept(group, counts[group]) == self.kept(group, before) {
                continue;
            }
            let choice = self.choice(counts.clone())?;
            if is_too_far(choice.share) {
                counts[group] = before;
                left_out.insert(group);
            }
            nearest = self.nearer(choice, nearest);
        }
        Ok(nearest)
    }
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
