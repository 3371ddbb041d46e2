//! [`PolyLr`]: lowers the rate along a polynomial.

use super::check::{Problem, above_zero, has_end, not_negative};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule};

clock_schedule! {
    /// Parameters of `PolyLR`.
    pub struct PolyLr {
        /// The rate at the last epoch or step. Default: 0.
        #[serde(default)]
        pub eta_min: f64,
        /// The exponent. Default: 1, a straight line.
        #[serde(default = "power")]
        pub power: f64,
    }
}

impl ClockSchedule for PolyLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        let problems = [not_negative("eta_min", self.eta_min), above_zero("power", self.power)];
        problems.into_iter().chain([has_end(self.end.is_some(), None)]).flatten().collect()
    }

    fn change(&self, at: u64, clock: &Clock, rate: Rate) -> Change {
        let (Some(length), true) = (clock.length(), at > 0) else { return Change::Keep };
        let left = length.saturating_sub(at).max(1) as f64;
        Change::Value((rate.current - self.eta_min) * (1.0 - 1.0 / left).powf(self.power) + self.eta_min)
    }
}

fn power() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_last_epoch_has_the_minimum() {
        check(&json!({ "type": "PolyLR", "end": 5 }), &[1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
        let square = json!({ "type": "PolyLR", "power": 2, "eta_min": 0.5, "begin": 1, "end": 4 });
        check(&square, &[1.0, 1.0, 0.625, 0.5, 0.5]);
        check(&json!({ "type": "PolyLR", "end": 1 }), &[1.0, 1.0]);
    }
}
