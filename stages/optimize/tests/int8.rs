//! Every network of the zoo with 8-bit and 16-bit numbers, on ONNX Runtime against libtorch.

use pipe_clips::{Batch, ClipSize};
use pipe_graph::onnx::{self, Form, HalfType};
use pipe_graph::passes::{Calibration, Integers, Quantization, QuantizeOptions, QuantizePlan};
use pipe_graph::{Graph, Init, Param};
use pipe_infer::{Engine, ModelFile, OnnxRuntime, SessionOptions};
use pipe_learn::{
    CalibrationClips, LearnError, Network, Normalisation, measure_histograms, measure_ranges, pin_threads,
    predict_clips,
};
use pipe_schemas::networks::{DataPreprocessor, ModelParams};
use pipe_weights::{Checkpoint, Tensor};
use std::collections::BTreeMap;

/// Draws numbers between -1 and 1 that depend on a name only.
fn noise(name: &str, len: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..len).map(|_| next()).collect()
}

/// Returns a network whose values keep activations within bounds.
fn network(graph: Graph) -> Network {
    pin_threads();
    let values = |param: &Param| {
        let fan_in: usize = param.shape.iter().skip(1).product();
        let (offset, scale) = match param.init {
            Init::Constant(constant) => (constant as f32, 0.1),
            Init::Normal { .. } | Init::KaimingFanOut | Init::SinCos => (0.0, (3.0 / fan_in as f32).sqrt()),
        };
        let values: Vec<f32> = noise(&param.name, param.len()).iter().map(|value| offset + value * scale).collect();
        (param.name.clone(), Tensor::from_f32(param.shape.clone(), &values))
    };
    let tensors = graph.params.iter().map(values).collect();
    let mut network = Network::new(graph, 0);
    network.load(Checkpoint { tensors, ..Checkpoint::default() }).expect("the tensors fit");
    network
}

/// Clips whose frames become brighter.
fn clips(size: ClipSize, num_clips: usize) -> Batch {
    let frame = size.height * size.width * 3;
    let brightness = |index: usize| (index / frame % size.frames) as f32 / size.frames as f32;
    let noise = noise("clips", num_clips * size.frames * frame);
    let pixels = noise.iter().enumerate().map(|(index, value)| (100.0 + 60.0 * value + 90.0 * brightness(index)) as u8);
    let class_indices = vec![0; num_clips];
    Batch { pixels: pixels.collect(), class_indices, num_clips, rows: 0..num_clips, ..Batch::default() }
}

struct Case {
    network: Network,
    inference: Network,
    size: ClipSize,
    normalisation: Normalisation,
}

impl Case {
    fn all() -> Vec<Self> {
        let case = |small: pipe_models::Small<_>| {
            let params = ModelParams { backbone: small.backbone, ..ModelParams::default() };
            let network = network(pipe_models::build(&params, small.clip, 5).expect("a graph"));
            let inference = network.for_inference().expect("it folds");
            let size = ClipSize { frames: small.clip.frames, height: small.clip.height, width: small.clip.width };
            Self { network, inference, size, normalisation: Normalisation::new(&DataPreprocessor::default()) }
        };
        pipe_models::zoo().into_iter().flat_map(|entry| entry.small).map(case).collect()
    }

    fn name(&self) -> &str {
        &self.network.graph().name
    }

    fn expected(&self) -> Vec<f32> {
        let batches = std::iter::once(Ok(clips(self.size, 2)));
        let logits = predict_clips::<LearnError>(&self.network, &self.normalisation, self.size, batches, |_| Ok(()));
        logits.expect("logits").concat()
    }

