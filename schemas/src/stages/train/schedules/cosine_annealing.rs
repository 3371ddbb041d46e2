//! [`CosineAnnealingLr`]: a cosine (Loshchilov and Hutter 2017).

use super::check::{Problem, at_least_one, has_end, not_negative, one_minimum};
use super::{Change, Clock, ClockSchedule, Rate, Span, clock_schedule, cosine, minimum};
use std::f64::consts::PI;

clock_schedule! {
    /// Parameters of `CosineAnnealingLR`.
    pub struct CosineAnnealingLr {
        /// Number of epochs or steps until the minimum. If the schedule does not end there, the rate climbs again, for as long.
        /// Default: `end - begin`.
        #[serde(default, rename = "T_max", skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1))]
        pub t_max: Option<u32>,
        /// The minimum. Default: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub eta_min: Option<f64>,
        /// The minimum, as a factor of the optimiser's `lr`, instead of `eta_min`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub eta_min_ratio: Option<f64>,
    }
}

impl ClockSchedule for CosineAnnealingLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        let of_minimum = [
            self.eta_min.and_then(|eta_min| not_negative("eta_min", eta_min)),
            self.eta_min_ratio.and_then(|ratio| not_negative("eta_min_ratio", ratio)),
            one_minimum(self.eta_min, self.eta_min_ratio),
        ];
        let of_length = match self.t_max {
            Some(t_max) => at_least_one("T_max", t_max),
            None => has_end(self.end.is_some(), Some("T_max")),
        };
        of_minimum.into_iter().chain([of_length]).flatten().collect()
    }

    fn change(&self, at: u64, clock: &Clock, rate: Rate) -> Change {
        let t_max = self.t_max.map(|t_max| clock.ticks(t_max)).or_else(|| clock.length()).unwrap_or_default().max(1);
        let eta_min = minimum(self.eta_min, self.eta_min_ratio, rate);
        if eta_min == 0.0 && at <= t_max {
            return Change::Factor(cosine(at, t_max) * 0.5);
        }
        let Some(before) = at.checked_sub(1) else { return Change::Keep };
        // At the minimum the factor below would divide by 0.
        if before >= t_max && (before - t_max).is_multiple_of(2 * t_max) {
            let rise = (1.0 - (PI / t_max as f64).cos()) / 2.0;
            return Change::Value(rate.current + (rate.initial - eta_min) * rise);
        }
        Change::Value(cosine(at, t_max) / cosine(before, t_max) * (rate.current - eta_min) + eta_min)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_rate_is_halved_in_the_middle_and_stays_after_the_end() {
        let near_end = (1.0 - std::f64::consts::FRAC_1_SQRT_2) / 2.0;
        let falling = [1.0, 1.0 - near_end, 0.5, near_end];
        let rates = |rest: &[f64]| [&falling[..], rest].concat();
        check(&json!({ "type": "CosineAnnealingLR", "end": 4 }), &rates(&[near_end; 2]));
        check(&json!({ "type": "CosineAnnealingLR", "T_max": 4, "end": 5 }), &rates(&[0.0; 2]));
        let climbing = rates(&[0.0, near_end, 0.5, 1.0 - near_end, 1.0, 1.0 - near_end]);
        check(&json!({ "type": "CosineAnnealingLR", "T_max": 4 }), &climbing);
        let above = |rate: &f64| 0.2 + 0.8 * rate;
        let raised: Vec<f64> = climbing.iter().map(above).collect();
        check(&json!({ "type": "CosineAnnealingLR", "T_max": 4, "eta_min_ratio": 0.2 }), &raised);
        check(&json!({ "type": "CosineAnnealingLR", "T_max": 4, "eta_min": 0.2 }), &raised);
    }
}
