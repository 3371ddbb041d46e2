//! `RMSprop`, as `torch.optim.RMSprop`.

use super::{Now, Rule};
use pipe_schemas::stages::train::RmsProp;
use tch::{TchError, Tensor};

impl Rule for RmsProp {
    fn buffers(&self) -> Vec<&'static str> {
        let optional = [("grad_avg", self.centered), ("momentum_buffer", self.momentum > 0.0)];
        std::iter::once("square_avg")
            .chain(optional.into_iter().filter(|(_, kept)| *kept).map(|(name, _)| name))
            .collect()
    }

    fn step(&self, now: Now, weight: &mut Tensor, gradient: Tensor, buffers: &mut [Tensor]) -> Result<(), TchError> {
        let gradient = now.penalised(weight, gradient)?;
        let [square, rest @ ..] = buffers else { return Ok(()) };
        let squared = gradient.f_square()?;
        let _ = square.f_lerp_(&squared, 1.0 - self.alpha)?;
        let (mut root, rest) = match rest {
            [mean, rest @ ..] if self.centered => {
                let _ = mean.f_lerp_(&gradient, 1.0 - self.alpha)?;
                (square.f_sub(&mean.f_square()?)?.f_sqrt_()?, rest)
            }
            rest => (square.f_sqrt()?, rest),
        };
        root = root.f_add_scalar_(self.eps)?;
        let direction = gradient.f_divide_out(&gradient, &root)?;
        match rest {
            [buffer] => {
                let _ = buffer.f_mul_scalar_(self.momentum)?.f_add_(&direction)?;
                now.descend(weight, buffer)
            }
            _ => now.descend(weight, &direction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::stages::train::Optimizer;

    #[test]
    fn steps_by_hand() {
        let plain =
            RmsProp { lr: 0.1.into(), alpha: 0.75, eps: 1.0, weight_decay: 0.0, momentum: 0.0, centered: false };
        // Squares: 0.25 * 4 = 1, then 0.75 * 1 + 0.25 * 9 = 3.
        let (first, second) = (2.0 / 2.0, 3.0 / (3.0f64.sqrt() + 1.0));
        check(&Optimizer::RMSprop(plain.clone()), &[2.0, 3.0], &[0.9, 0.9 - 0.1 * second]);
        let momentum = RmsProp { momentum: 0.5, ..plain.clone() };
        check(&Optimizer::RMSprop(momentum), &[2.0, 3.0], &[0.9, 0.9 - 0.1 * (0.5 * first + second)]);
        // Means: 0.5, then 0.75 * 0.5 + 0.25 * 3 = 1.125.
        let (first, second) = (2.0 / (0.75f64.sqrt() + 1.0), 3.0 / ((3.0f64 - 1.125 * 1.125).sqrt() + 1.0));
        let centered = RmsProp { centered: true, ..plain.clone() };
        check(&Optimizer::RMSprop(centered), &[2.0, 3.0], &[1.0 - 0.1 * first, 1.0 - 0.1 * (first + second)]);
        // Gradient: 2 + 0.5 * 1.
        let decayed = RmsProp { weight_decay: 0.5, ..plain };
        check(&Optimizer::RMSprop(decayed), &[2.0], &[1.0 - 0.1 * 2.5 / (1.25 + 1.0)]);
    }
}
