//! [`Flip`].

use super::{InvalidField, TransformParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Mirrors all frames of a clip left to right, with a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Flip {
    /// Probability that a clip is mirrored.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip_ratio: f64,
    /// Class index of a mirrored clip, by class index, where the two differ: `{ 86: 87, 87: 86 }` exchanges "pushing something
    /// from left to right" and "from right to left". Classes that are not named stay the same.
    pub flip_label_map: BTreeMap<String, u32>,
}

impl Default for Flip {
    fn default() -> Self {
        Self { flip_ratio: 0.5, flip_label_map: BTreeMap::new() }
    }
}

impl TransformParams for Flip {
    fn is_random(&self) -> bool {
        self.flip_ratio > 0.0 && self.flip_ratio < 1.0
    }

    fn changes_pixels(&self) -> bool {
        false
    }

    fn class_indices(&self) -> Vec<u32> {
        self.flip_label_map.values().copied().collect()
    }

    fn check(&self) -> Result<(), InvalidField> {
        match self.flip_label_map.keys().find(|class| class.parse::<u32>().is_err()) {
            None => Ok(()),
            Some(wrong) => Err(InvalidField {
                field: "flip_label_map",
                message: format!("`{wrong}` is not a valid class index"),
                help: "for example { 86: 87, 87: 86 }",
            }),
        }
    }
}
