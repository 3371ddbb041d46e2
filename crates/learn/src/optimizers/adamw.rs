//! Adam with decoupled weight decay, as `torch.optim.AdamW`.

use super::{Now, Rule};
use pipe_schemas::stages::train::AdamW;
use tch::Tensor;

/// Added to the root of the second moment; PyTorch's default.
const EPS: f64 = 1e-8;

impl Rule for AdamW {
    fn buffers(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn step(&self, now: Now, weight: &mut Tensor, gradient: Tensor, buffers: &mut [Tensor]) {
        let [first, second] = buffers else { return };
        let [beta1, beta2] = self.betas;
        let [first_correction, second_correction] = self.betas.map(|beta| 1.0 - beta.powf(now.step as f64));
        let _ = weight.g_mul_scalar_(1.0 - now.lr * self.weight_decay);
        let _ = first.g_mul_scalar_(beta1).g_add_(&(&gradient * (1.0 - beta1)));
        let _ = second.g_mul_scalar_(beta2).g_add_(&(&gradient * &gradient * (1.0 - beta2)));
        let root = second.sqrt() / second_correction.sqrt() + EPS;
        let _ = weight.g_sub_(&(&*first / root * (now.lr / first_correction)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use pipe_schemas::stages::train::Optimizer;

    #[test]
    fn steps_by_hand() {
        let adamw = Optimizer::AdamW(AdamW { lr: 0.1.into(), betas: [0.9, 0.999], weight_decay: 0.5 });
        // Step 1: 1 * (1 - 0.05) - 0.1 * 1. Step 2: m = 0.29 / 0.19, v = 0.004999 / 0.001999, 0.85 * 0.95 - 0.1 * m / sqrt(v).
        let second = 0.85 * 0.95 - 0.1 * (0.29 / 0.19) / (0.004_999_f64 / 0.001_999).sqrt();
        check(&adamw, &[1.0, 2.0], &[0.85, second as f32]);
    }
}
