//! [`LinearLr`]: a linear warm-up.

use super::{Change, Clock, ClockSchedule, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `LinearLR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearLr {
    /// The first epoch of the warm-up, counted from 0. Default: 0.
    #[serde(default)]
    pub begin: u32,
    /// The epoch after the last.
    pub end: u32,
    /// Factor of the rate at `begin`. Default: 1/3.
    #[serde(default = "start_factor")]
    pub start_factor: f64,
    /// Whether `begin` and `end` count epochs; otherwise they count steps. Default: true.
    #[serde(default = "super::by_epoch")]
    pub by_epoch: bool,
}

impl ClockSchedule for LinearLr {
    fn clock(&self) -> Clock {
        Clock { by_epoch: self.by_epoch, begin: self.begin, end: Some(self.end) }
    }

    fn change(&self, at: u32, _: Rate) -> Change {
        // MMEngine reaches 1 in the last epoch, PyTorch one epoch later.
        let last = self.end.saturating_sub(self.begin + 1);
        if at >= last {
            return Change::Factor(1.0);
        }
        Change::Factor(self.start_factor + (1.0 - self.start_factor) * f64::from(at) / f64::from(last))
    }
}

fn start_factor() -> f64 {
    1.0 / 3.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn linear(begin: u32, end: u32, start_factor: f64) -> LinearLr {
        LinearLr { begin, end, start_factor, by_epoch: true }
    }

    #[test]
    fn the_last_epoch_has_the_whole_rate() {
        check(&linear(0, 5, 0.1), &[0.1, 0.325, 0.55, 0.775, 1.0, 1.0]);
        check(&linear(1, 4, 0.5), &[1.0, 0.5, 0.75, 1.0]);
        check(&linear(0, 1, 0.5), &[1.0, 1.0]);
    }
}
