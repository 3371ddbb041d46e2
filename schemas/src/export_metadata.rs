//! [`ExportMetadata`]: what a program must know to use an exported network, inside the network's file.

use crate::networks::AverageClips;
use crate::stages::augment::ClipPipeline;
use crate::stages::frames::FrameRecipe;
use crate::tables::{Labelling, ModelCard};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const PRODUCER: (&str, &str) = ("producer", "pipe");
const NETWORK: &str = "network";
const LABELS: &str = "labels";
const PREPROCESSING: &str = "preprocessing";
const LABELLING: &str = "labelling";
const AVERAGE_CLIPS: &str = "average_clips";
const MADE_FROM: &str = "made_from";
const STORED_FRAMES: &str = "stored_frames";

/// What a program must know to use an exported network.
///
/// It is stored as texts by key:
///
/// | key | value |
/// |---|---|
/// | `producer` | `pipe` |
/// | `network` | name of the network, such as `tsm_resnet18` |
/// | `labels` | JSON: class names by index |
/// | `preprocessing` | JSON: [`ClipFormat`] |
/// | `labelling` | `single_label` or `multi_label`: whether softmax or the logistic function turns logits into probabilities |
/// | `average_clips` | `prob` or `score`: how the views of a video are averaged |
/// | `stored_frames` | JSON: [`FrameRecipe`], how a video becomes the images that clips are made of |
/// | `made_from` | JSON: the digests of what the file was made from, by name, such as `model` and `samples`; may be absent |
#[derive(Debug, Clone, PartialEq)]
pub struct ExportMetadata {
    /// Name of the network.
    pub network: String,
    /// Class names, by class index.
    pub labels: Vec<String>,
    /// How a clip is made from a video and given to the network.
    pub preprocessing: ClipFormat,
    /// Whether a video has one label or several.
    pub labelling: Labelling,
    /// How the views of a video are averaged.
    pub average_clips: AverageClips,
    /// How a video becomes the images that clips are made of.
    pub stored_frames: FrameRecipe,
    /// BLAKE3 digests of what the file was made from, by name, such as `model` and `samples`.
    pub made_from: BTreeMap<String, String>,
}

/// How a clip is made from a video and given to the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipFormat {
    /// Order of the input's axes.
    pub layout: Layout,
    /// Order of the channels.
    pub colours: Colours,
    /// Subtracted from each channel, on the scale 0 to 255.
    pub mean: [f64; 3],
    /// Divides each channel afterwards.
    pub std: [f64; 3],
    /// `T`.
    pub frames: u32,
    /// `H`.
    pub height_px: u32,
    /// `W`.
    pub width_px: u32,
    /// The sampler and the transforms that make a clip.
    pub test: ClipPipeline,
}

/// Order of the axes of a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Batch, channels, frames, height, width.
    #[serde(rename = "NCTHW")]
    Ncthw,
}

/// Order of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Colours {
    /// Red, green, blue.
    #[serde(rename = "RGB")]
    Rgb,
}

