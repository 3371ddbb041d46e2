//! [`LossScaler`]: the factor of the loss in mixed precision, as PyTorch's `GradScaler`.

use pipe_schemas::stages::train::{Amp, AmpDtype, LossScale};
use pipe_weights::{Dtype, Tensor as Weights};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

const INITIAL_SCALE: f64 = 65536.0;
/// The number of steps in a row with finite gradients after which the factor doubles.
const GROWTH_INTERVAL: i64 = 2000;
/// The number of steps in a row with gradients that are not finite after which they are not the factor's fault. A dynamic factor has fallen
/// from [`INITIAL_SCALE`] to its reciprocal by then.
const MAX_LEFT_OUT: i64 = 32;

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
    /// Whether a step is left out if its gradients are not finite. With a fixed factor only in float16, where values above 65504 overflow.
    leaves_out: bool,
    /// Number of steps with finite gradients since the factor changed; below 0, the number of steps in a row that were left out.
    finite_steps: i64,
}

impl LossScaler {
    pub(crate) fn new(Amp { dtype, loss_scale }: Amp) -> Self {
        let (scale, is_dynamic) = match loss_scale {
            LossScale::Dynamic => (INITIAL_SCALE, true),
            LossScale::Fixed(scale) => (scale, false),
        };
        Self { scale, is_dynamic, leaves_out: is_dynamic || dtype == AmpDtype::Float16, finite_steps: 0 }
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

    /// Decides on a step, and changes a dynamic factor after it. `norm` is that of its gradients; it is read only where a step may be left
    /// out.
    pub(crate) fn update(&mut self, norm: &Tensor) -> Result<Verdict, TchError> {
        if !self.leaves_out {
            return Ok(Verdict::Step);
        }
        if norm.f_double_value(&[])?.is_finite() {
            self.finite_steps = self.finite_steps.max(0) + 1;
            if self.finite_steps == GROWTH_INTERVAL {
                self.finite_steps = 0;
                self.scale *= if self.is_dynamic { 2.0 } else { 1.0 };
            }
            return Ok(Verdict::Step);
        }
        self.finite_steps = self.finite_steps.min(0) - 1;
        self.scale /= if self.is_dynamic { 2.0 } else { 1.0 };
        Ok(if self.finite_steps < -MAX_LEFT_OUT { Verdict::Diverged } else { Verdict::LeaveOut })
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

    fn scaler(dtype: AmpDtype, loss_scale: LossScale) -> LossScaler {
        LossScaler::new(Amp { dtype, loss_scale })
    }

    fn update(scaler: &mut LossScaler, norm: f64) -> Verdict {
        scaler.update(&Tensor::from(norm)).expect("a verdict")
    }

    #[test]
    fn the_factor_halves_and_doubles() {
        let mut scaler = scaler(AmpDtype::Float16, LossScale::Dynamic);
        assert_eq!(update(&mut scaler, f64::INFINITY), Verdict::LeaveOut);
        assert_eq!(scaler.scale.to_bits(), 32768f64.to_bits());
        for _ in 0..GROWTH_INTERVAL {
            assert_eq!(update(&mut scaler, 1.0), Verdict::Step);
        }
        assert_eq!(scaler.scale.to_bits(), 65536f64.to_bits());
        let left_out = (0..99).take_while(|_| update(&mut scaler, f64::NAN) == Verdict::LeaveOut).count();
        assert_eq!(left_out, 32);
    }

    #[test]
    fn a_fixed_factor_leaves_steps_out_in_float16_only() {
        let mut scaler16 = scaler(AmpDtype::Float16, LossScale::Fixed(8.0));
        for _ in 0..3 {
            let left_out = (0..MAX_LEFT_OUT).filter(|_| update(&mut scaler16, f64::NAN) == Verdict::LeaveOut).count();
            assert_eq!((left_out as i64, update(&mut scaler16, 1.0)), (MAX_LEFT_OUT, Verdict::Step));
        }
        let verdicts: Vec<Verdict> = (0..=MAX_LEFT_OUT).map(|_| update(&mut scaler16, f64::INFINITY)).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Diverged));
        assert_eq!(scaler16.scale.to_bits(), 8f64.to_bits());
        let mut brain = scaler(AmpDtype::BFloat16, LossScale::Fixed(1.0));
        assert_eq!((update(&mut brain, f64::NAN), brain.scale.to_bits()), (Verdict::Step, 1f64.to_bits()));
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        let scaler = scaler(AmpDtype::Float16, LossScale::Fixed(8.0));
        let weight = Tensor::from_slice(&[3.0f32]).set_requires_grad(true);
        let loss = scaler.scale(&weight.square().sum(tch::Kind::Float)).expect("a loss");
        let mut gradients = Tensor::run_backward(&[loss], &[&weight], false, false);
        assert_eq!(gradients[0].double_value(&[0]).to_bits(), 48f64.to_bits());
        scaler.unscale(&mut gradients).expect("gradients");
        assert_eq!(gradients[0].double_value(&[0]).to_bits(), 6f64.to_bits());
    }

    #[test]
    fn a_state_is_restored() {
        let new = || scaler(AmpDtype::Float16, LossScale::Dynamic);
        let mut saved = new();
        update(&mut saved, 1.0);
        update(&mut saved, f64::INFINITY);
        let mut state = saved.state();
        let mut restored = new();
        assert_eq!(restored.restore(&state), Vec::<String>::new());
        assert_eq!(restored, saved);
        state.remove(SCALE);
        assert_eq!(restored.restore(&state), [SCALE]);
    }
}