    fn quantization(&self, calibration: Calibration, symmetric: bool) -> Quantization {
        let plan = QuantizePlan::new(self.inference.graph(), &QuantizeOptions::default())
            .unwrap_or_else(|_| panic!("{}", self.name()));
        let (size, normalisation) = (self.size, &self.normalisation);
        let clips = || CalibrationClips { normalisation, size, batches: std::iter::once(Ok(clips(size, 2))) };
        let nodes = plan.measured().collect();
        let after = |_| Ok::<_, LearnError>(());
        let ranges = measure_ranges(&self.inference, &nodes, clips(), after).expect("ranges");
        let histograms = measure_histograms(&self.inference, &ranges, clips(), after).expect("histograms");
        let integers = if symmetric { Integers::Signed } else { Integers::Unsigned };
        let ranges = histograms.iter().map(|(id, histogram)| (*id, calibration.range(histogram, integers))).collect();
        Quantization::new(plan, &ranges, symmetric, true)
    }

    fn write(&self, form: &Form<'_>) -> Vec<u8> {
        let graph = self.inference.graph();
        onnx::write_as(graph, |param| self.inference.values_of(param), &BTreeMap::new(), form).expect("written")
    }

    /// Runs a file, and returns its logits with the largest difference from libtorch, relative to the largest logit.
    fn run(&self, runtime: &OnnxRuntime, bytes: &[u8]) -> f32 {
        let model = ModelFile::from_bytes(bytes.to_vec()).unwrap_or_else(|_| panic!("{}", self.name()));
        let mut session =
            runtime.open(&model, SessionOptions::threads(2)).unwrap_or_else(|_| panic!("{}", self.name()));
        let shape = [2, 3, self.size.frames, self.size.height, self.size.width];
        let values = self.normalisation.values(&clips(self.size, 2), self.size);
        let (found, logits) = session.run(onnx::INPUT, shape, values).unwrap_or_else(|_| panic!("{}", self.name()));
        assert_eq!(found, [2, 5], "{}", self.name());
        let expected = self.expected();
        let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        logits.iter().zip(&expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest
    }
}

/// The values that are rounded, their scales and the order of weights are right if the logits are near those of libtorch.
#[test]
fn every_network_runs_in_int8() {
    let Some(runtime) = pipe_testkit::onnx_runtime().map(|library| OnnxRuntime::load(&library).expect("it loads"))
    else {
        return;
    };
    // Each in one of both forms, for time.
    for (case, symmetric) in Case::all().into_iter().zip([false, true].into_iter().cycle()) {
        let quantization = case.quantization(Calibration::MinMax, symmetric);
        let difference = case.run(&runtime, &case.write(&Form::Int8(&quantization)));
        assert!(difference < 0.25, "{}, symmetric {symmetric}: {difference}", case.name());
    }
}

#[test]
fn every_network_runs_with_16_bit_weights() {
    let Some(runtime) = pipe_testkit::onnx_runtime().map(|library| OnnxRuntime::load(&library).expect("it loads"))
    else {
        return;
    };
    for case in Case::all() {
        let float = case.write(&Form::Float32);
        for (half, limit) in [(HalfType::Float16, 5e-3), (HalfType::BFloat16, 4e-2)] {
            let bytes = case.write(&Form::Half(half));
            let difference = case.run(&runtime, &bytes);
            assert!(difference < limit, "{}, {half:?}: {difference}", case.name());
            assert!(bytes.len() < float.len(), "{}", case.name());
        }
    }
}

/// Each calibration gives a network that works; they differ in their ranges.
#[test]
fn calibrations_give_working_networks() {
    let Some(runtime) = pipe_testkit::onnx_runtime().map(|library| OnnxRuntime::load(&library).expect("it loads"))
    else {
        return;
    };
    let case = Case::all().into_iter().next().expect("a network");
    let calibrations = [Calibration::MinMax, Calibration::Percentile(99.9), Calibration::Entropy, Calibration::Mse];
    let mut files = Vec::new();
    for calibration in calibrations {
        let bytes = case.write(&Form::Int8(&case.quantization(calibration, false)));
        let difference = case.run(&runtime, &bytes);
        assert!(difference < 0.3, "{calibration:?}: {difference}");
        files.push(bytes);
    }
    files.dedup();
    assert!(files.len() > 1, "all calibrations give the same file");
}
