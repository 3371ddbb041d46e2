//! Two-dimensional networks on the frames of a clip, without temporal modelling (TSN; Wang et al. 2016) and with temporal shift
//! (TSM; Lin et al. 2019).

use crate::head::{Consensus, Head, Logits};
use pipe_graph::ops::{frames_to_batch::FramesToBatch, temporal_shift::TemporalShiftParams};
use pipe_graph::{Builder, GraphError, NodeId};

/// Temporal shift in a 2-D network: `Some(shift_div)` for TSM, `None` for TSN.
pub(crate) type ShiftDiv = Option<u32>;

/// Classifies clips with a 2-D network. `features` appends it without pooling and classifier: `[M, C, H, W]` → `[M, F, h, w]`.
///
/// TSN averages the features of the frames, TSM their logits, as MMAction2's `TSNHead` and `TSMHead` do.
pub(crate) fn classify_frames(
    g: &mut Builder,
    head: &Head,
    classifier: &str,
    shift_div: ShiftDiv,
    features: impl FnOnce(&mut Builder, NodeId) -> Result<NodeId, GraphError>,
) -> Result<Logits, GraphError> {
    let x = g.node("frames", g.input(), FramesToBatch)?; // [N * T, C, H, W]
    let x = features(g, x)?;
    let consensus = if shift_div.is_some() { Consensus::Logits } else { Consensus::Features };
    head.of_frames(g, x, classifier, consensus)
}

/// Appends the node `BLOCK.shift` if the network has temporal shift.
pub(crate) fn shift(g: &mut Builder, x: NodeId, block: &str, shift_div: ShiftDiv) -> Result<NodeId, GraphError> {
    match shift_div {
        Some(shift_div) => g.node(&format!("{block}.shift"), x, TemporalShiftParams { shift_div: shift_div as usize }),
        None => Ok(x),
    }
}
