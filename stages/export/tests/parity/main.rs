//! Networks on libtorch against the same networks as ONNX files on ONNX Runtime and OpenVINO, and against `onnx.checker`.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]
#![expect(clippy::print_stdout, reason = "the figures are the result of the long test")]

mod networks;
mod ops;

use pipe_clips::{Batch, ClipSize};
use pipe_graph::{Graph, Init, Param, onnx};
use pipe_infer::{Engine, ModelFile, OnnxRuntime, OpenVino, SessionOptions};
use pipe_learn::{LearnError, Network, Normalisation, pin_threads, predict_clips};
use pipe_schemas::networks::DataPreprocessor;
use pipe_weights::{Checkpoint, Tensor};
use std::collections::BTreeMap;
use std::process::Command;

/// The largest difference of a logit, relative to the largest logit.
const LIMIT: f32 = 1e-4;

/// Loads the engines that this machine has.
fn engines() -> Vec<Box<dyn Engine>> {
    let onnx_runtime = pipe_testkit::onnx_runtime()
        .map(|library| -> Box<dyn Engine> { Box::new(OnnxRuntime::load(&library).expect("ONNX Runtime loads")) });
    let openvino = pipe_testkit::openvino()
        .map(|library| -> Box<dyn Engine> { Box::new(OpenVino::load(&library).expect("OpenVINO loads")) });
    onnx_runtime.into_iter().chain(openvino).collect()
}

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

/// Returns values that keep activations within bounds. No tensor keeps its initial value: parts that start with zeros would hide mistakes.
fn values(param: &Param) -> Vec<f32> {
    let noise = noise(&param.name, param.len());
    let fan_in: usize = param.shape.iter().skip(1).product();
    let (offset, scale) = match param.init {
        Init::Constant(constant) => (constant as f32, if param.shape.len() > 1 { 0.5 } else { 0.1 }),
        _ => (0.0, (3.0 / fan_in as f32).sqrt()),
    };
    noise.into_iter().map(|value| offset + value * scale).collect()
}

/// Returns a network with values by formula.
fn network(graph: Graph) -> Network {
    pin_threads();
    let tensor = |param: &Param| (param.name.clone(), Tensor::from_f32(param.shape.clone(), &values(param)));
    let tensors: BTreeMap<String, Tensor> = graph.params.iter().map(tensor).collect();
    let mut network = Network::new(graph, 0);
    network.load(Checkpoint { tensors, ..Checkpoint::default() }).expect("the tensors fit");
    network
}

/// Returns clips of noise with brighter and brighter frames, so that the order of the frames matters.
fn clips(size: ClipSize, num_clips: usize) -> Batch {
    let ClipSize { frames, height, width } = size;
    let frame = height * width * 3;
    let noise = noise("clips", num_clips * frames * frame);
    let brightness = |index: usize| (index / frame % frames) as f32 / frames as f32;
    let pixels = noise.iter().enumerate().map(|(index, value)| (100.0 + 60.0 * value + 90.0 * brightness(index)) as u8);
    let class_indices = (0..num_clips as i64).map(|clip| clip % 2).collect();
    Batch { pixels: pixels.collect(), class_indices, num_clips, rows: 0..num_clips, ..Batch::default() }
}

fn clip_size(graph: &Graph) -> ClipSize {
    let dims = &graph.nodes[0].shape.dims;
    ClipSize { frames: dims[1], height: dims[2], width: dims[3] }
}

/// Compares the logits of one clip and of two clips with those of the network rewritten for inference, and with those of its file on each
/// engine. Returns the bytes of the file.
fn compare(engines: &[Box<dyn Engine>], network: &Network) -> Vec<u8> {
    let (name, size) = (&network.graph().name, clip_size(network.graph()));
    let normalisation = Normalisation::new(&DataPreprocessor::default());
    let logits = |network: &Network, num_clips| {
        let batches = std::iter::once(Ok(clips(size, num_clips)));
        predict_clips::<LearnError>(network, &normalisation, size, batches, |_| Ok(())).expect("logits").concat()
    };
    let expect = [1, 2].map(|num_clips| logits(network, num_clips));
    let rewritten = network.for_inference().expect("the network is rewritten");
    let check_all = |what: &str, found: &mut dyn FnMut(usize) -> Vec<f32>| {
        let differences = [1, 2].map(|num_clips| {
            check(&format!("{num_clips} clips on {name}, {what}"), &found(num_clips), &expect[num_clips - 1])
        });
        println!("{name}, {what}: {:.1e} of the largest logit", differences[0].max(differences[1]));
    };
    check_all("for inference", &mut |num_clips| logits(&rewritten, num_clips));
    drop(rewritten);
    let bytes = write(&network.with_folded_tables().expect("tables fold"));
    let model = ModelFile::from_bytes(bytes.clone()).expect("a model");
    for engine in engines {
        let session = engine.open(&model, SessionOptions::threads(2));
        let mut session = session.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        check_all(engine.kind().name(), &mut |num_clips| {
            let shape = [num_clips, 3, size.frames, size.height, size.width];
            let values = normalisation.values(&clips(size, num_clips), size);
            session.run(onnx::INPUT, shape, values).expect("it runs").1
        });
    }
    bytes
}

fn write(network: &Network) -> Vec<u8> {
    let tensors = network.tensors();
    let values = |param: &Param| tensors.get(&param.name).map(Tensor::to_f32);
    onnx::write(network.graph(), values, &BTreeMap::new()).expect("the network is written")
}

/// Returns the largest difference of a logit, relative to the largest logit.
fn check(what: &str, found: &[f32], expect: &[f32]) -> f32 {
    assert_eq!(found.len(), expect.len(), "{what}");
    let largest = expect.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let difference = found.iter().zip(expect).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest;
    let finite = found.iter().all(|logit| logit.is_finite());
    assert!(finite && difference <= LIMIT, "{what}: the logits differ by {difference:e}");
    difference
}

/// Passes files to `onnx.checker`, if Python has it.
fn check_files(files: &[(String, Vec<u8>)]) {
    let has_onnx = Command::new("python3").args(["-c", "import onnx"]).output().is_ok_and(|run| run.status.success());
    if !has_onnx {
        return pipe_testkit::skip("no Python with `onnx` (`pip install onnx`): `onnx.checker` does not run");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        let path = folder.path().join(format!("{name}.onnx"));
        std::fs::write(&path, bytes).expect("the file is written");
        let script = "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)";
        let run = Command::new("python3").args(["-c", script]).arg(&path).output().expect("Python runs");
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}
