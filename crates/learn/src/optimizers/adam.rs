//! Adam, as `torch.optim.Adam`, and with decoupled weight decay, as `torch.optim.AdamW`.

use super::{Now, Rule, Tensors};
use crate::foreach::{self, AdamStep};
use pipe_schemas::stages::train::{Adam, AdamW};
use tch::TchError;

impl Rule for Adam {
    fn buffers(&self) -> Vec<&'static str> {
        buffers(self.amsgrad)
    }

    fn step(&self, now: Now, tensors: Tensors) -> Result<(), TchError> {
        step(now, self.betas, self.eps, false, tensors)
    }
}

impl Rule for AdamW {
    fn buffers(&self) -> Vec<&'static str> {
        buffers(self.amsgrad)
    }

    fn step(&self, now: Now, tensors: Tensors) -> Result<(), TchError> {
        step(now, self.betas, self.eps, true, tensors)
    }
}

fn buffers(amsgrad: bool) -> Vec<&'static str> {
    let names = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];
    names[..if amsgrad { 3 } else { 2 }].into()
}

fn step(now: Now, betas: [f64; 2], eps: f64, is_decoupled: bool, tensors: Tensors) -> Result<(), TchError> {
    let Tensors { mut weights, mut gradients, mut buffers } = tensors;
    let Now { lr, weight_decay, step } = now;
    let step = AdamStep { step, lr, betas, eps, weight_decay, is_decoupled };
    foreach::adam(step, &mut weights, &mut gradients, &mut buffers)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::stages::train::Optimizer;

    fn adam() -> Adam {
        Adam { lr: 0.1.into(), betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }

    #[test]
    fn the_first_step_has_the_length_of_the_learning_rate() {
        // Both averages are the gradient and its square, without bias: 3 / (sqrt(9) + 1e-8).
        let length = 3.0 / (3.0 + 1e-8);
        check(&Optimizer::Adam(adam()), &[3.0], &[1.0 - 0.1 * length]);
        // With a penalty the gradient is 3 + 0.5 * 1.
        let length = 3.5 / (3.5 + 0.25);
        check(&Optimizer::Adam(Adam { weight_decay: 0.5, eps: 0.25, ..adam() }), &[3.0], &[1.0 - 0.1 * length]);
        // Decoupled decay multiplies the weight by 1 - 0.1 * 0.5.
        let adamw = AdamW { lr: 0.1.into(), betas: [0.9, 0.999], eps: 0.25, weight_decay: 0.5, amsgrad: false };
        check(&Optimizer::AdamW(adamw), &[3.0], &[0.95 - 0.1 * 3.0 / 3.25]);
    }

    #[test]
    fn the_second_step_by_hand() {
        // Averages with betas [0.5, 0.5]: 1 and 4, then (0.5 * 1 + 0.5 * 0) / 0.75 and (0.5 * 2 + 0.5 * 0) / 0.75.
        let adam = Adam { betas: [0.5, 0.5], eps: 0.0, ..adam() };
        let second = (0.5 / 0.75) / (1.0f64 / 0.75).sqrt();
        check(&Optimizer::Adam(adam.clone()), &[2.0, 0.0], &[0.9, 0.9 - 0.1 * second]);
        // The maximum of the second average is that of the first step, 2, divided by the bias of the second.
        let second = (0.5 / 0.75) / (2.0f64 / 0.75).sqrt();
        check(&Optimizer::Adam(Adam { amsgrad: true, ..adam }), &[2.0, 0.0], &[0.9, 0.9 - 0.1 * second]);
    }

    #[test]
    fn a_rate_of_0_changes_nothing() {
        check(&Optimizer::Adam(Adam { lr: 0.0.into(), ..adam() }), &[0.0, 1.0], &[1.0, 1.0]);
    }
}
