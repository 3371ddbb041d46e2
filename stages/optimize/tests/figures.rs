//! Figures for documentation: networks of published size, pruned to half of their multiply-adds and quantised.
//!
//! ```console
//! $ cargo test -p pipe-stage-optimize --test figures -- --ignored --nocapture
//! ```

#![expect(clippy::print_stdout, reason = "the figures are what the test is for")]

use pipe_clips::{Batch, ClipSize};
use pipe_graph::ClipShape;
use pipe_graph::onnx::{self, Form};
use pipe_graph::passes::{ChannelGroups, Norm, PruneOptions, Quantization, QuantizeOptions, QuantizePlan, Scope};
use pipe_infer::{Engine, ModelFile, OnnxRuntime, OpenVino, SessionOptions};
use pipe_learn::{CalibrationClips, LearnError, Network, Normalisation, measure_ranges, pin_threads};
use pipe_schemas::networks::{Backbone, DataPreprocessor, ModelParams};
use std::collections::BTreeMap;
use std::time::Instant;

/// Passes whose median time is printed.
const NUM_RUNS: usize = 9;

const MOBILENET_V2: (&str, [usize; 3]) = (r#"{"type": "MobileNetV2"}"#, [8, 224, 224]);
const R3D: (&str, [usize; 3]) = (r#"{"type": "R3D"}"#, [16, 112, 112]);
const VIDEOMAE_S: (&str, [usize; 3]) =
    (r#"{"type": "VisionTransformer", "embed_dims": 384, "num_heads": 6}"#, [16, 224, 224]);

/// Returns values between -2 and 2, as normalised pixels have.
fn noise(len: usize) -> Vec<f32> {
    let value = |at: usize| (at * 7919 % 4001) as f32 / 1000.0 - 2.0;
    (0..len).map(value).collect()
}

fn network((backbone, [frames, height, width]): (&str, [usize; 3])) -> (Network, ClipSize) {
    pin_threads();
    let backbone: Backbone = serde_json::from_str(backbone).expect("parameters");
    let params = ModelParams { backbone, ..ModelParams::default() };
    let clip = ClipShape { channels: 3, frames, height, width };
    let graph = pipe_models::build(&params, clip, 101).expect("a graph");
    (Network::new(graph, 0), ClipSize { frames, height, width })
}

#[test]
#[ignore = "prints figures; takes minutes"]
fn half_of_the_multiply_adds() {
    let resnet = (r#"{"type": "ResNet", "depth": 18}"#, [8, 224, 224]);
    for case in [resnet, MOBILENET_V2, R3D, VIDEOMAE_S] {
        let (network, _) = network(case);
        let groups = ChannelGroups::of(network.graph());
        let options = PruneOptions {
            macs: 0.5,
            tolerance: 0.02,
            norm: Norm::L2,
            scope: Scope::Group,
            min_channels: 8,
            round_to: 8,
        };
        let removed = network.choose_channels(&groups, &options).expect("half can be reached");
        let pruned = network.without_channels(&groups, &removed).expect("they can be removed");
        let (before, after) = (network.graph(), pruned.graph());
        println!(
            "{}: {:.2} G of {:.2} G multiply-adds ({:.3}), {} of {} parameters; {} groups, {} layers stay whole",
            before.name,
            after.macs() as f64 / 1e9,
            before.macs() as f64 / 1e9,
            after.macs() as f64 / before.macs() as f64,
            after.num_params(),
            before.num_params(),
            groups.groups().len(),
            groups.whole().len(),
        );
    }
}

#[test]
#[ignore = "prints figures; takes minutes"]
fn int8_against_float() {
    let (Some(onnx_runtime), Some(openvino)) = (pipe_testkit::onnx_runtime(), pipe_testkit::openvino()) else { return };
    let onnx_runtime = OnnxRuntime::load(&onnx_runtime).expect("it loads");
    let openvino = OpenVino::load(&openvino).expect("it loads");
    let engines: [&dyn Engine; 2] = [&onnx_runtime, &openvino];
    let tsm = (r#"{"type": "MobileNetV2TSM"}"#, [8, 224, 224]);
    let resnet = (r#"{"type": "ResNet", "depth": 50}"#, [8, 224, 224]);
    let x3d = (r#"{"type": "X3D"}"#, [13, 160, 160]);
    let cases = [MOBILENET_V2, tsm, resnet, R3D, x3d, VIDEOMAE_S];
    for case in cases {
        // OpenVINO needs it for depthwise convolutions over frames.
        let symmetric = case == x3d;
        let (network, size) = network(case);
        let inference = network.for_inference().expect("it folds");
        let plan = QuantizePlan::new(inference.graph(), &QuantizeOptions::default()).expect("layers");
        let normalisation = Normalisation::new(&DataPreprocessor::default());
        let len = size.frames * size.height * size.width * 3;
        let pixels = noise(len).iter().map(|value| (128.0 + 60.0 * value) as u8).collect();
        let batch = Batch { pixels, class_indices: vec![0], num_clips: 1, rows: 0..1, ..Batch::default() };
        let clips = CalibrationClips { normalisation: &normalisation, size, batches: std::iter::once(Ok(batch)) };
        let ranges = measure_ranges(&inference, &plan.measured().collect(), clips, |_| Ok::<_, LearnError>(()));
        let ranges = ranges.expect("ranges");
        let quantization = Quantization::new(plan, &ranges, symmetric, true);
        let write = |form: &Form<'_>| {
            let tensor = |param: &pipe_graph::Param| inference.values_of(param);
            onnx::write_as(inference.graph(), tensor, &BTreeMap::new(), form).expect("written")
        };
        let (float, int8) = (write(&Form::Float32), write(&Form::Int8(&quantization)));
        println!("{}: {:.3} of the size", network.graph().name, int8.len() as f64 / float.len() as f64);
        for engine in engines {
            let [of_float, of_int8] = [&float, &int8].map(|bytes| median_ms(engine, bytes, size));
            let (name, ratio) = (engine.title(), of_float / of_int8);
            println!("  {name}: {of_float:.1} ms in 32 bits, {of_int8:.1} ms in int8 ({ratio:.2} times as fast)");
        }
    }
}

fn median_ms(engine: &dyn Engine, bytes: &[u8], size: ClipSize) -> f64 {
    let model = ModelFile::from_bytes(bytes.to_vec()).expect("a model");
    let mut session = engine.open(&model, SessionOptions::threads(2)).expect("it opens");
    let shape = [1, 3, size.frames, size.height, size.width];
    let values = noise(shape.iter().product());
    let mut times: Vec<f64> = (0..NUM_RUNS + 2)
        .map(|_| {
            let start = Instant::now();
            session.run(onnx::INPUT, shape, values.clone()).expect("it runs");
            start.elapsed().as_secs_f64() * 1e3
        })
        .skip(2)
        .collect();
    times.sort_by(f64::total_cmp);
    times[NUM_RUNS / 2]
}
