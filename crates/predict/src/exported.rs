//! [`ExportedModel`]: an exported file whose network and metadata fit each other.

use crate::PredictError;
use pipe_clips::{ClipSize, Takes, samplers};
use pipe_infer::{Dim, InferError, ModelFile};
use pipe_schemas::ExportMetadata;
use pipe_schemas::contract::Params;
use pipe_schemas::stages::augment::ClipPipeline;
use serde_json::Value;
use std::path::Path;

/// Number of float32 in ONNX.
const FLOAT32: u64 = 1;

/// Largest number of values in a clip.
const MAX_CLIP_VALUES: usize = 1 << 28;

/// Largest number in the sampler and the transforms, such as the number of clips.
const MAX_NUMBER: f64 = 65_536.0;

/// Parameters of them with any number: no size and no count depends on it.
const ANY_NUMBER: [&str; 3] = ["seed", "flip_ratio", "flip_label_map"];

/// An exported file whose network and metadata fit each other.
#[derive(Debug, Clone)]
pub struct ExportedModel {
    /// The file.
    pub file: ModelFile,
    /// Its metadata.
    pub metadata: ExportMetadata,
    /// `T`, `H` and `W` of a clip.
    pub clip_size: ClipSize,
}

impl ExportedModel {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`PredictError::Infer`] if it is no model that can be run, [`PredictError::Metadata`] if it was not exported by `pipe`, and
    /// [`PredictError::Invalid`] if metadata and network contradict each other.
    pub fn open(path: &Path) -> Result<Self, PredictError> {
        Self::of(ModelFile::read(path).map_err(InferError::File)?, &path.display().to_string())
    }

    /// Returns what the network takes; `name` stands for it in messages.
    pub fn takes<'a>(&'a self, name: &'a str) -> Takes<'a> {
        let ExportMetadata { labelling, labels, .. } = &self.metadata;
        Takes { name, clip_size: self.clip_size, labelling: *labelling, classes: labels }
    }

    /// Checks a file; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(file: ModelFile, name: &str) -> Result<Self, PredictError> {
        let metadata = ExportMetadata::read(file.metadata())
            .map_err(|source| PredictError::Metadata { model: name.to_owned(), source })?;
        let invalid = |message: String| PredictError::Invalid { model: name.to_owned(), message };
        let clips = &metadata.preprocessing;
        let clip_size = ClipSize {
            frames: clips.frames as usize,
            height: clips.height_px as usize,
            width: clips.width_px as usize,
        };
        check_clips(&metadata, clip_size).map_err(invalid)?;
        check_input(&file, clip_size).map_err(invalid)?;
        check_output(&file, metadata.labels.len()).map_err(invalid)?;
        Ok(Self { file, metadata, clip_size })
    }
}

/// Checks what the metadata say of clips.
fn check_clips(metadata: &ExportMetadata, size: ClipSize) -> Result<(), String> {
    let clips = &metadata.preprocessing;
    let num_values = [size.frames, size.height, size.width].into_iter().try_fold(3_usize, usize::checked_mul);
    if !num_values.is_some_and(|values| (1..=MAX_CLIP_VALUES).contains(&values)) {
        return Err(format!(
            "a clip of {} frames of {}x{} px is too large, or empty",
            size.frames, size.width, size.height
        ));
    }
    let is_normal = |value: &f64| value.is_finite();
    if !clips.mean.iter().all(is_normal) || !clips.std.iter().all(|value| is_normal(value) && *value > 0.0) {
        return Err(format!("the normalisation has the mean {:?} and the deviation {:?}", clips.mean, clips.std));
    }
    if metadata.labels.is_empty() {
        return Err("there are no labels".to_owned());
    }
    check_pipeline(&clips.test)?;
    let frames = samplers::frames_per_clip(&clips.test.sampler);
    if frames != clips.frames {
        return Err(format!("the sampler makes clips of {frames} frames, but the network takes {}", clips.frames));
    }
    check_recipe(metadata)
}

/// Checks that sampler and transforms are the same every time, and that their counts, sizes and rates are numbers to compute with.
fn check_pipeline(test: &ClipPipeline) -> Result<(), String> {
    if let Some(error) = test.check_test().first() {
        return Err(format!("`{}` {}", error.path.join("."), error.message));
    }
    let value = serde_json::to_value(test).map_err(|error| error.to_string())?;
    check_numbers("test", &value)
}

