//! The network of a case with a `config`: an object with the names of Hugging Face's `config.json`, from which alone it is built.

use crate::architectures::Architecture;
use pipe_graph::ClipShape;
use pipe_models::name_maps;
use pipe_schemas::networks::Backbone;
use pipe_schemas::networks::vjepa2::PositionGrid;
use serde_json::{Map, Value, json};
use std::error::Error;

/// A `config.json`.
pub(crate) type Config = Map<String, Value>;

/// The name and shape of a tensor in a state dict.
pub(crate) type Entry = (String, Vec<usize>);

/// Returns the network of a configuration.
pub(crate) fn architecture(config: &Config) -> Result<Architecture, Box<dyn Error>> {
    let kind = if config.contains_key("crop_size") {
        "VJEPA2"
    } else if config.contains_key("decoder_hidden_size") {
        return Err("networks for pre-training are not built yet".into());
    } else {
        "ViViT"
    };
    let is_param =
        |name: &str| !["num_labels", "in_chans", "num_channels"].contains(&name) && !name.starts_with("pred_");
    let mut params: Config = config.clone();
    params.retain(|name, _| is_param(name));
    params.insert("type".to_owned(), json!(kind));
    let backbone: Backbone = serde_json::from_value(Value::Object(params))?;
    let map = name_maps(&backbone).swap_remove(0);
    Ok(Architecture { backbone, map, spelling: 0 })
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

/// Returns the tensors of the predictor, which files of V-JEPA 2 have and a classifier never runs.
pub(crate) fn predictor(config: &Config) -> Result<Vec<Entry>, Box<dyn Error>> {
    if !config.contains_key("pred_hidden_size") {
        return Ok(Vec::new());
    }
    let get = |name: &str| config.get(name).ok_or_else(|| format!("`config` has no `{name}`"));
    let size = |name: &str| Ok::<usize, Box<dyn Error>>(serde_json::from_value(get(name)?.clone())?);
    let (width, encoder) = (size("pred_hidden_size")?, size("hidden_size")?);
    let hidden = (width as f64 * serde_json::from_value::<f64>(get("pred_mlp_ratio")?.clone())?) as usize;
    let qkv_bias: bool = serde_json::from_value(get("qkv_bias")?.clone())?;
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

struct Tensors(Vec<Entry>);

impl Tensors {
    /// Adds the weight of a layer, and its bias.
    fn layer(&mut self, name: &str, shape: &[usize], bias: bool) {
        self.0.push((format!("{name}.weight"), shape.to_vec()));
        if bias {
            self.0.push((format!("{name}.bias"), shape[..1].to_vec()));
        }
    }
}
