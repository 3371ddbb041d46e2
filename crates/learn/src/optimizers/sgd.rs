//! Stochastic gradient descent with momentum, as `torch.optim.SGD`.

use super::{Now, Rule, scalar};
use pipe_schemas::stages::train::Sgd;
use tch::{TchError, Tensor};

impl Rule for Sgd {
    fn buffers(&self) -> Vec<&'static str> {
        if self.momentum == 0.0 { vec![] } else { vec!["momentum_buffer"] }
    }

    fn step(&self, now: Now, weight: &mut Tensor, gradient: Tensor, buffers: &mut [Tensor]) -> Result<(), TchError> {
        let mut gradient = now.penalised(weight, gradient)?;
        let [buffer] = buffers else { return now.descend(weight, &gradient) };
        if now.step == 1 {
            buffer.f_copy_(&gradient)?;
        } else if self.dampening == 0.0 {
            let _ = buffer.f_mul_scalar_(self.momentum)?.f_add_(&gradient)?;
        } else {
            let _ =
                buffer.f_mul_scalar_(self.momentum)?.f_addcmul_(&gradient, &scalar(weight, 1.0 - self.dampening)?)?;
        }
        if self.nesterov {
            gradient = gradient.f_addcmul_(buffer, &scalar(weight, self.momentum)?)?;
            return now.descend(weight, &gradient);
        }
        now.descend(weight, buffer)
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
