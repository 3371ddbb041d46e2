//! A small network with a known answer, and a video for it.

use pipe_graph::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams, segment_mean::SegmentMean};
use pipe_graph::{Builder, ClipShape, Init, onnx};
use pipe_infer::{InferenceEngine, Libraries, ModelFile, SessionOptions, load};
use pipe_predict::{Classifier, ExportedModel};
use pipe_schemas::ExportMetadata;
use pipe_schemas::networks::AverageClips;
use pipe_schemas::stages::augment::{ClipPipeline, Resize, Sampler, Scale};
use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling, FramesParams};
use pipe_schemas::tables::Labelling;
use pipe_schemas::{ClipFormat, Colours, Layout};
use pipe_stage::Context;
use pipe_video::{Encoder, EncoderParams};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) const FPS: u32 = 10;

/// Returns a network whose logits are means of the colours of a clip of 3 frames of 16x12 px.
pub(crate) fn classifier(sampler: Sampler, sample: FrameSampling) -> Option<Classifier> {
    classifier_with(1.0, sampler, sample)
}

/// Returns a network whose logits are such means, multiplied by a weight.
pub(crate) fn classifier_with(weight: f32, sampler: Sampler, sample: FrameSampling) -> Option<Classifier> {
    let library = pipe_testkit::onnx_runtime()?;
    let shape = ClipShape { channels: 3, frames: 3, height: 12, width: 16 };
    let mut g = Builder::new("means", shape).expect("a clip");
    let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
    let x =
        if g.shape(x).expect("a node").per_sample == 1 { x } else { g.node("mean", x, SegmentMean).expect("frames") };
    let fc = LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true };
    let fc = g.node("fc", x, fc).expect("features");
    let graph = g.finish(fc, fc).expect("logits");
    // Dark clips are of the first class, bright ones of the second.
    let values =
        |name: &str| if name.ends_with("weight") { [[-weight; 3], [weight; 3]].concat() } else { vec![0.0; 2] };
    let metadata = ExportMetadata {
        network: "means".into(),
        labels: vec!["dark".into(), "bright".into()],
        preprocessing: ClipFormat {
            layout: Layout::Ncthw,
            colours: Colours::Rgb,
            mean: [128.0; 3],
            std: [40.0; 3],
            frames: 3,
            height_px: 12,
            width_px: 16,
            test: ClipPipeline { sampler, transforms: vec![Resize { scale: Scale::Exact([16, 12]) }.into()] },
        },
        labelling: Labelling::SingleLabel,
        average_clips: AverageClips::Prob,
        stored_frames: FramesParams {
            sample,
            resize: FrameResize::None,
            encode: FrameCoding::Jpeg { quality: 80 },
            ..FramesParams::default()
        }
        .recipe(),
        made_from: BTreeMap::new(),
    };
    let bytes = onnx::write(&graph, |param| Some(values(&param.name)), &metadata.entries().expect("entries"));
    let file = ModelFile::from_bytes(bytes.expect("written")).expect("a model");
    let model = ExportedModel::of(file, "the model").expect("an exported model");
    let libraries = Libraries { onnx_runtime: library.clone(), openvino: library };
    let engine = load(InferenceEngine::OnnxRuntime, &libraries).expect("ONNX Runtime");
    Some(Classifier::new(Arc::new(model), engine.as_ref(), SessionOptions::threads(1)).expect("it opens"))
}

/// Writes a video that is dark, bright from 2 s to 4.5 s, then dark again, with a gradient so that crops and times matter. A longer video
/// repeats its first 30 s.
pub(crate) fn write_video(path: &Path, num_frames: u32) {
    let params = EncoderParams { width_px: 32, height_px: 24, fps: FPS, quantizer: 2 };
    let mut encoder = Encoder::create(path, params).expect("created");
    for frame in 0..num_frames {
        let level: u32 = if (20..45).contains(&(frame % 300)) { 200 } else { 40 };
        let pixel = |at: u32| (level + at % 32 + frame % 10) as u8;
        let pixels: Vec<u8> = (0..32 * 24).flat_map(|at| [pixel(at), pixel(at) / 2, pixel(at)]).collect();
        encoder.write_rgb(&pixels).expect("written");
    }
    encoder.finish().expect("finished");
}

pub(crate) fn context() -> Context {
    Context::detached(2, Arc::new(AtomicBool::new(false)))
}
