//! [`MultiStepLr`]: multiplies the rate at milestones.

use super::{Change, Clock, ClockSchedule, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `MultiStepLR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiStepLr {
    /// Epochs, counted from 0, at which the rate is multiplied by `gamma`.
    pub milestones: Vec<u32>,
    /// The factor of each milestone. Default: 0.1.
    #[serde(default = "gamma")]
    pub gamma: f64,
    /// Whether milestones count epochs; otherwise they count steps. Default: true.
    #[serde(default = "super::by_epoch")]
    pub by_epoch: bool,
}

impl ClockSchedule for MultiStepLr {
    fn clock(&self) -> Clock {
        Clock { by_epoch: self.by_epoch, begin: 0, end: None }
    }

    fn milestones(&self) -> Vec<u32> {
        self.milestones.clone()
    }

    fn change(&self, at: u32, _: Rate) -> Change {
        let passed = self.milestones.iter().filter(|milestone| **milestone <= at).count();
        Change::Factor(self.gamma.powi(i32::try_from(passed).unwrap_or(i32::MAX)))
    }
}

fn gamma() -> f64 {
    0.1
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn each_milestone_multiplies_the_rate() {
        let steps = MultiStepLr { milestones: vec![2, 3], gamma: 0.1, by_epoch: true };
        check(&steps, &[1.0, 1.0, 0.1, 0.01, 0.01]);
    }
}
