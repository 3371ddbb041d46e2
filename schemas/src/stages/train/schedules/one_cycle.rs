//! [`OneCycleLr`]: up to a maximum and down to nearly 0 (Smith and Topin 2018).

use super::check::{Problem, above_zero, at_least_one, has_end, share};
use super::{Bounds, Change, Clock, ClockSchedule, Rate, Span, clock_schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

clock_schedule! {
    /// Parameters of `OneCycleLR`. The rate does not depend on the optimiser's `lr`. As in MMEngine, `lr` is replaced by
    /// `eta_max / div_factor` for the schedules that follow in the list, and the last of several `OneCycleLR` sets the rates of all.
    pub struct OneCycleLr {
        /// The highest rate.
        pub eta_max: f64,
        /// Number of epochs or steps of the whole cycle. More of them are an error. Default: `end - begin`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1))]
        pub total_steps: Option<u32>,
        /// Share of the cycle in which the rate rises. Default: 0.3.
        #[serde(default = "pct_start")]
        pub pct_start: f64,
        /// The shape of rise and fall. Default: `cos`.
        #[serde(default)]
        pub anneal_strategy: AnnealStrategy,
        /// The first rate is `eta_max` divided by this. Default: 25.
        #[serde(default = "div_factor")]
        pub div_factor: f64,
        /// The last rate is the first rate divided by this. Default: 10,000.
        #[serde(default = "final_div_factor")]
        pub final_div_factor: f64,
        /// Whether the rate first falls to the first rate, in as many steps as it has risen, and then to the last one. Default: false.
        #[serde(default)]
        pub three_phase: bool,
    }
}

/// The shape of rise and fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnealStrategy {
    /// Half a cosine.
    #[default]
    Cos,
    /// A straight line.
    Linear,
}

/// A part of the cycle, in ticks from its begin.
struct Phase {
    end: f64,
    from: f64,
    to: f64,
}

impl OneCycleLr {
    /// Returns the number of ticks of the cycle.
    fn total(&self, clock: &Clock) -> u64 {
        self.total_steps.map(|steps| clock.ticks(steps)).or_else(|| clock.length()).unwrap_or_default()
    }

    fn phases(&self, total: u64, Bounds { first, highest, last }: Bounds) -> Vec<Phase> {
        let total = total as f64;
        let rise = self.pct_start * total;
        let mut phases = vec![Phase { end: rise - 1.0, from: first, to: highest }];
        if self.three_phase {
            phases.push(Phase { end: 2.0 * self.pct_start * total - 2.0, from: highest, to: first });
            phases.push(Phase { end: total - 1.0, from: first, to: last });
        } else {
            phases.push(Phase { end: total - 1.0, from: highest, to: last });
        }
        phases
    }
}

impl ClockSchedule for OneCycleLr {
    fn span(&self) -> Span {
        self.to_span()
    }

    fn check(&self) -> Vec<Problem> {
        let of_length = match self.total_steps {
            Some(total) => at_least_one("total_steps", total),
            None => has_end(self.end.is_some(), Some("total_steps")),
        };
        let problems = [
            above_zero("eta_max", self.eta_max),
            share("pct_start", self.pct_start),
            above_zero("div_factor", self.div_factor),
            above_zero("final_div_factor", self.final_div_factor),
            of_length,
        ];
        problems.into_iter().flatten().collect()
    }

    fn bounds(&self) -> Option<Bounds> {
        let first = self.eta_max / self.div_factor;
        Some(Bounds { first, highest: self.eta_max, last: first / self.final_div_factor })
    }

    fn last(&self, clock: &Clock) -> Option<u64> {
        Some(self.total(clock))
    }

    fn change(&self, at: u64, clock: &Clock, rate: Rate) -> Change {
        let total = self.total(clock);
        let Some(bounds) = rate.bounds.filter(|_| at <= total) else { return Change::Keep };
        let (at, mut start) = (at as f64, 0.0);
        let phases = self.phases(total, bounds);
        let num_phases = phases.len();
        for (number, Phase { end, from, to }) in (1..).zip(phases) {
            if at <= end || number == num_phases {
                // A phase without a length is its end.
                let share = if end > start { (at - start) / (end - start) } else { 1.0 };
                return Change::Value(match self.anneal_strategy {
                    AnnealStrategy::Cos => to + (from - to) / 2.0 * ((PI * share).cos() + 1.0),
                    AnnealStrategy::Linear => (to - from) * share + from,
                });
            }
            start = end;
        }
        Change::Keep
    }
}

fn pct_start() -> f64 {
    0.3
}

fn div_factor() -> f64 {
    25.0
}

fn final_div_factor() -> f64 {
    1e4
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use serde_json::json;

    #[test]
    fn the_rate_rises_and_falls() {
        let cycle = json!({
            "type": "OneCycleLR", "eta_max": 8, "total_steps": 7, "pct_start": 0.5, "anneal_strategy": "linear", "div_factor": 4,
            "final_div_factor": 2,
        });
        // The rise ends at 2.5.
        check(&cycle, &[2.0, 4.4, 6.8, 7.0, 5.0, 3.0, 1.0]);
        let three = json!({
            "type": "OneCycleLR", "eta_max": 8, "end": 8, "pct_start": 0.5, "anneal_strategy": "cos", "div_factor": 4,
            "final_div_factor": 2, "three_phase": true,
        });
        check(&three, &[2.0, 3.5, 6.5, 8.0, 6.5, 3.5, 2.0, 1.0, 1.0]);
    }
}
