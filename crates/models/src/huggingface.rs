//! [`HuggingFaceModel`]: how transformers describes a network, so that its classes open the weights.

use pipe_schemas::networks::ImageSize;
use serde_json::{Map, Value, json};

/// A model of transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct HuggingFaceModel {
    /// `model_type` of `config.json`, such as `videomae`.
    pub model_type: &'static str,
    /// The class, such as `VideoMAEForVideoClassification`.
    pub architecture: &'static str,
    /// What makes its input.
    pub processor: ImageProcessor,
    /// The parameters of the network in `config.json`.
    pub config: Map<String, Value>,
    /// In what the logits may differ in rounding, such as an epsilon that transformers does not read from `config.json`.
    pub notes: Vec<String>,
}

/// A class of transformers that makes the input of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageProcessor {
    /// An image processor, by its name.
    Image(&'static str),
    /// A video processor, by its name.
    Video(&'static str),
}

/// Why no model of transformers computes the same as a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transformers has no such network: {reason}")]
pub struct NotInTransformers {
    /// The parameter or size that it can't express.
    pub reason: String,
}

impl NotInTransformers {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Returns an object as the map that it is.
pub(crate) fn config(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Returns `image_size`: one number for squares, else the height and the width.
pub(crate) fn image_size(size: ImageSize) -> Value {
    if size.height == size.width { json!(size.height) } else { json!([size.height, size.width]) }
}
