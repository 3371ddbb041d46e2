//! [`metadata()`]: all that one has to know to use the network, inside its file.

use pipe_schemas::tables::ModelCard;
use serde_json::json;
use std::collections::BTreeMap;

/// Returns the metadata of an exported network.
///
/// | key | value |
/// |---|---|
/// | `producer` | `pipe` |
/// | `network` | its name, such as `tsm_resnet18` |
/// | `labels` | JSON: class names by index |
/// | `preprocessing` | JSON: `layout` and `colours` of the input, `mean` and `std` on the scale 0 to 255, `frames`, `height_px`, `width_px`, and `test`, the sampler and transforms that make a clip |
/// | `labelling` | `single_label` or `multi_label`: whether softmax or the logistic function makes probabilities of logits |
/// | `average_clips` | `prob` or `score`: how the views of a video are averaged |
pub fn metadata(card: &ModelCard, network: &str) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let (normalisation, clips) = (&card.model.data_preprocessor, &card.preprocessing);
    let preprocessing = json!({
        "layout": "NCTHW",
        "colours": "RGB",
        "mean": normalisation.mean,
        "std": normalisation.std,
        "frames": clips.test_frames,
        "height_px": clips.height_px,
        "width_px": clips.width_px,
        "test": clips.test,
    });
    let average = serde_json::to_value(card.model.cls_head.average_clips)?;
    let labelling = serde_json::to_value(clips.labelling)?;
    let entries = [
        ("producer", "pipe".to_owned()),
        ("network", network.to_owned()),
        ("labels", serde_json::to_string(&card.classes)?),
        ("preprocessing", preprocessing.to_string()),
        ("labelling", labelling.as_str().unwrap_or_default().to_owned()),
        ("average_clips", average.as_str().unwrap_or_default().to_owned()),
    ];
    Ok(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::{Labelling, Preprocessing};

    #[test]
    fn labels_and_preprocessing_can_be_read_back() {
        let card = ModelCard {
            model: pipe_schemas::networks::ModelParams::default(),
            classes: vec!["Biking".into(), "a \"b\"".into()],
            preprocessing: Preprocessing {
                train_frames: 8,
                test_frames: 8,
                height_px: 112,
                width_px: 96,
                epochs: 1,
                labelling: Labelling::MultiLabel,
                test: pipe_schemas::stages::augment::ClipPipeline::default(),
                num_missing_test: 0,
                num_missing_train: 0,
            },
            graph_digest: String::new(),
            epochs: 1,
        };
        let metadata = metadata(&card, "tsn").expect("metadata");
        let labels: Vec<String> = serde_json::from_str(&metadata["labels"]).expect("JSON");
        assert_eq!(labels, card.classes);
        let preprocessing: serde_json::Value = serde_json::from_str(&metadata["preprocessing"]).expect("JSON");
        assert_eq!(preprocessing["mean"][0], 123.675);
        assert_eq!(preprocessing["width_px"], 96);
        assert_eq!(preprocessing["test"]["sampler"]["type"], "SampleFrames");
        assert_eq!((metadata["average_clips"].as_str(), metadata["labelling"].as_str()), ("prob", "multi_label"));
    }
}
