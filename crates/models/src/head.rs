//! Turns features into logits, as MMAction2's `TSNHead`, `TSMHead` and `I3DHead` do.

use pipe_graph::{Builder, GraphError, Init, NodeId};

/// What all heads need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Rows of the classifier.
    pub(crate) num_classes: usize,
    /// Share of features zeroed while training.
    pub(crate) dropout_ratio: f64,
    /// Standard deviation of the classifier's initial weights.
    pub(crate) init_std: f64,
    /// Whether each frame is classified (TSM), or the mean of all frames' features (TSN).
    pub(crate) per_frame: bool,
}

impl Head {
    /// Returns the logits and the classifier, for features `[N * T, C, H, W]`.
    pub(crate) fn of_frames(
        &self,
        g: &mut Builder,
        x: NodeId,
        classifier: &str,
    ) -> Result<(NodeId, NodeId), GraphError> {
        let x = g.global_avg_pool("avgpool", x)?; // [N * T, C]
        if self.per_frame {
            let fc = self.classify(g, x, classifier)?; // [N * T, K]
            return Ok((g.segment_mean("consensus", fc)?, fc)); // [N, K]
        }
        let x = g.segment_mean("consensus", x)?; // [N, C]
        let fc = self.classify(g, x, classifier)?; // [N, K]
        Ok((fc, fc))
    }

    /// Returns the logits and the classifier, for features `[N, C, T, H, W]`.
    pub(crate) fn of_clips(
        &self,
        g: &mut Builder,
        x: NodeId,
        classifier: &str,
    ) -> Result<(NodeId, NodeId), GraphError> {
        let x = g.global_avg_pool("avgpool", x)?; // [N, C]
        let fc = self.classify(g, x, classifier)?; // [N, K]
        Ok((fc, fc))
    }

    fn classify(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let x = g.dropout("dropout", x, self.dropout_ratio)?;
        g.linear(name, x, self.num_classes, Init::Normal { std: self.init_std })
    }
}
