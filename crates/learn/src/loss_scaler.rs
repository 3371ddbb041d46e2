//! [`LossScaler`]: the factor of the loss in mixed precision, as PyTorch's `GradScaler`.

use pipe_schemas::stages::train::LossScale;
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

const INITIAL_SCALE: f64 = 65536.0;
/// The number of steps in a row with finite gradients after which the factor doubles.
const GROWTH_INTERVAL: i64 = 2000;
/// With a smaller factor than this, gradients that are not finite are not the factor's fault.
const MIN_SCALE: f64 = 1.0 / 65536.0;

/// The names of the state.
const SCALE: &str = "scale";
const FINITE_STEPS: &str = "finite_steps";

/// What follows from the gradients of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The optimiser makes its step.
    Step,
    /// The gradients overflowed. The step is left out, and the next one has a smaller factor.
    LeaveOut,
    /// The gradients are not finite with any factor.
    Diverged,
}

/// The factor of the loss, which keeps small gradients apart from 0 in 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LossScaler {
    scale: f64,
    is_dynamic: bool,
    /// Number of steps with finite gradients since the factor changed.
    finite_steps: i64,
}

impl LossScaler {
    pub(crate) fn new(loss_scale: LossScale) -> Self {
        match loss_scale {
            LossScale::Dynamic => Self { scale: INITIAL_SCALE, is_dynamic: true, finite_steps: 0 },
            LossScale::Fixed(scale) => Self { scale, is_dynamic: false, finite_steps: 0 },
        }
    }

    /// Multiplies a loss by the factor.
    pub(crate) fn scale(&self, loss: &Tensor) -> Result<Tensor, TchError> {
        loss.f_mul_scalar(self.scale)
    }

    /// Divides gradients by the factor. Undefined ones are left out.
    pub(crate) fn unscale(&self, gradients: &mut [Tensor]) -> Result<(), TchError> {
        for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
            let _ = gradient.f_mul_scalar_(1.0 / self.scale)?;
        }
        Ok(())
    }

    /// Changes the factor after a step. `norm` is that of its gradients; it is read only where the factor is dynamic.
    pub(crate) fn update(&mut self, norm: &Tensor) -> Result<Verdict, TchError> {
        if !self.is_dynamic {
            return Ok(Verdict::Step);
        }
        if norm.f_double_value(&[])?.is_finite() {
            self.finite_steps += 1;
            if self.finite_steps == GROWTH_INTERVAL {
                (self.scale, self.finite_steps) = (self.scale * 2.0, 0);
            }
            return Ok(Verdict::Step);
        }
        (self.scale, self.finite_steps) = (self.scale / 2.0, 0);
        Ok(if self.scale < MIN_SCALE { Verdict::Diverged } else { Verdict::LeaveOut })
    }

    /// Returns the state, from which [`Self::restore`] continues.
    pub(crate) fn state(&self) -> BTreeMap<String, Weights> {
        let number = |bits: i64| Weights { shape: Vec::new(), dtype: Dtype::I64, bytes: bits.to_le_bytes().into() };
        // The bits of a float64.
        let scale = number(i64::from_le_bytes(self.scale.to_le_bytes()));
        BTreeMap::from([(SCALE.to_owned(), scale), (FINITE_STEPS.to_owned(), number(self.finite_steps))])
    }

    /// Continues from a state that [`Self::state`] returned. Returns the names of tensors that are missing.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Weights>) -> Vec<String> {
        let bytes = |name: &str| state.get(name).and_then(|tensor| tensor.bytes.first_chunk::<8>().copied());
        let (scale, steps) = (bytes(SCALE), bytes(FINITE_STEPS));
        if let (Some(scale), Some(steps)) = (scale, steps) {
            (self.scale, self.finite_steps) = (f64::from_le_bytes(scale), i64::from_le_bytes(steps));
        }
        let missing = [(SCALE, scale), (FINITE_STEPS, steps)].into_iter().filter(|(_, found)| found.is_none());
        missing.map(|(name, _)| name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(scaler: &mut LossScaler, norm: f64) -> Verdict {
        scaler.update(&Tensor::from(norm)).expect("a verdict")
    }

    #[test]
    fn the_factor_halves_and_doubles() {
        let mut scaler = LossScaler::new(LossScale::Dynamic);
        assert_eq!(update(&mut scaler, f64::INFINITY), Verdict::LeaveOut);
        assert_eq!(scaler.scale.to_bits(), 32768f64.to_bits());
        for _ in 0..GROWTH_INTERVAL {
            assert_eq!(update(&mut scaler, 1.0), Verdict::Step);
        }
        assert_eq!(scaler.scale.to_bits(), 65536f64.to_bits());
        let left_out = (0..99).take_while(|_| update(&mut scaler, f64::NAN) == Verdict::LeaveOut).count();
        assert_eq!(left_out, 32);
        let mut fixed = LossScaler::new(LossScale::Fixed(8.0));
        assert_eq!((update(&mut fixed, f64::NAN), fixed.scale.to_bits()), (Verdict::Step, 8f64.to_bits()));
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        let scaler = LossScaler::new(LossScale::Fixed(8.0));
        let weight = Tensor::from_slice(&[3.0f32]).set_requires_grad(true);
        let loss = scaler.scale(&weight.square().sum(tch::Kind::Float)).expect("a loss");
        let mut gradients = Tensor::run_backward(&[loss], &[&weight], false, false);
        assert_eq!(gradients[0].double_value(&[0]).to_bits(), 48f64.to_bits());
        scaler.unscale(&mut gradients).expect("gradients");
        assert_eq!(gradients[0].double_value(&[0]).to_bits(), 6f64.to_bits());
    }

    #[test]
    fn a_state_is_restored() {
        let mut scaler = LossScaler::new(LossScale::Dynamic);
        update(&mut scaler, f64::INFINITY);
        update(&mut scaler, 1.0);
        let mut state = scaler.state();
        let mut restored = LossScaler::new(LossScale::Dynamic);
        assert_eq!(restored.restore(&state), Vec::<String>::new());
        assert_eq!(restored, scaler);
        state.remove(SCALE);
        assert_eq!(restored.restore(&state), [SCALE]);
    }
}
