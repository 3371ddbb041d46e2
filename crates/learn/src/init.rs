//! The initial values of tensors.

use pipe_clips::Draws;
use pipe_graph::{Init, Param};

/// Returns the initial values of `param`. They depend only on the seed and the name of the tensor, so that adding a layer does not
/// change the other layers.
pub(crate) fn values(param: &Param, seed: u64) -> Vec<f32> {
    if let Some(values) = param.fixed_values() {
        return values;
    }
    let std = match param.init {
        Init::Constant(_) | Init::SinCos => 0.0,
        Init::Normal { std } => std,
        Init::KaimingFanOut => {
            let dims = param.shape.iter().enumerate();
            let fan_out: usize = dims.filter(|(axis, _)| *axis != 1).map(|(_, dim)| *dim).product();
            (2.0 / fan_out as f64).sqrt()
        }
    };
    let mut draws = Draws::new(seed, &["init", &param.name]);
    std::iter::repeat_with(|| normal_pair(&mut draws)).flatten().take(param.len()).map(|x| (x * std) as f32).collect()
}

/// Draws two numbers from the standard normal distribution with the Box-Muller transform.
fn normal_pair(draws: &mut Draws) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - draws.unit()).ln()).sqrt();
    let angle = std::f64::consts::TAU * draws.unit();
    [radius * angle.cos(), radius * angle.sin()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_graph::Role;

    fn param(name: &str, shape: &[usize], init: Init) -> Param {
        Param { name: name.into(), shape: shape.into(), role: Role::Weight, init }
    }

    fn check_std(init: Init, expect: f64) {
        let values = values(&param("w", &[64, 32, 3, 3], init), 1);
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.05 * expect, "mean {mean}");
        assert!((variance.sqrt() / expect - 1.0).abs() < 0.02, "std {} for {expect}", variance.sqrt());
    }

    #[test]
    fn draws_have_the_requested_deviation() {
        check_std(Init::Normal { std: 0.01 }, 0.01);
        check_std(Init::KaimingFanOut, (2.0_f64 / (64.0 * 9.0)).sqrt());
        assert_eq!(values(&param("w", &[3], Init::Constant(1.0)), 1), [1.0; 3]);
    }

    #[test]
    fn draws_depend_only_on_seed_and_name() {
        let normal = Init::Normal { std: 1.0 };
        let first = values(&param("a", &[3], normal), 1);
        assert_eq!(values(&param("a", &[5], normal), 1)[..3], first);
        assert_ne!(values(&param("b", &[3], normal), 1), first);
        assert_ne!(values(&param("a", &[3], normal), 2), first);
    }
}
