//! [`CosineAnnealingLr`]: half a cosine (Loshchilov and Hutter 2017).

use super::{Change, Clock, ClockSchedule, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `CosineAnnealingLR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineAnnealingLr {
    /// The first epoch, counted from 0. Default: 0.
    #[serde(default)]
    pub begin: u32,
    /// The epoch after the last. The minimum would be reached in this epoch.
    pub end: u32,
    /// The minimum, as a factor of the optimiser's `lr`. Default: 0.
    #[serde(default)]
    pub eta_min_ratio: f64,
    /// Whether `begin` and `end` count epochs; otherwise they count steps. Default: true.
    #[serde(default = "super::by_epoch")]
    pub by_epoch: bool,
}

impl ClockSchedule for CosineAnnealingLr {
    fn clock(&self) -> Clock {
        Clock { by_epoch: self.by_epoch, begin: self.begin, end: Some(self.end) }
    }

    fn change(&self, at: u32, rate: Rate) -> Change {
        let length = f64::from(self.end.saturating_sub(self.begin).max(1));
        let height = |at: u32| (1.0 + (std::f64::consts::PI * (f64::from(at) / length)).cos()) * 0.5;
        if self.eta_min_ratio == 0.0 {
            return Change::Factor(height(at));
        }
        let Some(before) = at.checked_sub(1) else { return Change::Keep };
        let eta_min = self.eta_min_ratio * rate.initial;
        Change::Value(eta_min + (rate.current - eta_min) * (height(at) / height(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn the_rate_is_halved_in_the_middle_and_stays_after_the_end() {
        let cosine = CosineAnnealingLr { begin: 0, end: 4, eta_min_ratio: 0.0, by_epoch: true };
        let near_end = (1.0 - std::f64::consts::FRAC_1_SQRT_2) / 2.0;
        check(&cosine, &[1.0, 1.0 - near_end, 0.5, near_end, near_end]);
    }
}
