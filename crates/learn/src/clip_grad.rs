//! [`clip_gradients`]: limits the norm of gradients.

use tch::Tensor;

/// Scales gradients so that the 2-norm of all of them together is at most `max_norm`, as PyTorch's `clip_grad_norm_`. Without
/// `max_norm` they stay as they are. Returns the norm before.
pub(crate) fn clip_gradients(gradients: &mut [Tensor], max_norm: Option<f64>) -> f64 {
    let squares = gradients.iter().map(|gradient| gradient.norm().double_value(&[]).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    let scale = max_norm.map_or(1.0, |max_norm| max_norm / (norm + 1e-6));
    if scale < 1.0 {
        for gradient in gradients {
            let _ = gradient.g_mul_scalar_(scale);
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_of_all_gradients_together_is_limited() {
        let mut gradients = [Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[4.0f32])];
        assert!((clip_gradients(&mut gradients, None) - 5.0).abs() < 1e-9);
        assert!((clip_gradients(&mut gradients, Some(10.0)) - 5.0).abs() < 1e-9);
        assert!((gradients[0].double_value(&[0]) - 3.0).abs() < 1e-9);
        clip_gradients(&mut gradients, Some(1.0));
        assert!((gradients[0].double_value(&[0]) - 0.6).abs() < 1e-6);
        assert!((gradients[1].double_value(&[0]) - 0.8).abs() < 1e-6);
    }
}
