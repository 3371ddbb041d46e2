//! [`LearningRate`]: a number, or `auto`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The learning rate before schedules: a number, or `auto` for the rate of the input `lr`, which a stage `lr_finder` writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LearningRate {
    /// A rate that is known before training.
    Number(#[schemars(range(min = 0.0))] f64),
    /// The rate of the input `lr`.
    Found(Auto),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// The rate of the input `lr`.
    Auto,
}

impl LearningRate {
    /// Returns the rate; `None` for `auto`.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(rate) => Some(rate),
            Self::Found(Auto::Auto) => None,
        }
    }
}

impl Default for LearningRate {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::Number(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_a_number_or_as_auto() {
        let parse = |text: &str| serde_json::from_str::<LearningRate>(text).ok();
        assert_eq!(parse("0.5"), Some(0.5.into()));
        assert_eq!(parse("1").and_then(LearningRate::number), Some(1.0));
        assert_eq!(parse("\"auto\"").map(LearningRate::number), Some(None));
        assert_eq!(parse("\"automatic\""), None);
        let written = |rate: LearningRate| serde_json::to_string(&rate).expect("JSON");
        assert_eq!((written(0.5.into()), written(LearningRate::Found(Auto::Auto))), ("0.5".into(), "\"auto\"".into()));
    }
}
