//! [`Labelling`]: single-label or multi-label classification.

use serde::{Deserialize, Serialize};

/// Number of labels that a video may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labelling {
    /// One. The classes exclude each other, and softmax gives their probabilities.
    #[default]
    SingleLabel,
    /// Several. The classes are independent, and the logistic function gives the probability of each.
    MultiLabel,
}
