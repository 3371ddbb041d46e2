//! [`measure_ranges`] and [`measure_histograms`]: which values the nodes of a network have on clips, for quantisation.
//!
//! Two passes over the same clips need memory for one batch and one histogram per node.

use crate::error::At;
use crate::{LearnError, Network, Normalisation};
use pipe_clips::{Batch, ClipError, ClipSize};
use pipe_graph::passes::Histogram;
use pipe_graph::{Node, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, TchError, Tensor};

/// Bins of a histogram.
const NUM_BINS: usize = 2048;

/// The smallest and the largest value by node.
pub type Ranges = BTreeMap<NodeId, (f64, f64)>;

/// The clips of a pass, and what their pixels become.
pub struct CalibrationClips<'a, B> {
    /// Makes the input of the network.
    pub normalisation: &'a Normalisation,
    /// The size of a clip.
    pub size: ClipSize,
    /// The clips.
    pub batches: B,
}

/// Returns the range of the results of `nodes` over all clips. `after_batch` receives the number of clips done so far, and may end the
/// pass with an error of its own.
///
/// # Errors
/// [`LearnError::NotFinite`] with the name of the first node that computes NaN or infinity.
pub fn measure_ranges<E: From<LearnError>>(
    network: &Network,
    nodes: &BTreeSet<NodeId>,
    clips: CalibrationClips<'_, impl Iterator<Item = Result<Batch, ClipError>>>,
    after_batch: impl FnMut(usize) -> Result<(), E>,
) -> Result<Ranges, E> {
    let mut ranges = Ranges::new();
    run(network, nodes, clips, after_batch, |id, node, value| {
        let (low, high) = (value.f_min().at(&node.name)?, value.f_max().at(&node.name)?);
        let (low, high) = (low.double_value(&[]), high.double_value(&[]));
        if !(low.is_finite() && high.is_finite()) {
            return Err(LearnError::NotFinite { name: node.name.clone() });
        }
        let range = ranges.entry(id).or_insert((low, high));
        *range = (range.0.min(low), range.1.max(high));
        Ok(())
    })?;
    Ok(ranges)
}

/// Returns the histogram of the results of the nodes of `ranges`, which are those of the same clips.
///
/// # Errors
/// Errors of libtorch and of the clips.
pub fn measure_histograms<E: From<LearnError>>(
    network: &Network,
    ranges: &Ranges,
    clips: CalibrationClips<'_, impl Iterator<Item = Result<Batch, ClipError>>>,
    after_batch: impl FnMut(usize) -> Result<(), E>,
) -> Result<BTreeMap<NodeId, Histogram>, E> {
    let empty = |(low, high): &(f64, f64)| Histogram { low: *low, high: *high, counts: vec![0.0; NUM_BINS] };
    let mut histograms: BTreeMap<NodeId, Histogram> = ranges.iter().map(|(id, range)| (*id, empty(range))).collect();
    let nodes = ranges.keys().copied().collect();
    run(network, &nodes, clips, after_batch, |id, node, value| {
        let Some(histogram) = histograms.get_mut(&id) else { return Ok(()) };
        let counts = counts(value, histogram.low, histogram.high).at(&node.name)?;
        histogram.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count as f64);
        Ok(())
    })?;
    Ok(histograms)
}

/// Returns the number of values in each bin.
fn counts(value: &Tensor, low: f64, high: f64) -> Result<Vec<i64>, TchError> {
    let width = (high - low) / NUM_BINS as f64;
    let scale = if width > 0.0 { 1.0 / width } else { 0.0 };
    let bins = value.f_sub_scalar(low)?.f_mul_scalar(scale)?.f_floor()?.f_clamp(0.0, (NUM_BINS - 1) as f64)?;
    let counts = bins.f_to_kind(Kind::Int64)?.f_reshape([-1])?.f_bincount::<&Tensor>(None, NUM_BINS as i64)?;
    Vec::try_from(counts)
}

/// Runs the network on all clips, and passes the results of `nodes` to `observe`.
fn run<E: From<LearnError>>(
    network: &Network,
    nodes: &BTreeSet<NodeId>,
    clips: CalibrationClips<'_, impl Iterator<Item = Result<Batch, ClipError>>>,
    mut after_batch: impl FnMut(usize) -> Result<(), E>,
    mut observe: impl FnMut(NodeId, &Node, &Tensor) -> Result<(), LearnError>,
) -> Result<(), E> {
    let _no_grad = tch::no_grad_guard();
    let by_name: BTreeMap<&str, NodeId> =
        nodes.iter().map(|id| (network.graph().nodes[id.0].name.as_str(), *id)).collect();
    let CalibrationClips { normalisation, size, batches } = clips;
    let mut done = 0;
    for batch in batches {
        let batch = batch.map_err(LearnError::from)?;
        let mut failed = None;
        let _logits = network.forward_with(&normalisation.clips(&batch, size)?, None, |node, value| {
            if let Some(id) = by_name.get(node.name.as_str())
                && failed.is_none()
            {
                failed = observe(*id, node, value).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        done += batch.num_clips;
        after_batch(done)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_in_bins_of_equal_width() {
        let value = Tensor::from_slice(&[-1.0_f32, -0.5, 0.0, 1.0, 1.0, 0.999]);
        let found = counts(&value, -1.0, 1.0).expect("counts");
        assert_eq!((found.len(), found.iter().sum::<i64>()), (NUM_BINS, 6));
        assert_eq!((found[0], found[NUM_BINS / 4], found[NUM_BINS / 2], found[NUM_BINS - 1]), (1, 1, 1, 2));
        // All values are equal.
        let found = counts(&Tensor::from_slice(&[2.0_f32, 2.0]), 2.0, 2.0).expect("counts");
        assert_eq!(found[0], 2);
    }
}
