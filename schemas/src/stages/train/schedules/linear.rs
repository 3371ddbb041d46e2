//! [`LinearLr`]: a linear warm-up.

use super::check::{Problem, has_end, share};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule};

clock_schedule! {
    /// Parameters of `LinearLR`.
    pub struct LinearLr {
        /// Factor of the rate at `begin`. Default: 1/3.
        #[serde(default = "start_factor")]
        pub start_factor: f64,
        /// Factor of the rate at the last epoch or step, `end - 1`. A schedule of a single one stays at `start_factor`, as in
        /// MMEngine. Default: 1.
        #[serde(default = "end_factor", skip_serializing_if = "is_one")]
        pub end_factor: f64,
    }
}

impl ClockSchedule for LinearLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        let problems = [share("start_factor", self.start_factor), share("end_factor", self.end_factor)];
        problems.into_iter().chain([has_end(self.end.is_some(), None)]).flatten().collect()
    }

    fn change(&self, at: u64, clock: &Clock, _: Rate) -> Change {
        // MMEngine reaches the end in the last epoch, PyTorch one epoch later.
        let last = clock.length().unwrap_or_default().saturating_sub(1);
        Change::Factor(match at {
            0 => self.start_factor,
            at if at >= last => self.end_factor,
            at => self.start_factor + (self.end_factor - self.start_factor) * at as f64 / last as f64,
        })
    }
}

fn start_factor() -> f64 {
    1.0 / 3.0
}

fn end_factor() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_one(factor: &f64) -> bool {
    factor.to_bits() == end_factor().to_bits()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_last_epoch_has_the_whole_rate() {
        let linear = |begin: u32, end: u32, start_factor: f64| json!({ "type": "LinearLR", "begin": begin, "end": end, "start_factor": start_factor });
        check(&linear(0, 5, 0.1), &[0.1, 0.325, 0.55, 0.775, 1.0, 1.0]);
        check(&linear(1, 4, 0.5), &[1.0, 0.5, 0.75, 1.0]);
        check(&linear(0, 1, 0.5), &[0.5, 0.5]);
        check(&json!({ "type": "LinearLR", "end": 3, "start_factor": 1, "end_factor": 0 }), &[1.0, 0.5, 0.0, 0.0]);
    }
}
