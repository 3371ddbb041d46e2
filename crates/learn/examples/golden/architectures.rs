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

/// Returns the architectures that the name of a case may mean, for clips `[N, C, T, H, W]`. There are several if the tables of positions
/// may be made for the clips, or for another size and resized; the names and shapes of the case show which one is meant.
pub(crate) fn architectures(name: &str, input: [usize; 5]) -> Result<Vec<Architecture>, Box<dyn Error>> {
    if let Some(WithPositions { params, source, spelling }) = with_positions(name, input) {
        return params.into_iter().map(|params| architecture(name, params, source, spelling)).collect();
    }
    let (params, source) = parameters(name).ok_or_else(|| format!("`{name}` is not a known architecture"))?;
    Ok(vec![architecture(name, params, source, 0)?])
}

fn architecture(name: &str, params: Value, source: &str, spelling: usize) -> Result<Architecture, Box<dyn Error>> {
    let backbone: Backbone = serde_json::from_value(params)?;
    let mut maps = name_maps(&backbone);
    let position = match source {
        "" => Some(0),
        source => maps.iter().position(|map| map.project.name() == source),
    };
    let map = maps.swap_remove(position.ok_or_else(|| format!("{name} has no names of {source}"))?);
    Ok(Architecture { backbone, map, spelling })
}

/// A network with tables of positions.
struct WithPositions {
    /// One entry for each size that the tables may have.
    params: Vec<Value>,
    /// The project of the names; empty for ours.
    source: &'static str,
    /// Which of several spellings of a tensor's name the project has.
    spelling: usize,
}

fn with_positions(name: &str, [.., frames, height, width]: [usize; 5]) -> Option<WithPositions> {
    // The original and Hugging Face have tables for the size of the clips; MMAction2 resizes those of another size.
    let vit = |frames: usize, img_size: Value, [embed_dims, num_heads]: [usize; 2], eps: [f64; 2]| {
        json!({
            "type": "VisionTransformer", "num_frames": frames, "img_size": img_size, "embed_dims": embed_dims,
            "num_heads": num_heads, "layer_norm_eps": eps[0], "fc_norm_eps": eps[1],
        })
    };
    let (small, base, eps) = ([384, 6], [768, 12], [1e-6, 1e-6]);
    let resized =
        |made, side, size| vec![vit(made, json!(side), size, eps), vit(frames, json!([height, width]), size, eps)];
    let fixed = |size, eps| vec![vit(frames, json!([height, width]), size, eps)];
    let huggingface = |size| fixed(size, [1e-12, 1e-5]);
    let timesformer = || {
        let params = |frames, img_size| json!({"type": "TimeSformer", "num_frames": frames, "img_size": img_size});
        vec![params(8, json!(224)), params(frames, json!([height, width]))]
    };
    let mvit = |version: &str| {
        let params = |frames, size: [usize; 2]| json!({"type": "MViT", "version": version, "temporal_size": frames, "spatial_size": size});
        vec![params(16, [224, 224]), params(frames, [height, width])]
    };
    let (params, source, spelling) = match name {
        "mvit_v1_b" => (mvit("v1"), "", 0),
        "mvit_v2_s" => (mvit("v2"), "", 0),
        "mm_mvit_s" => (mvit("v2"), "mmaction2", 0),
        "sf_mvit_b" => (mvit("v1"), "pyslowfast", 0),
        "sf_mvitv2_s" => (mvit("v2"), "pyslowfast", 0),
        "videomae_s" => (resized(16, 224, small), "", 0),
        "videomae_b" => (resized(16, 224, base), "", 0),
        "videomae_b_8f160" => (resized(8, 160, base), "", 0),
        "orig_videomae_s" => (fixed(small, eps), "original", 0),
        "orig_videomae_b" => (fixed(base, eps), "original", 0),
        "hf_videomae_s" => (huggingface(small), "huggingface", 1),
        "hf_videomae_b" => (huggingface(base), "huggingface", 1),
        "hf4_videomae_b" => (huggingface(base), "huggingface", 0),
        "timesformer_divst" => (timesformer(), "mmaction2", 0),
        "orig_timesformer" => (timesformer(), "original", 0),
        "hf_timesformer" => (timesformer(), "huggingface", 0),
        _ => return None,
    };
    Some(WithPositions { params, source, spelling })
}

/// Returns the parameters of an architecture and the project of its names; empty for ours.
fn parameters(name: &str) -> Option<(Value, &'static str)> {
    let csn = |depth: u32, bottleneck_mode: &str, norm_eps: f64| json!({"type": "ResNet3dCSN", "depth": depth, "bottleneck_mode": bottleneck_mode, "norm_eps": norm_eps});
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
        "ircsn_r50" => (csn(50, "ir", 1e-3), ""),
        "ircsn_r101" => (csn(101, "ir", 1e-3), ""),
        "ircsn_r152" => (csn(152, "ir", 1e-3), ""),
        "ipcsn_r50" => (csn(50, "ip", 1e-3), ""),
        "ipcsn_r101" => (csn(101, "ip", 1e-3), ""),
        "ipcsn_r152" => (csn(152, "ip", 1e-3), ""),
        "ptv_csn_r50" => (csn(50, "ir", 1e-5), "pytorchvideo"),
        "ptv_csn_r101" => (csn(101, "ir", 1e-5), "pytorchvideo"),
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
        "cnn_lstm_r18" => (rnn(18, "lstm", 1, false), ""),
        "cnn_gru_r18" => (rnn(18, "gru", 1, false), ""),
        "cnn_lstm_r50_2l_bi" => (rnn(50, "lstm", 2, true), ""),
        _ => return None,
    })
}
