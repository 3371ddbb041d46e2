//! [`MultiStepLr`]: multiplies the rate at milestones.

use super::check::{Problem, not_negative};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule, power};

clock_schedule! {
    /// Parameters of `MultiStepLR`.
    pub struct MultiStepLr {
        /// Epochs or steps, counted from `begin`, at which the rate is multiplied by `gamma`; twice where one is named twice.
        pub milestones: Vec<u32>,
        /// The factor of each milestone. Default: 0.1.
        #[serde(default = "super::gamma")]
        pub gamma: f64,
    }
}

impl ClockSchedule for MultiStepLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        not_negative("gamma", self.gamma).into_iter().collect()
    }

    fn milestones(&self) -> Vec<u32> {
        self.milestones.clone()
    }

    fn change(&self, at: u64, clock: &Clock, _: Rate) -> Change {
        if self.gamma == 0.0 {
            // Another schedule may have raised the rate from 0, which a factor of 0 in total would not undo.
            let is_milestone = self.milestones.iter().any(|milestone| clock.ticks(*milestone) == at);
            return if is_milestone { Change::Value(0.0) } else { Change::Keep };
        }
        let passed = self.milestones.iter().filter(|milestone| clock.ticks(**milestone) <= at).count();
        Change::Factor(power(self.gamma, passed as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn each_milestone_multiplies_the_rate() {
        let steps = |milestones: &[u32], begin: u32, end: Option<u32>| json!({ "type": "MultiStepLR", "milestones": milestones, "begin": begin, "end": end });
        check(&steps(&[2, 3], 0, None), &[1.0, 1.0, 0.1, 0.01, 0.01]);
        check(&json!({ "type": "MultiStepLR", "milestones": [2], "gamma": 0 }), &[1.0, 1.0, 0.0, 0.0]);
        check(&steps(&[1, 1], 1, None), &[1.0, 1.0, 0.01]);
        check(&steps(&[1, 3], 0, Some(3)), &[1.0, 0.1, 0.1, 0.1]);
    }
}
