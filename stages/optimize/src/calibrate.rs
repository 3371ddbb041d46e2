//! [`quantize`]: the scales of 8-bit values, measured on training clips.

use crate::OptimizeError;
use pipe_clips::{ClipSize, Loader};
use pipe_graph::passes::{Calibration, Integers, Quantization, QuantizeOptions, QuantizePlan};
use pipe_graph::{Graph, GraphError, Op};
use pipe_learn::{CalibrationClips, Network, Ranges, TrainedModel, measure_histograms, measure_ranges, nearest};
use pipe_schemas::stages::optimize::{CalibrationMethod, Int8, Int8Report, WholeLayer};
use pipe_schemas::tables::{MissingCounts, SampleRow, Split};
use pipe_stage::{Context, StageError};
use pipe_tables::SamplesFolder;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Clips per forward pass.
const BATCH_SIZE: usize = 4;

/// Chooses what is quantised in `inference`, the network of `model` with folded batch normalisations, and measures its values.
pub(crate) fn quantize(
    context: &Context,
    params: &Int8,
    model: &TrainedModel,
    inference: &Network,
) -> Result<(Quantization, Int8Report), StageError> {
    let graph = inference.graph();
    let options =
        QuantizeOptions { skip_first: params.skip_first, skip_last: params.skip_last, skip: params.skip.clone() };
    let plan = QuantizePlan::new(graph, &options).map_err(|error| {
        let help = skip_help(&error, layers(graph));
        StageError::from(error).with_optional_help(help.as_deref())
    })?;
    let (rows, num_train_clips) = rows(context, params)?;
    let clips = Clips { context, rows: rows.into(), loader: Loader::open(context.input("frames")?)? };
    let ranges = clips.ranges(params, model, inference, &plan)?;
    let num_norms = |network: &Network| {
        network.graph().nodes.iter().filter(|node| matches!(node.op, Op::BatchNorm(_))).count() as u64
    };
    let report = Int8Report {
        num_folded: num_norms(&model.network) - num_norms(inference),
        num_layers: plan.layers.len() as u64,
        num_values: plan.values.len() as u64,
        float: plan
            .float
            .iter()
            .map(|(name, reason)| WholeLayer { name: name.clone(), reason: (*reason).into() })
            .collect(),
        num_clips: clips.rows.len() as u64,
        num_train_clips: num_train_clips as u64,
    };
    Ok((Quantization::new(plan, &ranges, params.symmetric, params.reduce_range), report))
}

/// Returns the names of the convolutions and linear layers.
fn layers(graph: &Graph) -> impl Iterator<Item = &str> {
    let used = graph.used_at_inference();
    let layers =
        graph.nodes.iter().zip(used).filter(|(node, used)| *used && matches!(node.op, Op::Conv(_) | Op::Linear(_)));
    layers.map(|(node, _)| node.name.as_str())
}

/// Returns what to do about a name of `skip` that is not that of a layer; `None` for other errors.
fn skip_help<'a>(error: &GraphError, layers: impl Iterator<Item = &'a str>) -> Option<String> {
    let GraphError::UnknownLayer { name } = error else { return None };
    let similar = nearest(name, layers);
    Some(format!(
        "`quantize.skip` takes names of convolutions and linear layers; similar ones are {}",
        similar.join(", ")
    ))
}

/// Returns clips of the first training epoch, spread evenly over it, and the number of all. Blended clips are used without the other clip.
fn rows(context: &Context, params: &Int8) -> Result<(Vec<SampleRow>, usize), StageError> {
    let samples = SamplesFolder::open(context.input("samples")?);
    let all = if samples.preprocessing()?.epochs == 0 { Vec::new() } else { samples.epoch(0)? };
    if all.is_empty() {
        let missing = MissingCounts::of(&samples.missing()?, Split::Train);
        return Err(StageError::from(OptimizeError::NoTrainingSamples { missing })
            .with_help("see the warnings of `ingest`, `annotations`, `frames` and `augment`"));
    }
    let count = all.len().min(params.num_clips as usize);
    let alone = |row: &SampleRow| SampleRow { mix_position: None, mix_share: 0.0, mix_box: Vec::new(), ..row.clone() };
    Ok(((0..count).map(|at| alone(&all[at * all.len() / count])).collect(), all.len()))
}

