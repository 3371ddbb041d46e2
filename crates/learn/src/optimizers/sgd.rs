//! Stochastic gradient descent with momentum, as `torch.optim.SGD`.

use super::{Now, Rule};
use pipe_schemas::stages::train::Sgd;
use tch::Tensor;

impl Rule for Sgd {
    fn buffers(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn step(&self, now: Now, weight: &mut Tensor, gradient: Tensor, buffers: &mut [Tensor]) {
        let decay = self.weight_decay;
        let mut direction = if decay == 0.0 { gradient } else { gradient + &*weight * decay };
        if let [buffer] = buffers {
            if now.step == 1 {
                buffer.copy_(&direction);
            } else {
                let _ = buffer.g_mul_scalar_(self.momentum).g_add_(&direction);
            }
            direction = if self.nesterov { direction + &*buffer * self.momentum } else { buffer.shallow_clone() };
        }
        let _ = weight.g_sub_(&(direction * now.lr));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::stages::train::Optimizer;

    #[test]
    fn steps_by_hand() {
        let sgd =
            |momentum, weight_decay, nesterov| Optimizer::SGD(Sgd { lr: 0.1.into(), momentum, weight_decay, nesterov });
        check(&sgd(0.0, 0.0, false), &[1.0, 2.0], &[0.9, 0.7]);
        // buffer: 1, then 0.9 * 1 + 2 = 2.9
        check(&sgd(0.9, 0.0, false), &[1.0, 2.0], &[0.9, 0.61]);
        // direction: 1 + 0.9 * 1 = 1.9, then 2 + 0.9 * 2.9 = 4.61
        check(&sgd(0.9, 0.0, true), &[1.0, 2.0], &[0.81, 0.349]);
        // gradient: 1 + 0.5 * 1 = 1.5, then 2 + 0.5 * 0.85 = 2.425; buffer: 1.5, then 1.35 + 2.425 = 3.775
        check(&sgd(0.9, 0.5, false), &[1.0, 2.0], &[0.85, 0.4725]);
    }
}
