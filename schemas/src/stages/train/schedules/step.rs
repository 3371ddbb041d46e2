//! [`StepLr`]: multiplies the rate at regular intervals.

use super::check::{Problem, at_least_one, not_negative};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule, power};

clock_schedule! {
    /// Parameters of `StepLR`.
    pub struct StepLr {
        /// Number of epochs or steps from one reduction to the next.
        #[schemars(range(min = 1))]
        pub step_size: u32,
        /// The factor of each reduction. Default: 0.1.
        #[serde(default = "super::gamma")]
        pub gamma: f64,
    }
}

impl ClockSchedule for StepLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        at_least_one("step_size", self.step_size).into_iter().chain(not_negative("gamma", self.gamma)).collect()
    }

    fn milestones(&self) -> Vec<u32> {
        // With a larger `step_size` the rates differ from the first reduction on.
        vec![self.step_size]
    }

    fn change(&self, at: u64, clock: &Clock, _: Rate) -> Change {
        let step_size = clock.ticks(self.step_size).max(1);
        if self.gamma == 0.0 {
            // Another schedule may have raised the rate from 0, which a factor of 0 in total would not undo.
            return if at > 0 && at.is_multiple_of(step_size) { Change::Value(0.0) } else { Change::Keep };
        }
        Change::Factor(power(self.gamma, at / step_size))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_rate_is_multiplied_at_intervals_from_begin() {
        check(&json!({ "type": "StepLR", "step_size": 2, "gamma": 0.5 }), &[1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        check(&json!({ "type": "StepLR", "step_size": 2, "gamma": 0 }), &[1.0, 1.0, 0.0, 0.0, 0.0]);
        check(&json!({ "type": "StepLR", "step_size": 1, "begin": 2, "end": 4 }), &[1.0, 1.0, 1.0, 0.1, 0.1]);
    }
}