/// Checks that the numbers of the parameters at `path` are above 0, and not absurdly large.
fn check_numbers(path: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) => match number.as_f64().unwrap_or(f64::INFINITY) {
            value if value <= 0.0 => Err(format!("`{path}` is {number}, expected a number above 0")),
            value if value > MAX_NUMBER => Err(format!("`{path}` is {number}, expected at most {MAX_NUMBER}")),
            _ => Ok(()),
        },
        Value::Array(values) => {
            values.iter().enumerate().try_for_each(|(at, value)| check_numbers(&format!("{path}.{at}"), value))
        }
        Value::Object(values) => {
            let mut bounded = values.iter().filter(|(name, _)| !ANY_NUMBER.contains(&name.as_str()));
            bounded.try_for_each(|(name, value)| check_numbers(&format!("{path}.{name}"), value))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn check_recipe(metadata: &ExportMetadata) -> Result<(), String> {
    use pipe_schemas::stages::frames::{FrameCoding, FramesParams};
    let recipe = metadata.stored_frames;
    let params = FramesParams { sample: recipe.sample, resize: recipe.resize, ..FramesParams::default() };
    if let Some(error) = params.check().first() {
        return Err(format!("`stored_frames.{}` {}", error.path.join("."), error.message));
    }
    if let FrameCoding::Jpeg { quality } = recipe.encode
        && !(1..=100).contains(&quality)
    {
        return Err(format!("`stored_frames.encode` has the quality {quality}, expected 1 to 100"));
    }
    Ok(())
}

fn check_input(file: &ModelFile, size: ClipSize) -> Result<(), String> {
    let input = file.input();
    let fixed = |dim: &Dim, size: usize| match dim {
        Dim::Fixed(found) => *found == size as u64,
        Dim::Dynamic(_) => true,
    };
    let sizes = [3, size.frames, size.height, size.width];
    let fits = match input.dims.as_deref() {
        Some([Dim::Dynamic(_) | Dim::Fixed(1), rest @ ..]) if rest.len() == sizes.len() => {
            rest.iter().zip(sizes).all(|(dim, size)| fixed(dim, size))
        }
        _ => false,
    };
    if fits && input.element_type == FLOAT32 {
        return Ok(());
    }
    let [channels, frames, height, width] = sizes;
    let expected = format!("[N, {channels}, {frames}, {height}, {width}] of float32");
    Err(format!("the input `{}` is {}, but clips are {expected}", input.name, input.shape_text()))
}

fn check_output(file: &ModelFile, num_classes: usize) -> Result<(), String> {
    let output = &file.outputs()[0];
    match output.dims.as_deref() {
        None | Some([_, Dim::Dynamic(_)]) => Ok(()),
        Some([_, Dim::Fixed(found)]) if *found == num_classes as u64 => Ok(()),
        Some(_) => {
            Err(format!("the output `{}` is {}, but there are {num_classes} labels", output.name, output.shape_text()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_samplers_and_transforms_cannot_compute_with_are_named() {
        let check = |sampler: Value, transforms: Value, expect: &str| {
            let pipeline = json!({ "sampler": sampler, "transforms": transforms });
            let pipeline: ClipPipeline = serde_json::from_value(pipeline).expect("a pipeline");
            assert_eq!(check_pipeline(&pipeline).err().unwrap_or_default(), expect);
        };
        let frames = |name: &str, value: Value| {
            let mut sampler = json!({ "type": "SampleFrames", "clip_len": 1, "frame_interval": 1, "num_clips": 8 });
            sampler[name] = value;
            sampler
        };
        let zero = |name: &str| format!("`test.sampler.{name}` is 0, expected a number above 0");
        for name in ["clip_len", "frame_interval", "num_clips"] {
            check(frames(name, json!(0)), json!([]), &zero(name));
        }
        let rate = "`test.sampler.target_fps` is -1.0, expected a number above 0";
        check(frames("target_fps", json!(-1.0)), json!([]), rate);
        let most = "`test.sampler.num_clips` is 65537, expected at most 65536";
        check(frames("num_clips", json!(65_537)), json!([]), most);
        let untrimmed =
            json!({ "type": "UntrimmedSampleFrames", "clip_len": 1, "clip_interval": 0, "frame_interval": 1 });
        check(untrimmed, json!([]), &zero("clip_interval"));
        let crop = "`test.transforms.0.crop_size` is 0, expected a number above 0";
        check(frames("num_clips", json!(8)), json!([{ "type": "ThreeCrop", "crop_size": 0 }]), crop);
        let resize = json!([{ "type": "Resize", "scale": { "exact": [64, 0] } }]);
        let side = "`test.transforms.0.scale.exact.1` is 0, expected a number above 0";
        check(frames("num_clips", json!(8)), resize, side);
        // A seed, a probability and a class index may be 0, and a seed may be large.
        let seeded = json!({ "type": "UniformSampleFrames", "clip_len": 8, "seed": u32::MAX });
        let flip = json!([{ "type": "Flip", "flip_ratio": 0.0, "flip_label_map": { "0": 1, "1": 0 } }]);
        check(seeded, flip, "");
    }
}
