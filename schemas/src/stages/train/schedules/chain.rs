//! [`LrChain`]: computes the learning rate of every step.

use super::{Bounds, Change, Clock, Driver, Rate, Scheduler};
use crate::stages::evaluate::Figures;

/// The learning rates of a training run, epoch after epoch.
///
/// It computes what MMEngine does, in the same order: when a schedule is added to the list it acts for the first time, after each step
/// those act that count steps, after each epoch those that count epochs, and after a validation those that read its metrics.
#[derive(Debug, Clone)]
pub struct LrChain<'a> {
    /// The rate without the factors that `links` have gained since.
    base: f64,
    links: Vec<Link<'a>>,
    /// The rates of `OneCycleLR`.
    bounds: Option<Bounds>,
    epochs_done: u64,
    steps_done: u64,
}

/// A schedule with its share of the rate.
#[derive(Debug, Clone)]
struct Link<'a> {
    scheduler: &'a Scheduler,
    clock: Clock,
    /// The rate before all schedules, as it was when the schedule was added.
    initial: f64,
    /// The factor of the schedule in total.
    factor: f64,
    /// The part of `factor` that `base` contains.
    factor_in_base: f64,
    /// The values of the schedule's metric, oldest first.
    history: Vec<f64>,
}

impl<'a> LrChain<'a> {
    /// Returns a chain before its first epoch. `initial` is the rate before all schedules. `steps_per_epoch` is the number of steps
    /// that an epoch counts for schedules with `convert_to_iter_based`.
    pub fn new(initial: f64, schedulers: &'a [Scheduler], steps_per_epoch: usize) -> Self {
        let links = Vec::with_capacity(schedulers.len());
        let mut chain = Self { base: initial, links, bounds: None, epochs_done: 0, steps_done: 0 };
        for scheduler in schedulers {
            chain.bounds = scheduler.bounds().or(chain.bounds);
            let initial = chain.bounds.map_or(initial, |bounds| bounds.first);
            let clock = scheduler.clock(steps_per_epoch);
            let link = Link { scheduler, clock, initial, factor: 1.0, factor_in_base: 1.0, history: Vec::new() };
            chain.links.push(link);
            chain.act(chain.links.len() - 1);
        }
        chain
    }

    /// Returns the learning rate of each step of the next epoch, which has `num_steps` steps.
    pub fn next_epoch(&mut self, num_steps: usize) -> Vec<f64> {
        let mut rates = Vec::with_capacity(num_steps);
        for _ in 0..num_steps {
            rates.push(self.current());
            self.steps_done += 1;
            self.tick(false);
        }
        self.epochs_done += 1;
        self.tick(true);
        rates
    }

    /// Lets the schedules that monitor a metric react to the validation after the last epoch.
    pub fn validated(&mut self, figures: &Figures) {
        for position in 0..self.links.len() {
            let link = &mut self.links[position];
            let Driver::Metric(schedule) = link.scheduler.driver() else { continue };
            if let (Some(value), Some(_)) = (figures.get(schedule.monitor().metric), link.clock.at(self.epochs_done)) {
                link.history.push(value);
                let change = schedule.change(&self.links[position].history, self.rate(position));
                self.apply(position, change);
            }
        }
    }

    /// Lets the schedules act that count epochs, or those that count steps.
    fn tick(&mut self, epochs: bool) {
        for position in 0..self.links.len() {
            if self.links[position].clock.by_epoch == epochs {
                self.act(position);
            }
        }
    }

    /// Lets a schedule act that has a clock and is active.
    fn act(&mut self, position: usize) {
        let Link { scheduler, clock, .. } = self.links[position];
        let Driver::Clock(schedule) = scheduler.driver() else { return };
        let now = if clock.by_epoch { self.epochs_done } else { self.steps_done };
        if let Some(at) = clock.at(now) {
            self.apply(position, schedule.change(at, &clock, self.rate(position)));
        }
    }

    fn apply(&mut self, position: usize, change: Change) {
        match change {
            Change::Keep => {}
            Change::Factor(factor) => self.links[position].factor = factor,
            Change::Value(value) => {
                self.base = value;
                self.links.iter_mut().for_each(|link| link.factor_in_base = link.factor);
            }
        }
    }

    fn rate(&self, position: usize) -> Rate {
        Rate { initial: self.links[position].initial, current: self.current(), bounds: self.bounds }
    }

    fn current(&self) -> f64 {
        self.base * self.links.iter().map(Link::factor_since_base).product::<f64>()
    }
}

