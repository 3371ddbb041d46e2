//! [`Head`]: turns features into logits, as MMAction2's `TSNHead`, `TSMHead` and `I3DHead` do.

use pipe_graph::ops::{
    dropout::Dropout, global_avg_pool::GlobalAvgPool, linear::LinearParams, segment_mean::SegmentMean,
};
use pipe_graph::{Builder, GraphError, Init, NodeId};

/// The parameters of all heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// The rows of the classifier.
    pub(crate) num_classes: usize,
    /// The share of features that dropout sets to 0 in training.
    pub(crate) dropout_ratio: f64,
    /// The standard deviation of the classifier's initial weights.
    pub(crate) init_std: f64,
}

/// The end of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logits {
    /// The logits, `[N, K]`.
    pub(crate) output: NodeId,
    /// The layer with a row per class; its tensors are the head of the graph.
    pub(crate) classifier: NodeId,
}

/// What is averaged over the frames of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consensus {
    /// The features, before the classifier (TSN).
    Features,
    /// The logits of each frame (TSM).
    Logits,
}

impl Head {
    /// Classifies features of frames, `[N * T, C, H, W]`.
    pub(crate) fn of_frames(
        &self,
        g: &mut Builder,
        x: NodeId,
        classifier: &str,
        consensus: Consensus,
    ) -> Result<Logits, GraphError> {
        let x = g.node("avgpool", x, GlobalAvgPool)?; // [N * T, C]
        match consensus {
            Consensus::Features => {
                let x = g.node("consensus", x, SegmentMean)?; // [N, C]
                let fc = self.classify(g, x, classifier)?; // [N, K]
                Ok(Logits { output: fc, classifier: fc })
            }
            Consensus::Logits => {
                let fc = self.classify(g, x, classifier)?; // [N * T, K]
                let output = g.node("consensus", fc, SegmentMean)?; // [N, K]
                Ok(Logits { output, classifier: fc })
            }
        }
    }

    /// Classifies features of clips, `[N, C, T, H, W]`.
    pub(crate) fn of_clips(&self, g: &mut Builder, x: NodeId, classifier: &str) -> Result<Logits, GraphError> {
        let x = g.node("avgpool", x, GlobalAvgPool)?; // [N, C]
        self.of_features(g, x, classifier) // [N, K]
    }

    /// Classifies rows of features, `[M, F]`.
    pub(crate) fn of_features(&self, g: &mut Builder, x: NodeId, classifier: &str) -> Result<Logits, GraphError> {
        let fc = self.classify(g, x, classifier)?;
        Ok(Logits { output: fc, classifier: fc })
    }

    /// Appends the dropout of features in training.
    pub(crate) fn dropout(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        g.node(name, x, Dropout { ratio: self.dropout_ratio })
    }

    fn classify(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let x = self.dropout(g, x, "dropout")?;
        g.node(
            name,
            x,
            LinearParams { out_features: self.num_classes, init: Init::Normal { std: self.init_std }, bias: true },
        )
    }
}
