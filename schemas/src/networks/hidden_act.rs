//! [`HiddenAct`]: the activation of a transformer, as Hugging Face names it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The activation between the layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// Exact GELU.
    Gelu,
    /// GELU with the tanh approximation.
    GeluFast,
    /// The same function as `gelu_fast`.
    GeluNew,
    /// The same function as `gelu_fast`.
    GeluPytorchTanh,
}

impl HiddenAct {
    /// Returns whether GELU is approximated by a tanh.
    pub fn is_tanh(self) -> bool {
        match self {
            Self::Gelu => false,
            Self::GeluFast | Self::GeluNew | Self::GeluPytorchTanh => true,
        }
    }
}
