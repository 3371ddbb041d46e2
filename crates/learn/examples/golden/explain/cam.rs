//! Compares class activation maps: Grad-CAM, Grad-CAM++ and the variant of MMAction2.

use super::figures::Compared;
use super::network::{Frames, network};
use super::{Case, setting};
use crate::formula;
use pipe_learn::{CamMethod, FeatureMap, feature_map, min_max, upscale};
use std::error::Error;
use tch::{Kind, Tensor};

const SETTINGS: [&str; 5] = ["network", "gain", "input", "target_class", "layer"];

/// The start of the name of a figure, before the number of a frame.
const NORMALISED_FRAME: &str = "mmaction2_upsampled_normalised_frame";

pub(super) fn measure(case: &Case, frames: Frames) -> Result<Compared, Box<dyn Error>> {
    let input: [usize; 5] = setting(case, "input")?;
    if input[0] != 1 {
        return Err(format!("`input` has {} clips, expected 1", input[0]).into());
    }
    let network = network(&setting::<String>(case, "network")?, frames, input, setting(case, "gain")?)?;
    let class: usize = setting(case, "target_class")?;
    if class >= network.num_classes() {
        return Err(format!("`target_class` is {class}, but there are {} classes", network.num_classes()).into());
    }
    let clip = Tensor::from_slice(&formula::clip(input)).view(input.map(|size| size as i64)).to_kind(Kind::Double);
    let layer: String = setting(case, "layer")?;
    let maps = feature_map(&network.to_kind(Kind::Double), &layer, &clip, class)?;
    let size = [input[2], input[3], input[4]].map(|size| size as i64);
    Compared::figures(case, &SETTINGS, |name| figure(name, &maps, frames, size))
}

/// Computes a figure; `None` if the name is not known.
fn figure(name: &str, maps: &FeatureMap, frames: Frames, size: [i64; 3]) -> Result<Option<Tensor>, Box<dyn Error>> {
    let cam = |method| maps.class_activation_map(method);
    let upsampled = || Ok::<_, Box<dyn Error>>(min_max(&upscale(&cam(CamMethod::GradCamMmaction2)?.map, size)?)?);
    if let Some(frame) = name.strip_prefix(NORMALISED_FRAME) {
        let frame = frame.parse().ok().filter(|frame| (0..size[0]).contains(frame));
        let frame = frame.ok_or_else(|| format!("`{name}`: the clip has {} frames", size[0]))?;
        return Ok(Some(upsampled()?.f_select(0, frame)?));
    }
    Ok(Some(match (frames, name) {
        (_, "logits") => maps.logits.shallow_clone(),
        (Frames::Together, "alpha") => cam(CamMethod::GradCam)?.weights.f_squeeze_dim(1)?,
        (Frames::Together, "grad_cam") | (Frames::Single, "grad_cam_per_frame") => cam(CamMethod::GradCam)?.map,
        (Frames::Together, "grad_cam_plus_plus") | (Frames::Single, "grad_cam_plus_plus_per_frame") => {
            cam(CamMethod::GradCamPlusPlus)?.map
        }
        (Frames::Single, "alpha_per_frame") => cam(CamMethod::GradCam)?.weights.f_transpose(0, 1)?,
        (_, "mmaction2_alpha_per_frame") => cam(CamMethod::GradCamMmaction2)?.weights,
        (_, "mmaction2_map") => cam(CamMethod::GradCamMmaction2)?.map,
        (_, "mmaction2_upsampled_sum_per_frame") => {
            upsampled()?.f_sum_dim_intlist([1, 2].as_slice(), false, None::<Kind>)?
        }
        _ => return Ok(None),
    }))
}
