//! [`Interval`]: a line of the log every few steps, and whether the loader is the bottleneck.
//!
//! Lines go to the log of the run only, because they depend on the clock.

use pipe_learn::StepResult;
use std::time::Duration;

/// Number of steps from one line to the next; the default of MMEngine's `LoggerHook`.
const STEPS_PER_LINE: usize = 10;

/// The share of the time that may be spent waiting for clips before it is worth saying.
const MAX_WAITING: f64 = 0.25;

/// The steps of an epoch, and those since the last line.
#[derive(Debug, Default)]
pub(crate) struct Interval {
    since_line: Sums,
    epoch: Sums,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    num_steps: usize,
    num_clips: usize,
    loss: f64,
    num_correct: f64,
    data_secs: f64,
    compute_secs: f64,
}

impl Interval {
    /// Adds a step, and returns the line that is due after it. `steps_left` are those of the whole training.
    pub(crate) fn add(&mut self, result: StepResult, steps_per_epoch: usize, steps_left: u64) -> Option<String> {
        self.since_line.add(result);
        self.epoch.add(result);
        let (step, is_last) = (result.step + 1, result.step + 1 == steps_per_epoch);
        if self.since_line.num_steps < STEPS_PER_LINE && !is_last {
            return None;
        }
        let sums = std::mem::take(&mut self.since_line);
        let clips = sums.num_clips as f64;
        let secs_per_step = sums.secs() / sums.num_steps as f64;
        let grad_norm = result.grad_norm.map_or_else(|| "-".to_owned(), |norm| format!("{norm:.4}"));
        let left = Duration::from_secs((secs_per_step * steps_left as f64).round() as u64);
        Some(format!(
            "step {step}/{steps_per_epoch}: loss {:.4}, top1 {:.4}, lr {:.3e}, grad_norm {}, {:.1} clips/s, {:.0} % waiting for \
             clips, {left:?} left",
            sums.loss / clips,
            sums.num_correct / clips,
            result.lr,
            grad_norm,
            clips / sums.secs().max(f64::MIN_POSITIVE),
            100.0 * sums.waiting(),
        ))
    }

    /// Returns what to do if the epoch spent much of its time waiting for clips.
    pub(crate) fn verdict(&self) -> Option<String> {
        (self.epoch.waiting() > MAX_WAITING).then(|| {
            format!(
                "{:.0} % of the time was spent waiting for clips: decoding is slower than the network. Give the stage more \
                 `cpus`, or store smaller frames in `frames`",
                100.0 * self.epoch.waiting()
            )
        })
    }
}

impl Sums {
    fn add(&mut self, result: StepResult) {
        self.num_steps += 1;
        self.num_clips += result.num_clips;
        self.loss += result.loss * result.num_clips as f64;
        self.num_correct += result.top1 * result.num_clips as f64;
        self.data_secs += result.data_secs;
        self.compute_secs += result.compute_secs;
    }

    fn secs(&self) -> f64 {
        self.data_secs + self.compute_secs
    }

    /// Returns the share of the time that was spent waiting for clips.
    fn waiting(&self) -> f64 {
        self.data_secs / self.secs().max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize, data_secs: f64) -> StepResult {
        let (loss, top1, lr, grad_norm) = (step as f64, 0.5, 0.01, Some(2.0));
        StepResult { step, num_clips: 4, lr, loss, top1, grad_norm, data_secs, compute_secs: 0.5 }
    }

    #[test]
    fn a_line_is_due_every_ten_steps_and_after_the_last() {
        let mut interval = Interval::default();
        let lines: Vec<String> = (0..12).filter_map(|at| interval.add(step(at, 0.5), 12, 40)).collect();
        assert_eq!(
            lines,
            [
                "step 10/12: loss 4.5000, top1 0.5000, lr 1.000e-2, grad_norm 2.0000, 4.0 clips/s, 50 % waiting for clips, 40s left",
                "step 12/12: loss 10.5000, top1 0.5000, lr 1.000e-2, grad_norm 2.0000, 4.0 clips/s, 50 % waiting for clips, 40s left",
            ]
        );
        assert!(interval.verdict().is_some_and(|verdict| verdict.starts_with("50 % of the time")));
    }

    #[test]
    fn a_loader_that_keeps_up_needs_no_verdict() {
        let mut interval = Interval::default();
        interval.add(step(0, 0.1), 10, 0);
        assert_eq!(interval.verdict(), None);
    }
}
