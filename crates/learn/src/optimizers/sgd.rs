//! Stochastic gradient descent with momentum, as `torch.optim.SGD`.

use super::{Now, Rule, Tensors};
use crate::foreach::{self, SgdStep};
use pipe_schemas::stages::train::Sgd;
use tch::TchError;

impl Rule for Sgd {
    fn buffers(&self) -> Vec<&'static str> {
        if self.momentum == 0.0 { vec![] } else { vec!["momentum_buffer"] }
    }

    fn step(&self, now: Now, tensors: Tensors) -> Result<(), TchError> {
        let Tensors { mut weights, mut gradients, mut buffers } = tensors;
        let step = SgdStep {
            lr: now.lr,
            weight_decay: now.weight_decay,
            momentum: self.momentum,
            dampening: self.dampening,
            nesterov: self.nesterov,
            is_first: now.step == 1,
        };
        foreach::sgd(step, &mut weights, &mut gradients, &mut buffers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::stages::train::Optimizer;

    #[test]
    fn steps_by_hand() {
        let plain = Sgd { lr: 0.1.into(), ..Sgd::default() };
        check(&Optimizer::SGD(plain.clone()), &[1.0, 2.0], &[0.9, 0.7]);
        // buffer: 1, then 0.9 * 1 + 2 = 2.9
        let momentum = Sgd { momentum: 0.9, ..plain };
        check(&Optimizer::SGD(momentum.clone()), &[1.0, 2.0], &[0.9, 0.61]);
        // buffer: 1, as the first step is not damped, then 0.9 * 1 + 0.75 * 2 = 2.4
        check(&Optimizer::SGD(Sgd { dampening: 0.25, ..momentum.clone() }), &[1.0, 2.0], &[0.9, 0.66]);
        // direction: 1 + 0.9 * 1 = 1.9, then 2 + 0.9 * 2.9 = 4.61
        check(&Optimizer::SGD(Sgd { nesterov: true, ..momentum.clone() }), &[1.0, 2.0], &[0.81, 0.349]);
        // gradient: 1 + 0.5 * 1 = 1.5, then 2 + 0.5 * 0.85 = 2.425; buffer: 1.5, then 1.35 + 2.425 = 3.775
        check(&Optimizer::SGD(Sgd { weight_decay: 0.5, ..momentum }), &[1.0, 2.0], &[0.85, 0.4725]);
    }
}
