//! [`CosineRestartLr`]: cosines, each of which begins at the rate before schedules (Loshchilov and Hutter 2017).

use super::check::{Problem, not_negative, one_minimum, problem};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule, cosine, minimum};

clock_schedule! {
    /// Parameters of `CosineRestartLR`. One of `eta_min` and `eta_min_ratio` is required.
    pub struct CosineRestartLr {
        /// The length of each cosine, in epochs or steps. The rate stays after the last of them.
        pub periods: Vec<u32>,
        /// The rate at which each cosine begins, as a factor of the optimiser's `lr`. Default: `[1]`.
        #[serde(default = "restart_weights")]
        pub restart_weights: Vec<f64>,
        /// The lowest rate of each cosine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub eta_min: Option<f64>,
        /// The minimum, as a factor of the optimiser's `lr`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub eta_min_ratio: Option<f64>,
    }
}

impl ClockSchedule for CosineRestartLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        let neither = self.eta_min.or(self.eta_min_ratio).is_none();
        let (periods, weights) = (self.periods.len(), self.restart_weights.len());
        let is_empty = periods == 0 || self.periods.contains(&0);
        let of_minimum = [
            self.eta_min.and_then(|eta_min| not_negative("eta_min", eta_min)),
            self.eta_min_ratio.and_then(|ratio| not_negative("eta_min_ratio", ratio)),
            one_minimum(self.eta_min, self.eta_min_ratio),
            neither.then(|| problem("eta_min", "`eta_min` and `eta_min_ratio` are both missing", "set one of them")),
            is_empty.then(|| problem("periods", "needs one or more periods of 1 or more", "a list of lengths")),
            (periods != weights).then(|| {
                let message = format!("has {weights} values, but there are {periods} periods");
                problem("restart_weights", message, "one value for each of `periods`")
            }),
        ];
        let of_weights = self.restart_weights.iter().find_map(|weight| not_negative("restart_weights", *weight));
        of_minimum.into_iter().chain([of_weights]).flatten().collect()
    }

    fn milestones(&self) -> Vec<u32> {
        let ends = self.periods.iter().scan(0u32, |end, period| {
            *end = end.saturating_add(*period);
            Some(*end)
        });
        ends.collect()
    }

    fn change(&self, at: u64, clock: &Clock, rate: Rate) -> Change {
        let mut start = 0;
        for (period, weight) in self.periods.iter().zip(&self.restart_weights) {
            let period = clock.ticks(*period);
            match (at - start).checked_sub(1) {
                None => return Change::Value(rate.initial * weight),
                Some(before) if at - start < period => {
                    let eta_min = minimum(self.eta_min, self.eta_min_ratio, rate);
                    let ratio = cosine(at - start, period) / cosine(before, period);
                    return Change::Value(ratio * (rate.current - eta_min) + eta_min);
                }
                Some(_) => start += period,
            }
        }
        Change::Keep
    }
}

fn restart_weights() -> Vec<f64> {
    vec![1.0]
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn each_period_begins_at_its_weight_and_the_rate_stays_after_the_last() {
        let restart = json!({
            "type": "CosineRestartLR", "periods": [2, 4], "restart_weights": [1, 0.5], "eta_min": 0.1, "begin": 1,
        });
        let near_end = (1.0 - std::f64::consts::FRAC_1_SQRT_2) / 2.0;
        let second = [1.0, 1.0 - near_end, 0.5, near_end].map(|height| 0.1 + 0.4 * height);
        check(&restart, &[[1.0, 1.0, 0.55].as_slice(), &second, &[second[3]; 2]].concat());
    }
}
