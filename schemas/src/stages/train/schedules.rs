//! [`Scheduler`]: how the learning rate changes, and [`LrChain`], which computes it.
//!
//! As in MMEngine, schedules form a chain: each changes the rate that the others have left. A schedule has a clock of its own,
//! which counts epochs or steps, and starts at its `begin`; or it reacts to the metrics of a validation.
//!
//! To add a schedule, write `schedules/NAME.rs` with its parameters and its `impl ClockSchedule` or `impl MetricSchedule`, and
//! add a variant to [`Scheduler`] and to [`Scheduler::driver`].

mod chain;
mod check;
mod clock;
mod constant;
mod cosine_annealing;
mod cosine_restart;
mod exponential;
mod linear;
mod multi_step;
mod one_cycle;
mod poly;
mod reduce_on_plateau;
mod step;

pub use chain::LrChain;
pub use clock::Tick;
pub use constant::ConstantLr;
pub use cosine_annealing::CosineAnnealingLr;
pub use cosine_restart::CosineRestartLr;
pub use exponential::ExponentialLr;
pub use linear::LinearLr;
pub use multi_step::MultiStepLr;
pub use one_cycle::{AnnealStrategy, OneCycleLr};
pub use poly::PolyLr;
pub use reduce_on_plateau::{ReduceOnPlateauLr, ThresholdRule};
pub use step::StepLr;