/// The clips that values are measured on.
struct Clips<'a> {
    context: &'a Context,
    rows: Arc<[SampleRow]>,
    loader: Loader,
}

impl Clips<'_> {
    /// Returns the range of each value that is measured.
    fn ranges(
        &self,
        params: &Int8,
        model: &TrainedModel,
        inference: &Network,
        plan: &QuantizePlan,
    ) -> Result<Ranges, StageError> {
        let network = Self::network(model)?;
        // The graphs for training and for test clips have the same nodes, apart from tables.
        let positions: BTreeMap<&str, usize> =
            network.graph().nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
        let names: BTreeMap<pipe_graph::NodeId, &str> =
            plan.measured().map(|id| (id, inference.graph().nodes[id.0].name.as_str())).collect();
        let node = |name: &&str| positions.get(*name).map(|at| pipe_graph::NodeId(*at));
        let nodes: BTreeSet<_> = names.values().filter_map(node).collect();
        let passes = if params.calibration == CalibrationMethod::MinMax { 1 } else { 2 };
        let found = self.pass(model, [1, passes], |clips, after| measure_ranges(&network, &nodes, clips, after))?;
        let integers = if params.symmetric { Integers::Signed } else { Integers::Unsigned };
        let found = match calibration(params) {
            Calibration::MinMax => found,
            calibration => {
                let histograms =
                    self.pass(model, [2, passes], |clips, after| measure_histograms(&network, &found, clips, after))?;
                histograms.into_iter().map(|(id, histogram)| (id, calibration.range(&histogram, integers))).collect()
            }
        };
        let range = |(id, name): (&pipe_graph::NodeId, &&str)| Some((*id, *found.get(&node(name)?)?));
        Ok(names.iter().filter_map(range).collect())
    }

    /// Returns the network for training clips, with folded batch normalisations.
    fn network(model: &TrainedModel) -> Result<Network, StageError> {
        let card = &model.card;
        let frames = card.preprocessing.train_frames;
        if frames == card.preprocessing.test_frames {
            return Ok(model.network.for_inference()?);
        }
        let graph = TrainedModel::graph(&card.model, frames, &card.preprocessing, card.classes.len(), &card.pruning)?;
        Ok(model.network.with_graph(graph)?.for_inference()?)
    }

    /// Runs over all clips once.
    fn pass<T>(
        &self,
        model: &TrainedModel,
        [pass, passes]: [u64; 2],
        measure: impl FnOnce(
            CalibrationClips<'_, pipe_clips::Batches>,
            &mut dyn FnMut(usize) -> Result<(), StageError>,
        ) -> Result<T, StageError>,
    ) -> Result<T, StageError> {
        let frames = model.card.preprocessing.train_frames as usize;
        let size = ClipSize { frames, ..model.clip_size() };
        let batches = self.loader.clips(Arc::clone(&self.rows), size, BATCH_SIZE, self.context.threads())?;
        let total = self.rows.len() as u64;
        let mut after_batch = |done: usize| {
            self.context.progress((pass - 1) * total + done as u64, passes * total, "calibration clips");
            self.context.check_cancelled()
        };
        let normalisation = model.normalisation();
        measure(CalibrationClips { normalisation: &normalisation, size, batches }, &mut after_batch)
    }
}

fn calibration(params: &Int8) -> Calibration {
    match params.calibration {
        CalibrationMethod::MinMax => Calibration::MinMax,
        CalibrationMethod::Percentile => Calibration::Percentile(params.percentile),
        CalibrationMethod::Entropy => Calibration::Entropy,
        CalibrationMethod::Mse => Calibration::Mse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_layer_has_similar_ones() {
        let error = GraphError::UnknownLayer { name: "layer1.0.conv3".into() };
        let help = skip_help(&error, ["fc", "layer1.0.conv1", "layer1.0.conv2", "stem"].into_iter());
        let names = "similar ones are `layer1.0.conv1`, `layer1.0.conv2`";
        assert!(help.as_ref().is_some_and(|help| help.contains(names)), "{help:?}");
        let other = GraphError::NothingToQuantize { float: Vec::new() };
        assert_eq!(skip_help(&other, ["fc"].into_iter()), None);
    }
}
