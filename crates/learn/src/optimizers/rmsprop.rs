//! `RMSprop`, as `torch.optim.RMSprop`.

use super::{Now, Rule, Tensors};
use pipe_schemas::stages::train::RmsProp;
use tch::{TchError, Tensor};

impl Rule for RmsProp {
    fn buffers(&self) -> Vec<&'static str> {
        let optional = [("grad_avg", self.centered), ("momentum_buffer", self.momentum > 0.0)];
        std::iter::once("square_avg")
            .chain(optional.into_iter().filter(|(_, kept)| *kept).map(|(name, _)| name))
            .collect()
    }

    fn step(&self, now: Now, tensors: Tensors) -> Result<(), TchError> {
        let Tensors { weights, gradients, buffers } = tensors;
        for (position, (mut weight, gradient)) in weights.into_iter().zip(gradients).enumerate() {
            let mut buffers: Vec<Tensor> = buffers.iter().map(|list| list[position].shallow_clone()).collect();
            step(self, now, &mut weight, gradient, &mut buffers)?;
        }
        Ok(())
    }
}

/// Changes `weight` in place. `buffers` are in the order of [`Rule::buffers`]. The values of `gradient` may be overwritten.
fn step(
    params: &RmsProp,
    now: Now,
    weight: &mut Tensor,
    gradient: Tensor,
    buffers: &mut [Tensor],
) -> Result<(), TchError> {
    let gradient = penalised(now.weight_decay, weight, gradient)?;
    let [square, rest @ ..] = buffers else { return Ok(()) };
    let squared = gradient.f_square()?;
    let _ = square.f_lerp_(&squared, 1.0 - params.alpha)?;
    let (mut root, rest) = match rest {
        [mean, rest @ ..] if params.centered => {
            let _ = mean.f_lerp_(&gradient, 1.0 - params.alpha)?;
            (square.f_sub(&mean.f_square()?)?.f_sqrt_()?, rest)
        }
        rest => (square.f_sqrt()?, rest),
    };
    root = root.f_add_scalar_(params.eps)?;
    let direction = gradient.f_divide_out(&gradient, &root)?;
    match rest {
        [buffer] => {
            let _ = buffer.f_mul_scalar_(params.momentum)?.f_add_(&direction)?;
            descend(now.lr, weight, buffer)
        }
        _ => descend(now.lr, weight, &direction),
    }
}

/// Returns the gradient with the L2 penalty. It may reuse the memory of `gradient`.
fn penalised(weight_decay: f64, weight: &Tensor, mut gradient: Tensor) -> Result<Tensor, TchError> {
    if weight_decay == 0.0 {
        return Ok(gradient);
    }
    gradient.f_addcmul_(weight, &scalar(weight, weight_decay)?)
}

/// Subtracts `direction` times the learning rate.
fn descend(lr: f64, weight: &mut Tensor, direction: &Tensor) -> Result<(), TchError> {
    let factor = scalar(weight, -lr)?;
    weight.f_addcmul_(direction, &factor).map(drop)
}

/// Returns a number as a tensor without axes, beside `like` and of its kind.
fn scalar(like: &Tensor, value: f64) -> Result<Tensor, TchError> {
    Tensor::f_full([0i64; 0], value, (like.f_kind()?, like.device()))
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
