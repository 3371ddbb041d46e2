//! [`ExponentialLr`]: multiplies the rate at each epoch or step.

use super::check::{Problem, above_zero};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule, power};

clock_schedule! {
    /// Parameters of `ExponentialLR`.
    pub struct ExponentialLr {
        /// The factor of each epoch or step. With `convert_to_iter_based` it is the factor of each step, as in MMEngine.
        pub gamma: f64,
    }
}

impl ClockSchedule for ExponentialLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        above_zero("gamma", self.gamma).into_iter().collect()
    }

    fn change(&self, at: u64, _: &Clock, _: Rate) -> Change {
        Change::Factor(power(self.gamma, at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn each_epoch_multiplies_the_rate() {
        check(&json!({ "type": "ExponentialLR", "gamma": 0.5, "begin": 1, "end": 4 }), &[1.0, 1.0, 0.5, 0.25, 0.25]);
    }
}