use super::epoch_fields::{EpochContext, EpochFields, json};
use crate::Monitor;
use crate::contract::ParamError;
use check::{Problem, problem};
use clock::{Clock, Span, clock_schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the learning rate changes. Names and parameters are those of MMEngine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Scheduler {
    /// Multiplies the rate by `factor`, and returns to the whole rate at `end - 1`.
    ConstantLR(ConstantLr),
    /// Raises the rate linearly, from `start_factor` times its value at `begin` to its value at `end - 1`: a warm-up.
    LinearLR(LinearLr),
    /// Multiplies the rate by `gamma` every `step_size` epochs or steps.
    StepLR(StepLr),
    /// Multiplies the rate by `gamma` at each milestone.
    MultiStepLR(MultiStepLr),
    /// Multiplies the rate by `gamma` at each epoch or step.
    ExponentialLR(ExponentialLr),
    /// Lowers the rate along a polynomial.
    PolyLR(PolyLr),
    /// Lowers the rate along half a cosine.
    CosineAnnealingLR(CosineAnnealingLr),
    /// Lowers the rate along half a cosine, several times.
    CosineRestartLR(CosineRestartLr),
    /// Raises the rate to a maximum, and lowers it to nearly 0.
    OneCycleLR(OneCycleLr),
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
            Self::ConstantLR(params) => Driver::Clock(params),
            Self::LinearLR(params) => Driver::Clock(params),
            Self::StepLR(params) => Driver::Clock(params),
            Self::MultiStepLR(params) => Driver::Clock(params),
            Self::ExponentialLR(params) => Driver::Clock(params),
            Self::PolyLR(params) => Driver::Clock(params),
            Self::CosineAnnealingLR(params) => Driver::Clock(params),
            Self::CosineRestartLR(params) => Driver::Clock(params),
            Self::OneCycleLR(params) => Driver::Clock(params),
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

    /// Returns the epochs, counted from 0, in which the schedule begins, ends or has a milestone.
    pub fn milestones(&self, steps_per_epoch: usize) -> Vec<u32> {
        let Driver::Clock(schedule) = self.driver() else { return Vec::new() };
        let Span { begin, end, by_epoch, convert_to_iter_based: _ } = schedule.span();
        let milestones = schedule.milestones().into_iter().map(|milestone| milestone.saturating_add(begin.whole()));
        let ticks = milestones.chain([begin.whole()]).chain(end.map(Tick::whole));
        let ticks_per_epoch = if by_epoch { 1 } else { u32::try_from(steps_per_epoch.max(1)).unwrap_or(u32::MAX) };
        ticks.map(|tick| tick / ticks_per_epoch).collect()
    }

    /// Returns what is wrong with the parameters of the schedule at `position` of the list.
    pub fn check(&self, position: usize) -> Vec<ParamError> {
        let problems = match self.driver() {
            Driver::Clock(schedule) => schedule.check().into_iter().chain(schedule.span().check()).collect(),
            Driver::Metric(schedule) => [schedule.check(), schedule.span().check()].concat(),
        };
        problems.into_iter().map(|problem: Problem| error(position, problem)).collect()
    }

    /// Returns what is wrong with the schedule at `position` of the list in a training of this many epochs and steps.
    pub fn check_length(
        &self,
        position: usize,
        steps_per_epoch: usize,
        num_epochs: usize,
        num_steps: usize,
    ) -> Option<ParamError> {
        let clock = self.clock(steps_per_epoch);
        if let Some(end) = clock.end.filter(|end| *end <= clock.begin) {
            let message =
                format!("ends at step {end}, and begins at step {} of {steps_per_epoch} per epoch", clock.begin);
            return Some(error(position, problem("end", message, "the schedule must have one step or more")));
        }
        let Driver::Clock(schedule) = self.driver() else { return None };
        let now = if clock.by_epoch { num_epochs } else { num_steps } as u64;
        let end = clock.end.map_or(now, |end| end.min(now));
        let (last, at) = (schedule.last(&clock)?, end.checked_sub(clock.begin)?.checked_sub(1)?);
        (at > last).then(|| {
            let unit = if clock.by_epoch { "epochs" } else { "steps" };
            let message =
                format!("the cycle has {last} {unit}, but training continues for {} {unit} from its begin", at + 1);
            error(position, problem("total_steps", message, "raise `total_steps`, or set `end`"))
        })
    }

    pub(crate) fn clock(&self, steps_per_epoch: usize) -> Clock {
        let span = match self.driver() {
            Driver::Clock(schedule) => schedule.span(),
            Driver::Metric(schedule) => schedule.span(),
        };
        span.clock(steps_per_epoch)
    }

    fn bounds(&self) -> Option<Bounds> {
        match self.driver() {
            Driver::Clock(schedule) => schedule.bounds(),
            Driver::Metric(_) => None,
        }
    }
}

fn error(position: usize, Problem { field, message, help }: Problem) -> ParamError {
    ParamError { path: vec!["param_scheduler".into(), position.to_string(), field.into()], message, help }
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
    /// Returns when the schedule is active.
    fn span(&self) -> Span;

    /// Returns parameters with values that are not possible.
    fn check(&self) -> Vec<Problem>;

    /// Returns the epochs or steps from `begin`, beside the first and the last, at which the rate changes abruptly.
    fn milestones(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Returns the rates that the schedule sets for those after it in the list.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Returns the last tick at which the schedule can act, if there is one besides its `end`.
    fn last(&self, _: &Clock) -> Option<u64> {
        None
    }

    /// Returns the change at tick `at` of the clock, which is 0 at its `begin`.
    fn change(&self, at: u64, clock: &Clock, rate: Rate) -> Change;
}

/// A schedule that reacts to a metric of the validation.
pub(crate) trait MetricSchedule {
    /// Returns the metric.
    fn monitor(&self) -> Monitor<'_>;

    /// Returns the epochs whose validations count.
    fn span(&self) -> Span;

    /// Returns parameters with values that are not possible.
    fn check(&self) -> Vec<Problem>;

    /// Returns the change after a validation. `history` has the values of the metric so far, oldest first.
    fn change(&self, history: &[f64], rate: Rate) -> Change;
}

/// The learning rate that a schedule may change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// The rate before all schedules.
    pub(crate) initial: f64,
    /// The rate as the chain has left it.
    pub(crate) current: f64,
    /// The rates of the last `OneCycleLR` in the list.
    pub(crate) bounds: Option<Bounds>,
}

/// The rates of `OneCycleLR`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) first: f64,
    pub(crate) highest: f64,
    pub(crate) last: f64,
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

fn gamma() -> f64 {
    0.1
}

/// Returns `base` to the power of `exponent`.
fn power(base: f64, exponent: u64) -> f64 {
    base.powf(exponent as f64)
}

/// Returns twice the height of half a cosine at `at` of `length`.
fn cosine(at: u64, length: u64) -> f64 {
    // Near the minimum the result depends on how the argument is rounded; this is MMEngine's order of operations.
    1.0 + (std::f64::consts::PI * at as f64 / length as f64).cos()
}

/// Returns the minimum of a cosine.
fn minimum(eta_min: Option<f64>, eta_min_ratio: Option<f64>, rate: Rate) -> f64 {
    eta_min_ratio.map(|ratio| ratio * rate.initial).or(eta_min).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
