//! [`class_activation_map`]: the channels of a layer, weighted by the gradient of a class, as one map.

use tch::{Kind, TchError, Tensor};

/// How the channels of a layer are weighted. The map is the sum of the weighted channels, without its negative values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CamMethod {
    /// Grad-CAM (Selvaraju et al. 2017): one weight per channel, the mean of its gradient over frames, rows and columns. It is that of
    /// pytorch-grad-cam.
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al. 2018): one weight per channel, a weighted sum of its positive gradients. It is that of
    /// pytorch-grad-cam.
    GradCamPlusPlus,
    /// Grad-CAM of MMAction2: one weight per channel and frame, the mean of the gradient over rows and columns.
    GradCamMmaction2,
}

/// A class activation map.
#[derive(Debug)]
pub struct ClassActivationMap {
    /// The weights of channels, `[C, T]`; `[C, 1]` if all frames have the same.
    pub weights: Tensor,
    /// The map, `[T, H, W]`; no value is negative.
    pub map: Tensor,
}

/// Added to the denominator of Grad-CAM++, as pytorch-grad-cam does.
const EPSILON: f64 = 1e-6;

/// Added to the range of a map, as MMAction2 does: a map of equal values becomes zeros.
const DELTA: f64 = 1e-20;

/// Returns the map of a layer. With `per_frame`, each frame is a picture of its own, as in 2-D networks: its weights come from its own
/// values.
///
/// # Shapes
/// - `activation`: `[C, T, H, W]`, the result of the layer
/// - `gradient`: the same, the derivative of the logit of a class
pub fn class_activation_map(
    method: CamMethod,
    activation: &Tensor,
    gradient: &Tensor,
    per_frame: bool,
) -> Result<ClassActivationMap, TchError> {
    let axes: &[i64] = if per_frame || method == CamMethod::GradCamMmaction2 { &[2, 3] } else { &[1, 2, 3] };
    let weights = match method {
        CamMethod::GradCam | CamMethod::GradCamMmaction2 => gradient.f_mean_dim(axes, true, None::<Kind>)?,
        CamMethod::GradCamPlusPlus => plus_plus_weights(activation, gradient, axes)?,
    };
    let sum = weights.f_mul(activation)?.f_sum_dim_intlist([0].as_slice(), false, None::<Kind>)?;
    let weights = weights.f_flatten(1, 3)?;
    Ok(ClassActivationMap { weights, map: sum.f_relu()? })
}

/// Equation 19 of the paper. The second and third derivatives are powers of the first, because the class score is an exponential.
fn plus_plus_weights(activation: &Tensor, gradient: &Tensor, axes: &[i64]) -> Result<Tensor, TchError> {
    let squares = gradient.f_square()?;
    let cubes = squares.f_mul(gradient)?;
    let sums = activation.f_sum_dim_intlist(axes, true, None::<Kind>)?;
    let denominator = (squares.f_mul_scalar(2.0)?).f_add(&sums.f_mul(&cubes)?)?.f_add_scalar(EPSILON)?;
    let shares = squares.f_div(&denominator)?;
    gradient.f_relu()?.f_mul(&shares)?.f_sum_dim_intlist(axes, true, None::<Kind>)
}

/// Returns a map at another size, by trilinear interpolation between the centres of its cells.
///
/// # Shapes
/// - `map`: `[T, H, W]`
/// - `size`: the new `[T, H, W]`
pub fn upscale(map: &Tensor, size: [i64; 3]) -> Result<Tensor, TchError> {
    let (align_corners, scale) = (false, None::<f64>);
    map.f_unsqueeze(0)?
        .f_unsqueeze(0)?
        .f_upsample_trilinear3d(size, align_corners, scale, scale, scale)?
        .f_reshape(size)
}

/// Returns a map with values from 0 to 1: the smallest becomes 0, the largest 1. A map of equal values becomes zeros.
pub fn min_max(map: &Tensor) -> Result<Tensor, TchError> {
    let lowest = map.f_min()?;
    let range = map.f_max()?.f_sub(&lowest)?;
    map.f_sub(&lowest)?.f_div(&range.f_add_scalar(DELTA)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).contiguous().view(-1)).expect("values")
    }

    fn check(method: CamMethod, per_frame: bool, weights: &[f64], map: &[f64]) {
        // Two channels of two frames of 1 x 2 cells.
        let activation = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 2.0, 1.0]).view([2, 2, 1, 2]);
        let gradient = Tensor::from_slice(&[1.0, 0.0, 0.0, 1.0, -2.0, 0.0, -1.0, -1.0]).view([2, 2, 1, 2]);
        let found = class_activation_map(method, &activation, &gradient, per_frame).expect("a map");
        let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&values(&found.weights), weights), "{:?}", values(&found.weights));
        assert!(near(&values(&found.map), map), "{:?}", values(&found.map));
    }

    #[test]
    fn weights_are_means_of_the_gradient_over_the_clip_or_over_each_frame() {
        check(CamMethod::GradCam, false, &[0.5, -1.0], &[0.0, 1.0, 0.0, 1.0]);
        check(CamMethod::GradCamMmaction2, false, &[0.5, 0.5, -1.0, -1.0], &[0.0, 1.0, 0.0, 1.0]);
        check(CamMethod::GradCam, true, &[0.5, 0.5, -1.0, -1.0], &[0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn grad_cam_plus_plus_counts_positive_gradients_by_their_share() {
        // Sums of the first channel: 10 over the clip, 3 and 7 over the frames; a gradient of 1 has the share 1 / (2 + sum).
        check(CamMethod::GradCamPlusPlus, false, &[2.0 / 12.0, 0.0], &[1.0 / 6.0, 2.0 / 6.0, 0.5, 4.0 / 6.0]);
        check(CamMethod::GradCamPlusPlus, true, &[0.2, 1.0 / 9.0, 0.0, 0.0], &[0.2, 0.4, 3.0 / 9.0, 4.0 / 9.0]);
    }

    #[test]
    fn a_map_is_interpolated_and_scaled() {
        let map = Tensor::from_slice(&[0.0, 4.0]).view([1, 1, 2]);
        let larger = upscale(&map, [2, 1, 4]).expect("a map");
        assert_eq!(values(&larger), [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
        assert_eq!(values(&min_max(&larger).expect("a map"))[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(values(&min_max(&Tensor::from_slice(&[3.0, 3.0])).expect("a map")), [0.0, 0.0]);
    }
}
