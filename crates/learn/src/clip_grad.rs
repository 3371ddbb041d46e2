//! [`clip_gradients`]: limits gradients. Nothing is read back from the device.

use crate::foreach;
use pipe_schemas::stages::train::{ClipGrad, ClipType};
use tch::{Kind, TchError, Tensor};

/// Limits gradients as PyTorch's `clip_grad_norm_` and `clip_grad_value_`. Undefined gradients are left out.
///
/// Returns the norm of all gradients together before they are limited, a tensor without axes in float64: the norm that is limited,
/// otherwise the 2-norm.
pub fn clip_gradients(gradients: &mut [Tensor], clip: Option<&ClipGrad>) -> Result<Tensor, TchError> {
    let limits = clip.map(|clip| (clip.clip_type, clip));
    let p = match limits {
        Some((ClipType::Norm, clip)) => clip.norm_type.0,
        Some((ClipType::Value, _)) | None => 2.0,
    };
    let norm = total_norm(gradients, p)?;
    match limits {
        Some((ClipType::Norm, ClipGrad { max_norm: Some(max_norm), .. })) => scale(gradients, &norm, *max_norm)?,
        Some((ClipType::Value, ClipGrad { clip_value: Some(limit), .. })) => {
            for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
                let _ = gradient.f_clamp_(-limit, *limit)?;
            }
        }
        Some(_) | None => {}
    }
    Ok(norm)
}

/// Returns the p-norm of the p-norms.
fn total_norm(gradients: &[Tensor], p: f64) -> Result<Tensor, TchError> {
    let defined: Vec<&Tensor> = gradients.iter().filter(|gradient| gradient.defined()).collect();
    if defined.is_empty() {
        return Tensor::f_zeros([0i64; 0], (Kind::Double, tch::Device::Cpu));
    }
    foreach::norms(&defined, p)?.f_to_kind(Kind::Double)?.f_norm_scalaropt_dim(p, [0i64], false)
}

/// Multiplies all gradients by `max_norm / (norm + 1e-6)` if that is below 1.
fn scale(gradients: &mut [Tensor], norm: &Tensor, max_norm: f64) -> Result<(), TchError> {
    let factor = norm.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(max_norm)?.f_clamp_max(1.0)?;
    let defined: Vec<&mut Tensor> = gradients.iter_mut().filter(|gradient| gradient.defined()).collect();
    match defined.first().map(|gradient| gradient.kind()) {
        Some(kind) => foreach::multiply(&defined, &factor.f_to_kind(kind)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::train::NormType;

    #[track_caller]
    fn check(clip: Option<&ClipGrad>, norm: f64, expect: [f64; 2]) {
        let mut gradients = [Tensor::from_slice(&[3.0f64]), Tensor::new(), Tensor::from_slice(&[-4.0f64])];
        let found = clip_gradients(&mut gradients, clip).expect("a norm").double_value(&[]);
        assert!((found - norm).abs() < 1e-12, "{found}, not {norm}");
        for (gradient, expect) in [&gradients[0], &gradients[2]].into_iter().zip(expect) {
            let found = gradient.double_value(&[0]);
            assert!((found - expect).abs() < 1e-12, "{found}, not {expect}, with {clip:?}");
        }
    }

    #[test]
    fn the_norm_of_all_gradients_together_is_limited() {
        let by_norm = |max_norm: f64, p: f64| ClipGrad { norm_type: NormType(p), ..ClipGrad::max_norm(max_norm) };
        check(None, 5.0, [3.0, -4.0]);
        check(Some(&by_norm(10.0, 2.0)), 5.0, [3.0, -4.0]);
        let scaled = |factor: f64| [3.0 * factor, -4.0 * factor];
        check(Some(&by_norm(1.0, 2.0)), 5.0, scaled(1.0 / (5.0 + 1e-6)));
        check(Some(&by_norm(1.0, 1.0)), 7.0, scaled(1.0 / (7.0 + 1e-6)));
        check(Some(&by_norm(1.0, f64::INFINITY)), 4.0, scaled(1.0 / (4.0 + 1e-6)));
        let cubic = 91f64.cbrt();
        check(Some(&by_norm(1.0, 3.0)), cubic, scaled(1.0 / (cubic + 1e-6)));
    }

    #[test]
    fn values_are_limited() {
        let clip = ClipGrad { clip_type: ClipType::Value, clip_value: Some(3.5), ..ClipGrad::default() };
        check(Some(&clip), 5.0, [3.0, -3.5]);
    }
}
