//! [`Scheduler`]: how the learning rate changes, and [`LrChain`], which computes it.
//!
//! As in MMEngine, schedules form a chain: each changes the rate that the others have left. A schedule has a clock of its own,
//! which counts epochs or steps, and starts at its `begin`; or it reacts to the metrics of a validation.
//!
//! To add a schedule, write `schedules/NAME.rs` with its parameters and its `impl ClockSchedule` or `impl MetricSchedule`, and
//! add a variant to [`Scheduler`] and to [`Scheduler::driver`].

mod chain;
mod cosine_annealing;
mod linear;
mod multi_step;
mod reduce_on_plateau;

pub use chain::LrChain;
pub use cosine_annealing::CosineAnnealingLr;
pub use linear::LinearLr;
pub use multi_step::MultiStepLr;
pub use reduce_on_plateau::ReduceOnPlateauLr;

use super::epoch_fields::{EpochContext, EpochFields, json};
use crate::Monitor;
use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the learning rate changes. Names and parameters are those of MMEngine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Scheduler {
    /// Multiplies the rate by `gamma` at each milestone.
    MultiStepLR(MultiStepLr),
    /// Raises the rate linearly, from `start_factor` times its value at `begin` to its value at `end - 1`: a warm-up.
    LinearLR(LinearLr),
    /// Lowers the rate along half a cosine.
    CosineAnnealingLR(CosineAnnealingLr),
    /// Multiplies the rate by `factor` when a metric of the validation stops improving.
    ReduceOnPlateauLR(ReduceOnPlateauLr),
}

/// How a schedule is driven.
pub(crate) enum Driver<'a> {
    /// By a clock, which ticks at each epoch or step.
    Clock(&'a dyn ClockSchedule),
    /// By a metric, after each validation.
    Metric(&'a dyn MetricSchedule),
}

impl Scheduler {
    /// Returns the implementation.
    pub(crate) fn driver(&self) -> Driver<'_> {
        match self {
            Self::MultiStepLR(params) => Driver::Clock(params),
            Self::LinearLR(params) => Driver::Clock(params),
            Self::CosineAnnealingLR(params) => Driver::Clock(params),
            Self::ReduceOnPlateauLR(params) => Driver::Metric(params),
        }
    }

    /// Returns the metric that the schedule reads after each validation; `None` if it follows a clock.
    pub fn monitor(&self) -> Option<Monitor<'_>> {
        match self.driver() {
            Driver::Clock(_) => None,
            Driver::Metric(schedule) => Some(schedule.monitor()),
        }
    }

    /// Returns the epochs, counted from 0, at which the schedule begins, ends or has a milestone.
    pub fn milestones(&self) -> Vec<u32> {
        let Driver::Clock(schedule) = self.driver() else { return Vec::new() };
        let Clock { by_epoch, begin, end } = schedule.clock();
        let milestones = schedule.milestones().into_iter().chain([begin]).chain(end);
        if by_epoch { milestones.collect() } else { Vec::new() }
    }

    pub(super) fn check(&self, position: usize) -> Option<ParamError> {
        let Driver::Clock(schedule) = self.driver() else { return None };
        let Clock { by_epoch, begin, end: Some(end) } = schedule.clock() else { return None };
        let unit = if by_epoch { "epoch" } else { "step" };
        (begin >= end).then(|| ParamError {
            path: vec!["param_scheduler".into(), position.to_string(), "end".into()],
            message: format!("ends at {unit} {end}, before it begins at {begin}"),
            help: format!("a number above {begin}"),
        })
    }
}

impl EpochFields for [Scheduler] {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        // An epoch depends on its learning rates, which the stage adds. They are known before training unless a schedule reads
        // a metric: then they follow from the schedules and from the epochs before, which are in the key as well.
        if self.iter().all(|scheduler| scheduler.monitor().is_none()) {
            return Map::new();
        }
        (0..).zip(self).map(|(position, scheduler): (usize, _)| (position.to_string(), json(scheduler))).collect()
    }
}

/// A schedule that follows a clock.
pub(crate) trait ClockSchedule {
    /// Returns the unit of the clock, and when the schedule is active.
    fn clock(&self) -> Clock;

    /// Returns the ticks, beside the first and the last, at which the rate changes abruptly.
    fn milestones(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Returns the change at tick `at` of the clock, which is 0 at its `begin`.
    fn change(&self, at: u32, rate: Rate) -> Change;
}

/// A schedule that reacts to a metric of the validation.
pub(crate) trait MetricSchedule {
    /// Returns the metric.
    fn monitor(&self) -> Monitor<'_>;

    /// Returns the change after a validation. `history` has the values of the metric so far, oldest first.
    fn change(&self, history: &[f64], rate: Rate) -> Change;
}

/// The unit of a schedule's clock, and when the schedule is active: from `begin` to before `end`. Its last change stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Whether the clock counts epochs; otherwise it counts steps.
    pub(crate) by_epoch: bool,
    /// The first epoch or step, counted from 0.
    pub(crate) begin: u32,
    /// The epoch or step after the last; `None` if the schedule never ends.
    pub(crate) end: Option<u32>,
}

/// The learning rate that a schedule may change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// The rate before all schedules.
    pub(crate) initial: f64,
    /// The rate as the chain has left it.
    pub(crate) current: f64,
}

/// What a schedule does to the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// The schedule multiplies the rate by this factor in total. It replaces the schedule's earlier factor, so that rounding
    /// errors do not add up.
    Factor(f64),
    /// The rate becomes this value.
    Value(f64),
    /// The rate stays.
    Keep,
}

fn by_epoch() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the rate that `schedule` makes of 1 in each epoch, from the first.
    pub(super) fn check(schedule: &impl ClockSchedule, expect: &[f64]) {
        let (clock, mut rate) = (schedule.clock(), 1.0);
        for (epoch, expect) in (0..).zip(expect) {
            let active = epoch >= clock.begin && clock.end.is_none_or(|end| epoch < end);
            match active.then(|| schedule.change(epoch - clock.begin, Rate { initial: 1.0, current: rate })) {
                Some(Change::Factor(value) | Change::Value(value)) => rate = value,
                Some(Change::Keep) | None => {}
            }
            assert!((rate - expect).abs() < 1e-12, "epoch {epoch}: {rate}, not {expect}");
        }
    }
}
