//! The network of a case with a `config`: an object with the names of Hugging Face's `config.json`, from which alone it is built.

use crate::architectures::Architecture;
use crate::pretraining;
use pipe_graph::ClipShape;
use pipe_models::name_maps;
use pipe_schemas::networks::vjepa2::PositionGrid;
use pipe_schemas::networks::{Backbone, Project};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::error::Error;

/// A `config.json`.
pub(crate) type Config = Map<String, Value>;

/// The name and shape of a tensor in a state dict.
pub(crate) type Entry = (String, Vec<usize>);

/// Returns the networks that a configuration may mean, which differ in the names of their tensors.
pub(crate) fn architectures(config: &Config) -> Result<Vec<Architecture>, Box<dyn Error>> {
    if is_pretraining(config) {
        return pretraining::encoders(config);
    }
    let kind = if config.contains_key("crop_size") { "VJEPA2" } else { "ViViT" };
    let is_param =
        |name: &str| !["num_labels", "in_chans", "num_channels"].contains(&name) && !name.starts_with("pred_");
    let mut params: Config = config.clone();
    params.retain(|name, _| is_param(name));
    params.insert("type".to_owned(), json!(kind));
    let backbone: Backbone = serde_json::from_value(Value::Object(params))?;
    let map = name_maps(&backbone).swap_remove(0);
    Ok(vec![Architecture { backbone, map, spelling: 0 }])
}

/// Returns the clip that a configuration describes.
pub(crate) fn clip(config: &Config) -> Result<ClipShape, Box<dyn Error>> {
    let either = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| config.get(*name));
        found.ok_or_else(|| format!("`config` has neither `{}` nor `{}`", names[0], names[1]))
    };
    let number = |names| Ok::<_, Box<dyn Error>>(serde_json::from_value::<usize>(either(names)?.clone())?);
    let size = either(["crop_size", "image_size"])?;
    let [height, width] = match size.as_array() {
        Some(_) => serde_json::from_value(size.clone())?,
        None => [serde_json::from_value(size.clone())?; 2],
    };
    let channels = number(["in_chans", "num_channels"])?;
    Ok(ClipShape { channels, frames: number(["frames_per_clip", "num_frames"])?, height, width })
}

/// Returns the network that counts positions on the grid of the clip, `None` if it does not count positions.
pub(crate) fn on_the_grid_of_the_clip(backbone: &Backbone) -> Option<Backbone> {
    let Backbone::VJEPA2(net) = backbone else { return None };
    let mut net = net.clone();
    net.position_grid = PositionGrid::Clip;
    Some(net.into())
}

/// Returns whether it is the configuration of a network for pretraining, which has a decoder and no classifier.
pub(crate) fn is_pretraining(config: &Config) -> bool {
    config.contains_key("decoder_hidden_size")
}

/// Returns a value of a configuration.
pub(crate) fn get<T: DeserializeOwned>(config: &Config, name: &str) -> Result<T, Box<dyn Error>> {
    let value = config.get(name).ok_or_else(|| format!("`config` has no `{name}`"))?;
    Ok(serde_json::from_value(value.clone())?)
}

/// Returns the tensors of a file with the names of `project` that a classifier never runs.
pub(crate) fn unused(config: &Config, project: Project) -> Result<Vec<Entry>, Box<dyn Error>> {
    if is_pretraining(config) {
        return pretraining::without_encoder(config, project);
    }
    if config.contains_key("pred_hidden_size") { predictor(config) } else { Ok(Vec::new()) }
}

/// Returns the tensors of the predictor, which files of V-JEPA 2 have.
fn predictor(config: &Config) -> Result<Vec<Entry>, Box<dyn Error>> {
    let size = |name: &str| get::<usize>(config, name);
    let (width, encoder) = (size("pred_hidden_size")?, size("hidden_size")?);
    let hidden = (width as f64 * get::<f64>(config, "pred_mlp_ratio")?) as usize;
    let qkv_bias: bool = get(config, "qkv_bias")?;
    let mut tensors =
        Tensors(vec![("embeddings.mask_tokens".to_owned(), vec![size("pred_num_mask_tokens")?, 1, 1, width])]);
    tensors.layer("embeddings.predictor_embeddings", &[width, encoder], true);
    for index in 0..size("pred_num_hidden_layers")? {
        let mut layer =
            |name: &str, shape: &[usize], bias| tensors.layer(&format!("layer.{index}.{name}"), shape, bias);
        for name in ["query", "key", "value"] {
            layer(&format!("attention.{name}"), &[width, width], qkv_bias);
        }
        layer("attention.proj", &[width, width], true);
        layer("mlp.fc1", &[hidden, width], true);
        layer("mlp.fc2", &[width, hidden], true);
        layer("norm1", &[width], true);
        layer("norm2", &[width], true);
    }
    tensors.layer("layernorm", &[width], true);
    tensors.layer("proj", &[encoder, width], true);
    Ok(tensors.0.into_iter().map(|(name, shape)| (format!("vjepa2.predictor.{name}"), shape)).collect())
}

/// Tensors of a state dict that is written down layer by layer.
pub(crate) struct Tensors(pub(crate) Vec<Entry>);

impl Tensors {
    /// Adds the weight of a layer, and its bias.
    pub(crate) fn layer(&mut self, name: &str, shape: &[usize], bias: bool) {
        self.0.push((format!("{name}.weight"), shape.to_vec()));
        if bias {
            self.0.push((format!("{name}.bias"), shape[..1].to_vec()));
        }
    }
}
