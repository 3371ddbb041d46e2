//! [`Span`] and [`Clock`]: when a schedule is active, as users write it and in ticks.

use super::check::{Problem, problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// An epoch or a step, counted from 0. With `convert_to_iter_based` it may be a fraction of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Tick(#[schemars(range(min = 0.0, max = 1e9))] f64);

impl Tick {
    /// Returns the number without its fraction.
    pub(crate) fn whole(self) -> u32 {
        self.0 as u32
    }

    fn is_whole(self) -> bool {
        self.0.fract() == 0.0
    }
}

impl From<u32> for Tick {
    fn from(tick: u32) -> Self {
        Self(f64::from(tick))
    }
}

impl Serialize for Tick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_whole() { self.whole().serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The parameters that all schedules with a clock have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begin: Tick,
    pub(crate) end: Option<Tick>,
    pub(crate) by_epoch: bool,
    pub(crate) convert_to_iter_based: bool,
}

impl Span {
    /// Returns the clock in a training whose first epoch has this number of steps.
    pub(crate) fn clock(self, steps_per_epoch: usize) -> Clock {
        let scale = if self.convert_to_iter_based { steps_per_epoch.max(1) as u64 } else { 1 };
        // MMEngine leaves out fractions of a step, too.
        let ticks = |tick: Tick| (tick.0 * scale as f64) as u64;
        Clock {
            by_epoch: self.by_epoch && !self.convert_to_iter_based,
            begin: ticks(self.begin),
            end: self.end.map(ticks),
            scale,
        }
    }

    pub(crate) fn check(self) -> Vec<Problem> {
        let Self { begin, end, by_epoch, convert_to_iter_based } = self;
        let mut problems = Vec::new();
        let fraction = |tick: &Tick| !tick.is_whole() && !convert_to_iter_based;
        for (field, tick) in [("begin", Some(begin)), ("end", end)] {
            if let Some(tick) = tick.filter(fraction) {
                let help = "write a whole number, or set `convert_to_iter_based: true`";
                problems.push(problem(field, format!("{tick} is not a whole number"), help));
            }
        }
        let unit = if by_epoch { "epoch" } else { "step" };
        if let Some(end) = end.filter(|end| *end <= begin) {
            let message = format!("ends at {unit} {end}, before it begins at {begin}");
            problems.push(problem("end", message, &format!("a number above {begin}")));
        }
        if convert_to_iter_based && !by_epoch {
            let help = "leave it out, or set `by_epoch: true`";
            problems.push(problem("convert_to_iter_based", "the schedule counts steps already", help));
        }
        problems
    }
}

/// The unit of a schedule's clock, and when the schedule is active: from `begin` to before `end`. Its last change stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Whether a tick is an epoch; otherwise it is a step.
    pub(crate) by_epoch: bool,
    /// The first tick, counted from 0.
    pub(crate) begin: u64,
    /// The tick after the last; `None` if the schedule never ends.
    pub(crate) end: Option<u64>,
    /// Number of ticks per unit of the parameters: the number of steps of the first epoch with `convert_to_iter_based`, otherwise 1.
    scale: u64,
}

impl Clock {
    /// Returns a number of epochs or steps in ticks.
    pub(crate) fn ticks(&self, number: u32) -> u64 {
        u64::from(number) * self.scale
    }

    /// Returns the number of ticks; `None` if the schedule never ends.
    pub(crate) fn length(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.begin))
    }

    /// Returns the tick of the schedule at `now`, counted from its begin, if it is active.
    pub(crate) fn at(&self, now: u64) -> Option<u64> {
        now.checked_sub(self.begin).filter(|_| self.end.is_none_or(|end| now < end))
    }
}

/// Declares the parameters of a schedule, with those that all schedules with a clock have.
macro_rules! clock_schedule {
    ($(#[$about:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($fields)*
            /// The first epoch or step at which it acts, counted from 0. Its own clock is 0 there. Default: 0.
            #[serde(default)]
            pub begin: $crate::stages::train::Tick,
            /// The epoch or step after the last at which it acts. The rate stays as it is then. Default: it never ends.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub end: Option<$crate::stages::train::Tick>,
            /// Whether numbers count epochs; otherwise they count steps. Default: true.
            #[serde(default = "super::by_epoch")]
            pub by_epoch: bool,
            /// Whether the rate changes at each step although numbers count epochs. Each counts as the number of steps of the first
            /// epoch, also where others have more or fewer. Default: false.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub convert_to_iter_based: bool,
        }

        impl $name {
            fn to_span(&self) -> super::Span {
                let Self { begin, end, by_epoch, convert_to_iter_based, .. } = *self;
                super::Span { begin, end, by_epoch, convert_to_iter_based }
            }
        }
    };
}

pub(super) use clock_schedule;
