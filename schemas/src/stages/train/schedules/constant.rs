//! [`ConstantLr`]: a constant factor for a while.

use super::check::{Problem, share};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule};

clock_schedule! {
    /// Parameters of `ConstantLR`.
    pub struct ConstantLr {
        /// Factor of the rate. Default: 1/3.
        #[serde(default = "factor")]
        pub factor: f64,
    }
}

impl ClockSchedule for ConstantLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        share("factor", self.factor).into_iter().collect()
    }

    fn change(&self, at: u64, clock: &Clock, _: Rate) -> Change {
        // The whole rate returns at the last tick. A schedule of one tick has begun by then, and keeps its factor.
        let is_last = at > 0 && clock.length().is_some_and(|length| at + 1 >= length);
        Change::Factor(if is_last { 1.0 } else { self.factor })
    }
}

fn factor() -> f64 {
    1.0 / 3.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_last_epoch_has_the_whole_rate() {
        check(&json!({ "type": "ConstantLR", "factor": 0.25, "end": 4 }), &[0.25, 0.25, 0.25, 1.0, 1.0]);
        check(&json!({ "type": "ConstantLR", "begin": 1, "end": 3 }), &[1.0, 1.0 / 3.0, 1.0]);
        check(&json!({ "type": "ConstantLR", "factor": 0.5, "end": 1 }), &[0.5, 0.5, 0.5]);
        check(&json!({ "type": "ConstantLR", "factor": 0.5 }), &[0.5; 5]);
    }
}
