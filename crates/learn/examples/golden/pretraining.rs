//! The tensors of a network for VideoMAE's pretraining: those of the encoder from the vision transformer, and the rest of the file.

use crate::architectures::Architecture;
use crate::config::{Config, Entry, Tensors, get};
use pipe_models::pretraining_maps;
use pipe_schemas::networks::{Backbone, Project};
use serde_json::json;
use std::error::Error;

/// Returns the encoder with the names of each project.
pub(crate) fn encoders(config: &Config) -> Result<Vec<Architecture>, Box<dyn Error>> {
    let size = |name: &str| get::<f64>(config, name);
    let backbone: Backbone = serde_json::from_value(json!({
        "type": "VisionTransformer",
        "img_size": config["image_size"],
        "patch_size": config["patch_size"],
        "embed_dims": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "mlp_ratio": size("intermediate_size")? / size("hidden_size")?,
        "num_frames": config["num_frames"],
        "tubelet_size": config["tubelet_size"],
        "layer_norm_eps": config["layer_norm_eps"],
    }))?;
    let of = |map| Architecture { backbone: backbone.clone(), map, spelling: 0 };
    Ok(pretraining_maps(&backbone).into_iter().map(of).collect())
}

/// Returns the tensors of a file that the encoder does not have: its last normalisation, and the decoder.
pub(crate) fn without_encoder(config: &Config, project: Project) -> Result<Vec<Entry>, Box<dyn Error>> {
    let size = |name: &str| get::<usize>(config, name);
    let (encoder, width) = (size("hidden_size")?, size("decoder_hidden_size")?);
    let values = size("num_channels")? * size("tubelet_size")? * size("patch_size")?.pow(2);
    let is_huggingface = project == Project::Huggingface;
    let mut tensors = Tensors(vec![("mask_token".to_owned(), vec![1, 1, width])]);
    if !is_huggingface {
        tensors.layer("encoder.norm", &[encoder], true);
    } else if !get::<bool>(config, "use_mean_pooling")? {
        tensors.layer("videomae.layernorm", &[encoder], true);
    }
    tensors.layer("encoder_to_decoder", &[width, encoder], false);
    for index in 0..size("decoder_num_hidden_layers")? {
        let hidden = size("decoder_intermediate_size")?;
        if is_huggingface {
            huggingface_block(&mut tensors, &format!("decoder.decoder_layers.{index}"), width, hidden);
        } else {
            original_block(&mut tensors, &format!("decoder.blocks.{index}"), width, hidden);
        }
    }
    tensors.layer("decoder.norm", &[width], true);
    tensors.layer("decoder.head", &[values, width], true);
    Ok(tensors.0)
}

fn huggingface_block(tensors: &mut Tensors, block: &str, width: usize, hidden: usize) {
    let attention = format!("{block}.attention.attention");
    for name in ["query", "key", "value"] {
        tensors.layer(&format!("{attention}.{name}"), &[width, width], false);
    }
    for name in ["q_bias", "v_bias"] {
        tensors.0.push((format!("{attention}.{name}"), vec![width]));
    }
    let mut layer = |name: &str, shape: &[usize]| tensors.layer(&format!("{block}.{name}"), shape, true);
    layer("attention.output.dense", &[width, width]);
    layer("intermediate.dense", &[hidden, width]);
    layer("output.dense", &[width, hidden]);
    layer("layernorm_before", &[width]);
    layer("layernorm_after", &[width]);
}

fn original_block(tensors: &mut Tensors, block: &str, width: usize, hidden: usize) {
    tensors.layer(&format!("{block}.attn.qkv"), &[3 * width, width], false);
    for name in ["q_bias", "v_bias"] {
        tensors.0.push((format!("{block}.attn.{name}"), vec![width]));
    }
    let mut layer = |name: &str, shape: &[usize]| tensors.layer(&format!("{block}.{name}"), shape, true);
    layer("attn.proj", &[width, width]);
    layer("mlp.fc1", &[hidden, width]);
    layer("mlp.fc2", &[width, hidden]);
    layer("norm1", &[width]);
    layer("norm2", &[width]);
}
