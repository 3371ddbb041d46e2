//! [`LrChain`]: computes the learning rate of every step.

use super::{Change, Clock, Driver, Rate, Scheduler};
use crate::stages::evaluate::Figures;

/// The learning rates of a training run, epoch after epoch.
#[derive(Debug, Clone)]
pub struct LrChain<'a> {
    initial: f64,
    /// The rate without the factors that `links` have gained since.
    base: f64,
    links: Vec<Link<'a>>,
    epochs_done: u32,
    steps_done: u32,
}

/// A schedule with its share of the rate.
#[derive(Debug, Clone)]
struct Link<'a> {
    scheduler: &'a Scheduler,
    /// The factor of the schedule in total.
    factor: f64,
    /// The part of `factor` that `base` contains.
    factor_in_base: f64,
    /// The values of the schedule's metric, oldest first.
    history: Vec<f64>,
}

impl<'a> LrChain<'a> {
    /// Returns a chain before its first epoch. `initial` is the rate before all schedules.
    pub fn new(initial: f64, schedulers: &'a [Scheduler]) -> Self {
        let link = |scheduler| Link { scheduler, factor: 1.0, factor_in_base: 1.0, history: Vec::new() };
        let links = schedulers.iter().map(link).collect();
        let mut chain = Self { initial, base: initial, links, epochs_done: 0, steps_done: 0 };
        chain.tick(|_| true);
        chain
    }

    /// Returns the learning rate of each step of the next epoch, which has `num_steps` steps.
    pub fn next_epoch(&mut self, num_steps: usize) -> Vec<f64> {
        let mut rates = Vec::with_capacity(num_steps);
        for _ in 0..num_steps {
            rates.push(self.current());
            self.steps_done += 1;
            self.tick(|clock| !clock.by_epoch);
        }
        self.epochs_done += 1;
        self.tick(|clock| clock.by_epoch);
        rates
    }

    /// Lets the schedules that monitor a metric react to the validation after the last epoch.
    pub fn validated(&mut self, figures: &Figures) {
        for position in 0..self.links.len() {
            let Driver::Metric(schedule) = self.links[position].scheduler.driver() else { continue };
            let Some(value) = figures.get(schedule.monitor().metric) else { continue };
            self.links[position].history.push(value);
            let change = schedule.change(&self.links[position].history, self.rate());
            self.apply(position, change);
        }
    }

    /// Lets the schedules act that have a clock which is `due` and are active.
    fn tick(&mut self, due: impl Fn(Clock) -> bool) {
        for position in 0..self.links.len() {
            let Driver::Clock(schedule) = self.links[position].scheduler.driver() else { continue };
            let clock = schedule.clock();
            let now = if clock.by_epoch { self.epochs_done } else { self.steps_done };
            let ended = clock.end.is_some_and(|end| now >= end);
            if let Some(at) = now.checked_sub(clock.begin)
                && due(clock)
                && !ended
            {
                self.apply(position, schedule.change(at, self.rate()));
            }
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

    fn rate(&self) -> Rate {
        Rate { initial: self.initial, current: self.current() }
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
    use super::super::{CosineAnnealingLr, LinearLr, MultiStepLr, ReduceOnPlateauLr};
    use super::*;

    const STEPS: usize = 2;

    fn check(schedulers: &[Scheduler], initial: f64, expect: &[[f64; STEPS]]) {
        let mut chain = LrChain::new(initial, schedulers);
        for (epoch, expect) in expect.iter().enumerate() {
            let found = chain.next_epoch(STEPS);
            let near = found.iter().zip(expect).all(|(found, expect)| (found - expect).abs() < 1e-12);
            assert!(near, "epoch {epoch}: {found:?}, not {expect:?}");
        }
    }

    fn linear(begin: u32, end: u32, start_factor: f64) -> Scheduler {
        Scheduler::LinearLR(LinearLr { begin, end, start_factor, by_epoch: true })
    }

    fn multi_step(milestones: &[u32]) -> Scheduler {
        Scheduler::MultiStepLR(MultiStepLr { milestones: milestones.into(), gamma: 0.1, by_epoch: true })
    }

    #[test]
    fn factors_multiply() {
        check(&[multi_step(&[1]), linear(0, 3, 0.0)], 1.0, &[[0.0; 2], [0.05; 2], [0.1; 2], [0.1; 2]]);
    }

    #[test]
    fn a_clock_may_count_steps() {
        let warmup = Scheduler::LinearLR(LinearLr { begin: 1, end: 4, start_factor: 0.5, by_epoch: false });
        check(&[warmup], 1.0, &[[1.0, 0.5], [0.75, 1.0], [1.0, 1.0]]);
    }

    /// The values are those of a chain as MMEngine computes it: with `r` the current rate, `eta_min = 0.2` and `c(t) = 1 + cos(pi
    /// t / 4)`, each epoch gives `(r - eta_min) c(t) / c(t - 1) + eta_min`, and the milestone then a tenth of that.
    #[test]
    fn a_cosine_with_a_minimum_continues_from_the_current_rate() {
        let cosine =
            || Scheduler::CosineAnnealingLR(CosineAnnealingLr { begin: 0, end: 4, eta_min_ratio: 0.2, by_epoch: true });
        let c = |t: f64| 1.0 + (std::f64::consts::PI * t / 4.0).cos();
        let first = (1.0 - 0.2) * c(1.0) / c(0.0) + 0.2;
        let second = ((first - 0.2) * c(2.0) / c(1.0) + 0.2) * 0.1;
        let third = (second - 0.2) * c(3.0) / c(2.0) + 0.2;
        let rates = [[1.0; 2], [first; 2], [second; 2], [third; 2], [third; 2]];
        check(&[cosine(), multi_step(&[2])], 1.0, &rates);
        let alone = |t: f64| [0.2 + 0.8 * c(t) / 2.0; 2];
        check(&[cosine()], 1.0, &[alone(0.0), alone(1.0), alone(2.0), alone(3.0), alone(3.0)]);
    }

    #[test]
    fn a_metric_lowers_the_rate_that_the_clocks_have_left() {
        let plateau = ReduceOnPlateauLr { patience: 0, factor: 0.5, ..ReduceOnPlateauLr::default() };
        let schedulers = [multi_step(&[1, 3]), Scheduler::ReduceOnPlateauLR(plateau)];
        let mut chain = LrChain::new(1.0, &schedulers);
        let mut rates = Vec::new();
        for loss in [2.0, 2.0, 1.0, 1.0] {
            rates.extend(chain.next_epoch(1));
            chain.validated(&Figures { values: vec![("loss".into(), loss)], num_videos: 1 });
        }
        for (found, expect) in rates.iter().zip([1.0, 0.1, 0.05, 0.005]) {
            assert!((found - expect).abs() < 1e-12, "{rates:?}");
        }
    }
}