impl Link<'_> {
    fn factor_since_base(&self) -> f64 {
        // A factor of 0 cannot be divided out: what others made of the rate since then stays.
        if self.factor_in_base == 0.0 { 1.0 } else { self.factor / self.factor_in_base }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::*;
    use serde_json::{Value, json};

    const STEPS: usize = 2;

    fn check(schedulers: &[Value], initial: f64, expect: &[[f64; STEPS]]) {
        let schedulers: Vec<Scheduler> = schedulers.iter().map(parse).collect();
        let mut chain = LrChain::new(initial, &schedulers, STEPS);
        for (epoch, expect) in expect.iter().enumerate() {
            let found = chain.next_epoch(STEPS);
            let near = found.iter().zip(expect).all(|(found, expect)| (found - expect).abs() < 1e-12);
            assert!(near, "epoch {epoch}: {found:?}, not {expect:?}");
        }
    }

    fn linear(end: u32, start_factor: f64) -> Value {
        json!({ "type": "LinearLR", "end": end, "start_factor": start_factor })
    }

    fn multi_step(milestones: &[u32]) -> Value {
        json!({ "type": "MultiStepLR", "milestones": milestones })
    }

    #[test]
    fn factors_multiply() {
        check(&[multi_step(&[1]), linear(3, 0.0)], 1.0, &[[0.0; 2], [0.05; 2], [0.1; 2], [0.1; 2]]);
    }

    #[test]
    fn a_clock_may_count_steps() {
        let warmup = json!({ "type": "LinearLR", "begin": 1, "end": 4, "start_factor": 0.5, "by_epoch": false });
        check(&[warmup], 1.0, &[[1.0, 0.5], [0.75, 1.0], [1.0, 1.0]]);
    }

    #[test]
    fn a_clock_of_epochs_may_be_converted_to_steps() {
        let converted = |schedule: Value| {
            let mut schedule = schedule;
            schedule["convert_to_iter_based"] = true.into();
            schedule
        };
        // Two and a half epochs are five steps.
        let warmup = json!({ "type": "LinearLR", "begin": 0.5, "end": 2.5, "start_factor": 0.25 });
        check(&[converted(warmup)], 1.0, &[[1.0, 0.25], [0.5, 0.75], [1.0, 1.0]]);
        check(&[converted(multi_step(&[1]))], 1.0, &[[1.0, 1.0], [0.1, 0.1]]);
        let exponential = json!({ "type": "ExponentialLR", "gamma": 0.5 });
        check(&[converted(exponential)], 1.0, &[[1.0, 0.5], [0.25, 0.125]]);
        let cosine = json!({ "type": "CosineAnnealingLR", "T_max": 2 });
        let c = |t: f64| f64::midpoint(1.0, (std::f64::consts::PI * t / 4.0).cos());
        check(&[converted(cosine)], 1.0, &[[1.0, c(1.0)], [0.5, c(3.0)], [0.0, c(3.0)], [0.5, c(1.0)]]);
    }

    /// The values are those of a chain as MMEngine computes it: with `r` the current rate, `eta_min = 0.2` and `c(t) = 1 + cos(pi
    /// t / 4)`, each epoch gives `(r - eta_min) c(t) / c(t - 1) + eta_min`, and the milestone then a tenth of that.
    #[test]
    fn a_cosine_with_a_minimum_continues_from_the_current_rate() {
        let cosine = json!({ "type": "CosineAnnealingLR", "end": 4, "eta_min_ratio": 0.2 });
        let c = |t: f64| 1.0 + (std::f64::consts::PI * t / 4.0).cos();
        let first = (1.0 - 0.2) * c(1.0) / c(0.0) + 0.2;
        let second = ((first - 0.2) * c(2.0) / c(1.0) + 0.2) * 0.1;
        let third = (second - 0.2) * c(3.0) / c(2.0) + 0.2;
        let rates = [[1.0; 2], [first; 2], [second; 2], [third; 2], [third; 2]];
        check(&[cosine.clone(), multi_step(&[2])], 1.0, &rates);
        let alone = |t: f64| [0.2 + 0.8 * c(t) / 2.0; 2];
        check(&[cosine], 1.0, &[alone(0.0), alone(1.0), alone(2.0), alone(3.0), alone(3.0)]);
    }

    /// `OneCycleLR` replaces the rate before schedules for those that follow.
    #[test]
    fn the_order_of_the_list_matters() {
        let cycle = json!({
            "type": "OneCycleLR", "eta_max": 4, "div_factor": 4, "end": 2, "pct_start": 1.0, "anneal_strategy": "linear",
        });
        let restart = json!({ "type": "CosineRestartLR", "begin": 2, "periods": [1], "eta_min": 0 });
        check(&[cycle.clone(), restart.clone()], 0.5, &[[1.0; 2], [4.0; 2], [1.0; 2]]);
        check(&[restart, cycle], 0.5, &[[1.0; 2], [4.0; 2], [0.5; 2]]);
    }

    #[test]
    fn a_metric_lowers_the_rate_that_the_clocks_have_left() {
        let rates = |plateau: Value| {
            let schedulers = [parse(&multi_step(&[1, 3])), parse(&plateau)];
            let mut chain = LrChain::new(1.0, &schedulers, 1);
            let mut rates = Vec::new();
            for loss in [2.0, 2.0, 1.0, 1.0] {
                rates.extend(chain.next_epoch(1));
                chain.validated(&Figures { values: vec![("loss".into(), loss)], num_videos: 1 });
            }
            rates
        };
        let check = |plateau: Value, expect: [f64; 4]| {
            let rates = rates(plateau);
            assert!(rates.iter().zip(expect).all(|(found, expect)| (found - expect).abs() < 1e-12), "{rates:?}");
        };
        let plateau = |begin: u32, end: u32| json!({ "type": "ReduceOnPlateauLR", "patience": 0, "factor": 0.5, "begin": begin, "end": end });
        check(plateau(0, 9), [1.0, 0.1, 0.05, 0.005]);
        // The first validation counts that comes after `begin` epochs, and the last one before `end`.
        check(plateau(2, 9), [1.0, 0.1, 0.1, 0.01]);
        check(plateau(0, 2), [1.0, 0.1, 0.1, 0.01]);
    }
}
