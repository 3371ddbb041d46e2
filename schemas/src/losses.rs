//! [`Loss`]: what training minimises. Used in `model.cls_head.loss_cls` of `train`.
//!
//! To add a loss, add a variant with a struct of its parameters, and its computation as `crates/learn/src/losses/NAME.rs`. The
//! parameters are here because `pipe` checks them without libtorch.

use crate::labelling::Labelling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What training minimises. Names are those of MMAction2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy of the softmax, for one label per video. Labels of blended clips are shared between both classes.
    CrossEntropyLoss(CrossEntropyLoss),
    /// Binary cross-entropy of the logistic function, for several labels per video; the mean over clips and classes.
    BCELossWithLogits(BceLossWithLogits),
}

/// Parameters of `CrossEntropyLoss`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropyLoss {}

/// Parameters of `BCELossWithLogits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BceLossWithLogits {}

impl Loss {
    /// Returns the loss that is used where none is chosen.
    pub fn default_for(labelling: Labelling) -> Self {
        match labelling {
            Labelling::SingleLabel => Self::CrossEntropyLoss(CrossEntropyLoss {}),
            Labelling::MultiLabel => Self::BCELossWithLogits(BceLossWithLogits {}),
        }
    }

    /// Returns the labelling that the loss is defined for.
    pub fn labelling(&self) -> Labelling {
        match self {
            Self::CrossEntropyLoss(_) => Labelling::SingleLabel,
            Self::BCELossWithLogits(_) => Labelling::MultiLabel,
        }
    }
}
