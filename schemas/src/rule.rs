//! [`Monitor`]: a metric that training watches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A metric that training watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitor<'a> {
    /// Name of the metric, as in `metrics.json`.
    pub metric: &'a str,
    /// Which values are better; `None` for those of the metric.
    pub rule: Option<Rule>,
}

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Higher values, as of accuracy.
    Greater,
    /// Lower values, as of a loss.
    Less,
}

impl Rule {
    /// Returns whether `value` is better than `best` by more than `min_delta`. NaN never is.
    pub fn improves(self, value: f64, best: f64, min_delta: f64) -> bool {
        match self {
            Self::Greater => value > best + min_delta,
            Self::Less => value < best - min_delta,
        }
    }
}
