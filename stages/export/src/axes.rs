//! [`free_axes`]: the axes of the input that may have other sizes.

use pipe_graph::Graph;
use pipe_graph::onnx::{FreeAxes, has_equal_nodes};
use pipe_learn::{LearnError, TrainedModel};
use pipe_schemas::tables::{ModelCard, Preprocessing};

/// Frames and pixels that a clip has more when an axis is tried. A network halves them up to five times.
const MORE: u32 = 32;

/// Returns the axes that may have other sizes: those for which the nodes of the ONNX file do not change with the size, neither alone nor
/// together with others.
pub(crate) fn free_axes(model: &TrainedModel) -> Result<FreeAxes, LearnError> {
    let card = &model.card;
    let graph = with_more(card, FreeAxes::default())?;
    let is_free = |axes| -> bool {
        // A size that the network refuses is not free.
        with_more(card, axes).is_ok_and(|other| has_equal_nodes(&graph, &other).unwrap_or(false))
    };
    let alone = FreeAxes {
        frames: is_free(FreeAxes { frames: true, ..FreeAxes::default() }),
        height: is_free(FreeAxes { height: true, ..FreeAxes::default() }),
        width: is_free(FreeAxes { width: true, ..FreeAxes::default() }),
    };
    Ok(if is_free(alone) { alone } else { FreeAxes::default() })
}

/// Builds the network for clips that are larger along some axes.
fn with_more(card: &ModelCard, axes: FreeAxes) -> Result<Graph, LearnError> {
    let more = |is_more: bool| if is_more { MORE } else { 0 };
    let Preprocessing { test_frames, height_px, width_px, .. } = card.preprocessing;
    let (height_px, width_px) = (height_px + more(axes.height), width_px + more(axes.width));
    let preprocessing = Preprocessing { height_px, width_px, ..card.preprocessing.clone() };
    let frames = test_frames + more(axes.frames);
    TrainedModel::graph(&card.model, frames, &preprocessing, card.classes.len(), &card.pruning)
}

/// Returns the names of the axes that may have other sizes, with that of the batch.
pub(crate) fn names(axes: FreeAxes) -> Vec<String> {
    let named = [(true, "N"), (axes.frames, "T"), (axes.height, "H"), (axes.width, "W")];
    named.into_iter().filter(|(is_free, _)| *is_free).map(|(_, name)| name.to_owned()).collect()
}
