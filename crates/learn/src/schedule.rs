//! [`learning_rate`]: how it changes with the epoch.

use pipe_schemas::stages::train::{Optimizer, Scheduler};

/// Returns the learning rate of `epoch`, from 0.
pub fn learning_rate(optimizer: &Optimizer, schedulers: &[Scheduler], epoch: u32) -> f64 {
    optimizer.lr() * lr_factor(schedulers, epoch)
}

/// Returns by what the learning rate is multiplied in `epoch`, from 0: the product of all schedulers' factors, as MMEngine
/// computes them. Before it begins a scheduler does nothing; after its end its last factor stays.
fn lr_factor(schedulers: &[Scheduler], epoch: u32) -> f64 {
    schedulers.iter().map(|scheduler| factor(scheduler, epoch)).product()
}

fn factor(scheduler: &Scheduler, epoch: u32) -> f64 {
    match scheduler {
        Scheduler::MultiStepLR { milestones, gamma } => {
            let passed = milestones.iter().filter(|milestone| **milestone <= epoch).count();
            gamma.powi(i32::try_from(passed).unwrap_or(i32::MAX))
        }
        Scheduler::LinearLR { begin, end, start_factor } => {
            let Some(at) = epoch.checked_sub(*begin) else { return 1.0 };
            // MMEngine reaches 1 in the last epoch, PyTorch one epoch later.
            let last = end.saturating_sub(begin + 1);
            if at >= last { 1.0 } else { start_factor + (1.0 - start_factor) * f64::from(at) / f64::from(last) }
        }
        Scheduler::CosineAnnealingLR { begin, end, eta_min_ratio } => {
            let Some(at) = epoch.checked_sub(*begin) else { return 1.0 };
            let share = f64::from(at.min(end.saturating_sub(begin + 1))) / f64::from(end.saturating_sub(*begin).max(1));
            eta_min_ratio + (1.0 - eta_min_ratio) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedulers: &[Scheduler], lr: f64, expect: &[f64]) {
        for (epoch, expect) in expect.iter().enumerate() {
            let found = lr * lr_factor(schedulers, epoch as u32);
            assert!((found - expect).abs() < 1e-12, "epoch {epoch}: {found}, not {expect}");
        }
    }

    #[test]
    fn linear_warmup_of_mmengine() {
        let warmup = Scheduler::LinearLR { begin: 0, end: 5, start_factor: 0.1 };
        check(&[warmup], 0.02, &[0.002, 0.0065, 0.011, 0.0155, 0.02, 0.02]);
        check(&[Scheduler::LinearLR { begin: 1, end: 4, start_factor: 0.5 }], 1.0, &[1.0, 0.5, 0.75, 1.0]);
        check(&[Scheduler::LinearLR { begin: 0, end: 1, start_factor: 0.5 }], 1.0, &[1.0, 1.0]);
    }

    #[test]
    fn steps_apply_from_their_epoch_on() {
        let steps = Scheduler::MultiStepLR { milestones: vec![2, 3], gamma: 0.1 };
        check(&[steps], 1.0, &[1.0, 1.0, 0.1, 0.01, 0.01]);
    }

    #[test]
    fn cosine_halves_in_the_middle_and_stays_at_its_end() {
        let cosine = Scheduler::CosineAnnealingLR { begin: 0, end: 4, eta_min_ratio: 0.0 };
        let near_end = (1.0 - std::f64::consts::FRAC_1_SQRT_2) / 2.0;
        check(&[cosine], 1.0, &[1.0, 1.0 - near_end, 0.5, near_end, near_end]);
    }

    #[test]
    fn factors_multiply() {
        let steps = Scheduler::MultiStepLR { milestones: vec![1], gamma: 0.1 };
        let warmup = Scheduler::LinearLR { begin: 0, end: 3, start_factor: 0.0 };
        check(&[steps, warmup], 1.0, &[0.0, 0.05, 0.1]);
    }
}
