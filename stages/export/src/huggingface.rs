//! The folder that transformers opens: `config.json`, `preprocessor_config.json` and `model.safetensors`.

use crate::ExportError;
use pipe_graph::ClipShape;
use pipe_learn::TrainedModel;
use pipe_models::{HuggingFaceModel, ImageProcessor, export, huggingface_model, name_maps};
use pipe_schemas::networks::Project;
use pipe_schemas::stages::augment::{Scale, Transform};
use pipe_schemas::stages::frames::FrameResize;
use pipe_schemas::tables::{Labelling, ModelCard};
use pipe_stage::{Context, StageError};
use pipe_tables::write_json;
use pipe_weights::write_safetensors;
use serde_json::{Map, Value, json};

/// Whether the folder was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Folder {
    /// It was, for this class of transformers. In what its logits may differ in rounding.
    Written { class: &'static str, notes: Vec<String> },
    /// transformers does not have the family.
    OtherFamily,
    /// transformers has the family, but no network that computes the same, for this reason.
    Refused(String),
}

/// Writes the folder `huggingface/`, if transformers has the network. The frames of the data were stored with the size `stored`.
pub(crate) fn write(context: &Context, model: &TrainedModel, stored: FrameResize) -> Result<Folder, StageError> {
    let card = &model.card;
    let size = model.clip_size();
    let clip = ClipShape { channels: 3, frames: size.frames, height: size.height, width: size.width };
    let described = match huggingface_model(&card.model.backbone, clip) {
        None => return Ok(Folder::OtherFamily),
        Some(Err(refused)) => return Ok(Folder::Refused(refused.reason)),
        Some(Ok(described)) => described,
    };
    if !card.pruning.is_empty() {
        return Ok(Folder::Refused("channels were removed from the network".to_owned()));
    }
    let maps = name_maps(&card.model.backbone);
    let Some(map) = maps.into_iter().find(|map| map.project == Project::Huggingface) else {
        return Ok(Folder::Refused("its names are not known".to_owned()));
    };
    let layout = map.layout(model.network.graph()).map_err(ExportError::Layout)?;
    let exported = export(&map, &layout, &model.network.tensors()).map_err(ExportError::Names)?;
    write_safetensors(&context.output("huggingface/model.safetensors")?, &exported.tensors)?;
    write_json(&context.output("huggingface/config.json")?, &config(&described, card))?;
    let preprocessor = preprocessor(described.processor, card, stored);
    write_json(&context.output("huggingface/preprocessor_config.json")?, &preprocessor)?;
    Ok(Folder::Written { class: described.architecture, notes: described.notes })
}

fn config(described: &HuggingFaceModel, card: &ModelCard) -> Map<String, Value> {
    let mut config = described.config.clone();
    let names = || card.classes.iter().enumerate();
    let by_index: Map<String, Value> = names().map(|(index, name)| (index.to_string(), json!(name))).collect();
    let by_name: Map<String, Value> = names().map(|(index, name)| (name.clone(), json!(index))).collect();
    let problem = match card.preprocessing.labelling {
        Labelling::SingleLabel => "single_label_classification",
        Labelling::MultiLabel => "multi_label_classification",
    };
    config.insert("model_type".to_owned(), json!(described.model_type));
    config.insert("architectures".to_owned(), json!([described.architecture]));
    config.insert("id2label".to_owned(), Value::Object(by_index));
    config.insert("label2id".to_owned(), Value::Object(by_name));
    config.insert("problem_type".to_owned(), json!(problem));
    config.insert("dtype".to_owned(), json!("float32"));
    config
}

/// Returns how pictures are scaled, cropped and normalised. The frames of a clip are chosen by the caller, see `README.md`.
fn preprocessor(processor: ImageProcessor, card: &ModelCard, stored: FrameResize) -> Map<String, Value> {
    let clips = &card.preprocessing;
    let normalisation = &card.model.data_preprocessor;
    let scale = |values: [f64; 3]| values.map(|value| value / 255.0);
    let crop = json!({ "height": clips.height_px, "width": clips.width_px });
    let size = size(&clips.test.transforms, stored);
    let shorter = clips.height_px.min(clips.width_px);
    let (kind, class) = match processor {
        ImageProcessor::Image(class) => ("image_processor_type", class),
        ImageProcessor::Video(class) => ("video_processor_type", class),
    };
    let values = json!({
        kind: class,
        "do_resize": size.is_some(),
        "size": size.unwrap_or_else(|| json!({ "shortest_edge": shorter })),
        "resample": 2,
        "do_center_crop": true,
        "crop_size": crop,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "offset": false,
        "do_normalize": true,
        "image_mean": scale(normalisation.mean),
        "image_std": scale(normalisation.std),
    });
    values.as_object().cloned().unwrap_or_default()
}

/// Returns the size that frames are scaled to before the crop; `None` if they keep theirs. Without a transform that scales, clips are cut
/// from the stored frames as they are.
fn size(test: &[Transform], stored: FrameResize) -> Option<Value> {
    let shortest_edge = |side: u32| json!({ "shortest_edge": side });
    let exact = |width: u32, height: u32| json!({ "height": height, "width": width });
    let of_test = test.iter().rev().find_map(|transform| match transform {
        Transform::Resize(resize) => Some(match resize.scale {
            Scale::ShortSidePx(side) => shortest_edge(side),
            Scale::Exact([width, height]) => exact(width, height),
        }),
        _ => None,
    });
    of_test.or(match stored {
        FrameResize::None => None,
        FrameResize::ShortSidePx(side) => Some(shortest_edge(side)),
        FrameResize::Exact { width_px, height_px } => Some(exact(width_px, height_px)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_without_a_transform_that_scales_are_cut_from_the_stored_frames() {
        let check = |test: &Value, stored: FrameResize, expect: Option<Value>| {
            let test: Vec<Transform> = serde_json::from_value(test.clone()).expect("transforms");
            assert_eq!(size(&test, stored), expect);
        };
        let crop = json!([{ "type": "CenterCrop", "crop_size": 32 }]);
        check(&crop, FrameResize::ShortSidePx(48), Some(json!({ "shortest_edge": 48 })));
        let exact = FrameResize::Exact { width_px: 64, height_px: 40 };
        check(&crop, exact, Some(json!({ "height": 40, "width": 64 })));
        check(&crop, FrameResize::None, None);
        let resize =
            json!([{ "type": "Resize", "scale": { "short_side_px": 36 } }, { "type": "CenterCrop", "crop_size": 32 }]);
        check(&resize, FrameResize::ShortSidePx(48), Some(json!({ "shortest_edge": 36 })));
    }
}