/// Why the metadata of a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum MetadataError {
    /// The file was not exported by `pipe`, or is damaged.
    #[error("the file's metadata has no key `{key}`; was it exported by `pipe`?")]
    Missing { key: &'static str },
    /// A value is not what this version writes.
    #[error("the value of `{key}` in the file's metadata cannot be read")]
    Invalid { key: &'static str, source: serde_json::Error },
}

impl ExportMetadata {
    /// Returns the metadata of a trained network; `network` is the name of its graph.
    pub fn new(card: &ModelCard, network: &str, stored_frames: FrameRecipe) -> Self {
        let (normalisation, clips) = (&card.model.data_preprocessor, &card.preprocessing);
        Self {
            network: network.to_owned(),
            labels: card.classes.clone(),
            preprocessing: ClipFormat {
                layout: Layout::Ncthw,
                colours: Colours::Rgb,
                mean: normalisation.mean,
                std: normalisation.std,
                frames: clips.test_frames,
                height_px: clips.height_px,
                width_px: clips.width_px,
                test: clips.test.clone(),
            },
            labelling: clips.labelling,
            average_clips: card.model.cls_head.average_clips,
            stored_frames,
            made_from: BTreeMap::from([("graph".to_owned(), card.graph_digest.clone())]),
        }
    }

    /// Returns the metadata as texts by key.
    ///
    /// # Errors
    /// [`MetadataError::Invalid`] if a value has no JSON form.
    pub fn entries(&self) -> Result<BTreeMap<String, String>, MetadataError> {
        let Self { network, labels, preprocessing, labelling, average_clips, stored_frames, made_from } = self;
        let entries = [
            (PRODUCER.0, PRODUCER.1.to_owned()),
            (NETWORK, network.clone()),
            (LABELS, json(LABELS, labels)?),
            (PREPROCESSING, json(PREPROCESSING, preprocessing)?),
            (LABELLING, word(LABELLING, labelling)?),
            (AVERAGE_CLIPS, word(AVERAGE_CLIPS, average_clips)?),
            (STORED_FRAMES, json(STORED_FRAMES, stored_frames)?),
            (MADE_FROM, json(MADE_FROM, made_from)?),
        ];
        Ok(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// Reads what [`Self::entries`] returned. Other keys are ignored.
    ///
    /// # Errors
    /// [`MetadataError`] if a key is missing or its value cannot be read.
    pub fn read(entries: &BTreeMap<String, String>) -> Result<Self, MetadataError> {
        let text = |key| entries.get(key).map(String::as_str).ok_or(MetadataError::Missing { key });
        Ok(Self {
            network: text(NETWORK)?.to_owned(),
            labels: parse(LABELS, text(LABELS)?)?,
            preprocessing: parse(PREPROCESSING, text(PREPROCESSING)?)?,
            labelling: parse_word(LABELLING, text(LABELLING)?)?,
            average_clips: parse_word(AVERAGE_CLIPS, text(AVERAGE_CLIPS)?)?,
            stored_frames: parse(STORED_FRAMES, text(STORED_FRAMES)?)?,
            // Files of earlier versions do not have it.
            made_from: entries.get(MADE_FROM).map_or(Ok(BTreeMap::new()), |text| parse(MADE_FROM, text))?,
        })
    }
}

fn json(key: &'static str, value: &impl Serialize) -> Result<String, MetadataError> {
    serde_json::to_string(value).map_err(|source| MetadataError::Invalid { key, source })
}

fn parse<T: DeserializeOwned>(key: &'static str, text: &str) -> Result<T, MetadataError> {
    serde_json::from_str(text).map_err(|source| MetadataError::Invalid { key, source })
}

/// Returns the name of an enum's variant, without the quotes of JSON.
fn word(key: &'static str, value: &impl Serialize) -> Result<String, MetadataError> {
    Ok(json(key, value)?.trim_matches('"').to_owned())
}

fn parse_word<T: DeserializeOwned>(key: &'static str, text: &str) -> Result<T, MetadataError> {
    serde_json::from_value(text.into()).map_err(|source| MetadataError::Invalid { key, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{ClsHead, ModelParams};
    use crate::stages::frames::FramesParams;
    use crate::tables::Preprocessing;

    fn card() -> ModelCard {
        let cls_head = ClsHead { average_clips: AverageClips::Score, ..ClsHead::default() };
        ModelCard {
            model: ModelParams { cls_head, ..ModelParams::default() },
            classes: vec!["Biking".into(), "a \"b\"".into()],
            preprocessing: Preprocessing {
                train_frames: 8,
                test_frames: 16,
                height_px: 112,
                width_px: 96,
                epochs: 1,
                labelling: Labelling::MultiLabel,
                test: ClipPipeline::default(),
                num_missing_test: 0,
                num_missing_train: 0,
            },
            graph_digest: String::new(),
            epochs: 1,
            pruning: Vec::new(),
        }
    }

    fn metadata() -> ExportMetadata {
        let recipe = FramesParams::default().recipe();
        let mut metadata = ExportMetadata::new(&card(), "tsn", recipe);
        metadata.made_from.insert("model".to_owned(), "ab".to_owned());
        metadata
    }

    #[test]
    fn metadata_is_read_as_it_was_written() {
        let metadata = metadata();
        let entries = metadata.entries().expect("entries");
        assert_eq!(ExportMetadata::read(&entries).expect("read"), metadata);
        assert_eq!(entries["labels"], r#"["Biking","a \"b\""]"#);
        let start = r#"{"layout":"NCTHW","colours":"RGB","mean":[123.675,116.28,103.53],"std":[58.395,57.12,57.375],"frames":16,"height_px":112,"width_px":96,"test":{"sampler":{"type":"SampleFrames","#;
        assert!(entries["preprocessing"].starts_with(start), "{}", entries["preprocessing"]);
        let recipe =
            r#"{"sample":"all","resize":{"short_side_px":256},"square_pixels":false,"encode":{"jpeg":{"quality":90}}}"#;
        assert_eq!(entries["stored_frames"], recipe);
        assert_eq!(entries["made_from"], r#"{"graph":"","model":"ab"}"#);
        let words = ["producer", "network", "labelling", "average_clips"].map(|key| entries[key].as_str());
        assert_eq!(words, ["pipe", "tsn", "multi_label", "score"]);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let entries = metadata().entries().expect("entries");
        let check = |key: &str, value: Option<&str>, expect: &str| {
            let mut changed = entries.clone();
            match value {
                Some(value) => changed.insert(key.into(), value.into()),
                None => changed.remove(key),
            };
            assert_eq!(ExportMetadata::read(&changed).expect_err("an error").to_string(), expect);
        };
        check("labels", None, "the file's metadata has no key `labels`; was it exported by `pipe`?");
        check("labelling", Some("many"), "the value of `labelling` in the file's metadata cannot be read");
        check("preprocessing", Some("{}"), "the value of `preprocessing` in the file's metadata cannot be read");
    }
}
