//! The network of each architecture that golden files name, and the project whose names its tensors have.

use pipe_models::{NameMap, name_maps};
use pipe_schemas::networks::Backbone;
use serde_json::{Value, json};
use std::error::Error;

/// A network and the names of its tensors in the file.
pub(crate) struct Architecture {
    pub(crate) backbone: Backbone,
    pub(crate) map: NameMap,
    /// Which of several spellings of a tensor's name the case has.
    pub(crate) spelling: usize,
}

/// Returns the architecture of this name.
pub(crate) fn architecture(name: &str) -> Result<Architecture, Box<dyn Error>> {
    let (params, source) = parameters(name).ok_or_else(|| format!("`{name}` is not a known architecture"))?;
    let backbone: Backbone = serde_json::from_value(params)?;
    let mut maps = name_maps(&backbone);
    let position = match source {
        "" => Some(0),
        source => maps.iter().position(|map| map.project.name() == source),
    };
    let map = maps.swap_remove(position.ok_or_else(|| format!("{name} has no names of {source}"))?);
    Ok(Architecture { backbone, map, spelling: 0 })
}

/// Returns the parameters of an architecture and the project of its names; empty for ours.
fn parameters(name: &str) -> Option<(Value, &'static str)> {
    let slowfast = |rate: u32, kernel: u32, form: &str| {
        json!({
            "type": "ResNet3dSlowFast", "resample_rate": rate, "speed_ratio": rate, "fusion_kernel": kernel, "form": form,
        })
    };
    let x3d = json!({"type": "X3D"});
    let rnn = |depth: u32, cell: &str, num_layers: u32, bidirectional: bool| {
        json!({
            "type": "ResNetRNN", "depth": depth, "cell": cell, "num_layers": num_layers, "bidirectional": bidirectional,
        })
    };
    Some(match name {
        "tsn_resnet18" => (json!({"type": "ResNet", "depth": 18}), ""),
        "tsn_resnet34" => (json!({"type": "ResNet", "depth": 34}), ""),
        "tsn_resnet50" => (json!({"type": "ResNet", "depth": 50}), ""),
        "tsn_resnet101" => (json!({"type": "ResNet", "depth": 101}), ""),
        "tsn_inception_v3" => (json!({"type": "InceptionV3"}), ""),
        "mm_tsn_r50" => (json!({"type": "ResNet", "depth": 50}), "mmaction2"),
        "tsm_r18" => (json!({"type": "ResNetTSM", "depth": 18}), "mmaction2"),
        "tsm_r34" => (json!({"type": "ResNetTSM", "depth": 34}), "mmaction2"),
        "tsm_r50" => (json!({"type": "ResNetTSM", "depth": 50}), "mmaction2"),
        "tsm_r101" => (json!({"type": "ResNetTSM", "depth": 101}), "mmaction2"),
        "tsn_mobilenet_v2" => (json!({"type": "MobileNetV2"}), ""),
        "tsm_mobilenet_v2" => (json!({"type": "MobileNetV2TSM"}), "mmaction2"),
        "r3d_18" => (json!({"type": "R3D"}), ""),
        "mc3_18" => (json!({"type": "MC3"}), ""),
        "r2plus1d_18" => (json!({"type": "R2Plus1D"}), ""),
        "mm_r2plus1d_r34" => (json!({"type": "ResNet2Plus1d"}), ""),
        "s3d" => (json!({"type": "S3D"}), ""),
        "c3d" => (json!({"type": "C3D"}), ""),
        "i3d_r50" => (json!({"type": "ResNet3d"}), ""),
        "ptv_i3d_r50" => (json!({"type": "ResNet3d", "conv1_stride_t": 1, "pool1_stride_t": 1}), "pytorchvideo"),
        "sf_i3d_8x8" => (json!({"type": "ResNet3d", "conv1_stride_t": 1, "pool1_stride_t": 1}), "pyslowfast"),
        "slowonly_r50" => (json!({"type": "ResNet3dSlowOnly"}), ""),
        "ptv_slow_r50" => (json!({"type": "ResNet3dSlowOnly"}), "pytorchvideo"),
        "sf_slow_8x8" => (json!({"type": "ResNet3dSlowOnly"}), "pyslowfast"),
        "slowfast_r50_4x16" => (slowfast(8, 5, "mmaction2"), ""),
        "slowfast_r50_8x8" => (slowfast(4, 7, "mmaction2"), ""),
        "ptv_slowfast_r50" => (slowfast(4, 7, "pytorchvideo"), "pytorchvideo"),
        "sf_slowfast_8x8" => (slowfast(4, 7, "pytorchvideo"), "pyslowfast"),
        "x3d_s" => (x3d, ""),
        "ptv_x3d_s" => (x3d, "pytorchvideo"),
        "sf_x3d_s" => (x3d, "pyslowfast"),
        "swin3d_t" => (json!({"type": "SwinTransformer3D"}), ""),
        "swin3d_s" => (json!({"type": "SwinTransformer3D", "depths": [2, 2, 18, 2]}), ""),
        "mm_swin_t" => (json!({"type": "SwinTransformer3D"}), "mmaction2"),
        "mvit_v1_b" => (json!({"type": "MViT", "version": "v1"}), ""),
        "mvit_v2_s" => (json!({"type": "MViT"}), ""),
        "mm_mvit_s" => (json!({"type": "MViT"}), "mmaction2"),
        "sf_mvit_b" => (json!({"type": "MViT", "version": "v1"}), "pyslowfast"),
        "sf_mvitv2_s" => (json!({"type": "MViT"}), "pyslowfast"),
        "cnn_lstm_r18" => (rnn(18, "lstm", 1, false), ""),
        "cnn_gru_r18" => (rnn(18, "gru", 1, false), ""),
        "cnn_lstm_r50_2l_bi" => (rnn(50, "lstm", 2, true), ""),
        _ => return None,
    })
}
